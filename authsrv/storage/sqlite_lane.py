"""A connection with its queue: what waits is taken together, done in one hop to the connection's thread, and answered.

Owns the queue, the answers and the connection's replacement after a fault. What is done with a group of units is given:
`sqlite_groups.py` has one function for writing and one for reading.
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from authsrv.storage.base import Conflict, StorageError, StorageUnavailable
from authsrv.storage.sqlite_connection import Busy, Connection, Unit, running_error
from authsrv.storage.vitals import Traffic

T = TypeVar("T")
Group = Callable[[sqlite3.Connection, Sequence[Unit]], list[object]]

GROUP_LIMIT = 64
"""Units in one group at most, so that nobody waits long behind a crowd."""

log = logging.getLogger("authsrv.storage")


class Waiter(NamedTuple):
    """A unit of work and the caller that waits for its outcome."""

    unit: Unit
    outcome: asyncio.Future[Any]

    def answer(self, outcome: object) -> None:
        """Give the caller its result or its error, unless it was cancelled."""
        if self.outcome.done():
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class Lane:
    """Runs units of work on one connection, group after group. A unit is a function of the driver's connection.

    A group is whatever is queued when the last one is done: nobody waits for it to fill. Cancelling a caller changes
    nothing of what is done.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], run_group: Group) -> None:
        self._connect = connect
        self._run_group = run_group
        self._connection: Connection | None = None
        self._queue: deque[Waiter] = deque()
        self._wake = asyncio.Event()
        self._ending = False
        self._task: asyncio.Task[None] | None = None
        self.traffic = Traffic()

    @property
    def queued(self) -> int:
        """How many units wait."""
        return len(self._queue)

    async def open(self) -> Connection:
        """Connect, begin to work, and return the connection for what is asked at start."""
        self._connection = await self._connect()
        self._task = asyncio.create_task(self._serve(), name="storage-lane")
        return self._connection

    async def run(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Do one unit and return its result.

        Raises what the unit raised; `StorageUnavailable` if its group as a whole failed.
        """
        if self._ending:
            raise StorageUnavailable("the storage is closed")
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(Waiter(unit, outcome))
        self._wake.set()
        return await outcome

    async def drain(self) -> None:
        """Do what is queued and take nothing more."""
        self._ending = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def checkpoint(self) -> bool:
        """Move the write-ahead log into the database and empty it; whether it is done. For the writer."""
        if self._connection is None:
            return False
        try:
            ((is_busy, _, _),) = await self._connection.run(_checkpoint)
        except sqlite3.Error as error:
            # Nothing is lost: the next checkpoint, or the next start, reads the write-ahead log.
            log.warning("a checkpoint failed: %s", running_error(error))
            return False
        return not is_busy

    async def rewrite(self) -> bool:
        """Write the whole database anew, so that no unused part of it holds anything; whether it is done.

        For the writer. Nobody writes meanwhile: about a second for 50 MiB.
        """
        if self._connection is None:
            return False
        try:
            await self._connection.run(_rewrite)
        except sqlite3.Error as error:
            log.warning("the database could not be written anew: %s", running_error(error))
            return False
        return await self.checkpoint()

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _serve(self) -> None:
        while not self._ending:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._next_group()

    async def _next_group(self) -> None:
        group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_LIMIT))]
        began = time.perf_counter()
        try:
            connection = await self._usable()
            outcomes = await connection.run(lambda driver: self._run_group(driver, [waiter.unit for waiter in group]))
        except Exception as error:  # whatever it is, the callers must hear of it
            self.traffic.note_failure(time.perf_counter() - began, len(group))
            await self._give_up(group, error)
        else:
            conflicts = sum(isinstance(outcome, Conflict) for outcome in outcomes)
            self.traffic.note(time.perf_counter() - began, len(group), conflicts)
            for waiter, outcome in zip(group, outcomes, strict=True):
                waiter.answer(outcome)

    async def _usable(self) -> Connection:
        if self._connection is None:
            self._connection = await self._reconnect()
        return self._connection

    async def _reconnect(self) -> Connection:
        try:
            return await self._connect()
        except StorageError as error:
            raise StorageUnavailable(str(error)) from error

    async def _give_up(self, group: list[Waiter], error: Exception) -> None:
        log.error("a transaction failed: %s", error)
        failure = error if isinstance(error, StorageError) else StorageUnavailable("the transaction failed")
        if isinstance(failure, Busy):
            # Who queued up meanwhile has waited too; trying again group by group would add up the waiting.
            group = [*group, *self._queue]
            self._queue.clear()
        for waiter in group:
            waiter.answer(failure)
        if self._connection is not None and _state_unknown(self._connection):
            await self._discard(self._connection)

    async def _discard(self, connection: Connection) -> None:
        self._connection = None
        with suppress(sqlite3.Error):
            await connection.close()


def _state_unknown(connection: Connection) -> bool:
    try:
        return connection.in_transaction
    except (ValueError, sqlite3.Error):
        return True


def _checkpoint(driver: sqlite3.Connection) -> list[Any]:
    return driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _rewrite(driver: sqlite3.Connection) -> None:
    # The copy goes through a temporary database, which may be too large for the memory.
    driver.execute("PRAGMA temp_store = FILE")
    try:
        driver.execute("VACUUM")
    finally:
        driver.execute("PRAGMA temp_store = MEMORY")
