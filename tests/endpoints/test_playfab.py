"""The scope `playfab`: a session of the project's PlayFab title in the access token, and in no other place."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from authsrv.config import Config
from authsrv.emulator.playfab.cases import CASES, SECRET_KEY, TITLE
from authsrv.models import Grant
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, RevokeGrant, RotateRefreshToken
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.browser import Browser
from tests.support.server import ISSUER, Server, demo_config, running

SCOPE = "openid offline playfab"
CLAIMS = {"external_account_id", "session_ticket", "entity_token", "entity_type", "entity_id"}
WITHOUT_ENTITY = {"external_account_id", "session_ticket"}
CALL = "LoginWithServerCustomId"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


def asked(server: Server) -> int:
    """How often PlayFab was asked."""
    return server.playfab.calls[CALL]


def told(server: Server, token: str) -> dict[str, str]:
    """The claims of PlayFab in a token."""
    return {name: value for name, value in server.claims(token).items() if name in CLAIMS}


async def ticket(server: Server, **changes: str | None) -> str:
    tokens = await server.login("steam", None, **({"scope": SCOPE} | changes))
    return str(server.claims(tokens["access_token"])["session_ticket"])


async def on_an_xsolla_sdk(server: Server, scope: str) -> dict[str, Any]:
    """A login of the demo's Xsolla client; its token answer."""
    client = {"client_id": "40", "redirect_uri": "http://127.0.0.1/blank"}
    request = {"response_type": "code", "state": "xsollatest", "scope": scope, "is_redirect": "false"}
    sent = {**client, **request, **server.mint("steam").parameters}
    answer = await server.http.get("/api/oauth2/social/steam/cross_auth", params=sent)
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    form = {**client, "grant_type": "authorization_code", "code": code}
    tokens: dict[str, Any] = (await server.http.post("/api/oauth2/token", data=form)).json()
    return tokens


