"""A connection with its queue: what waits is taken together, done in one hop to the connection's thread, and answered.

Owns the queue, the answers and the connection's replacement after a fault. What is done with a group of units is given:
`groups.py` has one function for writing and one for reading.
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

from authsrv.storage.base import Conflict, StorageError, StorageUnavailable
from authsrv.storage.sqlite.connection import Busy, Connection, Unit, running_error
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
        self._idle = asyncio.Event()
        self._idle.set()
        self._ending = False
        self._mending: asyncio.Task[None] | None = None
        self.traffic = Traffic()

    @property
    def queued(self) -> int:
        """How many units wait."""
        return len(self._queue)

    async def open(self) -> Connection:
        """Connect, begin to work, and return the connection for what is asked at start."""
        self._connection = await self._connect()
        return self._connection

    async def run(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Do one unit and return its result.

        Raises what the unit raised; `StorageUnavailable` if its group as a whole failed.
        """
        if self._ending:
            raise StorageUnavailable("the storage is closed")
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(Waiter(unit, outcome))
        self._begin()
        return await outcome

    async def drain(self) -> None:
        """Do what is queued and take nothing more."""
        self._ending = True
        await self._idle.wait()

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

    def _begin(self) -> None:
        """Take what is queued, once everybody has queued up who comes in this turn of the loop."""
        if self._idle.is_set():
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._next_group)

    def _next_group(self) -> None:
        if not self._queue:
            self._idle.set()
            return
        group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_LIMIT))]
        if self._connection is None:
            self._mending = asyncio.create_task(self._reconnect(group))
        else:
            self._hand_over(self._connection, group)

    def _hand_over(self, connection: Connection, group: list[Waiter]) -> None:
        """Let the connection's thread do it. No task waits for it: that would double what the way there costs."""
        began = time.perf_counter()
        units = [waiter.unit for waiter in group]
        try:
            done = connection.begin(lambda driver: self._run_group(driver, units))
        except Exception as error:  # whatever it is, the callers must hear of it
            self._fail(group, began, error)
        else:
            done.add_done_callback(partial(self._finish, group, began))

    def _finish(self, group: list[Waiter], began: float, done: "asyncio.Future[list[object]]") -> None:
        error = done.exception()
        if error is not None:
            self._fail(group, began, error)
            return
        outcomes = done.result()
        conflicts = sum([isinstance(outcome, Conflict) for outcome in outcomes])
        self.traffic.note(time.perf_counter() - began, len(group), conflicts)
        for waiter, outcome in zip(group, outcomes, strict=True):
            waiter.answer(outcome)
        self._next_group()

    async def _reconnect(self, group: list[Waiter]) -> None:
        began = time.perf_counter()
        try:
            self._connection = await self._connect()
        except StorageError as error:
            self._fail(group, began, StorageUnavailable(str(error)))
        except Exception as error:  # whatever it is, the callers must hear of it
            self._fail(group, began, error)
        else:
            self._hand_over(self._connection, group)

    def _fail(self, group: list[Waiter], began: float, error: BaseException) -> None:
        self.traffic.note_failure(time.perf_counter() - began, len(group))
        self._mending = asyncio.create_task(self._give_up(group, error))

    async def _give_up(self, group: list[Waiter], error: BaseException) -> None:
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
        self._next_group()

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
