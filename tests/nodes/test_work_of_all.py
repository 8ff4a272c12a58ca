"""S13: what one node does for all is done by one at a time, and by another soon after that one died."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from authsrv.jobs.lease import HELD, MARGIN, RENEWED, Lease, LeaseLost
from authsrv.jobs.singletons import AFTER_A_FAULT, Singletons
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.changes import AddGrant, AddPlayer
from tests.support.nodes import Home, Nodes, NodesStorage, SlowTime, nodes, settle, storage_of
from tests.support.server import ManualClock, running
from tests.support.storage import grant, player


@pytest.fixture
async def pair() -> AsyncIterator[Nodes]:
    async with nodes(2) as several:
        await several.time.pass_by(0)
        yield several


async def workers_over(several: Nodes, seconds: int) -> list[list[int]]:
    """Who does the work, second by second."""
    found = []
    for _ in range(seconds):
        await several.time.pass_by(1)
        found.append(several.workers())
    return found


# --- whole servers ---


async def test_R22_one_node_works_and_keeps_the_work_as_long_as_it_lives(pair: Nodes) -> None:
    found = await workers_over(pair, 120)
    assert found == [found[0]] * 120
    assert len(found[0]) == 1


async def test_S13_another_node_takes_over_within_thirty_seconds_and_never_two_work_at_once(pair: Nodes) -> None:
    (first,) = pair.workers()
    storage_of(pair[first]).is_away = True
    found = await workers_over(pair, 30)
    assert found[-1] == [1 - first]
    assert all(len(workers) <= 1 for workers in found)


async def test_an_orderly_stop_gives_the_work_to_another_node_at_its_next_look(pair: Nodes) -> None:
    (first,) = pair.workers()
    await pair.stop(first)
    await pair.time.pass_by(RENEWED)
    assert [lease.holder for lease in await storage_of(pair[1 - first]).load_leases(0) if lease.name == "work"] == [
        pair[1 - first].app.node.name
    ]


async def test_S13_what_has_expired_is_swept_by_the_node_that_works_alone(pair: Nodes) -> None:
    (first,) = pair.workers()
    swept: list[int] = []
    for number, server in enumerate(pair):
        _note_sweeps(storage_of(server), number, swept)
    over = replace(grant(), expires_at=int(pair.time.clock()) - 1)
    await storage_of(pair[0]).apply([AddPlayer(player()), AddGrant(over)])
    await pair.time.pass_by(200)
    assert set(swept) == {first}
    assert await storage_of(pair[0]).load_grant(1) is None


def _note_sweeps(storage: NodesStorage, number: int, swept: list[int]) -> None:
    sweep = storage.sweep

    async def noted(*arguments: object) -> object:
        swept.append(number)
        return await sweep(*arguments)  # type: ignore[arg-type]  # as they came

    storage.sweep = noted  # type: ignore[method-assign,assignment]


async def test_on_a_storage_that_is_one_process_alone_no_lease_is_written() -> None:
    async with running() as server:
        await settle()
        assert await server.app.storage.load_leases(0) == ()
        assert server.app.node.probes == {}


# --- the lease and the jobs ---


@dataclass
class Counting:
    """A job that counts its steps, each after a second's rest."""

    lease: Lease
    steps: int = 0
    faults: list[Exception] = field(default_factory=list)
    stuck_in: asyncio.Event | None = None
    was_stopped: bool = False

    async def run(self) -> None:
        while True:
            await self.lease.rest(1)
            self.steps += 1
            if self.faults:
                raise self.faults.pop()
            if self.stuck_in is not None:
                await self._wait(self.stuck_in)

    async def _wait(self, event: asyncio.Event) -> None:
        try:
            await event.wait()
        except asyncio.CancelledError:
            self.was_stopped = True
            raise


@dataclass
class Bench:
    """One node's work, without a server around it. `monotonic` stands while its machine is suspended."""

    home: Home
    time: SlowTime
    name: str
    monotonic: ManualClock = field(default_factory=lambda: ManualClock(0))

    def __post_init__(self) -> None:
        self.storage = NodesStorage(self.home)
        self.lease = Lease(
            self.storage, "work", self.name, clock=self.time.clock, sleep=self.time.sleep, monotonic=self.monotonic
        )
        self.job = Counting(self.lease)
        self.singletons = Singletons([self.job], self.lease, self.time.sleep)

    async def begin(self) -> None:
        await self.storage.open()
        self.task = asyncio.create_task(self.singletons.run())
        await settle()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def benches() -> AsyncIterator[tuple[Bench, Bench]]:
    home = Home()
    time = SlowTime(home.clock)
    first, second = Bench(home, time, "a"), Bench(home, time, "b")
    await first.begin()
    await second.begin()
    yield first, second
    await first.end()
    await second.end()


