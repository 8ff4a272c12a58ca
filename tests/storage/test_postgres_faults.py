"""R07, R16 to R18: a PostgreSQL that is slow, full, restarted or at odds with itself; and callers that go away."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from authsrv.database_url import Database
from authsrv.storage import open_storage
from authsrv.storage.base import Conflict, Storage, StorageUnavailable
from authsrv.storage.changes import AddGrant, AddPlayer, Change, CountCodeFailure, LinkIdentity, RedeemCode
from authsrv.storage.postgres.connection import Connection
from authsrv.storage.postgres.storage import PostgresStorage
from tests.support import postgres
from tests.support.postgres import PostgresServer, execute, private_server
from tests.support.postgres_waiting import WAITING, somebody, until, until_waiting
from tests.support.server import running
from tests.support.storage import NOW, digest, grant, identity, player

pytestmark = pytest.mark.postgres

HELD = "LOCK TABLE grants IN ACCESS EXCLUSIVE MODE"
"""In somebody else's transaction: whoever reads or writes grants waits."""


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.database() as url:
        yield url


@asynccontextmanager
async def storage_of(url: str, **limits: Any) -> AsyncIterator[PostgresStorage]:
    storage = open_storage(Database(url, **limits))
    assert isinstance(storage, PostgresStorage)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


def redeem(number: int) -> Sequence[Change]:
    return [RedeemCode(number, NOW, digest("refresh"), NOW + 50)]


async def with_grants(storage: PostgresStorage, count: int) -> None:
    await storage.apply([AddPlayer(player()), *(AddGrant(grant(n)) for n in range(1, count + 1))])


def used(url: str) -> set[object]:
    return {id_ for (id_,) in execute(url, "SELECT id FROM grants WHERE code_used_at IS NOT NULL")}


def unfinished(url: str) -> list[tuple[object, ...]]:
    """Connections of the storage that are in a transaction and do nothing."""
    return execute(
        url,
        "SELECT pid, state FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'authsrv' "
        "AND state LIKE 'idle in transaction%'",
    )


# --- R18: nothing is free, or nothing moves ---


async def waiting(url: str, storage: Storage, number: int) -> asyncio.Task[Any]:
    """A read that has a connection of its own and does not move, as the so manieth."""
    task = asyncio.create_task(storage.load_grant(1))
    await until_waiting(url, number)
    return task


async def test_R18_without_a_free_connection_a_caller_is_told_soon(url: str) -> None:
    async with storage_of(url, pool_size=2, pool_timeout=0.3, statement_timeout=20, lock_timeout=20) as storage:
        await with_grants(storage, 1)
        async with somebody(url, HELD):
            stuck = [await waiting(url, storage, number) for number in (1, 2)]
            with pytest.raises(StorageUnavailable, match="no connection to PostgreSQL came free in time"):
                await storage.load_player(identity())
            assert not any(task.done() for task in stuck)
        assert [loaded is not None for loaded in await asyncio.gather(*stuck)] == [True, True]
        assert await storage.load_player(identity()) is None


async def test_R18_an_exhausted_pool_is_503_with_the_time_to_come_back(url: str) -> None:
    def edit(block: dict[str, Any]) -> None:
        block["database"] |= {"pool_size": 2, "pool_timeout": 1}

    async with running(url=url, edit=edit) as server:
        code = await server.code("steam")
        async with somebody(url, HELD):
            stuck = [await waiting(url, server.app.storage, number) for number in (1, 2)]
            answer = await server.redeem(code)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        await asyncio.gather(*stuck)
        assert (await server.redeem(code)).status_code == 200


@pytest.mark.parametrize("limit", ["statement_timeout", "lock_timeout"])
async def test_R18_a_statement_that_does_not_move_is_ended_by_the_server(url: str, limit: str) -> None:
    others = {"statement_timeout": 30, "lock_timeout": 30, "pool_timeout": 30}
    async with storage_of(url, **(others | {limit: 0.2})) as storage:
        await with_grants(storage, 1)
        async with somebody(url, HELD):
            for call in (storage.load_grant(1), storage.apply(redeem(1)), storage.apply([*redeem(1), *redeem(1)])):
                with pytest.raises(StorageUnavailable):
                    await call
        await storage.apply(redeem(1))
        assert unfinished(url) == []


