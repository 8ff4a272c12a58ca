"""Who gets which connection of the pool, and when the pool gets it back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from authsrv.database_url import Database
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.postgres import desk as postgres_desk
from authsrv.storage.postgres.connection import Connection
from authsrv.storage.postgres.storage import PostgresStorage
from authsrv.storage.vitals import PoolVitals
from tests.support import postgres
from tests.support.postgres import execute
from tests.support.postgres_waiting import until_unused

pytestmark = pytest.mark.postgres


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.database() as url:
        yield url


@asynccontextmanager
async def storage_of(url: str, **limits: Any) -> AsyncIterator[PostgresStorage]:
    storage = PostgresStorage(Database(url, **{"pool_timeout": 30, **limits}))
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


def vitals(storage: PostgresStorage) -> PoolVitals:
    pool = storage.vitals().pool
    assert pool is not None
    return pool


async def identity_of(connection: Connection) -> int:
    return connection.info.backend_pid


async def pause(connection: Connection) -> None:
    await connection.execute("SELECT pg_sleep(0.05)")


async def test_one_caller_after_the_other_gets_the_same_connection(url: str) -> None:
    async with storage_of(url) as storage:
        assert len({await storage._on_connection(identity_of) for _ in range(20)}) == 1


async def test_no_more_connections_are_lent_than_the_pool_may_have(url: str) -> None:
    async with storage_of(url, pool_size=3) as storage:
        callers = [asyncio.create_task(storage._on_connection(pause)) for _ in range(30)]
        await asyncio.sleep(0.03)
        assert 1 <= vitals(storage).in_use <= 3
        assert vitals(storage).waiting >= 27
        await asyncio.gather(*callers)
        assert vitals(storage).waiting == 0
        await until_unused(storage)


async def test_where_the_server_allows_no_further_connection_those_that_are_there_serve_all(url: str) -> None:
    name = "few"
    execute(url, f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 1", f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
    try:
        async with storage_of(url.replace("postgres@", f"{name}@"), pool_size=5, pool_timeout=10) as storage:
            await asyncio.gather(*(storage._on_connection(pause) for _ in range(20)))
            assert vitals(storage).size >= 1
    finally:
        execute(url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.parametrize("turns", range(8))
async def test_R07_whoever_goes_away_while_waiting_takes_no_connection_along(url: str, turns: int) -> None:
    async with storage_of(url, pool_size=1) as storage:
        callers = [asyncio.create_task(storage._on_connection(pause)) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        callers[1].cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        assert await asyncio.gather(*(storage._on_connection(identity_of) for _ in range(3)))
        await until_unused(storage)


async def test_R18_a_crowd_that_waits_too_long_is_told_so_and_the_next_one_is_served(url: str) -> None:
    async with storage_of(url, pool_size=1, pool_timeout=0.1) as storage:
        callers = [storage._on_connection(pause) for _ in range(20)]
        told = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(one) for one in told if one is not None} == {StorageUnavailable}
        assert 1 <= told.count(None) <= 4
        await storage._on_connection(pause)


async def test_R18_not_more_than_so_many_wait(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_desk, "MOST_WAITING", 2)
    async with storage_of(url, pool_size=1) as storage:
        calls = [storage._on_connection(pause) for _ in range(5)]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert [str(one) for one in told if one] == ["too many wait for a connection to PostgreSQL"] * 2


async def test_the_pool_gets_back_what_nobody_uses_so_that_it_can_end_what_is_old(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_desk, "KEPT_SECONDS", 0)
    async with storage_of(url, pool_size=3) as storage:
        await asyncio.gather(*(storage._on_connection(pause) for _ in range(6)))
        await storage.ping()
        await storage.ping()
        assert storage._desk is not None
        assert storage._desk.at_hand == 0
        await until_unused(storage)


async def test_a_connection_that_was_left_in_a_transaction_is_given_to_nobody(url: str) -> None:
    async def leave(connection: Connection) -> None:
        await connection.execute("BEGIN")

    async def in_transaction(connection: Connection) -> bool:
        return bool(connection.info.transaction_status)

    async with storage_of(url, pool_size=1) as storage:
        await storage._on_connection(leave)
        assert not await storage._on_connection(in_transaction)
