"""What `/oauth2/revoke` and `/oauth2/introspect` have in common: how a request about a token must look, and what its
answer may not be (RFC 7009 section 2.1, RFC 7662 section 2.1).
"""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.ending import INTROSPECT, REVOKE, is_active, with_everybody
from tests.support.refusals import token_error
from tests.support.server import Server, running
from tests.support.wire import ask

FORM = "application/x-www-form-urlencoded"
BACKEND = {"client_id": "backend", "client_secret": "backend-secret"}
WHO = {REVOKE: {"client_id": "launcher"}, INTROSPECT: BACKEND}
both = pytest.mark.parametrize("path", [REVOKE, INTROSPECT])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_everybody) as started:
        yield started


async def posted(
    server: Server, path: str, body: bytes | str | list[tuple[str, str]], query: str = "", **headers: str
) -> httpx.Response:
    """A body as it is, or pairs as a form; without `content_type` it is said to be a form."""
    sent = {name.replace("_", "-"): value for name, value in ({"content_type": FORM} | headers).items() if value}
    content = urlencode(body) if isinstance(body, list) else body
    return await server.http.post(path + query, content=content, headers=sent)


async def asked(server: Server, path: str, **parameters: str) -> httpx.Response:
    """A request by whom the endpoint is for."""
    return await posted(server, path, [*{**WHO[path], **parameters}.items()])


# --- the parameters ---


@both
@pytest.mark.parametrize(
    "hint",
    [
        "refresh_token",
        "access_token",
        "id_token",
        "urn:example:another",
        "",
        "REFRESH_TOKEN",
        "x" * 2048,
        "\N{SNOWMAN}",
        'a"\\b',
    ],
)
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_the_hint_is_no_more_than_that(server: Server, path: str, hint: str, kind: str) -> None:
    tokens = await server.login("steam")
    answer = await asked(server, path, token=tokens[kind], token_type_hint=hint)
    assert answer.status_code == 200
    if path == INTROSPECT:
        assert answer.json()["active"] is True
    else:
        assert not await is_active(server, tokens[kind])


@both
@pytest.mark.parametrize("form", [[], [("token", "")], [("Token", "x")], [("token_type_hint", "access_token")]])
async def test_a_request_without_a_token_is_malformed(server: Server, path: str, form: list[tuple[str, str]]) -> None:
    answer = await posted(server, path, [*WHO[path].items(), *form])
    assert token_error(answer) == "invalid_request"
    assert answer.json()["parameter"] == "token"


@both
async def test_who_asks_is_judged_before_what_is_asked(server: Server, path: str) -> None:
    wrong = {**BACKEND, "client_secret": "wrong"}
    assert token_error(await posted(server, path, [*wrong.items()])) == "invalid_client"


@both
@pytest.mark.parametrize("name", ["token", "token_type_hint", "client_id", "client_secret"])
@pytest.mark.parametrize("second", ["the same", "another", ""])
async def test_a_parameter_that_comes_twice_is_refused_and_nothing_happens(
    server: Server, path: str, name: str, second: str
) -> None:
    token = (await server.login("steam"))["access_token"]
    once = {"token_type_hint": "access_token", **WHO[path], "token": token}
    first = once.setdefault(name, "x")
    body = [*once.items(), (name, first if second == "the same" else second)]
    assert token_error(await posted(server, path, body)) == "invalid_request"
    assert await is_active(server, token)


@both
async def test_parameters_that_nobody_knows_are_ignored_also_twice(server: Server, path: str) -> None:
    odd = [("audience", "a"), ("audience", "b"), ("scope", "x"), ("callback", "alert"), ("\N{SNOWMAN}", "")]
    answer = await posted(server, path, [*WHO[path].items(), ("token", "made up"), *odd])
    assert answer.status_code == 200
    assert "alert" not in answer.text  # JSONP (RFC 7009 section 2.3) would run a token's answer as a script


@both
@pytest.mark.parametrize("token", ["%00", "a%00b", "%ff", "%zz", "%e2%98"])
async def test_a_token_that_is_no_text_is_malformed(server: Server, path: str, token: str) -> None:
    body = urlencode(WHO[path]) + f"&token={token}"
    assert token_error(await posted(server, path, body)) == "invalid_request"


@both
async def test_the_query_is_not_read(server: Server, path: str) -> None:
    token = (await server.login("steam"))["access_token"]
    who = [*WHO[path].items()]
    assert token_error(await posted(server, path, who, f"?token={token}")) == "invalid_request"
    assert token_error(await posted(server, path, [("token", token)], "?client_id=launcher")) == "invalid_client"
    assert (await posted(server, path, [*who, ("token", "made up")], f"?token={token}")).status_code == 200
    assert await is_active(server, token)


