"""The sweeper's rhythm: batches with pauses, rounds with jitter, and a database that is away for a while."""

import asyncio
import logging
from dataclasses import replace

import pytest

from authsrv.jobs.sweeper import BATCH, INTERVAL, MANY, PACE, PAUSE, Sweeper
from authsrv.models import Retention
from authsrv.storage.base import KEPT, StorageUnavailable, Swept
from authsrv.storage.changes import AddGrant, AddPlayer
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.storage import NOW, grant, memory_storage, player


class Night:
    """A sleep that does not wait: it notes how long, and ends the test's run after some sleeps. Work takes no time but
    what a storage adds to `now`.
    """

    def __init__(self, ends_after: int) -> None:
        self.slept: list[float] = []
        self.now = 0.0
        self._ends_after = ends_after

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self._ends_after:
            raise asyncio.CancelledError


class Scripted(MemoryStorage):
    """A storage whose sweeps are told in advance."""

    def __init__(self, *script: Swept | Exception) -> None:
        super().__init__()
        self._script = list(script)
        self.calls: list[tuple[int, int]] = []
        self.kept: list[Retention] = []

    async def sweep(self, now: int, limit: int, retention: Retention = KEPT) -> Swept:
        self.calls.append((now, limit))
        self.kept.append(retention)
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def sweeper(storage: MemoryStorage, night: Night, *, chance: float = 0.5) -> Sweeper:
    return Sweeper(storage, clock=lambda: NOW + 0.9, sleep=night.sleep, chance=lambda: chance, timer=lambda: night.now)


class Slow(Scripted):
    """One whose sweeps take so many seconds each."""

    def __init__(self, night: Night, seconds: float, *script: Swept) -> None:
        super().__init__(*script)
        self._night = night
        self._seconds = seconds

    async def sweep(self, now: int, limit: int, retention: Retention = KEPT) -> Swept:
        self._night.now += self._seconds
        return await super().sweep(now, limit, retention)


async def test_a_round_goes_on_in_batches_with_pauses_until_nothing_more_is_there() -> None:
    night = Night(ends_after=9)
    storage = Scripted(Swept(BATCH, True), Swept(0, True), Swept(3, False))
    assert await sweeper(storage, night).round() == BATCH + 3
    assert storage.calls == [(NOW, BATCH)] * 3
    assert night.slept == [BATCH / PACE, PAUSE]


@pytest.mark.parametrize(
    ("seconds", "pause"),
    [
        pytest.param(0.004, 0.006, id="the next batch begins when its turn is"),
        pytest.param(0.040, 0.040, id="a slow one is followed by as long a pause"),
    ],
)
async def test_batches_keep_the_pace_and_never_take_more_than_half_of_the_time(seconds: float, pause: float) -> None:
    night = Night(ends_after=9)
    storage = Slow(night, seconds, Swept(MANY, True), Swept(BATCH, True), Swept(3, False))
    await sweeper(storage, night).round()
    assert night.slept == pytest.approx([pause, pause])
    assert BATCH / 0.010 == PACE


async def test_looking_through_what_lives_is_not_hurried() -> None:
    night = Night(ends_after=9)
    storage = Slow(night, 0.002, Swept(0, True), Swept(MANY - 1, True), Swept(0, False))
    await sweeper(storage, night).round()
    assert night.slept == [PAUSE, PAUSE]


@pytest.mark.parametrize(
    ("chance", "pause"), [pytest.param(0.0, 0.5 * INTERVAL, id="least"), pytest.param(1.0, 1.5 * INTERVAL, id="most")]
)
async def test_rounds_are_spread_around_the_interval(chance: float, pause: float) -> None:
    night = Night(ends_after=2)
    storage = Scripted(Swept(0, False), Swept(0, False))
    with pytest.raises(asyncio.CancelledError):
        await sweeper(storage, night, chance=chance).run()
    assert night.slept == [pause] * 3
    assert len(storage.calls) == 2


async def test_a_database_that_is_away_is_tried_again_in_the_next_round(caplog: pytest.LogCaptureFixture) -> None:
    night = Night(ends_after=3)
    full = StorageUnavailable("the database did not do it (SQLITE_FULL)")
    storage = Scripted(Swept(MANY, True), full, Swept(0, False))
    with caplog.at_level(logging.WARNING, logger="authsrv.sweeper"), pytest.raises(asyncio.CancelledError):
        await sweeper(storage, night).run()
    assert night.slept == [INTERVAL, BATCH / PACE, INTERVAL, INTERVAL]
    assert [record.getMessage() for record in caplog.records] == [
        "sweeping was put off: the database did not do it (SQLITE_FULL)"
    ]


async def test_an_error_that_waiting_does_not_mend_ends_the_task() -> None:
    night = Night(ends_after=3)
    with pytest.raises(ZeroDivisionError):
        await sweeper(Scripted(ZeroDivisionError()), night).run()


async def test_chores_are_done_after_each_round_and_count() -> None:
    done: list[str] = []

    async def chore() -> int:
        done.append("chore")
        return 5

    storage = Scripted(Swept(BATCH, True), Swept(2, False))
    night = Night(ends_after=9)
    tidy = Sweeper(storage, clock=lambda: NOW, sleep=night.sleep, chance=lambda: 0.5, chores=[chore, chore])
    assert (await tidy.round(), done) == (BATCH + 12, ["chore", "chore"])


async def test_P08_each_batch_is_told_for_how_long_things_are_kept_now() -> None:
    storage, kept = Scripted(Swept(BATCH, True), Swept(0, False)), iter((Retention(journal=60), Retention(journal=90)))
    night = Night(ends_after=9)
    tidy = Sweeper(storage, clock=lambda: NOW, sleep=night.sleep, chance=lambda: 0.5, retention=lambda: next(kept))
    await tidy.round()
    assert [rules.journal for rules in storage.kept] == [60, 90]


async def test_R34_a_round_removes_all_that_expired_and_nothing_else() -> None:
    storage = memory_storage()
    await storage.open()
    dead = [AddGrant(grant(number)) for number in range(1, 2 * BATCH)]
    alive = AddGrant(replace(grant(2 * BATCH), expires_at=NOW + 200))
    await storage.apply([AddPlayer(player()), *dead, alive])
    late = Sweeper(storage, clock=lambda: NOW + 100, sleep=Night(ends_after=9).sleep, chance=lambda: 0.5)
    assert await late.round() == 2 * BATCH - 1
    assert await storage.load_grant(1) is None
    assert await storage.load_grant(2 * BATCH) is not None
    await storage.close()
