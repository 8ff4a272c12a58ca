"""SQLite connections as authsrv uses them: pragmas that are set and read back, errors that say what to do.

Owns everything about one connection. Knows neither tables nor changes.

SQLite below 3.51.3 can corrupt a file when two connections write or checkpoint its write-ahead log at the same moment.
Hence one writer, which alone checkpoints: readers are `query_only`, never checkpoint on their own, and close first
(the last connection to close checkpoints).
"""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from authsrv.storage.base import StorageError, StorageUnavailable
from authsrv.storage.statements import base as sql

T = TypeVar("T")
Unit = Callable[[sqlite3.Connection], Any]
"""A piece of work for the connection's thread: it runs statements and returns a result or raises."""
Pragmas = tuple[tuple[str, str, str | int], ...]

COMMON: Pragmas = (
    ("busy_timeout", "2000", 2000),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("secure_delete", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("mmap_size", "0", 0),
    ("temp_store", "MEMORY", 2),
)
# Everybody who writes waits for a checkpoint, and rows of many players lie in as many pages that the disk must take one
# by one: fewer at a time than SQLite's own 1000 keep p99 low, most of all while expired rows are swept.
WRITER: Pragmas = (*COMMON, ("wal_autocheckpoint", "200", 200), ("journal_size_limit", "67108864", 67108864))
READER: Pragmas = (*COMMON, ("wal_autocheckpoint", "0", 0), ("query_only", "ON", 1))

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
INACCESSIBLE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})


class Busy(StorageUnavailable):
    """The write lock did not come free within the busy timeout."""


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that can run a whole function in its thread: one hop for many statements."""

    _stopped: "asyncio.Future[Any] | None" = None

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Call the function with the driver's connection in the connection's own thread."""
        return await self.begin(function)

    def begin(self, function: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """The same without waiting: a future of what the function returns or raises, by aiosqlite's private queue.

        Raises ValueError for a connection that is closed.
        """
        if not self._running:
            raise ValueError("the connection is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, partial(function, self._conn)))
        return future

    def stop(self) -> "asyncio.Future[Any] | None":
        """End the thread, as aiosqlite does it, and remember how to wait for it."""
        self._stopped = super().stop()
        return self._stopped

    async def close(self) -> None:
        """Close, and wait for the thread also when connecting failed, which aiosqlite leaves to chance."""
        await super().close()
        if self._stopped is not None:
            await self._stopped


async def connect(path: Path, pragmas: Pragmas) -> Connection:
    """Open a database that exists and settle its pragmas. Raises `StorageError` with what to do."""

    def connector() -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None)

    connection = Connection(connector, iter_chunk_size=64)
    try:
        await connection
        await connection.run(lambda driver: settle(driver, pragmas))
    except sqlite3.Error as error:
        await connection.close()
        raise opening_error(error, path) from error
    except BaseException:
        await connection.close()
        raise
    return connection


def settle(driver: sqlite3.Connection, pragmas: Pragmas) -> None:
    """Set the pragmas and read them back. Raises `StorageError` for a build of SQLite that does not keep one."""
    for name, value, expected in pragmas:
        driver.execute(f"PRAGMA {name} = {value}").fetchall()
        found = driver.execute(f"PRAGMA {name}").fetchone()
        if found != (expected,):
            raise StorageError(
                f"this SQLite ({sqlite3.sqlite_version}) does not keep PRAGMA {name} = {value}; use a stock build of it"
            )


def read_revision(driver: sqlite3.Connection) -> str | None:
    """The schema's revision as the migrations noted it; None without a schema."""
    known = driver.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
    row = driver.execute(sql.SELECT_SCHEMA_REVISION).fetchone() if known else None
    return None if row is None else str(row[0])


def error_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for an error of the Python module itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def running_error(error: sqlite3.Error) -> StorageError:
    """What a caller sees of a driver's error while serving."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if error_code(error) in DAMAGED:
        return StorageError(f"the database file is damaged ({name}); stop authsrv and restore a backup")
    return StorageUnavailable(f"the database did not do it ({name})")


def opening_error(error: sqlite3.Error, path: Path) -> StorageError:
    """What an operator sees when the database cannot be opened."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if error_code(error) in DAMAGED:
        return StorageError(
            f"{path} is damaged or no SQLite database ({name}); restore a backup, or move it away and run "
            "`authsrv migrate` to begin with an empty one"
        )
    if error_code(error) in INACCESSIBLE:
        return StorageError(
            f"{path} cannot be opened for writing ({name}); let the user that runs authsrv own the file and its "
            "directory, and check that the disk is not mounted read-only"
        )
    return StorageUnavailable(
        f"{path} cannot be opened now ({name}); see what else uses it and whether the disk is full"
    )
