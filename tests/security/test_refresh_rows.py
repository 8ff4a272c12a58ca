"""Rows B22 to B24 and B26 to B30: what becomes of a refresh token at `POST /oauth2/token`, also over a restart."""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from authsrv.config import Config
from authsrv.storage.changes import EndSession, RevokeGrant, SetNotBefore, WithdrawConsent
from tests.support.browser import Browser
from tests.support.refusals import clients, demo, tables, token_error
from tests.support.server import ManualClock, Server, running

DAY = 86400


def edit(block: dict[str, Any]) -> None:
    clients(block)["other"] = {**clients(block)["launcher"], "name": "Other launcher"}
    clients(block)["shop"]["refresh_ends_with_session"] = True


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


async def rotated(server: Server, token: str, times: int = 1) -> str:
    """The newest refresh token after so many refreshes."""
    for _ in range(times):
        answer = await server.refresh(token)
        assert answer.status_code == 200, answer.text
        token = answer.json()["refresh_token"]
    return token


async def family_is_dead(server: Server, newest: str, access_token: str) -> bool:
    """Whether the newest refresh token and an access token of the family are refused."""
    assert (await server.userinfo(access_token)).status_code == 401
    return token_error(await server.refresh(newest)) == "invalid_grant"


async def test_B22_late_reuse_ends_the_whole_family_and_is_audited(server: Server) -> None:
    tokens = await server.login("steam")
    newest = await rotated(server, tokens["refresh_token"])
    server.clock.now += 30
    assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert await family_is_dead(server, newest, tokens["access_token"])
    (event,) = server.audited("refresh.reused")
    assert (event["client_id"], event["sub"]) == ("launcher", server.claims(tokens["access_token"])["sub"])


async def test_B22_a_family_that_ended_punishes_no_second_time(server: Server) -> None:
    tokens = await server.login("steam")
    await rotated(server, tokens["refresh_token"])
    server.clock.now += 30
    for _ in range(3):
        assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert len(server.audited("refresh.reused")) == 1


async def test_B22_the_log_alone_tells_what_was_wrong_with_a_refresh_token(server: Server) -> None:
    reused = (await server.login("steam"))["refresh_token"]
    await rotated(server, reused)
    server.clock.now += 30
    answers = [await server.refresh(token) for token in (reused, reused, "asr_unknown")]
    assert len({answer.content for answer in answers}) == 1
    told = [event.get("detail") for event in server.events if event["event"] == "request"][-3:]
    assert told == [
        "the refresh token was used before and came back; all of its family ends",
        "the refresh token is revoked, expired or none of its family",
        "no refresh token of this client, or one that was revoked",
    ]


async def test_B22_the_other_families_of_the_player_live_on(server: Server) -> None:
    robbed, other = await server.login("steam"), await server.login("steam")
    await rotated(server, robbed["refresh_token"])
    server.clock.now += 30
    assert token_error(await server.refresh(robbed["refresh_token"])) == "invalid_grant"
    assert (await server.refresh(other["refresh_token"])).status_code == 200


@pytest.mark.parametrize("after", [0, 1, 29])
async def test_B23_a_retry_within_the_window_gets_the_same_successor(server: Server, after: int) -> None:
    token = (await server.login("steam"))["refresh_token"]
    first = (await server.refresh(token)).json()
    server.clock.now += after
    again = (await server.refresh(token)).json()
    assert again["refresh_token"] == first["refresh_token"]
    assert again.keys() == first.keys()
    assert (await server.refresh(again["refresh_token"])).status_code == 200
    assert server.audited("refresh.reused") == []


async def test_B23_a_retry_does_not_move_the_window(server: Server) -> None:
    token = (await server.login("steam"))["refresh_token"]
    newest = await rotated(server, token)
    server.clock.now += 20
    assert (await server.refresh(token)).json()["refresh_token"] == newest
    server.clock.now += 10
    assert token_error(await server.refresh(token)) == "invalid_grant"


