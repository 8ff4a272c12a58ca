"""Storage in PostgreSQL: any number of nodes on one database, a bounded pool of connections in each.

Owns which connection does what for each call of the contract, what is tried again and when to give up. What a
transaction is stands in `writes.py`, the SQL in `statements/`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from authsrv.account_models import Erasure
from authsrv.database_url import Database
from authsrv.models import Player, Reservation, Retention, SharedCount
from authsrv.storage.base import KEPT, Conflict, Cut, StorageError, StorageUnavailable, Swept
from authsrv.storage.changes import Change
from authsrv.storage.cutting import cut
from authsrv.storage.dialogues import Reading, read_erasures, read_subjects, sweep_expired, sweep_grants
from authsrv.storage.erasure_ledger import LedgerDirectory, NoLedger
from authsrv.storage.erasure_notes import ErasureNotes
from authsrv.storage.loads import SqlLoads
from authsrv.storage.postgres.connection import (
    RETRIED,
    Connection,
    LostEarly,
    arguments,
    before_commit,
    check_schema,
    failure_of,
    opening_error,
    set_up,
)
from authsrv.storage.postgres.desk import Desk
from authsrv.storage.postgres.pipeline import Query, ask
from authsrv.storage.postgres.reads import SharedReads
from authsrv.storage.postgres.writes import add_counts, write_all, write_along, write_at_once
from authsrv.storage.privacy_changes import ErasePlayer
from authsrv.storage.rows.base import Row, Values, checked, reservation_of, reservation_values, timed_ids
from authsrv.storage.rows.rates import shared_counts_of, window_values
from authsrv.storage.schema import REVISIONS
from authsrv.storage.statements import accounts as account_sql
from authsrv.storage.statements import base as sql
from authsrv.storage.statements import privacy as privacy_sql
from authsrv.storage.statements import revocations as revocation_sql
from authsrv.storage.steps.base import sweep_times, writes_of
from authsrv.storage.steps.privacy import retention_times
from authsrv.storage.vitals import PoolVitals, StorageVitals, Traffic

T = TypeVar("T")

ATTEMPTS: Final = 4
"""How often a transaction runs at most when another one is in its way each time."""
PAUSE: Final = 0.02
"""Seconds before the second attempt, on average; each further one waits twice as long."""

_LONG: Final = frozenset(
    {
        sql.SELECT_GRANT_WINDOW,
        account_sql.SELECT_PLAYERS_NAMED,
        privacy_sql.SELECT_PLAYERS,
        revocation_sql.SELECT_REVOCATIONS,
    }
)
"""Reads of as many rows as there are. Nobody else waits for them."""

log = logging.getLogger("authsrv.storage")


class PostgresStorage(SqlLoads):
    """The `Storage` of several nodes. `authsrv migrate` makes its tables."""

    shared = True

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._desk: Desk | None = None
        self._ids: Iterator[int] | None = None
        self._checking = asyncio.Lock()
        self._begun: set[asyncio.Task[Any]] = set()
        self._swept_up_to = 0
        self._reads, self._writes = Traffic(), Traffic()
        self._shared = SharedReads(partial(self._attempts, traffic=self._reads), self._begin_task, self._reads)
        ledger = LedgerDirectory(database.erasures) if database.erasures else NoLedger()
        self._notes = ErasureNotes(ledger, partial(self._follow, read_erasures))

    async def open(self) -> None:
        if self._pool is not None:
            raise StorageError("the storage is open already")
        given = arguments(self._database)
        # A pool that cannot connect only says that it was slow; this says why.
        start = await self._begin(given)
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            connection_class=Connection,
            kwargs=given,
            min_size=1,
            max_size=self._database.pool_size,
            timeout=self._database.pool_timeout,
            # Whoever waits gives up after that; the next request begins anew, and not after an ever longer pause.
            reconnect_timeout=self._database.pool_timeout,
            configure=partial(set_up, database=self._database),
            open=False,
            name="storage",
        )
        try:
            await pool.open(wait=True, timeout=self._database.pool_timeout)
        except PoolTimeout as error:
            await pool.close()
            raise StorageUnavailable("PostgreSQL took one connection and no second one") from error
        self._pool, self._ids = pool, timed_ids(start, self._clock)
        self._desk = Desk(pool, self._database.pool_size, self._database.pool_timeout)
        log.info("opened PostgreSQL, start number %d", start)
        await self._notes.complete()

    async def _begin(self, given: dict[str, Any]) -> int:
        try:
            async with await Connection.connect(**given) as connection:
                await set_up(connection, self._database)
                await check_schema(connection)
                ((start,),) = await (await connection.execute(sql.RAISE_EPOCH)).fetchall()
                return int(start)
        except psycopg.Error as error:
            raise opening_error(error, given) from error

    async def close(self) -> None:
        pool, desk = self._pool, self._desk
        self._pool = self._desk = self._ids = None
        await asyncio.gather(*self._begun, return_exceptions=True)
        if pool is not None and desk is not None:
            await desk.return_all()
            await pool.close()

    def next_id(self) -> int:
        if self._ids is None:
            raise StorageUnavailable("the storage is not open")
        return next(self._ids)

    async def apply(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        write = partial(write_all, writes=writes_of(changes))
        erased = [Erasure(sub, one.now) for one in changes if isinstance(one, ErasePlayer) for sub in one.subs]
        await self._to_the_end(self._noted(self._insist(write, self._writes), erased))

    async def _noted(self, writing: Awaitable[None], erased: Sequence[Erasure]) -> None:
        await writing
        if erased:
            await self._notes.add(erased)

    async def reserve(self, reservation: Reservation, *, take_over: bool) -> Reservation:
        values = {**reservation_values(reservation), "take_over": int(take_over)}
        row = await self._to_the_end(self._insist(partial(_reserve, values=values), self._writes))
        return reservation if row is None else reservation_of(row)

    async def load_resurrected(self) -> tuple[Player, ...]:
        known = await self._notes.known()
        return await self._follow(lambda: read_subjects(known))

    async def sweep(self, now: int, limit: int, retention: Retention = KEPT) -> Swept:
        if limit < 1:
            raise ValueError("a sweep's limit is at least 1")
        times = checked(**sweep_times(now), **retention_times(now, retention))
        removed = await self._write_along(lambda: sweep_expired(times, limit))
        if removed == limit:
            return Swept(removed, more=True)
        await self._notes.complete()
        await self._notes.prune(now - retention.erasures)
        values = checked(limit=limit - removed, after=self._swept_up_to, **sweep_times(now))
        return await self._sweep_grants(values, removed)

    async def _sweep_grants(self, values: Values, removed: int) -> Swept:
        ((last, seen, expired, wipeable),) = await self._read(sql.SELECT_GRANT_WINDOW, values)
        if expired or wipeable:
            removed += await self._write_along(lambda: sweep_grants({**values, "upto": last}))
        more = seen == values["limit"]
        self._swept_up_to = last if more else 0
        return Swept(removed, more)

    async def exchange_counts(self, counts: Mapping[bytes, int], now: int) -> Mapping[bytes, SharedCount]:
        if not counts:
            return {}
        adding = partial(add_counts, counts=counts, window=window_values(now))
        return shared_counts_of(await self._to_the_end(self._insist(adding, self._writes)))

    async def cut(self, projects: Collection[str], now: int, *, preview: bool = False) -> Cut:
        async def write(connection: Connection) -> Cut:
            return await write_at_once(connection, cut(projects, now), preview=preview)

        return await self._to_the_end(self._insist(write, self._writes))

    async def load_time(self) -> int:
        ((now,),) = await self._read("SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)", {})
        return int(now)

    async def ping(self) -> None:
        # A standby refuses it.
        await self._to_the_end(self._insist(_begin_to_write, self._writes))

    def vitals(self) -> StorageVitals:
        return StorageVitals(
            "postgresql",
            REVISIONS[-1],
            versions={"libpq": _libpq_version()},
            traffic={"read": self._reads, "write": self._writes},
            pool=self._pool_vitals(),
        )

    def _pool_vitals(self) -> PoolVitals | None:
        if self._pool is None or self._desk is None:
            return None
        stats = self._pool.get_stats()
        unused = stats["pool_available"] + self._desk.at_hand
        # Of the reads that wait, one asks for all.
        waiting = self._desk.waiting + max(0, self._shared.queued - 1)
        return PoolVitals(stats["pool_size"], stats["pool_max"], stats["pool_size"] - unused, waiting)

    async def _read(self, statement: str, values: Values) -> Sequence[Row]:
        if statement in _LONG:
            rows = partial(_rows, query=(statement, values))
            return await self._to_the_end(self._insist(rows, self._reads))
        return await self._shared.read((statement, values))

    async def _follow(self, begin: Callable[[], Reading[T]]) -> T:
        return await self._to_the_end(self._insist(partial(_follow, begin=begin), self._reads))

    async def _follow_at_one_moment(self, begin: Callable[[], Reading[T]]) -> T:
        return await self._to_the_end(self._insist(partial(_follow_at_one_moment, begin=begin), self._reads))

    async def _write_along(self, writing: Callable[[], Any]) -> int:
        async def write(connection: Connection) -> int:
            return await write_along(connection, writing())

        return await self._to_the_end(self._insist(write, self._writes))

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in a task of its own: a caller that goes away must not leave a transaction half done."""
        return await asyncio.shield(self._begin_task(work))

    def _begin_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return task

    async def _insist(self, work: Callable[[Connection], Awaitable[T]], traffic: Traffic) -> T:
        """Do it and count it."""
        began = time.perf_counter()
        try:
            result = await self._attempts(work, traffic)
        except Conflict:
            traffic.note(time.perf_counter() - began, conflicts=1)
            raise
        except StorageError:
            traffic.note_failure(time.perf_counter() - began)
            raise
        traffic.note(time.perf_counter() - began)
        return result

    async def _attempts(self, work: Callable[[Connection], Awaitable[T]], traffic: Traffic) -> T:
        """Do it; again, whole, when another transaction was in its way or the server had closed the connection."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._on_connection(work)
            except LostEarly:
                traffic.repeated += 1
                await self._drop_lost()
            except RETRIED:
                traffic.repeated += 1
                await asyncio.sleep(PAUSE * 2**attempt * random.random())  # noqa: S311 - spreads the attempts
        return await self._last_time(work)

    async def _drop_lost(self) -> None:
        """Where one connection was closed from afar, others were too: after a restart of the server all of them."""
        if self._pool is not None and not self._checking.locked():
            async with self._checking:
                await self._opened_desk().return_all()
                await self._pool.check()

    async def _last_time(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await self._on_connection(work)
        except RETRIED as error:
            raise StorageUnavailable(
                f"PostgreSQL did not do it in several attempts ({type(error).__name__})"
            ) from error

    async def _on_connection(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        desk = self._opened_desk()
        connection = await desk.take()
        try:
            return await work(connection)
        except RETRIED:
            raise
        except psycopg.Error as error:
            raise failure_of(error) from error
        finally:
            await desk.give_back(connection)

    def _opened_desk(self) -> Desk:
        if self._desk is None:
            raise StorageUnavailable("the storage is not open")
        return self._desk


def _libpq_version() -> str:
    major, minor = divmod(psycopg.pq.version(), 10_000)
    return f"{major}.{minor}"


async def _rows(connection: Connection, query: Query) -> Sequence[Row]:
    with before_commit(connection):
        (answer,) = await ask(connection, query)
    return answer.rows


async def _reserve(connection: Connection, values: Values) -> Row | None:
    """None once the reservation is in, else the row that keeps it out."""
    while True:
        (reserved,) = await ask(connection, (sql.RESERVE, values))
        if reserved.touched == 1:
            return None
        rows = await _rows(connection, (sql.SELECT_RESERVATION, values))
        if rows:  # else it was released in between
            return rows[0]


async def _begin_to_write(connection: Connection) -> None:
    with before_commit(connection):
        await ask(connection, ("BEGIN READ WRITE", {}), ("COMMIT", {}))


async def _follow(connection: Connection, begin: Callable[[], Reading[T]]) -> T:
    reading = begin()
    try:
        queries = next(reading)
        while True:
            queries = reading.send(await _answers(connection, queries))
    except StopIteration as end:
        result: T = end.value
        return result


async def _answers(connection: Connection, queries: Sequence[Query]) -> list[Sequence[Row]]:
    with before_commit(connection):
        return [answer.rows for answer in await ask(connection, *queries)]


async def _follow_at_one_moment(connection: Connection, begin: Callable[[], Reading[T]]) -> T:
    with before_commit(connection):
        await ask(connection, ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {}))
    try:
        return await _follow(connection, begin)
    finally:
        if not connection.broken:
            await ask(connection, ("ROLLBACK", {}))
