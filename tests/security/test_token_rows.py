"""Rows B21, B31, B37 to B39 and B42: what the token endpoint reads, and what it makes of anything else."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from authsrv.oauth.opaque import PREFIXES
from tests.support.configuration import CLIENT, problems, set_environment
from tests.support.refusals import clients, token_error
from tests.support.server import CALLBACK, VERIFIER, Server, running

TOKEN = "/oauth2/token"
FORM = "application/x-www-form-urlencoded"
BACKEND = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": "backend-secret"}


def edit(block: dict[str, Any]) -> None:
    clients(block)["other"] = {**clients(block)["launcher"], "name": "Other launcher"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


def redeeming(code: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "client_id": "launcher",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }


def refreshing(token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "client_id": "launcher", "refresh_token": token}


async def posted(server: Server, body: bytes | str, target: str = TOKEN, **headers: str) -> httpx.Response:
    """A body as it is; without `content_type` it is said to be a form."""
    sent = {name.replace("_", "-"): value for name, value in ({"content_type": FORM} | headers).items() if value}
    return await server.http.post(target, content=body, headers=sent)


# --- the address ---


async def test_B37_parameters_in_the_address_are_not_read(server: Server) -> None:
    code, refresh_token = await server.code("steam"), (await server.login("xbox"))["refresh_token"]
    for whole in (redeeming(code), refreshing(refresh_token)):
        assert token_error(await posted(server, "", f"{TOKEN}?{urlencode(whole)}")) == "invalid_client"
        for name in whole.keys() - {"client_id"}:
            body = urlencode({key: value for key, value in whole.items() if key != name})
            target = f"{TOKEN}?{urlencode({name: whole[name]})}"
            assert token_error(await posted(server, body, target)) in {"invalid_request", "invalid_grant"}
        elsewhere = urlencode(dict.fromkeys(whole, "x"))
        assert (await posted(server, urlencode(whole), f"{TOKEN}?{elsewhere}")).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_B37_tokens_are_given_for_POST_alone(server: Server, method: str) -> None:
    code = await server.code("steam")
    answer = await server.http.request(method, TOKEN, params=redeeming(code))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert token_error(answer, 405) == "invalid_request"
    assert (await server.redeem(code)).status_code == 200


# --- the body ---


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(json.dumps(BACKEND), {"content_type": "application/json"}, id="JSON"),
        pytest.param(json.dumps(BACKEND), {"content_type": "text/plain"}, id="JSON as text"),
        pytest.param(urlencode(BACKEND), {"content_type": "text/plain"}, id="form as text"),
        pytest.param(urlencode(BACKEND), {"content_type": "application/json"}, id="form as JSON"),
        pytest.param(urlencode(BACKEND), {"content_type": "multipart/form-data; boundary=x"}, id="form as multipart"),
        pytest.param(urlencode(BACKEND), {"content_type": ""}, id="no type"),
        pytest.param(urlencode(BACKEND), {"content_type": f"{FORM}; charset=utf-16"}, id="another charset"),
        pytest.param(urlencode(BACKEND), {"content_type": f"{FORM}, text/plain"}, id="two types"),
        pytest.param(urlencode(BACKEND), {"content_encoding": "gzip"}, id="compressed"),
    ],
)
async def test_B38_only_forms_are_read(server: Server, body: str, headers: dict[str, str]) -> None:
    assert token_error(await posted(server, body, **headers), 415) == "invalid_request"


@pytest.mark.parametrize("content_type", [FORM, FORM.title(), f"{FORM};charset=UTF-8", f'{FORM} ; charset="utf-8"'])
async def test_B38_a_form_may_be_called_so_in_every_spelling(server: Server, content_type: str) -> None:
    assert (await posted(server, urlencode(BACKEND), content_type=content_type)).status_code == 200


async def test_B38_an_empty_request_is_no_fault_of_ours(server: Server) -> None:
    for content_type in ("", FORM):
        assert token_error(await posted(server, "", content_type=content_type)) == "invalid_client"


@pytest.mark.parametrize("name", sorted({*redeeming(""), *refreshing(""), *BACKEND, "scope"}))
async def test_A13_a_parameter_that_comes_twice_is_refused_whatever_it_says(server: Server, name: str) -> None:
    code, refresh_token = await server.code("steam"), (await server.login("xbox"))["refresh_token"]
    for whole in (redeeming(code), refreshing(refresh_token), BACKEND):
        once = {name: "x", **whole}
        for second in (once[name], "another", ""):
            body = urlencode([*once.items(), (name, second)])
            assert token_error(await posted(server, body)) == "invalid_request"
    assert (await server.redeem(code)).status_code == 200
    assert (await server.refresh(refresh_token)).status_code == 200


# --- the grant ---


@pytest.mark.parametrize(
    "grant_type",
    [
        "password",
        "implicit",
        "none",
        "AUTHORIZATION_CODE",
        "authorization_code ",
        "authorization-code",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        'x"\\\r\n',
        "é",
        "x" * 2048,
    ],
)
async def test_B21_a_grant_that_nobody_knows_is_unsupported(server: Server, grant_type: str) -> None:
    player = {"username": "amber", "password": "amber"}
    code = await server.code("steam")
    for whole in (redeeming(code), BACKEND, {"client_id": "launcher", **player}):
        answer = await server.token(**{**whole, "grant_type": grant_type})
        assert token_error(answer) == "unsupported_grant_type"
        assert grant_type not in answer.text
    assert (await server.redeem(code)).status_code == 200


@pytest.mark.parametrize("grant_type", [None, "", "a\0b"], ids=["missing", "empty", "NUL"])
async def test_B21_without_a_readable_grant_type_the_request_is_malformed(
    server: Server, grant_type: str | None
) -> None:
    assert token_error(await server.token(**{**BACKEND, "grant_type": grant_type})) == "invalid_request"


async def test_B21_who_asks_is_judged_before_what_is_asked(server: Server) -> None:
    wrong = {**BACKEND, "client_secret": "wrong"}
    for grant_type in ("password", "authorization_code", "client_credentials"):
        assert token_error(await server.token(**{**wrong, "grant_type": grant_type})) == "invalid_client"


async def test_B21_a_grant_that_the_client_may_not_use_is_unauthorized_also_with_a_good_credential(
    server: Server,
) -> None:
    code, refresh_token = await server.code("steam"), (await server.login("xbox"))["refresh_token"]
    for whole in (redeeming(code), refreshing(refresh_token)):
        assert token_error(await server.token(**{**whole, **BACKEND, "grant_type": whole["grant_type"]})) == (
            "unauthorized_client"
        )
    for client_id in ("launcher", "spa"):
        own = await server.token(grant_type="client_credentials", client_id=client_id)
        assert token_error(own) == "unauthorized_client"
    assert (await server.redeem(code)).status_code == 200
    assert (await server.refresh(refresh_token)).status_code == 200


# --- the credential ---


def mutations(text: str, gid: str, stranger: str) -> Iterator[tuple[str, str]]:
    """A token that was changed, and how; `stranger` is a token of the same kind that another client was given."""
    prefix, sealed, secret = text[:4], text[4:26], text[26:]
    yield from ((f"cut to {length}", text[:length]) for length in (4, 26, 68))
    yield from ((f"with {suffix!r} appended", text + suffix) for suffix in ("A", "=", "==", "\n", " ", ".", "%", "é"))
    yield from ((f"with {lead!r} before it", lead + text) for lead in (" ", "A", prefix))
    yield from (("upper case", text.upper()), ("lower case", text.lower()), ("swapped case", text.swapcase()))
    yield from ((f"as {other}", other + text[4:]) for other in (*PREFIXES.values(), "ASC_", "") if other != prefix)
    for position in range(4, len(text)):
        changed = "B" if text[position] == "A" else "A"
        yield f"changed at {position}", text[:position] + changed + text[position + 1 :]
    yield from (
        (f"with unused bits set to {end}", prefix + sealed[:-1] + end + secret) for end in spellings(sealed[-1])
    )
    yield "with a stranger's row", prefix + stranger[4:26] + secret
    yield "with a stranger's secret", prefix + sealed + stranger[26:]
    yield "with the grant's public id", prefix + gid + secret
    yield "in the other alphabet of Base64", text[:4] + text[4:].replace("-", "+").replace("_", "/") + "+"
    yield "in wide letters", text.translate({code: code + 0xFEE0 for code in range(ord("0"), ord("z"))})


async def gid_of_another(server: Server) -> str:
    """The public id of a grant whose tokens are out."""
    gid: str = server.claims((await server.login("epicgames"))["access_token"])["gid"]
    return gid


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def spellings(last: str) -> str:
    """The other last characters with which 22 characters of Base64 say the same 16 bytes."""
    first = ALPHABET.index(last) & 0b110000
    return ALPHABET[first : first + 16].replace(last, "")


async def test_B31_a_mutated_code_is_worth_nothing_and_harms_nothing(server: Server) -> None:
    code, stranger = await server.code("steam"), await server.code("xbox", client_id="other")
    for how, mutated in mutations(code, await gid_of_another(server), stranger):
        assert token_error(await server.redeem(mutated)) == "invalid_grant", how
    assert (await server.redeem(code)).status_code == 200
    assert (await server.redeem(stranger, client_id="other")).status_code == 200


@pytest.mark.parametrize("state", ["current", "previous"])
async def test_B31_a_mutated_refresh_token_is_worth_nothing_and_harms_nothing(server: Server, state: str) -> None:
    tokens = await server.login("steam")
    of_other = await server.code("xbox", client_id="other")
    stranger = (await server.redeem(of_other, client_id="other")).json()["refresh_token"]
    token = newest = tokens["refresh_token"]
    if state == "previous":
        newest = (await server.refresh(token)).json()["refresh_token"]
    gid = server.claims(tokens["access_token"])["gid"]
    for how, mutated in mutations(token, gid, stranger):
        assert token_error(await server.refresh(mutated)) == "invalid_grant", how
    assert (await server.refresh(token)).status_code == 200
    if state == "previous":
        assert (await server.refresh(newest)).status_code == 200
    assert (await server.refresh(stranger, client_id="other")).status_code == 200
    assert server.audited("refresh.reused") == []


async def test_B31_no_token_of_another_kind_stands_in_for_one(server: Server) -> None:
    tokens, code = await server.login("steam"), await server.code("xbox")
    for other in (tokens["refresh_token"], tokens["access_token"], tokens["id_token"]):
        assert token_error(await server.redeem(other)) == "invalid_grant"
    for other in (code, tokens["access_token"], tokens["id_token"]):
        assert token_error(await server.refresh(other)) == "invalid_grant"
    assert (await server.redeem(code)).status_code == 200


# --- the answer ---


async def answers(server: Server) -> list[httpx.Response]:
    """Every status that the endpoint has for a client."""
    code = await server.code("steam")
    good = await server.redeem(code)
    basic = {"authorization": "Basic " + b64encode(b"backend:wrong").decode()}
    return [
        good,
        await server.refresh(good.json()["refresh_token"]),
        await server.token(**BACKEND),
        await server.redeem(code),
        await server.token(grant_type="password", client_id="launcher"),
        await server.token(**{**BACKEND, "client_secret": "wrong"}),
        await posted(server, "grant_type=client_credentials", **basic),
        await server.http.get(TOKEN),
        await posted(server, "x" * 1_000_000),
        await posted(server, "{}", content_type="application/json"),
    ]


async def test_B39_no_answer_may_be_cached(server: Server) -> None:
    found = await answers(server)
    assert [answer.headers["cache-control"] for answer in found] == ["no-store"] * len(found)
    assert {answer.status_code for answer in found} == {200, 400, 401, 405, 413, 415}


# --- whom a token is about ---


async def test_B42_no_client_can_be_given_the_id_of_a_player(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)
    sub = server.claims((await server.login("steam"))["access_token"])["sub"]
    for spelling in (sub, sub.upper()):
        found = problems(tmp_path, CLIENT.replace("clients.web", f"clients.{spelling}"))
        assert any("looks like a player's id" in str(problem) for problem in found)


async def test_B42_a_clients_own_token_speaks_for_no_player(server: Server) -> None:
    player = server.claims((await server.login("steam"))["access_token"])
    own = (await server.token(**BACKEND)).json()["access_token"]
    claims = server.claims(own)
    assert (claims["sub"], claims["client_id"]) == ("backend", "backend")
    assert not {"gid", "auth_time", "idp", "idp_sub"} & claims.keys()
    assert player["sub"] != player["client_id"]
    assert (await server.userinfo(own)).status_code == 403
