"""An erasure among other requests: whoever comes between, nothing of the player is left, and nothing of theirs good."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import jwt
import pytest

from authsrv.account_models import Doer
from authsrv.accounts.forgetting import Order
from authsrv.errors import AuthsrvError
from authsrv.models import IdentityKey
from authsrv.storage.account_changes import AdvanceVersion, SetSegments
from authsrv.storage.changes import Change, SetProfile
from authsrv.storage.privacy_changes import ErasePlayer
from tests.support.browser import Browser, Page
from tests.support.ending import FEED, is_active, with_everybody
from tests.support.gates import Pauses
from tests.support.refusals import token_error
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, running

OPERATOR = Order(Doer("admin", "otto"))
STEAM_ID = identity("steam").subject
EMAIL, TIER = "amber-canary@players.example", "amber-canary-tier"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, edit=with_everybody) as started:
        yield started


@dataclass
class Stage:
    """A player with marks of their own, and everything that was ever given to them."""

    amber: Resident
    directory: Path
    given: list[dict[str, Any]] = field(default_factory=list)

    @property
    def server(self) -> Server:
        return self.amber.server

    def left(self) -> list[str]:
        """The player's marks that stand in a file or in the log."""
        files = b"".join(file.read_bytes() for file in self.directory.iterdir() if file.is_file())
        logged = json.dumps(self.server.events, default=str)
        marks = (STEAM_ID, EMAIL, TIER)
        return [mark for mark in marks if mark.encode() in files or mark in logged]

    async def nothing_is_good(self, sub: str) -> None:
        """No token of the player of this `sub` works any more."""
        theirs = [one for one in self.given if self.server.claims(one["access_token"])["sub"] == sub]
        assert theirs
        for tokens in theirs:
            assert not await is_active(self.server, tokens["access_token"])
            assert (await self.server.userinfo(tokens["access_token"])).status_code == 401
            if "refresh_token" in tokens:
                assert token_error(await self.server.refresh(tokens["refresh_token"])) == "invalid_grant"

    async def erase_whoever_is_there(self) -> None:
        """The player whom the platform account belongs to by now, if anybody."""
        owner = await self.server.app.storage.load_player(IdentityKey("demo", "steam", "", STEAM_ID))
        if owner is not None:
            await self.server.app.desk.forgetting.erase(owner.sub, OPERATOR)


@pytest.fixture
async def stage(server: Server, tmp_path: Path) -> Stage:
    amber = await resident(server)
    row = await amber.row()
    marks: list[Change] = [SetProfile(row, json.dumps({"email": EMAIL})), SetSegments(row, json.dumps({"tier": TIER}))]
    await server.app.storage.apply(marks)
    found = Stage(amber, tmp_path, [amber.tokens])
    assert found.left() == [STEAM_ID, EMAIL, TIER]
    return found


# --- chance ---


async def keep_refreshing(stage: Stage, tokens: dict[str, Any]) -> None:
    """Until the player is gone."""
    while True:
        answer = await stage.server.refresh(tokens["refresh_token"])
        if answer.status_code != 200:
            assert token_error(answer) == "invalid_grant"
            return
        tokens = answer.json()
        stage.given.append(tokens)


async def keep_coming(stage: Stage, times: int) -> None:
    """Log in again and again, without a platform's answer to any of it being lost."""
    for _ in range(times):
        answer = await stage.server.silent("steam")
        assert answer.status_code == 200, answer.text
        code = httpx.URL(answer.json()["login_url"]).params["code"]
        redeemed = await stage.server.redeem(code)
        if redeemed.status_code == 200:
            stage.given.append(redeemed.json())
        else:
            assert token_error(redeemed) == "invalid_grant"


