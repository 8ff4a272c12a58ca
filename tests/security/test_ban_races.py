"""Rows D58 and R28: a ban among other requests. In whatever order they are written, no token is alive afterwards."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import PLAYERS
from authsrv.models import IdentityKey
from authsrv.storage.account_changes import AddIdentityBan, AdvanceVersion
from authsrv.storage.changes import AddGrant, AddPlayer, Change, RecordLogin, RedeemCode, RotateRefreshToken
from tests.support.banning import ban, ban_identity, is_dead, sub_of, unban
from tests.support.browser import Browser
from tests.support.ending import is_active, made_of, with_everybody
from tests.support.exchange import submitted
from tests.support.refusals import clients
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

DAY = 86400
KEY = IdentityKey("demo", "steam", "", PLAYERS["amber"].steam_id)
OF_WEIGHT = (AdvanceVersion, AddIdentityBan, AddGrant, AddPlayer, RecordLogin, RedeemCode, RotateRefreshToken)
Answers = list[httpx.Response]


def edit(block: dict[str, Any]) -> None:
    with_everybody(block)
    clients(block)["launcher"]["grants"] = [
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=edit) as started:
        yield started


def held_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """The first write of weight waits: an event tells that somebody read and decided, another lets them go on."""
    came, go_on = asyncio.Event(), asyncio.Event()
    real: Callable[..., Awaitable[Any]] = server.app.storage.apply

    async def waiting(changes: Sequence[Change]) -> Any:
        if not came.is_set() and any(isinstance(change, OF_WEIGHT) for change in changes):
            came.set()
            await go_on.wait()
        return await real(changes)

    monkeypatch.setattr(server.app.storage, "apply", waiting)
    return came, go_on


# --- what a player does ---


async def refreshed(server: Server, tokens: dict[str, Any], _: str) -> Answers:
    return [await server.refresh(tokens["refresh_token"])]


async def redeemed(server: Server, _: dict[str, Any], code: str) -> Answers:
    return [await server.redeem(code)]


async def logged_in(server: Server, _: dict[str, Any], __: str) -> Answers:
    answer = await server.silent("steam")
    if answer.status_code != 200:
        return [answer]
    return [await server.redeem(httpx.URL(answer.json()["login_url"]).params["code"])]


async def exchanged(server: Server, _: dict[str, Any], __: str) -> Answers:
    sent = submitted("steam", server.mint("steam"))
    grant_type = "urn:ietf:params:oauth:grant-type:token-exchange"
    return [await server.token(grant_type=grant_type, client_id="launcher", scope="openid offline", **sent)]


async def repeated(server: Server, tokens: dict[str, Any], _: str) -> Answers:
    """One refresh and its repeat, which only reads."""
    return [await server.refresh(tokens["refresh_token"]) for _ in range(2)]


async def signed_in_by_browser(server: Server, _: dict[str, Any], __: str) -> Answers:
    browser = Browser(server)
    landed = await browser.sign_in()
    return [await browser.redeem(landed.answer["code"])] if "code" in landed.answer else []


ACTIONS = [refreshed, redeemed, logged_in, exchanged, repeated, signed_in_by_browser]
Action = Callable[[Server, dict[str, Any], str], Coroutine[Any, Any, Answers]]


async def nothing_lives(server: Server, tokens: dict[str, Any], answers: Answers) -> None:
    for answer in answers:
        if answer.status_code != 200:
            continue
        found = answer.json()
        assert not await is_active(server, found["access_token"])
        assert (await server.userinfo(found["access_token"])).status_code == 401
        if "refresh_token" in found:
            assert (await server.refresh(found["refresh_token"])).status_code == 400
    assert await is_dead(server, tokens)


@pytest.mark.parametrize("action", ACTIONS)
async def test_D58_a_ban_that_comes_between_reading_and_writing_leaves_no_live_token(
    server: Server, action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, code = await server.login("steam"), await server.code("steam")
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, patch)
        acting = asyncio.create_task(action(server, tokens, code))
        await came.wait()
        await ban(server, sub_of(server, tokens), seconds=DAY)
        go_on.set()
        answers = await acting
    await nothing_lives(server, tokens, answers)
    server.clock.now += DAY  # a day later the ban is over, and the feed no longer has to tell of it
    assert (await server.refresh(tokens["refresh_token"])).status_code == 400
    for answer in answers:
        assert (await server.refresh(answer.json().get("refresh_token", "none"))).status_code == 400


@pytest.mark.parametrize("later", [0, 1, 5])
@pytest.mark.parametrize("action", ACTIONS)
async def test_D58_what_came_between_the_reading_and_the_writing_of_a_ban_leaves_no_live_token(
    server: Server, action: Action, later: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also seconds later than the ban read its clock, and when the ban is over."""
    tokens, code = await server.login("steam"), await server.code("steam")
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, patch)
        banning = asyncio.create_task(ban(server, sub_of(server, tokens), seconds=DAY))
        await came.wait()
        server.clock.now += later
        answers = await action(server, tokens, code)
        go_on.set()
        await banning
    assert not answers or answers[0].status_code == 200
    await nothing_lives(server, tokens, answers)
    server.clock.now += DAY  # a day later the ban is over, and the feed no longer has to tell of it
    assert (await server.refresh(tokens["refresh_token"])).status_code == 400
    for answer in answers:
        assert (await server.refresh(answer.json().get("refresh_token", "none"))).status_code == 400