async def test_R18_a_transaction_in_which_nothing_happens_is_ended_by_the_server(url: str) -> None:
    async def work(connection: Connection) -> None:
        await connection.execute("BEGIN")
        await connection.execute("SELECT 1")
        here = f"SELECT 1 FROM pg_stat_activity WHERE pid = {connection.info.backend_pid}"  # noqa: S608 - a number
        await until(url, f"SELECT 1 WHERE NOT EXISTS ({here})")
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            await connection.execute("SELECT 1")

    async with storage_of(url, idle_timeout=0.2) as storage:
        await storage._on_connection(work)


async def test_S11_what_a_connection_is_set_to(url: str) -> None:
    execute(url, "ALTER ROLE postgres SET synchronous_commit = off")
    try:
        async with storage_of(url, statement_timeout=3, lock_timeout=2, idle_timeout=7) as storage:
            for name, value in {
                "statement_timeout": "3s",
                "lock_timeout": "2s",
                "idle_in_transaction_session_timeout": "7s",
                "synchronous_commit": "on",
                "default_transaction_isolation": "read committed",
            }.items():
                assert await storage._read(f"SHOW {name}", {}) == [(value,)]
    finally:
        execute(url, "ALTER ROLE postgres RESET synchronous_commit")


# --- R17: two transactions in each other's way ---


async def test_R17_what_a_deadlock_undid_is_done_again(url: str) -> None:
    async with storage_of(url, pool_timeout=30, lock_timeout=30, statement_timeout=30) as storage:
        await with_grants(storage, 3)
        async with somebody(url, failed(2), "SET deadlock_timeout = '30s'") as other, somebody(url, failed(3)) as gate:
            ours = asyncio.create_task(storage.apply(count_failures(1, 3, 2)))
            await until(url, f"{WAITING} = 1")  # ours has 1 and waits for 3
            theirs = asyncio.create_task(other.execute(failed(1).encode()))
            await until(url, f"{WAITING} = 2")  # the other one has 2 and waits for 1
            await gate.rollback()
            await theirs  # ours, which wants 2, was given up
            await other.commit()
            await ours
        assert storage.vitals().traffic["write"].repeated == 1
    assert execute(url, "SELECT code_failures FROM grants ORDER BY id") == [(2,), (2,), (1,)]


def failed(number: int) -> str:
    return f"UPDATE grants SET code_failures = code_failures + 1 WHERE id = {number}"  # noqa: S608 - a number


def count_failures(*numbers: int) -> Sequence[Change]:
    """Writes to these grants, in this order."""
    return [CountCodeFailure(number) for number in numbers]


