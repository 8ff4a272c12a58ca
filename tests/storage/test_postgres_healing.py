"""R16: a node's connections after its PostgreSQL went away and came back; nobody starts the node again."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from authsrv.database_url import Database
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.postgres.storage import PostgresStorage
from tests.support.postgres import MIGRATED, PostgresServer, private_server

pytestmark = pytest.mark.postgres

CONNECTIONS = 8
AWAY = 4.0
"""Seconds; by then the pauses between attempts that double each time are longer than players may wait."""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with private_server() as started:
        yield started


@pytest.fixture
async def storage(server: PostgresServer) -> AsyncIterator[PostgresStorage]:
    """A storage with every connection of its pool made."""
    opened = PostgresStorage(Database(server.url(MIGRATED), pool_size=CONNECTIONS))
    await opened.open()
    await asyncio.gather(*(opened.ping() for _ in range(4 * CONNECTIONS)))
    yield opened
    await opened.close()


async def works(storage: PostgresStorage) -> bool:
    try:
        await storage.ping()
    except StorageUnavailable:
        return False
    return True


async def test_R16_a_server_that_was_away_for_a_while_is_used_again_within_two_seconds(
    server: PostgresServer, storage: PostgresStorage
) -> None:
    server.stop(signal.SIGQUIT)
    gone = time.monotonic()
    while time.monotonic() < gone + AWAY:
        with suppress(StorageUnavailable):
            await storage.ping()
        await asyncio.sleep(0.05)
    server.start()
    async with asyncio.timeout(2):
        while not await works(storage):  # noqa: ASYNC110 - nothing tells when it does
            await asyncio.sleep(0.05)


async def test_R16_an_answer_is_read_though_the_event_loop_does_not_tell_of_it(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As uvloop does with a connection that was reset: its error would never be seen, and nothing on it would end."""
    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", lambda *_: None)
    async with asyncio.timeout(5):
        assert await storage.load_grant(1) is None


async def test_R16_connections_that_a_dead_server_left_behind_cost_one_request_and_not_one_each(
    server: PostgresServer, storage: PostgresStorage
) -> None:
    server.stop(signal.SIGQUIT)
    server.start()
    failed = 0
    for _ in range(2 * CONNECTIONS):
        failed += not await works(storage)
        await asyncio.sleep(0.05)
    assert failed <= 1
