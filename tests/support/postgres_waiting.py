"""Another client of the database, who holds what a test wants held, and a look at who waits and what is in use.

Knows of the storage only its vitals.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from authsrv.storage.postgres.storage import PostgresStorage
from tests.support.postgres import execute

WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' HAVING count(*)"""


@asynccontextmanager
async def somebody(url: str, *statements: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Another client, in a transaction in which these statements ran; rolled back at the end of the block."""
    connection = await psycopg.AsyncConnection.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement.encode())
        yield connection
    finally:
        await connection.close()


async def until(url: str, query: str) -> None:
    """Wait until the query has a row."""
    for _ in range(1000):
        if execute(url, query):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(query)


async def until_waiting(url: str, count: int) -> None:
    """Wait until so many transactions wait for what others hold."""
    await until(url, f"{WAITING} = {count}")


async def until_unused(storage: PostgresStorage) -> None:
    """Wait until no connection is in use. One that the pool is still making counts as used."""
    for _ in range(1000):
        pool = storage.vitals().pool
        if pool is not None and not pool.in_use:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("a connection stays in use")
