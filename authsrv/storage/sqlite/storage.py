"""Storage in one SQLite file: one reader, one writer, one process.

Owns which of the two connections does what for each call of the contract. What it does there stands in
`units.py`, the SQL in `statements/`, transactions in `groups.py`.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from authsrv.account_models import (
    Erasure,
)
from authsrv.models import (
    Player,
    Reservation,
    Retention,
    SharedCount,
)
from authsrv.storage.base import KEPT, Cut, SchemaMismatch, StorageError, StorageUnavailable, Swept
from authsrv.storage.changes import Change
from authsrv.storage.cutting import cut
from authsrv.storage.dialogues import Reading, sweep_expired, sweep_grants
from authsrv.storage.files import exists, path_of, refuse_network, size_of, tighten
from authsrv.storage.loads import SqlLoads
from authsrv.storage.lock import ProcessLock
from authsrv.storage.privacy_changes import ErasePlayer
from authsrv.storage.rows.base import (
    Row,
    Values,
    checked,
    reservation_of,
    reservation_values,
    row_ids,
)
from authsrv.storage.rows.rates import shared_counts_of, window_values
from authsrv.storage.schema import MIGRATE, REVISIONS
from authsrv.storage.sqlite.connection import (
    READER,
    WRITER,
    Connection,
    Unit,
    connect,
    opening_error,
)
from authsrv.storage.sqlite.erasures import SqliteErasures
from authsrv.storage.sqlite.groups import read_group, write_group
from authsrv.storage.sqlite.lane import Lane
from authsrv.storage.sqlite.start import StartMark
from authsrv.storage.sqlite.units import (
    add_counts,
    check_schema,
    fetch,
    follow,
    follow_at_one_moment,
    nothing,
    preview_along,
    raise_epoch,
    reserve,
    write_all,
    write_along,
)
from authsrv.storage.statements import base as sql
from authsrv.storage.steps.base import sweep_times, writes_of
from authsrv.storage.steps.privacy import retention_times
from authsrv.storage.vitals import StorageVitals

T = TypeVar("T")

_HOUR = 3600

log = logging.getLogger("authsrv.storage")


class SqliteStorage(SqlLoads):
    """The `Storage` of a single node. `path` is the database file; `authsrv migrate` makes it."""

    shared = False

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._opened = AsyncExitStack()
        self._reader: Lane | None = None
        self._writer: Lane | None = None
        self._ids: Iterator[int] | None = None
        self._erasures: SqliteErasures | None = None
        self._following: set[asyncio.Task[None]] = set()
        self._swept_up_to = 0
        self._start = StartMark(self._path)
        self._marks_from = 0

    @classmethod
    def from_url(cls, url: str) -> "SqliteStorage":
        """The storage behind `sqlite:///path`. Raises `StorageError` for another form."""
        return cls(path_of(url))

    async def open(self) -> None:
        if self._writer is not None:
            raise StorageError("the storage is open already")
        async with AsyncExitStack() as stack:
            stack.enter_context(self._claim())
            # Left in reverse: readers end before the writer, which checkpoints and closes last.
            writer = Lane(partial(connect, self._path, WRITER), write_group)
            for leave in (writer.close, writer.checkpoint, writer.drain):
                stack.push_async_callback(leave)
            epoch = await self._begin(await writer.open())
            await asyncio.to_thread(self._start.note, epoch)
            reader = Lane(partial(connect, self._path, READER), read_group)
            for leave in (reader.close, reader.drain):
                stack.push_async_callback(leave)
            await reader.open()
            erasures = SqliteErasures(self._path, writer, reader)
            await erasures.begin()
            for leave in (erasures.end, self._follow_up):
                stack.push_async_callback(leave)
            self._opened = stack.pop_all()
        self._ids, self._erasures = row_ids(epoch), erasures
        self._writer, self._reader = writer, reader
        log.info("opened %s with SQLite %s, start number %d", self._path, sqlite3.sqlite_version, epoch)

    def _claim(self) -> ProcessLock:
        if not exists(self._path):
            remedy = f"{MIGRATE} to make it, or run this in the server's working directory"
            raise SchemaMismatch(f"there is no database at {self._path}; {remedy}")
        refuse_network(self._path)
        tighten(self._path)
        return ProcessLock(self._path)

    async def _begin(self, connection: Connection) -> int:
        try:
            number = await connection.run(check_schema)
            self._start.refuse_older(number)
            return await connection.run(raise_epoch)
        except sqlite3.Error as error:
            raise opening_error(error, self._path) from error

    async def close(self) -> None:
        self._writer = self._reader = self._ids = self._erasures = None
        # A second signal must not cut off the final commit: what was begun ends by itself.
        await asyncio.shield(self._opened.pop_all().aclose())

    def next_id(self) -> int:
        if self._ids is None:
            raise StorageUnavailable("the storage is not open")
        return next(self._ids)

    async def apply(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        writing, unit = self._writing(), partial(write_all, writes=writes_of(changes))
        erased = [Erasure(sub, one.now) for one in changes if isinstance(one, ErasePlayer) for sub in one.subs]
        if not erased:
            await writing.run(unit)
            return
        # The ledger must hear of what was committed, also when the caller is gone by then.
        following = asyncio.create_task(self._erase(writing, unit, erased))
        self._following.add(following)
        following.add_done_callback(self._following.discard)
        await asyncio.shield(following)

    async def _erase(self, writing: Lane, unit: Unit, erased: Sequence[Erasure]) -> None:
        erasures = self._following_erasures()
        await writing.run(unit)
        await erasures.follow(erased)

    async def _follow_up(self) -> None:
        """Let the erasures that are under way end."""
        await asyncio.gather(*self._following, return_exceptions=True)

    async def reserve(self, reservation: Reservation, *, take_over: bool) -> Reservation:
        values = {**reservation_values(reservation), "take_over": int(take_over)}
        row = await self._writing().run(partial(reserve, values=values))
        return reservation if row is None else reservation_of(row)

    async def load_resurrected(self) -> tuple[Player, ...]:
        return await self._following_erasures().resurrected()

    async def sweep(self, now: int, limit: int, retention: Retention = KEPT) -> Swept:
        if limit < 1:
            raise ValueError("a sweep's limit is at least 1")
        times = checked(**sweep_times(now), **retention_times(now, retention))
        removed = await self._writing().run(partial(write_along, writing=sweep_expired(times, limit)))
        if removed == limit:
            return Swept(removed, more=True)
        await self._following_erasures().settle(now, now - retention.erasures)
        await self._mark_hour(now)
        values = checked(limit=limit - removed, after=self._swept_up_to, **sweep_times(now))
        return await self._sweep_grants(values, removed)

    async def _mark_hour(self, now: int) -> None:
        """Raise the start number, so that a copy of this hour's database is noticed in the next one's place."""
        if now >= self._marks_from > 0:
            number = await self._writing().run(raise_epoch)
            await asyncio.to_thread(self._start.note, number)
        if now >= self._marks_from:
            self._marks_from = now + _HOUR

    async def _sweep_grants(self, values: Values, removed: int) -> Swept:
        ((last, seen, expired, wipeable),) = await self._read(sql.SELECT_GRANT_WINDOW, values)
        if expired or wipeable:
            removed += await self._writing().run(partial(write_along, writing=sweep_grants({**values, "upto": last})))
        more = seen == values["limit"]
        self._swept_up_to = last if more else 0
        return Swept(removed, more)

    async def load_time(self) -> int:
        return int(time.time())

    async def exchange_counts(self, counts: Mapping[bytes, int], now: int) -> Mapping[bytes, SharedCount]:
        adding = partial(add_counts, counts=counts, window=window_values(now))
        return shared_counts_of(await self._writing().run(adding))

    async def cut(self, projects: Collection[str], now: int, *, preview: bool = False) -> Cut:
        unit = preview_along if preview else write_along
        return await self._writing().run(partial(unit, writing=cut(projects, now)))

    async def ping(self) -> None:
        await self._writing().run(nothing)

    def vitals(self) -> StorageVitals:
        ways = {"read": self._reader, "write": self._writer}
        lanes = {name: lane for name, lane in ways.items() if lane is not None}
        return StorageVitals(
            "sqlite",
            REVISIONS[-1],
            versions={"sqlite": sqlite3.sqlite_version},
            traffic={name: lane.traffic for name, lane in lanes.items()},
            queued={name: lane.queued for name, lane in lanes.items()},
            wal_bytes=size_of(self._path.with_name(f"{self._path.name}-wal")),
        )

    def _writing(self) -> Lane:
        if self._writer is None:
            raise StorageUnavailable("the storage is not open")
        return self._writer

    def _following_erasures(self) -> SqliteErasures:
        if self._erasures is None:
            raise StorageUnavailable("the storage is not open")
        return self._erasures

    def _reading(self) -> Lane:
        if self._reader is None:
            raise StorageUnavailable("the storage is not open")
        return self._reader

    async def _read(self, statement: str, values: Values) -> Sequence[Row]:
        return await self._reading().run(partial(fetch, statement=statement, values=values))

    async def _follow(self, begin: Callable[[], Reading[T]]) -> T:
        return await self._reading().run(partial(follow, reading=begin()))

    async def _follow_at_one_moment(self, begin: Callable[[], Reading[T]]) -> T:
        return await self._reading().run(partial(follow_at_one_moment, reading=begin()))