async def reloaded(server: Server, edit: Callable[[dict[str, Any]], object]) -> None:
    """Take the demo's configuration over once more, edited."""
    block = demo_config(server.platforms, "memory://")
    edit(block)
    await server.app.reload(Config.model_validate(block))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Why there was no session, as the log has it."""
    return [vars(record)["cause"] for record in caplog.records if record.message == "no PlayFab session"]


# Who gets a session, and where it stands


async def test_a_client_that_asks_gets_a_session_in_its_access_token(server: Server) -> None:
    tokens = await server.login("steam", scope=SCOPE)
    claims = server.claims(tokens["access_token"])
    assert tokens["scope"] == claims["scope"] == SCOPE
    assert told(server, tokens["access_token"]).keys() == CLAIMS
    assert claims["entity_type"] == "title_player_account"
    assert claims["session_ticket"].startswith(f"{claims['external_account_id']}--{claims['entity_id']}-{TITLE}-")


async def test_playfab_is_asked_for_the_player_by_our_own_id_with_the_titles_key(server: Server) -> None:
    tokens = await server.login("steam", scope=SCOPE)
    (request,) = server.outbounds["playfab"].requests
    sub = server.claims(tokens["access_token"])["sub"]
    assert json.loads(request.content) == {"ServerCustomId": sub, "CreateAccount": True}
    assert request.headers["x-secretkey"] == SECRET_KEY
    assert (request.url.path, request.url.query) == (f"/playfab/{TITLE.lower()}/Server/{CALL}", b"")


async def test_a_player_has_one_account_and_a_new_session_each_time(server: Server) -> None:
    first, second = [told(server, (await server.login("steam", scope=SCOPE))["access_token"]) for _ in range(2)]
    assert first["external_account_id"] == second["external_account_id"]
    assert first["session_ticket"] != second["session_ticket"]


async def test_a_refresh_brings_a_new_session(server: Server) -> None:
    tokens = await server.login("steam", scope=SCOPE)
    refreshed = (await server.refresh(tokens["refresh_token"])).json()
    assert told(server, refreshed["access_token"]).keys() == CLAIMS
    assert told(server, refreshed["access_token"]) != told(server, tokens["access_token"])
    assert asked(server) == 2


async def test_a_refresh_for_less_asks_nobody_and_a_later_one_for_all_does(server: Server) -> None:
    tokens = await server.login("steam", scope=SCOPE)
    less = (await server.refresh(tokens["refresh_token"], scope="openid")).json()
    assert (told(server, less["access_token"]), asked(server)) == ({}, 1)
    again = (await server.refresh(less["refresh_token"])).json()
    assert told(server, again["access_token"]).keys() == CLAIMS


async def test_a_game_on_an_xsolla_sdk_gets_the_same_claims(server: Server) -> None:
    tokens = await on_an_xsolla_sdk(server, "offline playfab")
    claims = server.claims(tokens["access_token"])
    assert told(server, tokens["access_token"]).keys() == CLAIMS
    assert (claims["scp"], claims["token_use"], claims["provider"]) == (["offline", "playfab"], "access", "steam")


async def test_D33_the_session_is_in_no_other_answer(server: Server) -> None:
    def backend_introspects(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["backend"]["introspect"] = True

    await reloaded(server, backend_introspects)
    tokens = await server.login("steam", scope=SCOPE)
    secrets = [value for name, value in told(server, tokens["access_token"]).items() if name != "entity_type"]
    assert not CLAIMS & server.claims(tokens["id_token"]).keys()
    userinfo = await server.userinfo(tokens["access_token"])
    introspection = await server.http.post(
        "/oauth2/introspect",
        data={"token": tokens["access_token"], "client_id": "backend", "client_secret": "backend-secret"},
    )
    assert (userinfo.status_code, introspection.json()["active"]) == (200, True)
    everything = userinfo.text + introspection.text + json.dumps({**tokens, "access_token": ""})
    everything += json.dumps(server.claims(tokens["id_token"])) + json.dumps(server.events)
    assert [secret for secret in secrets if secret in everything] == []


async def test_the_scope_must_be_asked_for_by_name(server: Server) -> None:
    tokens = await server.login("steam", scope=None)
    assert "playfab" not in tokens["scope"].split()
    assert (told(server, tokens["access_token"]), asked(server)) == ({}, 0)


async def test_a_token_of_a_client_itself_asks_nobody() -> None:
    def allowed(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["backend"]["scopes"] = ["playfab"]

    async with running(edit=allowed) as server:
        own = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": "backend-secret"}
        answer = await server.token(**own, scope="playfab")
        assert (answer.json()["scope"], asked(server)) == ("playfab", 0)
        assert told(server, answer.json()["access_token"]) == {}


def without_the_scope(block: dict[str, Any]) -> None:
    block["projects"]["demo"]["clients"]["launcher"]["scopes"] = ["openid", "offline"]


def without_a_title(block: dict[str, Any]) -> None:
    del block["projects"]["demo"]["playfab"]


def of_somebody_else(block: dict[str, Any]) -> None:
    block["projects"]["demo"]["clients"]["launcher"]["first_party"] = False


def as_a_scope_of_the_studio(block: dict[str, Any]) -> None:
    without_the_scope(block)
    block["projects"]["demo"]["clients"]["launcher"]["extra_scopes"] = ["playfab"]


@pytest.mark.parametrize("edit", [without_a_title, of_somebody_else, without_the_scope, as_a_scope_of_the_studio])
async def test_D33_without_title_scope_or_first_party_there_is_no_session(edit: Callable[[Any], None]) -> None:
    async with running() as server:
        tokens = await server.login("steam", scope=SCOPE)
        assert asked(server) == 1
        await reloaded(server, edit)
        answer = await server.refresh(tokens["refresh_token"])
        assert (answer.status_code, told(server, answer.json()["access_token"])) == (200, {})
        assert asked(server) == 1


async def test_any_scope_is_not_this_scope(server: Server) -> None:
    def any_scope(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["40"] |= {"scopes": ["offline"], "extra_scopes": "*"}

    await reloaded(server, any_scope)
    tokens = await on_an_xsolla_sdk(server, "playfab")
    assert server.claims(tokens["access_token"])["scp"] == ["playfab"]
    assert (told(server, tokens["access_token"]), asked(server)) == ({}, 0)


# A request that is no good makes no call


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code": "asc_" + "A" * 65}, id="unknown code"),
        pytest.param({"code_verifier": "x" * 43}, id="wrong verifier"),
        pytest.param({"code_verifier": None}, id="no verifier"),
        pytest.param({"redirect_uri": "http://127.0.0.1/elsewhere"}, id="wrong redirect URI"),
        pytest.param({"client_id": "spa", "redirect_uri": f"{ISSUER}/demo/spa"}, id="another client"),
        pytest.param({"client_id": "shop", "client_secret": "wrong"}, id="wrong secret"),
        pytest.param({"grant_type": "unknown"}, id="unknown grant"),
    ],
)
async def test_a_bad_exchange_makes_no_call(server: Server, changes: dict[str, str | None]) -> None:
    code = await server.code("steam", scope=SCOPE)
    answer = await server.redeem(code, **changes)
    assert answer.status_code in {400, 401}
    assert asked(server) == 0


async def test_a_code_that_is_used_or_too_old_makes_no_call(server: Server) -> None:
    used, old = [await server.code("steam", scope=SCOPE) for _ in range(2)]
    await server.redeem(used)
    assert asked(server) == 1
    server.clock.now += 61
    assert [(await server.redeem(code)).status_code for code in (used, old)] == [400, 400]
    assert asked(server) == 1


async def test_a_refresh_token_that_is_reused_or_ended_makes_no_call(server: Server) -> None:
    first = (await server.login("steam", scope=SCOPE))["refresh_token"]
    second = (await server.refresh(first)).json()["refresh_token"]
    server.clock.now += 31
    assert [(await server.refresh(token)).status_code for token in (first, second)] == [400, 400]
    assert asked(server) == 2


async def test_a_refresh_for_more_than_was_granted_makes_no_call(server: Server) -> None:
    token = (await server.login("steam", scope="openid offline"))["refresh_token"]
    assert (await server.refresh(token, scope="openid playfab")).status_code == 400
    assert asked(server) == 0


async def test_a_player_over_the_limit_of_token_requests_makes_no_call() -> None:
    def one_request(block: dict[str, Any]) -> None:
        block["limits"] = {"token_requests_per_minute": 1}

    async with running(edit=one_request) as server:
        token = (await server.login("steam", scope=SCOPE))["refresh_token"]
        assert (await server.refresh(token)).status_code == 429
        assert asked(server) == 1


async def test_one_player_cannot_use_up_what_playfab_allows_all(server: Server) -> None:
    tokens = await server.login("steam", scope=SCOPE)
    for _ in range(12):
        tokens = (await server.refresh(tokens["refresh_token"])).json()
    assert (told(server, tokens["access_token"]), asked(server)) == ({}, 10)
    assert told(server, (await server.login("epicgames", scope=SCOPE))["access_token"]).keys() == CLAIMS


# Attempts, races and waiting


async def test_a_request_that_is_decided_twice_asks_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    token = (await server.login("steam", scope=SCOPE))["refresh_token"]
    apply = server.app.storage.apply
    lost: list[Change] = []

    async def losing_once(changes: list[Change]) -> None:
        if not lost and isinstance(changes[0], RotateRefreshToken):
            lost.append(changes[0])
            raise Conflict(changes[0])
        await apply(changes)

    monkeypatch.setattr(server.app.storage, "apply", losing_once)
    answer = await server.refresh(token)
    assert told(server, answer.json()["access_token"]).keys() == CLAIMS
    assert (len(lost), asked(server)) == (1, 2)


class Slow:
    """A PlayFab that answers when the test says so."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()
        server.playfab.meet("hang")
        monkeypatch.setattr(server.playfab, "_sleep", self._wait)

    async def _wait(self, _: float) -> None:
        self.arrived.set()
        await self.go_on.wait()


