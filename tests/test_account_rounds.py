"""The rounds through all players: their rhythm, and what goes with time on a whole server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authsrv.account_models import JournalEvent
from authsrv.accounts.keeping import Keeping
from authsrv.errors import TemporarilyUnavailable
from authsrv.jobs.account_rounds import BATCH, FIRST, INTERVAL, PAUSE, AccountRounds
from authsrv.models import Player
from authsrv.storage.account_changes import AddBan, MergePlayers, RecordEvent, SetAgeGroup
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.changes import AddPlayer
from tests.support.residents import Resident, resident
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS, memory_storage, player
from tests.support.storage_accounts import ban, full_event

DAY = 86400


class Script(Keeping):
    """Notes who was looked at; what it does is told in advance."""

    def __init__(self, *outcomes: int | Exception) -> None:
        self._outcomes = list(outcomes)
        self.seen: list[list[int]] = []

    async def look_at(self, players: Sequence[Player]) -> int:
        self.seen.append([one.id for one in players])
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Night:
    """A sleep that does not wait, and ends the test's run after some sleeps."""

    def __init__(self, ends_after: int) -> None:
        self.slept: list[float] = []
        self._ends_after = ends_after

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self._ends_after:
            raise asyncio.CancelledError


async def test_a_round_meets_every_player_once_with_pauses() -> None:
    storage, night, script = memory_storage(), Night(9), Script(2, 3)
    await storage.open()
    await storage.apply([AddPlayer(player(number)) for number in range(1, BATCH + 2)])
    assert await AccountRounds(storage, script, night.sleep).round() == 5
    assert script.seen == [list(range(1, BATCH + 1)), [BATCH + 1]]
    assert night.slept == [PAUSE, PAUSE]


@pytest.mark.parametrize(
    "error", [StorageUnavailable("the disk is full"), TemporarilyUnavailable(retry_after=1)], ids=["storage", "race"]
)
async def test_a_round_that_fails_is_put_off_to_the_next_day(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    storage, night, script = memory_storage(), Night(3), Script(error, 1)
    await storage.open()
    await storage.apply([AddPlayer(player())])
    with caplog.at_level(logging.INFO, logger="authsrv.retention"), pytest.raises(asyncio.CancelledError):
        await AccountRounds(storage, script, night.sleep).run()
    assert night.slept == [FIRST, INTERVAL, PAUSE, INTERVAL]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


# --- on a whole server ---


def with_limits(block: dict[str, Any]) -> None:
    block["retention"] = {"inactive_account_days": 100, "journal_days": 60, "ban_days": 50}


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=with_limits) as started:
        yield started


async def go_round(server: Server, days: float) -> int:
    server.clock.now += days * DAY
    server.app.account_rounds._sleep = Night(10**6).sleep
    return await server.app.account_rounds.round()


async def is_there(who: Resident) -> bool:
    return await who.server.app.storage.load_subject(who.sub) is not None


async def test_P08_I12_players_who_do_not_come_back_are_erased_and_others_stay(server: Server) -> None:
    amber = await resident(server)
    assert await go_round(server, 60) == 0
    birch = await resident(server, "steam", "birch")
    assert await go_round(server, 40) == 0
    assert await go_round(server, 1) == 1
    assert (await is_there(amber), await is_there(birch)) == (False, True)
    (event,) = server.audited("player.erased")
    assert (event["sub"], event["reason"], event.get("operator")) == (amber.sub, "inactive", None)


async def test_P08_whoever_plays_on_by_refreshing_stays(server: Server) -> None:
    amber = await resident(server)
    tokens = amber.tokens
    for _ in range(5):
        server.clock.now += 25 * DAY
        tokens = (await server.refresh(tokens["refresh_token"])).json()
    assert await go_round(server, 1) == 0
    assert await is_there(amber)


async def test_P08_who_was_merged_goes_with_the_account_that_is_left(server: Server) -> None:
    amber, birch = await resident(server), await resident(server, "steam", "birch")
    await server.app.storage.apply([MergePlayers(await birch.row(), await amber.row())])
    server.clock.now += 90 * DAY
    await resident(server)
    assert await go_round(server, 20) == 0
    assert await go_round(server, 90) == 1
    assert (await is_there(amber), await is_there(birch)) == (False, False)


async def journal(server: Server, who: Resident) -> list[JournalEvent]:
    return [one for one in await server.app.storage.load_events(await who.row(), 9) if one.kind == "renamed"]


async def test_P08_I12_things_of_minors_go_in_half_the_time(server: Server) -> None:
    storage, now = server.app.storage, int(server.clock.now)
    teen, adult = await resident(server), await resident(server, "steam", "birch")
    await storage.apply([SetAgeGroup(await teen.row(), "teen"), SetAgeGroup(await adult.row(), "adult")])
    for number, row in enumerate((await teen.row(), await adult.row()), start=2**61):
        told = replace(full_event(number), kind="renamed", at=now, player_id=row, other_id=0, project="demo")
        over = replace(ban(number, player_id=row, until=now), project="demo")
        await storage.apply([RecordEvent(told), AddBan(over)])
    await go_round(server, 3)
    assert [one.address for one in await journal(server, teen)] == ["203.0.113.0"]
    await go_round(server, 1)
    assert [one.address for one in await journal(server, teen)] == [""]
    assert [one.address for one in await journal(server, adult)] == ["203.0.113.0"]
    await go_round(server, 22)
    assert [len((await account(server, who)).bans) for who in (teen, adult)] == [0, 1]
    await go_round(server, 5)
    assert [len(await journal(server, who)) for who in (teen, adult)] == [0, 1]


async def account(server: Server, who: Resident) -> Any:
    return await server.app.storage.load_account(await who.row())


async def test_P08_the_export_tells_for_how_long_things_of_this_player_are_kept(server: Server) -> None:
    amber = await resident(server)
    assert (await amber.get("/v1/me/export")).json()["retention_days"]["journal"] == 60
    await server.app.storage.apply([SetAgeGroup(await amber.row(), "child")])
    assert (await amber.get("/v1/me/export")).json()["retention_days"]["journal"] == 30