async def test_the_jobs_of_one_run_and_those_of_the_other_wait(benches: tuple[Bench, Bench]) -> None:
    first, second = benches
    await first.time.pass_by(30)
    assert (first.job.steps, second.job.steps) == (30, 0)


async def test_a_holder_that_cannot_reach_the_database_stops_before_the_other_begins(
    benches: tuple[Bench, Bench], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = benches
    first.storage.is_away = True
    with caplog.at_level(logging.WARNING, logger="authsrv.nodes"):
        await first.time.pass_by(HELD - MARGIN)
    assert second.job.steps == 0
    steps = first.job.steps
    assert steps < HELD
    await first.time.pass_by(30)
    assert first.job.steps == steps
    assert second.job.steps >= 20
    assert "the work of all is another node's, or may be" in caplog.messages


@pytest.mark.parametrize("stands", ["clock", "monotonic"])
async def test_a_suspended_holder_does_no_further_step_when_it_wakes(stands: str) -> None:
    """One of the two clocks stood still meanwhile; the sleeper wakes before anybody could tell it to stop."""
    home = Home()
    awake, asleep = SlowTime(home.clock), SlowTime(ManualClock())
    bench, other = Bench(home, asleep, "a"), Bench(home, awake, "b")
    await bench.begin()
    await asleep.pass_by(3)
    await awake.pass_by(3)
    await other.begin()
    assert bench.job.steps == 3
    await awake.pass_by(25)
    if stands == "clock":
        bench.monotonic.now += 25
    else:
        asleep.clock.now += 25
    await asleep.pass_by(1)
    assert bench.job.steps == 3
    assert other.job.steps > 0
    await bench.end()
    await other.end()


async def test_a_slow_database_does_not_keep_a_holder_at_work(benches: tuple[Bench, Bench]) -> None:
    """Not even in a step that waits for it, and never comes to rest."""
    first, second = benches
    forever = asyncio.Event()

    async def slow() -> int:
        await forever.wait()
        return 0

    first.job.stuck_in = forever
    await first.time.pass_by(1)
    first.storage.load_time = slow  # type: ignore[method-assign]  # the fault
    was_stopped = []
    for seconds in (HELD - MARGIN - 2, 2):
        await first.time.pass_by(seconds)
        was_stopped.append(first.job.was_stopped)
    assert was_stopped == [False, True]
    assert second.job.steps == 0
    await first.time.pass_by(RENEWED + MARGIN + 2)
    assert second.job.steps > 0
    forever.set()


async def test_a_lease_is_given_back_at_a_stop_and_none_is_left(benches: tuple[Bench, Bench]) -> None:
    first, second = benches
    await first.end()
    assert await second.storage.load_leases(0) == ()
    await second.time.pass_by(RENEWED + 2)
    assert second.job.steps > 0


async def test_a_stop_ends_although_the_database_is_away(benches: tuple[Bench, Bench]) -> None:
    first, _ = benches
    first.storage.is_away = True
    await first.end()
    assert first.task.done()


async def test_a_job_that_fails_begins_anew_after_a_minute_and_the_lease_stays(benches: tuple[Bench, Bench]) -> None:
    first, second = benches
    first.job.faults.append(ZeroDivisionError())
    await first.time.pass_by(AFTER_A_FAULT)
    assert first.job.steps == 1
    await first.time.pass_by(5)
    assert first.job.steps > 1
    assert second.job.steps == 0


async def test_a_node_that_finds_no_database_at_first_looks_again() -> None:
    home = Home()
    bench = Bench(home, SlowTime(home.clock), "a")
    bench.storage.is_away = True
    await bench.begin()
    await bench.time.pass_by(30)
    bench.storage.is_away = False
    await bench.time.pass_by(10)
    assert bench.job.steps > 0
    await bench.end()


async def test_a_lease_that_was_never_taken_lets_nothing_go_on() -> None:
    home = Home()
    bench = Bench(home, SlowTime(home.clock), "a")
    rest = asyncio.ensure_future(bench.lease.rest(1))
    await bench.time.pass_by(1)
    with pytest.raises(LeaseLost):
        await rest


async def test_a_lease_is_not_believed_when_its_renewal_failed_halfway(benches: tuple[Bench, Bench]) -> None:
    """The database may have written it or not: only what was written before counts."""
    first, _ = benches
    left = first.lease.left
    first.time.clock.now += 4
    first.storage.is_away = True
    with pytest.raises(StorageUnavailable):
        await first.lease.take()
    assert first.lease.left == left - 4
