"""Reads of several callers in one round trip on PostgreSQL: what they share, and what stays each one's own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from authsrv.database_url import Database
from authsrv.storage.base import StorageError, StorageUnavailable
from authsrv.storage.changes import AddGrant, AddPlayer
from authsrv.storage.postgres import statements as postgres_statements
from authsrv.storage.postgres.connection import Connection
from authsrv.storage.postgres.desk import MOST_WAITING
from authsrv.storage.postgres.pipeline import ask, converse
from authsrv.storage.postgres.reads import GROUP_LIMIT
from authsrv.storage.postgres.storage import PostgresStorage
from tests.support import postgres
from tests.support.postgres import execute
from tests.support.postgres_waiting import somebody, until_unused, until_waiting
from tests.support.postgres_wire import watched
from tests.support.storage import grant, player

pytestmark = pytest.mark.postgres

HELD = "LOCK TABLE grants IN ACCESS EXCLUSIVE MODE"
WRONG = "SELECT id FROM grants WHERE id = 1 / (:number - :number)"


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.database() as url:
        yield url


@asynccontextmanager
async def storage_of(url: str, **limits: Any) -> AsyncIterator[PostgresStorage]:
    """A storage with three grants."""
    storage = PostgresStorage(Database(url, **{"pool_timeout": 30, **limits}))
    await storage.open()
    try:
        await storage.apply([AddPlayer(player()), *(AddGrant(grant(number)) for number in (1, 2, 3))])
        yield storage
    finally:
        await storage.close()


async def found(storage: PostgresStorage, number: int) -> int | None:
    loaded = await storage.load_grant(number)
    return loaded.grant.id if loaded else None


@pytest.mark.parametrize("prepared", [True, False])
async def test_what_is_asked_at_once_is_one_round_trip_and_each_gets_its_own_rows(url: str, prepared: bool) -> None:
    async with watched(url) as wire, storage_of(wire.url, prepared_statements=prepared) as storage:
        await found(storage, 1)
        wire.clear()
        asked = [3, 1, 2, 4] * 10
        assert await asyncio.gather(*(found(storage, n) for n in asked)) == [3, 1, 2, None] * 10
        assert (wire.trips, len(wire.statements)) == (1, 40)


async def test_a_crowd_is_served_in_groups(url: str) -> None:
    async with storage_of(url) as storage:
        before = storage.vitals().traffic["read"].group_sizes.total
        asked = [1, 2, 3] * GROUP_LIMIT
        assert await asyncio.gather(*(found(storage, n) for n in asked)) == asked
        assert storage.vitals().traffic["read"].group_sizes.total == before + len(asked)
        await until_unused(storage)


async def test_a_wrong_value_is_one_callers_failure(url: str) -> None:
    async with storage_of(url) as storage:
        calls = [found(storage, 1), storage._read(WRONG, {"number": 1}), found(storage, 2), found(storage, 3)]
        one, wrong, two, three = await asyncio.gather(*calls, return_exceptions=True)
        assert (one, two, three) == (1, 2, 3)
        assert isinstance(wrong, StorageError)
        assert not isinstance(wrong, StorageUnavailable)
        traffic = storage.vitals().traffic["read"]
        assert traffic.unavailable == 1


async def test_R18_those_behind_a_read_that_does_not_move_wait_as_long_as_it_does_and_no_longer(url: str) -> None:
    async with storage_of(url, lock_timeout=0.3) as storage, somebody(url, HELD):
        async with asyncio.timeout(6):  # one after the other they would wait for nine seconds
            told = await asyncio.gather(*(found(storage, 1) for _ in range(30)), return_exceptions=True)
    assert {type(one) for one in told} == {StorageUnavailable}


async def test_a_read_that_does_not_move_keeps_nobody_waiting_who_asks_later(url: str) -> None:
    async with storage_of(url) as storage:
        async with somebody(url, HELD):
            stuck = asyncio.create_task(found(storage, 1))
            await until_waiting(url, 1)
            assert await storage.load_subject("sub-1") is not None
            assert not stuck.done()
        assert await stuck == 1


async def test_R07_a_cancelled_caller_takes_nobodys_rows_along(url: str) -> None:
    async with storage_of(url) as storage:
        for turns in range(12):
            callers = [asyncio.create_task(found(storage, n)) for n in (1, 2, 3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            callers[1].cancel()
            told = await asyncio.gather(*callers, return_exceptions=True)
            assert (told[0], told[2]) == (1, 3)
        assert await found(storage, 2) == 2


async def test_R16_a_group_whose_connection_is_dead_is_asked_again(url: str) -> None:
    async with storage_of(url) as storage:
        await found(storage, 1)
        execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'authsrv'"
            " AND datname = current_database()",
        )
        assert await asyncio.gather(*(found(storage, n) for n in (1, 2, 3))) == [1, 2, 3]
        assert storage.vitals().traffic["read"].repeated >= 1


async def test_R18_whoever_would_wait_behind_a_crowd_is_refused_at_once(url: str) -> None:
    async with storage_of(url) as storage:
        crowd = [asyncio.create_task(found(storage, 1)) for _ in range(MOST_WAITING)]
        for _ in range(2):  # turns of the loop: they have asked, and nobody has a connection yet
            refused = asyncio.create_task(found(storage, 1))
        assert set(await asyncio.gather(*crowd)) == {1}
        with pytest.raises(StorageUnavailable, match="too many wait"):
            await refused


async def test_reads_that_wait_when_the_storage_is_closed_are_told_so(url: str) -> None:
    storage = PostgresStorage(Database(url))
    with pytest.raises(StorageUnavailable, match="not open"):
        await storage.load_grant(1)


# --- what one connection knows ---


async def test_a_statement_that_could_not_be_prepared_is_prepared_the_next_time(url: str) -> None:
    async def work(connection: Connection) -> None:
        query = ("SELECT name FROM later WHERE id = :id", {"id": 1})
        assert (await converse(connection, [("SELECT 1 / 0", {}), query])).error is not None
        assert (await converse(connection, [query])).error is not None
        await ask(connection, ("CREATE TEMPORARY TABLE later AS SELECT 1 AS id, 'one' AS name", {}))
        assert (await ask(connection, query))[0].rows == [("one",)]
        assert (await ask(connection, query))[0].rows == [("one",)]

    async with storage_of(url) as storage:
        await storage._on_connection(work)


async def test_a_rollback_leaves_what_was_prepared(url: str) -> None:
    async def work(connection: Connection) -> None:
        query = ("SELECT CAST(:id AS BIGINT)", {"id": 1})
        await ask(connection, query)
        await ask(connection, ("BEGIN", {}), ("ROLLBACK", {}))
        await connection.execute("ROLLBACK")
        assert (await ask(connection, query))[0].rows == [(1,)]

    async with storage_of(url) as storage:
        await storage._on_connection(work)


async def test_no_more_statements_stay_prepared_than_there_is_room_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_statements, "MOST_KEPT", 2)

    async def work(connection: Connection) -> int:
        for number in range(5):
            answers = await ask(connection, (f"SELECT {number}, CAST(:id AS BIGINT)", {"id": number}))
            assert answers[0].rows == [(number, number)]
        cursor = await connection.execute("SELECT CAST(count(*) AS BIGINT) FROM pg_prepared_statements")
        return int((await cursor.fetchall())[0][0])

    async with storage_of(url) as storage:
        assert await storage._on_connection(work) == 2


async def test_more_than_the_sockets_can_hold_goes_both_ways(url: str) -> None:
    """Neither side may wait for the other to read first."""
    text = "x" * 1_000_000

    async def work(connection: Connection) -> None:
        answers = await ask(connection, *[("SELECT CAST(:text AS TEXT)", {"text": text})] * 20)
        assert [answer.rows for answer in answers] == [[(text,)]] * 20

    async with storage_of(url) as storage, asyncio.timeout(60):
        await storage._on_connection(work)