async def test_R17_a_serialization_failure_is_tried_again_and_then_503(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([3, 99])
    async with storage_of(url) as storage:
        await with_grants(storage, 2)
        for number, expected in ((1, None), (2, StorageUnavailable)):
            left = [next(failures)]
            on_connection = storage._on_connection

            async def failing(work: Any, left: list[int] = left, really: Any = on_connection) -> Any:
                if left[0]:
                    left[0] -= 1
                    raise psycopg.errors.SerializationFailure
                return await really(work)

            with monkeypatch.context() as patch:
                patch.setattr(storage, "_on_connection", failing)
                if expected:
                    with pytest.raises(expected):
                        await storage.apply(redeem(number))
                    assert left == [95]
                else:
                    await storage.apply(redeem(number))
        assert used(url) == {1}


async def test_players_who_log_in_first_at_once_are_not_in_each_others_way(url: str) -> None:
    async with storage_of(url, pool_timeout=30) as storage:
        calls = [
            storage.apply([AddPlayer(player(n)), LinkIdentity(identity(str(n)), n, NOW, digest(str(n)))])
            for n in range(1, 201)
        ]
        assert await asyncio.gather(*calls) == [None] * 200
        assert storage.vitals().traffic["write"].repeated == 0


# --- R07: callers that go away ---


@pytest.mark.parametrize("changes", [1, 3])
@pytest.mark.parametrize("turns", range(0, 24, 2))
async def test_R07_a_cancelled_caller_leaves_no_transaction(url: str, turns: int, changes: int) -> None:
    async with storage_of(url, pool_size=2) as storage:
        await with_grants(storage, 2)
        caller = asyncio.create_task(storage.apply([*count_failures(*[1] * (changes - 1)), *redeem(1)]))
        for _ in range(turns):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await asyncio.gather(*(storage.load_grant(2) for _ in range(4)))
        await storage.apply(redeem(2))
    # What was begun ended by itself before the storage was closed; only who never ran asked for nothing.
    assert used(url) == ({2} if turns == 0 else {1, 2})
    assert unfinished(url) == []


async def test_R07_a_hundred_cancelled_at_random_leave_every_connection_free(url: str) -> None:
    async with storage_of(url, pool_size=3, pool_timeout=30) as storage:
        await with_grants(storage, 100)
        callers = [asyncio.create_task(storage.apply(redeem(n))) for n in range(1, 101)]
        for number, caller in enumerate(callers):
            await asyncio.sleep(0)
            if number % 3 == 0:
                caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await asyncio.gather(*(storage.ping() for _ in range(6)))
        assert unfinished(url) == []
    assert used(url) >= {n for n in range(1, 101) if (n - 1) % 3}


# --- R16: the server dies and comes back ---


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with private_server(durable=True) as server:
        yield server


async def told(call: Any) -> str:
    try:
        await call
    except StorageUnavailable:
        return "unavailable"
    except Conflict:
        return "conflict"
    return "written"


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT])
async def test_R16_what_was_acknowledged_outlives_the_server_and_the_pool_heals_in_two_seconds(
    server: PostgresServer, how: signal.Signals
) -> None:
    url = server.url(postgres.MIGRATED)
    async with storage_of(url, pool_size=5, pool_timeout=2) as storage:
        await with_grants(storage, 2000)
        acknowledged: set[object] = set()
        outcomes: Counter[str] = Counter()
        under_way = asyncio.Event()

        async def writer(numbers: Iterator[int]) -> None:
            for number in numbers:
                outcome = await told(storage.apply(redeem(number)))
                outcomes[outcome] += 1
                if outcome == "written":
                    acknowledged.add(number)
                    if len(acknowledged) == 50:
                        under_way.set()
                elif outcome == "unavailable":
                    return

        numbers = iter(range(1, 2001))
        writers = [asyncio.create_task(writer(numbers)) for _ in range(10)]
        await under_way.wait()
        await asyncio.to_thread(server.stop, how)
        await asyncio.gather(*writers)
        assert outcomes["conflict"] == 0
        assert await told(storage.ping()) == "unavailable"
        await asyncio.to_thread(server.start)
        began = time.monotonic()
        while await told(storage.apply(count_failures(2000))) != "written":
            assert time.monotonic() - began < 2
        healed = [await told(storage.apply(count_failures(2000))) for _ in range(20)]
        assert healed == ["written"] * 20
        assert acknowledged <= used(url)


async def test_R16_a_restart_between_two_requests_is_nobodys_failure(server: PostgresServer) -> None:
    async with storage_of(server.url(postgres.MIGRATED), pool_size=5) as storage:
        await with_grants(storage, 10)
        await asyncio.gather(*(storage.load_grant(n) for n in range(1, 11)))
        await asyncio.to_thread(server.stop, signal.SIGINT)
        await asyncio.to_thread(server.start)
        loaded = await asyncio.gather(*(storage.load_grant(n) for n in range(1, 11)))
        assert all(loaded)


async def test_R16_over_http_a_stopped_server_is_503_and_no_refresh_is_lost(server: PostgresServer) -> None:
    async with running(url=server.url(postgres.MIGRATED), edit=_impatient) as node:
        tokens = await node.login("steam")
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        answers = await asyncio.gather(*(node.refresh(tokens["refresh_token"]) for _ in range(5)))
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        await asyncio.to_thread(server.start)
        answer = await node.refresh(tokens["refresh_token"])
        assert answer.status_code == 200, answer.text


def _impatient(block: dict[str, Any]) -> None:
    block["database"] |= {"pool_timeout": 1}