async def erase_after(stage: Stage, turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    await stage.server.app.desk.forgetting.erase(stage.amber.sub, OPERATOR)


@pytest.mark.parametrize("turns", [0, 30, 200])
async def test_P05_R28_erase_race(stage: Stage, turns: int, chance: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    sub, pauses = stage.amber.sub, Pauses(chance, 20)
    stage.given += [(await resident(stage.server)).tokens for _ in range(3)]
    with monkeypatch.context() as patch:
        for step in ("apply", "load_grant"):
            patch.setattr(stage.server.app.storage, step, pauses.around(getattr(stage.server.app.storage, step)))
        await asyncio.gather(
            *(keep_refreshing(stage, tokens) for tokens in stage.given[1:]),
            keep_coming(stage, 4),
            erase_after(stage, turns),
        )
    assert await stage.server.app.storage.load_subject(sub) is None
    await stage.nothing_is_good(sub)
    await stage.erase_whoever_is_there()
    assert stage.left() == []


# --- what was read before and is written after ---


def held_back(
    server: Server, is_meant: Callable[[Sequence[Change]], bool], patch: pytest.MonkeyPatch
) -> tuple[asyncio.Event, asyncio.Event]:
    """The first write that is meant waits: an event tells that it came, another lets it go on."""
    came, go_on, real = asyncio.Event(), asyncio.Event(), server.app.storage.apply

    async def waiting(changes: Sequence[Change]) -> None:
        if not came.is_set() and is_meant(changes):
            came.set()
            await go_on.wait()
        await real(changes)

    patch.setattr(server.app.storage, "apply", waiting)
    return came, go_on


async def refresh(stage: Stage) -> httpx.Response:
    return await stage.server.refresh(stage.amber.tokens["refresh_token"])


async def log_in(stage: Stage) -> httpx.Response:
    return await stage.server.silent("steam")


async def redeem(stage: Stage) -> httpx.Response:
    code = await stage.server.code("steam")
    return await stage.server.redeem(code)


async def sign_in(stage: Stage) -> Page:
    return await Browser(stage.server).sign_in("steam")


async def go_on_in_a_browser(stage: Stage) -> Page:
    browser = Browser(stage.server)
    await browser.tokens("steam")
    return await browser.authorize(prompt="none")


async def export(stage: Stage) -> httpx.Response:
    return await stage.amber.get("/v1/me/export")


def is_erasing(changes: Sequence[Change]) -> bool:
    return any(isinstance(change, ErasePlayer) for change in changes)


def number(wanted: int) -> Callable[[Sequence[Change]], bool]:
    """The write of this number since the beginning."""
    counted = iter(range(1, 1000))

    def is_meant(changes: Sequence[Change]) -> bool:
        return bool(changes) and not is_erasing(changes) and next(counted) == wanted

    return is_meant


DOINGS = [
    pytest.param(refresh, range(1, 3), id="refresh"),
    pytest.param(log_in, range(1, 3), id="silent login"),
    pytest.param(redeem, range(1, 4), id="code"),
    pytest.param(sign_in, range(1, 6), id="sign-in in a browser"),
    pytest.param(go_on_in_a_browser, range(6, 9), id="a session that is there"),
]


@pytest.mark.parametrize(("do", "writes"), DOINGS)
async def test_P05_what_was_decided_before_the_erasure_leaves_nothing_of_the_player(
    stage: Stage,
    do: Callable[[Stage], Awaitable[httpx.Response | Page]],
    writes: range,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each write of a request in turn is kept waiting until the player is gone."""
    met = 0
    for write in writes:
        if write > writes[0]:
            amber = await resident(stage.server)
            stage.amber = amber
        sub = stage.amber.sub
        with monkeypatch.context() as patch:
            came, go_on = held_back(stage.server, number(write), patch)
            doing = asyncio.ensure_future(do(stage))
            waited = asyncio.create_task(came.wait())
            await asyncio.wait((doing, waited), return_when=asyncio.FIRST_COMPLETED)
            met += came.is_set()
            await stage.server.app.desk.forgetting.erase(sub, OPERATOR)
            go_on.set()
            answer = await doing
            waited.cancel()
        status = answer.status if isinstance(answer, Page) else answer.status_code
        assert status < 500, answer
        assert await stage.server.app.storage.load_subject(sub) is None
        await stage.erase_whoever_is_there()
        assert stage.left() == []
    assert met


async def test_P05_what_was_given_while_the_erasure_was_written_is_void_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, sub = stage.server, stage.amber.sub
    began = int(server.clock.now)
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, is_erasing, patch)
        erasing = asyncio.create_task(server.app.desk.forgetting.erase(sub, OPERATOR))
        await came.wait()
        server.clock.now += 2
        tokens = (await server.refresh(stage.amber.tokens["refresh_token"])).json()
        go_on.set()
        await erasing
    feed = jwt.decode((await server.http.get(FEED)).text, options={"verify_signature": False})
    assert server.claims(tokens["access_token"])["iat"] == began + 2 < feed["not_before"][sub]


async def test_P05_of_many_erasures_at_once_each_is_told_that_it_is_done(stage: Stage) -> None:
    forgetting, sub = stage.server.app.desk.forgetting, stage.amber.sub
    done = await asyncio.gather(*(forgetting.erase(sub, OPERATOR) for _ in range(10)))
    assert [one.was_done for one in done].count(False) == 1
    assert {one.subs for one in done} == {(sub,)}
    assert len(stage.server.audited("player.erased")) == 1


async def test_P05_an_export_among_erasures_is_whole_or_refused(stage: Stage) -> None:
    answers = await asyncio.gather(
        *(export(stage) for _ in range(5)), erase_after(stage, 10), *(export(stage) for _ in range(5))
    )
    told = [one for one in answers if isinstance(one, httpx.Response)]
    assert {one.status_code for one in told} <= {200, 401, 404}
    for one in told:
        if one.status_code == 200:
            assert (one.json()["profile"], one.json()["segments"]) == ({"email": EMAIL}, {"tier": TIER})


async def test_P05_an_account_that_changes_all_the_time_is_erased_or_left_whole(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure that loses every race writes nothing at all."""
    storage, row = stage.server.app.storage, await stage.amber.row()
    real = storage.load_account

    async def outdated(player_id: int) -> object:
        found = await real(player_id)
        assert found
        await real_apply([AdvanceVersion(row, found.player.version)])
        return found

    real_apply = storage.apply
    with monkeypatch.context() as patch:
        patch.setattr(storage, "load_account", outdated)
        with pytest.raises(AuthsrvError):
            await stage.server.app.desk.forgetting.erase(stage.amber.sub, OPERATOR)
    assert (await stage.amber.get("/v1/me")).status_code == 200
    assert stage.left() == [STEAM_ID, EMAIL, TIER]