@both
async def test_a_secret_in_the_address_is_refused(server: Server, path: str) -> None:
    answer = await posted(server, path, [*WHO[path].items(), ("token", "x")], "?client_secret=backend-secret")
    assert token_error(answer) == "invalid_request"
    assert answer.json()["parameter"] == "client_secret"


# --- the request ---


@both
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post"])
async def test_another_method_is_405_and_ends_nothing(server: Server, path: str, method: str) -> None:
    token = (await server.login("steam"))["access_token"]
    target = f"{path}?{urlencode({**WHO[path], 'token': token})}".encode()
    answer = await ask(server.app, method, target)
    assert (answer.status, answer.one(b"allow")) == (405, "POST")
    assert await is_active(server, token)


@both
@pytest.mark.parametrize(
    ("write", "headers"),
    [
        pytest.param(json.dumps, {"content_type": "application/json"}, id="JSON"),
        pytest.param(json.dumps, {"content_type": FORM}, id="JSON called a form"),
        pytest.param(urlencode, {"content_type": "text/plain"}, id="form as text"),
        pytest.param(urlencode, {"content_type": "multipart/form-data; boundary=x"}, id="multipart"),
        pytest.param(urlencode, {"content_type": "application/jwt"}, id="JWT"),
        pytest.param(urlencode, {"content_type": ""}, id="no type"),
        pytest.param(urlencode, {"content_encoding": "gzip"}, id="compressed"),
    ],
)
async def test_only_forms_are_read(server: Server, path: str, write: Any, headers: dict[str, str]) -> None:
    token = (await server.login("steam"))["access_token"]
    answer = await posted(server, path, write({**WHO[path], "token": token}), **headers)
    called_a_form = headers.get("content_type") == FORM
    assert token_error(answer, 401 if called_a_form else 415) in {"invalid_client", "invalid_request"}
    assert await is_active(server, token)


@both
@pytest.mark.parametrize(
    ("length", "status"),
    [
        pytest.param(16 * 1024, 200, id="16 KiB"),
        pytest.param(16 * 1024 + 1, 400, id="one more"),
        pytest.param(20 * 1024, 413, id="20 KiB"),
        pytest.param(1_000_000, 413, id="a million"),
    ],
)
async def test_a_token_has_at_most_16_KiB(server: Server, path: str, length: int, status: int) -> None:
    for text in ("x" * length, "." * length, "eyJ" + "A" * (length - 3)):
        assert (await asked(server, path, token=text)).status_code == status


# --- the answer ---


@both
async def test_no_answer_may_be_cached_or_be_taken_for_something_else(server: Server, path: str) -> None:
    token = (await server.login("steam"))["access_token"]
    answers = [
        await asked(server, path, token=token),
        await asked(server, path, token="made up"),
        await asked(server, path),
        await posted(server, path, [("client_id", "nobody"), ("token", token)]),
        await posted(server, path, "{}", content_type="application/json"),
        await posted(server, path, "x" * 100_000),
        await server.http.get(path),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 401, 415, 413, 405]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "etag" not in answer.headers
        assert "set-cookie" not in answer.headers


@both
async def test_nothing_that_was_sent_is_repeated_in_a_refusal(server: Server, path: str) -> None:
    for body in ([*WHO[path].items(), ("token", "canary" * 4000)], [("client_id", "canary"), ("token", "canary")]):
        answer = await posted(server, path, body)
        assert answer.status_code in {400, 401, 413}
        assert "canary" not in answer.text + str(answer.headers)


async def test_a_browser_client_may_revoke_from_its_own_origin_alone(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    form = [("client_id", "spa"), ("token", token)]
    for origin, allowed in (("http://127.0.0.1:8080", True), ("https://evil.example", False), ("null", False)):
        answer = await posted(server, REVOKE, form, origin=origin)
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers
        asked_before = {"origin": origin, "access-control-request-method": "POST"}
        preflight = await server.http.options(REVOKE, headers=asked_before)
        assert preflight.status_code == 204
        assert ("access-control-allow-methods" in preflight.headers) is allowed


async def test_no_script_may_introspect(server: Server) -> None:
    origin = "http://127.0.0.1:8080"
    answer = await posted(server, INTROSPECT, [*BACKEND.items(), ("token", "x")], origin=origin)
    preflight = await server.http.options(
        INTROSPECT, headers={"origin": origin, "access-control-request-method": "POST"}
    )
    assert (answer.status_code, preflight.status_code) == (200, 405)
    for each in (answer, preflight):
        assert [name for name in each.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("path", ["/api/oauth2/revoke", "/api/oauth2/introspect", "/oauth2/revoke/", "/oauth2/Revoke"])
async def test_there_is_no_second_door(server: Server, path: str) -> None:
    assert (await server.http.post(path, data={**BACKEND, "token": "x"})).status_code == 404