async def test_D58_a_session_that_began_while_a_ban_was_written_is_over_when_the_ban_is(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sub, browser = sub_of(server, await server.login("steam")), Browser(server)
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, patch)
        banning = asyncio.create_task(ban(server, sub, seconds=60))
        await came.wait()
        await browser.sign_in()
        go_on.set()
        await banning
    server.clock.now += 60
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"


async def test_D58_a_browser_on_its_way_back_from_the_platform_is_told_of_the_ban(server: Server) -> None:
    sub, browser = sub_of(server, await server.login("steam")), Browser(server)
    there = await browser.press(await browser.authorize(), "sign-in-steam")
    await ban(server, sub)
    back = await browser.press(there, "amber", case="good")
    assert back.status == 403
    assert "You are banned" in back.html
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"


async def test_D58_a_first_login_and_the_ban_of_its_identity_in_either_order(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, patch)
        logging_in = asyncio.create_task(server.silent("steam"))
        await came.wait()
        assert (await ban_identity(server, KEY)).sub == ""
        go_on.set()
        answer = await logging_in
    assert answer.json()["reason"] == "banned"
    assert await server.app.storage.load_player(KEY) is None


async def test_D58_a_ban_of_nobodys_identity_that_became_somebodys_is_their_ban(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, patch)
        banning = asyncio.create_task(ban_identity(server, KEY))
        await came.wait()
        tokens = await server.login("steam")
        go_on.set()
        assert (await banning).sub == sub_of(server, tokens)
    assert await is_dead(server, tokens)
    assert (await server.silent("steam")).json()["reason"] == "banned"


async def test_two_bans_at_once_both_count(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    sub = sub_of(server, await server.login("steam"))
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, patch)
        first = asyncio.create_task(ban(server, sub, seconds=DAY))
        await came.wait()
        await ban(server, sub, seconds=60)
        go_on.set()
        await first
    assert (await server.silent("steam")).json()["until"] == int(server.clock.now) + DAY
    await unban(server, sub)
    assert (await server.silent("steam")).status_code == 200


@pytest.mark.parametrize("_round", range(5))
async def test_R28_a_ban_in_the_middle_of_everything_leaves_nothing_alive(
    server: Server, chance: Random, _round: int
) -> None:
    tokens, code = await server.login("steam"), await server.code("steam")
    actions = [*ACTIONS, logged_in, signed_in_by_browser, refreshed]
    chance.shuffle(actions)
    acting = [asyncio.create_task(_late(chance, action(server, tokens, code))) for action in actions]
    banning = asyncio.create_task(_late(chance, ban(server, sub_of(server, tokens), seconds=DAY)))
    made = asyncio.create_task(_late(chance, made_of(server, tokens["access_token"])))
    results = await asyncio.gather(*acting)
    await banning
    await nothing_lives(server, tokens, [*(answer for answers in results for answer in answers), await made])


async def _late(chance: Random, step: Awaitable[Any]) -> Any:
    for _ in range(chance.randint(0, 30)):
        await asyncio.sleep(0)
    return await step
