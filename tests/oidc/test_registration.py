"""Dynamic client registration (RFC 7591): who may register, how often, and what the answer holds."""

import re
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from tests.support.registration import (
    CALLBACK,
    METADATA,
    audited,
    bearer,
    error_of,
    register,
    registered,
    registering,
    reregistering,
)
from tests.support.server import ISSUER, Server, client, running

DAY = 86400


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=registering()) as started:
        yield started


# --- Y1: the answer ---


async def test_Y1_the_answer_holds_all_that_is_registered_and_what_the_client_needs(server: Server) -> None:
    answer = await register(server, client_uri="https://page.example/", contacts=["amber@page.example"])
    told = answer.json()
    secrets = {name: told.pop(name) for name in ("client_id", "client_secret", "registration_access_token")}
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert told == {
        "client_id_issued_at": int(server.clock.now),
        "client_secret_expires_at": 0,
        "registration_client_uri": f"{ISSUER}/oauth2/register/{secrets['client_id']}",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "web",
        "subject_type": "public",
        "scope": "openid profile offline_access",
        "client_name": "Amber's page",
        "client_uri": "https://page.example/",
        "contacts": ["amber@page.example"],
        "backchannel_logout_session_required": False,
        "frontchannel_logout_session_required": False,
        "id_token_signed_response_alg": "RS256",
        "require_auth_time": False,
    }
    assert {name: bool(re.fullmatch(_FORMS[name], text)) for name, text in secrets.items()} == dict.fromkeys(
        _FORMS, True
    )


_FORMS = {
    "client_id": r"c_[0-9a-f]{32}",
    "client_secret": r"ass_[A-Za-z0-9_-]{65}",
    "registration_access_token": r"asg_[A-Za-z0-9_-]{65}",
}


async def test_Y1_a_public_client_gets_no_secret(server: Server) -> None:
    told = (await registered(server, token_endpoint_auth_method="none")).told
    assert "client_secret" not in told
    assert "client_secret_expires_at" not in told


async def test_Y1_what_the_client_leaves_out_has_the_defaults_of_the_specification(server: Server) -> None:
    told = (await registered(server, client_name=None, token_endpoint_auth_method=None, grant_types=None)).told
    assert (told["token_endpoint_auth_method"], told["grant_types"]) == ("client_secret_basic", ["authorization_code"])
    assert told["scope"] == "openid profile"
    assert "client_name" not in told


async def test_Y17_no_two_clients_share_an_id_a_secret_or_a_token(server: Server) -> None:
    found = [await registered(server) for _ in range(5)]
    texts = {text for one in found for text in (one.client_id, one.secret, one.token)}
    assert len(texts) == 15


# --- Y3 and fault 3: three settings, none of which opens another ---

_OFF: dict[str, Any] = {"mode": "off", "management": False, "initial_tokens": {}}
_OPEN: dict[str, Any] = {"mode": "open", "management": False, "initial_tokens": {}}


async def test_Y3_without_the_setting_there_is_no_endpoint_and_none_is_advertised() -> None:
    async with running() as server:
        for method in ("POST", "GET", "OPTIONS"):
            answer = await server.http.request(method, "/oauth2/register", json=METADATA)
            assert error_of(answer) == (404, "not_found", "")
        for method in ("GET", "PUT", "DELETE"):
            answer = await server.http.request(method, f"/oauth2/register/c_{'0' * 32}", headers=bearer("asg_x"))
            assert error_of(answer) == (404, "not_found", "")
        assert "registration_endpoint" not in (await server.http.get("/.well-known/openid-configuration")).json()


@pytest.mark.parametrize("settings", [pytest.param({}, id="token"), pytest.param(_OPEN, id="open")])
async def test_Y3_the_endpoint_is_advertised_where_it_is(settings: dict[str, Any]) -> None:
    async with running(edit=registering(**settings)) as server:
        found = (await server.http.get("/.well-known/openid-configuration")).json()
        assert found["registration_endpoint"] == f"{ISSUER}/oauth2/register"
        assert {"openid", "profile", "offline_access"} <= set(found["scopes_supported"])


