"""Management of a registered client by itself (RFC 7592): bound to its token, and dead with it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.registration import (
    CALLBACK,
    METADATA,
    Registered,
    audited,
    bearer,
    error_of,
    registered,
    registering,
    reregistering,
)
from tests.support.server import Server, running

OTHER = "https://other.example/callback"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=registering()) as started:
        yield started


@pytest.fixture
async def one(server: Server) -> Registered:
    return await registered(server)


# --- read ---


async def test_RFC7592_2_1_reading_tells_what_is_registered_and_no_secret(one: Registered) -> None:
    answer = await one.read()
    expected = {name: value for name, value in one.told.items() if not name.startswith("client_secret")}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"initiate_login_uri": "https://page.example/login"}, id="initiate_login_uri"),
        pytest.param({"default_max_age": 0, "require_auth_time": True}, id="age"),
        pytest.param({"logo_uri": "https://page.example/logo.png"}, id="logo"),
        pytest.param({"software_id": "page", "software_version": "2.1"}, id="software"),
    ],
)
async def test_T2_what_was_registered_can_be_read_at_registration_client_uri(
    server: Server, member: dict[str, Any]
) -> None:
    told = (await (await registered(server, **member)).read()).json()
    assert {name: told[name] for name in member} == member


# --- the token: Y2, fault 2 ---


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_fault_2_Y2_a_token_opens_no_other_client(server: Server, one: Registered, method: str) -> None:
    other = await registered(server)
    body = {"client_id": other.client_id, **METADATA}
    answer = await server.http.request(method, other.path, json=body, headers=bearer(one.token))
    assert error_of(answer) == (401, "invalid_token", "")
    assert answer.headers["www-authenticate"] == 'Bearer realm="authsrv", error="invalid_token"'
    assert (await other.read()).status_code == 200


def tampered(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


@pytest.mark.parametrize(
    "presented",
    [
        pytest.param(lambda _: "", id="nothing"),
        pytest.param(lambda one: one.secret, id="client_secret"),
        pytest.param(lambda one: tampered(one.token), id="tampered with"),
        pytest.param(lambda one: one.token.replace("asg_", "asr_"), id="another kind"),
        pytest.param(lambda _: "partner-token", id="initial access token"),
    ],
)
async def test_Y2_nothing_but_the_registration_access_token_opens_it(one: Registered, presented: Any) -> None:
    for answer in (await one.read(presented(one)), await one.delete(presented(one))):
        assert error_of(answer) == (401, "invalid_token", "")
    assert (await one.update(token=presented(one))).status_code == 401
    assert (await one.read()).status_code == 200


async def test_Y2_an_access_token_of_a_player_manages_no_client(one: Registered) -> None:
    browser = one.browser()
    tokens = await browser.exchanged(await browser.press(await browser.sign_in(), "allow"))
    for name in ("access_token", "refresh_token", "id_token"):
        assert (await one.read(tokens[name])).status_code == 401


@pytest.mark.parametrize(
    "client_id",
    [
        pytest.param("c_" + "0" * 32, id="nobody"),
        pytest.param("shop", id="of the file"),
        pytest.param("c_%00", id="NUL"),
        pytest.param("c_" + "A" * 32, id="upper case"),
        pytest.param("c_" + "0" * 3000, id="long"),
    ],
)
async def test_RFC7592_2_an_id_that_nobody_registered_is_answered_like_a_wrong_token(
    server: Server, one: Registered, client_id: str
) -> None:
    answer = await server.http.get(f"/oauth2/register/{client_id}", headers=bearer(one.token))
    assert error_of(answer) == (401, "invalid_token", "")


async def test_Y2_the_token_dies_with_its_client(server: Server, one: Registered) -> None:
    answer = await one.delete()
    assert (answer.status_code, answer.content) == (204, b"")
    assert error_of(await one.read()) == (401, "invalid_token", "")
    assert error_of(await one.update()) == (401, "invalid_token", "")
    assert error_of(await one.delete()) == (401, "invalid_token", "")
    assert len(audited(server, "client.removed")) == 1


async def test_Y3_management_that_is_switched_off_is_off_for_who_has_a_token_too(
    server: Server, one: Registered
) -> None:
    before = server.app.config
    await server.app.reload(reregistering(before, management=False))
    assert [error_of(answer)[0] for answer in (await one.read(), await one.update(), await one.delete())] == [404] * 3
    without = Registered(server, (await server.http.post("/oauth2/register", json=METADATA, headers=PARTNER)).json())
    assert "registration_access_token" not in without.told
    await server.app.reload(before)
    assert (await one.read()).status_code == 200
    answer = await server.http.get(f"/oauth2/register/{without.client_id}", headers=bearer(one.token))
    assert answer.status_code == 401


PARTNER = bearer("partner-token")


async def test_Y3_one_projects_management_opens_no_other_projects_clients() -> None:
    def two(block: dict[str, Any]) -> None:
        registering()(block)
        annex = {"mode": "token", "initial_tokens": {"guest": "guest-token"}, "management": True}
        block["projects"]["annex"] = {"registration": annex}

    async with running(edit=two) as server:
        guest = await registered(server, token="guest-token")
        annex = server.app.config.projects["annex"]
        closed = annex.model_copy(update={"registration": annex.registration.model_copy(update={"management": False})})
        projects = {**server.app.config.projects, "annex": closed}
        await server.app.reload(server.app.config.model_copy(update={"projects": projects}))
        assert error_of(await guest.read()) == (404, "not_found", "")
        assert error_of(await guest.read("asg_wrong")) == (401, "invalid_token", "")


async def test_Y17_management_counts_against_the_limit_of_its_address() -> None:
    def few(block: dict[str, Any]) -> None:
        registering()(block)
        block["limits"] = {"registrations_per_minute_per_address": 5}

    async with running(edit=few) as server:
        one = await registered(server)
        answers = [
            await one.read(),
            await one.update(),
            await one.read("asg_wrong"),
            await one.read(),
            await one.delete(),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 401, 200, 429]


# --- update ---


async def test_RFC7592_2_2_an_update_replaces_everything(one: Registered) -> None:
    await one.update(client_uri="https://page.example/", contacts=["amber@page.example"])
    answer = await one.update(client_name=None, redirect_uris=[OTHER], grant_types=None)
    told = answer.json()
    assert answer.status_code == 200
    assert told["redirect_uris"] == [OTHER]
    assert (told["grant_types"], told["scope"]) == (["authorization_code"], "openid profile")
    assert not told.keys() & {"client_name", "client_uri", "contacts", "client_secret"}
    assert (await one.read()).json() == told


async def test_RFC7592_2_2_the_registration_access_token_stays(one: Registered) -> None:
    told = (await one.update()).json()
    assert (told["registration_access_token"], told["client_id"]) == (one.token, one.client_id)
    assert (await one.read()).status_code == 200


async def test_RFC7592_2_2_null_takes_a_member_back(one: Registered) -> None:
    body = {"client_id": one.client_id, **METADATA, "client_name": None, "default_max_age": None}
    answer = await one.server.http.put(one.path, json=body, headers=bearer(one.token))
    assert answer.status_code == 200
    assert "client_name" not in answer.json()


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        pytest.param({"client_id": None}, "client_id", id="no client_id"),
        pytest.param({"client_id": "c_" + "0" * 32}, "client_id", id="another client_id"),
        pytest.param({"client_id": ["shop"]}, "client_id", id="client_id of another type"),
        pytest.param({"client_secret": "ass_wrong"}, "client_secret", id="another secret"),
        pytest.param({"client_secret": 5}, "client_secret", id="secret of another type"),
        pytest.param({"registration_access_token": "asg_mine"}, "registration_access_token", id="token"),
        pytest.param({"registration_client_uri": "https://x.example/"}, "registration_client_uri", id="address"),
        pytest.param({"client_secret_expires_at": 0}, "client_secret_expires_at", id="end of the secret"),
        pytest.param({"client_id_issued_at": 1}, "client_id_issued_at", id="time"),
    ],
)
async def test_RFC7592_2_2_an_update_names_its_client_and_nothing_that_only_the_server_says(
    one: Registered, changes: dict[str, Any], parameter: str
) -> None:
    assert error_of(await one.update(**changes)) == (400, "invalid_request", parameter)
    assert (await one.read()).json()["redirect_uris"] == [CALLBACK]


async def test_RFC7592_2_2_an_update_may_name_the_secret_it_has(one: Registered) -> None:
    assert (await one.update(client_secret=one.secret)).status_code == 200


async def test_an_update_obeys_the_rules_of_a_registration(one: Registered) -> None:
    faulty: dict[str, Any] = {
        "redirect_uris": ["http://page.example/callback"],
        "initiate_login_uri": "http://page.example/login",
        "id_token_signed_response_alg": "none",
    }
    answers = [await one.update(**{name: value}) for name, value in faulty.items()]
    assert [error_of(answer) for answer in answers] == [
        (400, "invalid_redirect_uri", "redirect_uris"),
        (400, "invalid_client_metadata", "initiate_login_uri"),
        (400, "invalid_client_metadata", "id_token_signed_response_alg"),
    ]
    assert (await one.read()).json()["redirect_uris"] == [CALLBACK]


async def test_a_client_that_becomes_public_loses_its_secret_and_gets_a_new_one_later(one: Registered) -> None:
    public = (await one.update(token_endpoint_auth_method="none")).json()
    confidential = (await one.update(token_endpoint_auth_method="client_secret_basic")).json()
    assert "client_secret" not in public
    assert confidential["client_secret_expires_at"] == 0
    assert confidential["client_secret"] != one.secret
    assert "client_secret" not in (await one.update()).json()


async def test_what_an_update_took_back_is_refused_at_once(one: Registered) -> None:
    browser = one.browser()
    await browser.press(await browser.sign_in(), "allow")
    await one.update(redirect_uris=[OTHER])
    page = await browser.authorize()
    assert (page.status, page.answer) == (400, {})


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        pytest.param({"redirect_uris": [CALLBACK, OTHER]}, True, id="another address"),
        pytest.param({"client_name": "The studio"}, True, id="another name"),
        pytest.param({"contacts": ["amber@page.example"]}, False, id="nothing that is shown"),
    ],
)
async def test_players_are_asked_again_once_the_client_looks_different(
    one: Registered, changes: dict[str, Any], asked: bool
) -> None:
    browser = one.browser()
    await browser.press(await browser.sign_in(), "allow")
    assert "code" in (await browser.authorize()).answer
    assert (await one.update(**changes)).status_code == 200
    assert ("code" not in (await browser.authorize()).answer) is asked
