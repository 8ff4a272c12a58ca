"""SELECTs of many callers in one round trip: whatever is asked before a connection is there goes on it together.

Owns the queue of reads and whose rows are whose. How work gets a connection, and is tried again, it is given.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

import psycopg

from authsrv.storage.base import StorageError, StorageUnavailable
from authsrv.storage.postgres.connection import Connection, before_commit, failure_of
from authsrv.storage.postgres.desk import MOST_WAITING
from authsrv.storage.postgres.pipeline import Query, converse
from authsrv.storage.rows.base import Row
from authsrv.storage.vitals import Traffic

GROUP_LIMIT: Final = 64
"""Reads in one round trip at most, so that nobody waits long behind a crowd."""

Outcome = Sequence[Row] | StorageError
Work = Callable[[Connection], Awaitable[list[Outcome]]]


class Waiter(NamedTuple):
    """A read, and the caller who waits for its rows."""

    query: Query
    rows: asyncio.Future[Sequence[Row]]

    def answer(self, outcome: Sequence[Row] | Exception) -> None:
        """Give the caller the rows or an error, unless the caller went away."""
        if self.rows.done():
            return
        if isinstance(outcome, Exception):
            self.rows.set_exception(outcome)
        else:
            self.rows.set_result(outcome)


class SharedReads:
    """Reads that know nothing of each other. Each sees what is committed when its turn comes. One that never ends keeps
    those behind it waiting until the server's limit ends it, so whatever may take long is to be read elsewhere.

    `on_connection` does work on one of the pool's connections, `begin` runs something by itself.
    """

    def __init__(
        self,
        on_connection: Callable[[Work], Awaitable[list[Outcome]]],
        begin: Callable[[Coroutine[Any, Any, None]], object],
        traffic: Traffic,
    ) -> None:
        self._on_connection = on_connection
        self._begin = begin
        self._traffic = traffic
        self._queue: deque[Waiter] = deque()
        self._is_asking = False
        """Whether somebody waits for a connection, on which all that is queued by then will go."""

    @property
    def queued(self) -> int:
        """How many reads wait for a connection."""
        return len(self._queue)

    async def read(self, query: Query) -> Sequence[Row]:
        """The rows of one SELECT. Raises `StorageUnavailable`."""
        if len(self._queue) >= MOST_WAITING:
            raise StorageUnavailable("too many wait for a connection to PostgreSQL")
        rows: asyncio.Future[Sequence[Row]] = asyncio.get_running_loop().create_future()
        self._queue.append(Waiter(query, rows))
        self._ask()
        return await rows

    def _ask(self) -> None:
        if self._queue and not self._is_asking:
            self._is_asking = True
            self._begin(self._serve_group())

    async def _serve_group(self) -> None:
        group: list[Waiter] = []

        async def work(connection: Connection) -> list[Outcome]:
            if not group:  # else it is tried again
                group.extend(self._taken(GROUP_LIMIT))
            return await _rows(connection, [waiter.query for waiter in group])

        began = time.perf_counter()
        try:
            outcomes = await self._on_connection(work)
        except Exception as error:  # whatever it is, the callers must hear of it
            # Without a connection nobody is served, and who queued up meanwhile would wait for as long again.
            group = group or self._taken(MOST_WAITING)
            self._traffic.note_failure(time.perf_counter() - began, len(group))
            for waiter in group:
                waiter.answer(error)
        else:
            failed = sum(isinstance(outcome, StorageError) for outcome in outcomes)
            self._traffic.note(time.perf_counter() - began, len(group), failed=failed)
            for waiter, outcome in zip(group, outcomes, strict=True):
                waiter.answer(outcome)

    def _taken(self, most: int) -> list[Waiter]:
        """Who is served now; for those who are left somebody else asks."""
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), most))]
        self._is_asking = False
        self._ask()
        return taken


async def _rows(connection: Connection, queries: Sequence[Query]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with before_commit(connection):
        while len(outcomes) < len(queries):
            answers, error = await converse(connection, queries[len(outcomes) :])
            outcomes += [answer.rows for answer in answers]
            if error is not None:
                outcomes += _failed(error, len(queries) - len(outcomes))
    return outcomes


def _failed(error: psycopg.Error, left: int) -> list[StorageError]:
    """What an error is to the read that failed, and perhaps to all that are left: the round trip ended for them too.

    Those behind a wrong value are sent again. Where the database could not, they would only wait as long once more.
    """
    failure = failure_of(error)
    return [failure] * (left if isinstance(failure, StorageUnavailable) else 1)