@pytest.mark.parametrize(
    ("settings", "token", "status"),
    [
        pytest.param({}, "partner-token", 201, id="token, right one"),
        pytest.param({}, "", 401, id="token, none"),
        pytest.param({}, "other-token", 401, id="token, wrong one"),
        pytest.param({"mode": "open"}, "", 201, id="open, none"),
        pytest.param({"mode": "open"}, "partner-token", 201, id="open, right one"),
        pytest.param({"mode": "open"}, "other-token", 401, id="open, wrong one"),
        pytest.param({"mode": "off"}, "partner-token", 404, id="off, right one"),
        pytest.param({"mode": "off"}, "", 404, id="off, none"),
    ],
)
async def test_Y3_who_may_register_is_one_setting(settings: dict[str, Any], token: str, status: int) -> None:
    async with running(edit=registering(**settings)) as server:
        assert (await register(server, token=token)).status_code == status


@pytest.mark.parametrize("settings", [pytest.param({"management": False}, id="token"), pytest.param(_OPEN, id="open")])
async def test_fault_3_registration_does_not_open_management(settings: dict[str, Any]) -> None:
    async with running(edit=registering(**settings)) as server:
        told = (await register(server, token="" if settings is _OPEN else "partner-token")).json()
        assert not told.keys() & {"registration_access_token", "registration_client_uri"}
        for method in ("GET", "PUT", "DELETE"):
            answer = await server.http.request(method, f"/oauth2/register/{told['client_id']}", headers=bearer("x"))
            assert error_of(answer) == (404, "not_found", "")


async def test_fault_3_management_does_not_open_registration() -> None:
    async with running(edit=registering(mode="off")) as server:
        assert (await register(server)).status_code == 404
        answer = await server.http.get(f"/oauth2/register/c_{'0' * 32}", headers=bearer("x"))
        assert error_of(answer) == (401, "invalid_token", "")


async def test_RFC6750_a_refusal_asks_for_a_bearer_token(server: Server) -> None:
    without, wrong = await register(server, token=""), await register(server, token="other-token")
    assert without.headers["www-authenticate"] == 'Bearer realm="authsrv"'
    assert wrong.headers["www-authenticate"] == 'Bearer realm="authsrv", error="invalid_token"'


async def test_a_token_in_another_form_is_no_token(server: Server) -> None:
    for headers in ({"authorization": "Basic partner-token"}, {"authorization": "Bearer "}):
        answer = await server.http.post("/oauth2/register", json=METADATA, headers=headers)
        assert error_of(answer) == (401, "invalid_token", "")
    in_address = await server.http.post("/oauth2/register?access_token=partner-token", json=METADATA)
    assert error_of(in_address) == (401, "invalid_token", "")


def two_projects(block: dict[str, Any]) -> None:
    registering(mode="open")(block)
    tokens = {"guest": "guest-token"}
    block["projects"]["annex"] = {"registration": {"mode": "token", "initial_tokens": tokens, "management": False}}


async def test_the_initial_access_token_decides_the_project() -> None:
    async with running(edit=two_projects) as server:
        for token in ("", "partner-token", "guest-token"):
            await registered(server, token=token)
        assert [(event["project"], event.get("registered_with")) for event in audited(server, "client.registered")] == [
            ("demo", None),
            ("demo", "partner"),
            ("annex", "guest"),
        ]


async def test_Y3_a_token_of_a_project_that_is_off_registers_nobody_where_another_is_open() -> None:
    def annex_off(block: dict[str, Any]) -> None:
        two_projects(block)
        block["projects"]["annex"]["registration"]["mode"] = "off"

    async with running(edit=annex_off) as server:
        assert (await register(server, token="guest-token")).status_code == 401
        assert (await register(server, token="")).status_code == 201


async def test_a_token_that_is_withdrawn_registers_nobody_and_its_clients_stay(server: Server) -> None:
    before = await registered(server)
    await server.app.reload(reregistering(server.app.config, initial_tokens={"other": SecretStr("other-token")}))
    assert (await register(server)).status_code == 401
    assert (await register(server, token="other-token")).status_code == 201
    assert (await before.read()).status_code == 200


