"""Connections that go from hand to hand: borrowed from psycopg's pool, lent to one caller after the other.

Owns who gets the next one and how long anybody waits. Making, replacing and ending connections is the pool's, whose
way in and out costs more than many a statement; so it gets them back only now and then.
"""

import asyncio
import time
from typing import Final

from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from authsrv.storage.base import StorageUnavailable
from authsrv.storage.postgres.connection import Connection

MOST_WAITING: Final = 500
"""How many callers may wait for a connection; the next one is refused at once."""
KEPT_SECONDS: Final = 60
"""After that the pool gets all that nobody uses: it ends those that are old, or too many."""


class Desk:
    """Lends at most `size` connections of an open pool. Who has none after `timeout` seconds gives up."""

    def __init__(self, pool: AsyncConnectionPool[Connection], size: int, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._turns = asyncio.Semaphore(size)
        self._at_hand: list[Connection] = []
        self._asking = 0
        """How many wait for the pool to make a connection, or to get one back."""
        self._queued = 0
        self._return_at = time.monotonic() + KEPT_SECONDS

    @property
    def at_hand(self) -> int:
        """How many connections are borrowed and nobody uses them."""
        return len(self._at_hand)

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return self._queued + self._asking

    async def take(self) -> Connection:
        """A connection, which has to be given back. Raises `StorageUnavailable` if none came free in time."""
        try:
            await self._turn()
            return self._at_hand.pop() if self._at_hand else await self._borrowed()
        except (TimeoutError, PoolTimeout, TooManyRequests, PoolClosed) as error:
            raise StorageUnavailable("no connection to PostgreSQL came free in time") from error

    async def give_back(self, connection: Connection) -> None:
        """For the next caller; or for the pool, which sorts out what cannot be used."""
        try:
            if self._asking or connection.pgconn.transaction_status != TransactionStatus.IDLE:
                await self._pool.putconn(connection)
            else:
                self._at_hand.append(connection)
                if time.monotonic() >= self._return_at:
                    await self.return_all()
        finally:
            self._turns.release()

    async def return_all(self) -> None:
        """Let the pool have everything that nobody uses."""
        self._return_at = time.monotonic() + KEPT_SECONDS
        while self._at_hand:
            await self._pool.putconn(self._at_hand.pop())

    async def _turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        if self._queued >= MOST_WAITING:
            raise StorageUnavailable("too many wait for a connection to PostgreSQL")
        self._queued += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._turns.acquire()
        finally:
            self._queued -= 1

    async def _borrowed(self) -> Connection:
        self._asking += 1
        try:
            return await self._pool.getconn()
        except BaseException:
            self._turns.release()
            raise
        finally:
            self._asking -= 1