async def test_nobody_waits_for_the_session_of_another(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    code, slow = await server.code("steam", scope=SCOPE), Slow(server, monkeypatch)
    waiting = asyncio.create_task(server.redeem(code))
    await slow.arrived.wait()
    for provider in server.sources:
        assert "refresh_token" in await server.login(provider)
    slow.go_on.set()
    assert told(server, (await waiting).json()["access_token"]).keys() == CLAIMS


async def test_what_was_revoked_while_playfab_was_asked_gives_no_token(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await server.login("steam", scope=SCOPE))["refresh_token"]
    slow = Slow(server, monkeypatch)
    waiting = asyncio.create_task(server.refresh(token))
    await slow.arrived.wait()
    (grant,) = grants(server)
    await server.app.storage.apply([RevokeGrant(grant.id, int(server.clock.now), "revoked")])
    slow.go_on.set()
    assert (await waiting).json()["error"] == "invalid_grant"


def grants(server: Server) -> list[Grant]:
    storage = server.app.storage
    assert isinstance(storage, MemoryStorage)
    return list(storage._tables.grants.values())


# Every answer of PlayFab, and none

EXPECTED: dict[str, tuple[set[str], str]] = {
    # case: claims, cause of the warning
    "good": (CLAIMS, ""),
    "new-account": (CLAIMS, ""),
    "without-entity": (WITHOUT_ENTITY, ""),
    "null-entity": (WITHOUT_ENTITY, ""),
    "account-banned": (set(), "player_refused"),
    "account-deleted": (set(), "player_refused"),
    "bad-secret": (set(), "misconfigured"),
    "bad-secret-echoed": (set(), "misconfigured"),
    "not-authorized": (set(), "misconfigured"),
    "unknown-title": (set(), "misconfigured"),
    "title-full": (set(), "misconfigured"),
    "unknown-error": (set(), "misconfigured"),
    "http-404": (set(), "misconfigured"),
    "throttled": (set(), "unavailable"),
    "throttled-bare": (set(), "unavailable"),
    "conflict": (set(), "unavailable"),
    "service-unavailable": (set(), "unavailable"),
    "http-500": (set(), "unavailable"),
    "http-502": (set(), "unavailable"),
    "http-504": (set(), "unavailable"),
    "redirect": (set(), "unavailable"),
    "hang": (set(), "unavailable"),
    "html-200": (set(), "unavailable"),
    "empty-object": (set(), "unavailable"),
    "list": (set(), "unavailable"),
    "error-in-200": (set(), "unavailable"),
    "no-data": (set(), "unavailable"),
    "no-ticket": (set(), "unavailable"),
    "empty-ticket": (set(), "unavailable"),
    "number-ticket": (set(), "unavailable"),
    "odd-ticket": (set(), "unavailable"),
    "long-ticket": (set(), "unavailable"),
    "no-id": (set(), "unavailable"),
    "half-entity": (set(), "unavailable"),
    "repeated-name": (set(), "unavailable"),
    "cut-off-body": (set(), "unavailable"),
    "oversized-body": (set(), "unavailable"),
}


def test_every_case_of_the_emulator_is_tried() -> None:
    assert EXPECTED.keys() == CASES.keys()


@pytest.mark.parametrize("case", EXPECTED)
async def test_no_answer_of_playfab_fails_a_login(server: Server, caplog: pytest.LogCaptureFixture, case: str) -> None:
    server.playfab.meet(case)
    tokens = await server.login("steam", scope=SCOPE)
    claims, cause = EXPECTED[case]
    assert told(server, tokens["access_token"]).keys() == claims
    assert tokens["scope"] == SCOPE
    assert lines(caplog) == ([cause] if cause else [])
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200
    assert asked(server) == 2
    assert SECRET_KEY not in json.dumps([str(vars(record)) for record in caplog.records])


@pytest.mark.parametrize("outage", ["connect_failure", "timeout", "server_error", "garbage"])
async def test_no_outage_of_playfab_fails_a_login(
    server: Server, caplog: pytest.LogCaptureFixture, outage: Any
) -> None:
    server.outbounds["playfab"].outage = outage
    tokens = await server.login("steam", scope=SCOPE)
    assert (told(server, tokens["access_token"]), lines(caplog)) == ({}, ["unavailable"])
    server.outbounds["playfab"].outage = None
    assert await ticket(server)


@pytest.mark.parametrize("mode", ["down", "garbage", "throttle"])
async def test_the_emulators_faults_reach_playfab_as_they_reach_platforms(server: Server, mode: str) -> None:
    assert server.emulator
    transport = httpx.ASGITransport(server.emulator)
    async with httpx.AsyncClient(transport=transport, base_url="http://emulator.test") as control:
        order = {"platform": "playfab", "mode": mode}
        assert (await control.post("/emulator/fault", json=order)).status_code == 200
        tokens = await server.login("steam", scope=SCOPE)
        assert (told(server, tokens["access_token"]), asked(server)) == ({}, 0)
        assert (await control.get("/emulator/calls")).json()["playfab"] == {"calls": {}, "suffered": 1}


async def test_an_outage_fills_no_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.playfab.meet("http-500")
    for _ in range(9):
        await server.login("steam", scope=SCOPE)
    assert lines(caplog) == ["unavailable"]
    server.playfab.meet("bad-secret")
    await server.login("xbox", scope=SCOPE)
    assert lines(caplog) == ["unavailable", "misconfigured"]
    server.clock.now += 60
    server.playfab.meet("http-500")
    await server.login("epicgames", scope=SCOPE)
    assert lines(caplog) == ["unavailable", "misconfigured", "unavailable"]
    last = vars(caplog.records[-1])
    assert (last["unsaid"], last["project"], last["levelno"]) == (8, "demo", logging.WARNING)


async def test_a_clock_that_is_set_back_silences_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.playfab.meet("http-500")
    await server.login("steam", scope=SCOPE)
    server.clock.now -= 3600
    await server.login("xbox", scope=SCOPE)
    assert lines(caplog) == ["unavailable", "unavailable"]


# Changes of the configuration


async def test_a_changed_secret_key_takes_effect_at_a_reload(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    def another_key(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["playfab"]["secret_key"] = "ANOTHERKEY"

    await server.login("steam", scope=SCOPE)
    await reloaded(server, another_key)
    tokens = await server.login("steam", scope=SCOPE)
    assert (told(server, tokens["access_token"]), lines(caplog)) == ({}, ["misconfigured"])
    await reloaded(server, lambda _: None)
    assert await ticket(server)
    sent = [request.headers["x-secretkey"] for request in server.outbounds["playfab"].requests]
    assert sent == [SECRET_KEY, "ANOTHERKEY", SECRET_KEY]


async def test_readiness_names_playfab_while_its_circuit_is_open_and_stays_ready(server: Server) -> None:
    server.outbounds["playfab"].state = "open"
    ready = await server.http.get("/health/ready")
    assert (ready.status_code, ready.json()["degraded"]) == (200, ["playfab"])


async def test_a_sign_in_in_the_browser_gets_a_session_too() -> None:
    def shop_lists_it(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["shop"]["scopes"] += ["playfab"]

    async with running(edit=shop_lists_it) as server:
        tokens = await Browser(server).tokens(scope="openid playfab")
        assert told(server, tokens["access_token"]).keys() == CLAIMS