async def test_B23_a_retry_may_ask_for_another_part_of_the_scope(server: Server) -> None:
    token = (await server.login("steam"))["refresh_token"]
    first, again = [(await server.refresh(token, scope=scope)).json() for scope in ("openid", None)]
    assert (first["scope"], again["scope"]) == ("openid", "openid offline")
    assert first["refresh_token"] == again["refresh_token"]


@pytest.mark.parametrize("later", [1, 2, 5])
async def test_B24_a_retry_after_the_successor_was_used_ends_the_family(server: Server, later: int) -> None:
    tokens = await server.login("steam")
    newest = await rotated(server, await rotated(server, tokens["refresh_token"]), later)
    assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert await family_is_dead(server, newest, tokens["access_token"])
    assert len(server.audited("refresh.reused")) == 1


@pytest.mark.parametrize("thief", ["other", "spa", "shop"])
@pytest.mark.parametrize("state", ["current", "previous", "reused"])
async def test_B26_the_refresh_token_of_one_client_is_nothing_to_another(
    server: Server, thief: str, state: str
) -> None:
    token = (await server.login("steam"))["refresh_token"]
    newest = token if state == "current" else await rotated(server, token)
    server.clock.now += 30 if state == "reused" else 0
    secret = "shop-secret" if thief == "shop" else None
    assert token_error(await server.refresh(token, client_id=thief, client_secret=secret)) == "invalid_grant"
    assert (await server.refresh(newest)).status_code == 200
    assert server.audited("refresh.reused") == []


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param("openid offline profile", id="one more, which the client may have"),
        pytest.param("profile", id="another, which the client may have"),
        pytest.param("openid admin", id="one that nobody has"),
        pytest.param("OPENID", id="in another case"),
        pytest.param("openid\toffline", id="not separated by spaces"),
    ],
)
async def test_B27_a_scope_that_was_not_granted_is_refused_and_rotates_nothing(server: Server, scope: str) -> None:
    token = (await server.login("steam", scope="openid offline"))["refresh_token"]
    assert token_error(await server.refresh(token, scope=scope)) == "invalid_scope"
    (grant,) = tables(server).grants.values()
    assert grant.refresh_generation == 1
    assert (await server.refresh(token)).json()["scope"] == "openid offline"


async def test_B27_a_narrowed_scope_is_for_one_access_token_alone(server: Server) -> None:
    token = (await server.login("steam", scope="openid offline"))["refresh_token"]
    narrowed = (await server.refresh(token, scope="openid")).json()
    assert (narrowed["scope"], server.claims(narrowed["access_token"])["scope"]) == ("openid", "openid")
    assert (await server.refresh(narrowed["refresh_token"])).json()["scope"] == "openid offline"


async def revoked(server: Server) -> None:
    (grant,) = tables(server).grants.values()
    await server.app.storage.apply([RevokeGrant(grant.id, int(server.clock.now), "revoked")])


async def banned(server: Server) -> None:
    (player,) = tables(server).players.values()
    await server.app.storage.apply([SetNotBefore("player", player.sub, int(server.clock.now) + 1)])


async def consent_withdrawn(server: Server) -> None:
    (grant,) = tables(server).grants.values()
    await server.app.storage.apply([WithdrawConsent(grant.player_id, grant.client_id, int(server.clock.now))])


async def session_ended(server: Server) -> None:
    (grant,) = tables(server).grants.values()
    now = int(server.clock.now)
    await server.app.storage.apply([EndSession(grant.session_id, now, "logout", bound=(grant.client_id,))])


ENDED = [banned, consent_withdrawn, revoked, session_ended]