# --- fault 1: nothing unsigned is taken ---


def unsigned(**claims: str) -> str:
    return jwt.encode(claims or {"sub": "anybody"}, "", algorithm="none")


async def test_fault_1_a_token_signed_by_none_opens_nothing(server: Server) -> None:
    assert error_of(await register(server, token=unsigned())) == (401, "invalid_token", "")
    client = await registered(server)
    for token in (unsigned(), unsigned(sub=client.client_id, client_id=client.client_id)):
        assert error_of(await client.read(token)) == (401, "invalid_token", "")
        assert error_of(await client.delete(token)) == (401, "invalid_token", "")
    assert (await client.read()).status_code == 200


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        pytest.param(unsigned(client_name="Trusted"), "invalid_software_statement", id="alg none"),
        pytest.param("no JWT", "invalid_software_statement", id="no JWT"),
        pytest.param({"client_name": "Trusted"}, "invalid_software_statement", id="object"),
        pytest.param(
            jwt.encode({"client_name": "Trusted"}, "k" * 32, algorithm="HS256"),
            "unapproved_software_statement",
            id="signed by somebody",
        ),
    ],
)
async def test_fault_1_RFC7591_2_3_a_software_statement_is_refused(server: Server, statement: Any, error: str) -> None:
    answer = await register(server, software_statement=statement)
    assert error_of(answer) == (400, error, "software_statement")


async def test_Y4_unsigned_id_tokens_are_refused(server: Server) -> None:
    for name in ("id_token_signed_response_alg", "userinfo_signed_response_alg"):
        for algorithm in ("none", "HS256", "PS256"):
            answer = await register(server, **{name: algorithm})
            assert error_of(answer) == (400, "invalid_client_metadata", name)


# --- Y17: limits ---


async def test_Y17_one_address_may_register_so_often_and_another_still_may() -> None:
    def few(block: dict[str, Any]) -> None:
        registering()(block)
        block["limits"] = {"registrations_per_minute_per_address": 3}

    async with running(edit=few) as server:
        statuses = [(await register(server)).status_code for _ in range(4)]
        refused = await register(server, token="other-token")
        assert (statuses, refused.status_code) == ([201, 201, 201, 429], 429)
        assert refused.json()["error"] == "rate_limited"
        assert int(refused.headers["retry-after"]) > 0
        async with client(server.app, "192.0.2.7") as elsewhere:
            answer = await elsewhere.post("/oauth2/register", json=METADATA, headers=bearer("partner-token"))
            assert answer.status_code == 201


async def test_Y17_a_project_has_no_more_registered_clients_than_it_may() -> None:
    async with running(edit=registering(max_clients=2)) as server:
        first = await registered(server)
        await registered(server)
        full = await register(server)
        assert error_of(full) == (403, "access_denied", "")
        assert full.json()["reason"] == "registrations_full"
        await first.delete()
        assert (await register(server)).status_code == 201
        refusals = audited(server, "registration.refused")
        assert refusals == [{"event": "registration.refused", "project": "demo", "reason": "registrations_full"}]


async def test_Y17_a_client_to_which_nobody_signs_in_goes_after_its_time() -> None:
    async with running(edit=registering(unused_days=2)) as server:
        unused, used = await registered(server), await registered(server)
        browser = used.browser()
        await browser.press(await browser.sign_in(), "allow")
        server.clock.now += 2 * DAY
        assert await server.app.registrar.expire() == 0
        server.clock.now += 1
        await server.app._sweeper().round()
        assert server.app._registered.expired(int(server.clock.now)) == ()
        assert [(await one.read()).status_code for one in (unused, used)] == [401, 200]
        assert server.app._registry.get(unused.client_id) is None
        assert server.app._registry.get(used.client_id) is not None
        assert audited(server, "client.expired") == [
            {"event": "client.expired", "project": "demo", "client_id": unused.client_id}
        ]