@pytest.mark.parametrize("end", ENDED, ids=lambda end: end.__name__)
@pytest.mark.parametrize("state", ["current", "previous"])
async def test_B28_what_ended_the_grant_ends_its_refresh_tokens_and_the_window_too(
    server: Server, end: Callable[[Server], Any], state: str
) -> None:
    browser = Browser(server)
    tokens = await browser.tokens()
    if state == "previous":
        assert (await browser.refresh(tokens["refresh_token"])).status_code == 200
    await end(server)
    assert token_error(await browser.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert (await browser.userinfo(tokens["access_token"])).status_code == 401
    assert server.audited("refresh.reused") == []


async def test_B28_a_logout_at_our_page_ends_the_refresh_tokens_of_a_client_that_is_bound_to_it(
    server: Server,
) -> None:
    browser = Browser(server)
    tokens = await browser.tokens()
    await browser.press(await browser.open("/login"), "sign-out")
    assert token_error(await browser.refresh(tokens["refresh_token"])) == "invalid_grant"


Block = dict[str, Any]


def without_client(block: Block) -> None:
    del clients(block)["launcher"]


def without_platform(block: Block) -> None:
    del demo(block)["platforms"]["steam"]


def without_offline(block: Block) -> None:
    clients(block)["launcher"]["scopes"] = ["openid"]


def without_the_grant(block: Block) -> None:
    clients(block)["launcher"]["grants"] = ["authorization_code"]


TAKEN = [
    (without_client, "invalid_client"),
    (without_platform, "invalid_grant"),
    (without_offline, "invalid_grant"),
    (without_the_grant, "unauthorized_client"),
]


@pytest.mark.parametrize(("take", "error"), TAKEN, ids=[take.__name__ for take, _ in TAKEN])
@pytest.mark.parametrize("state", ["current", "previous"])
async def test_B28_what_the_configuration_took_away_refreshes_no_more(
    take: Callable[[Block], None], error: str, state: str
) -> None:
    kept: list[Block] = []
    async with running(edit=lambda block: kept.append(deepcopy(block))) as server:
        token = (await server.login("steam"))["refresh_token"]
        newest = token if state == "current" else await rotated(server, token)
        changed = deepcopy(kept[0])
        take(changed)
        await server.app.reload(Config.model_validate(changed))
        assert token_error(await server.refresh(token)) == error
        await server.app.reload(Config.model_validate(kept[0]))
        assert (await server.refresh(newest)).status_code == 200  # nothing was taken from the player meanwhile


@pytest.mark.parametrize(
    ("refreshes", "after"),
    [
        pytest.param(1, 30, id="late reuse"),
        pytest.param(2, 0, id="the successor was used"),
        pytest.param(3, 3600, id="long ago"),
    ],
)
async def test_B29_a_replay_after_a_restart_ends_the_family_and_the_next_restart_revives_nothing(
    tmp_path: Path, refreshes: int, after: int
) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as server:
        token = (await server.login("steam"))["refresh_token"]
        newest = await rotated(server, token, refreshes)
    clock.now += after
    async with running(tmp_path, clock=clock) as server:
        assert token_error(await server.refresh(token)) == "invalid_grant"
        assert len(server.audited("refresh.reused")) == 1
    async with running(tmp_path, clock=clock) as server:
        assert token_error(await server.refresh(newest)) == "invalid_grant"


async def test_B29_the_window_outlives_a_restart_and_is_not_opened_again_by_one(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as server:
        token = (await server.login("steam"))["refresh_token"]
        newest = await rotated(server, token)
    clock.now += 29
    async with running(tmp_path, clock=clock) as server:
        assert (await server.refresh(token)).json()["refresh_token"] == newest
    clock.now += 1
    async with running(tmp_path, clock=clock) as server:
        assert token_error(await server.refresh(token)) == "invalid_grant"


async def test_B30_no_refresh_moves_the_absolute_end(server: Server) -> None:
    token = (await server.login("steam"))["refresh_token"]
    for _ in range(179):
        server.clock.now += DAY
        token = await rotated(server, token)
    server.clock.now += DAY - 1
    token = await rotated(server, token)
    server.clock.now += 1
    assert token_error(await server.refresh(token)) == "invalid_grant"


async def test_B30_a_refresh_token_that_nobody_uses_ends_by_itself(server: Server) -> None:
    used, idle = [(await server.login(platform))["refresh_token"] for platform in ("steam", "xbox")]
    server.clock.now += 30 * DAY - 1
    assert (await server.refresh(used)).status_code == 200
    server.clock.now += 1
    assert token_error(await server.refresh(idle)) == "invalid_grant"
