"""SQLite files as the two sides of copying. Owns the lock, the snapshot and what an operator is told of an error."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from authsrv.storage.base import SchemaMismatch, StorageError
from authsrv.storage.files import exists, refuse_network, tighten
from authsrv.storage.lock import ProcessLock
from authsrv.storage.moving.copying import Statements, start_number
from authsrv.storage.moving.tables import Table
from authsrv.storage.rows.base import Row, Values
from authsrv.storage.sqlite.connection import (
    READER,
    WRITER,
    Pragmas,
    error_code,
    opening_error,
    read_revision,
    running_error,
    settle,
)


@contextmanager
def sqlite_source(path: Path, *, may_be_served: bool = False) -> "Iterator[SqliteSide]":
    """A file as it is now. Raises `StorageError` while a server uses it, unless it may."""
    with ExitStack() as stack:
        if not may_be_served:
            stack.enter_context(_claim(path))
        driver = stack.enter_context(_connected(path, READER))
        side = SqliteSide(driver, path)
        side.execute_alone("BEGIN")
        # The moment that is read is that of the first look.
        side.revision()
        yield side


@contextmanager
def sqlite_target(path: Path) -> "Iterator[SqliteSide]":
    """A file that is written here alone. Raises `StorageError` while a server uses it."""
    with _claim(path), _connected(path, WRITER) as driver:
        yield SqliteSide(driver, path)


class SqliteSide:
    """One file, as a `Source` and as a `Target`."""

    def __init__(self, driver: sqlite3.Connection, path: Path) -> None:
        self._driver = driver
        self._path = path

    @property
    def name(self) -> str:
        return str(self._path)

    def revision(self) -> str | None:
        with self._telling():
            return read_revision(self._driver)

    def fetch(self, statement: str, values: Values) -> list[Row]:
        with self._telling():
            return self._driver.execute(statement, values).fetchall()

    def highest_start(self) -> int:
        return start_number(self)

    def refuse_ids(self, highest: int) -> None:
        """All ids here begin with the start number."""

    def refuse_changes(self) -> None:
        """Nobody writes: the lock is held, or a snapshot is what was asked for."""

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        places = ", ".join("?" * len(table.columns))
        statement = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"  # noqa: S608 - names from the list
        with self._telling(), self._transaction():
            self._driver.executemany(statement, rows)

    def execute(self, statements: Statements) -> None:
        with self._telling(), self._transaction():
            for statement, values in statements:
                self._driver.execute(statement, values)

    def execute_alone(self, statement: str) -> None:
        """Run a statement outside of any transaction of ours."""
        with self._telling():
            self._driver.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._driver.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._driver.execute("COMMIT")
        finally:
            # SQLite itself rolls back when the disk is full.
            if self._driver.in_transaction:
                self._driver.execute("ROLLBACK")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise StorageError(
                f"{self._path} does not take a row ({name}); somebody else wrote to it, or the source is damaged: "
                "begin again with an empty database"
            ) from error
        except sqlite3.Error as error:
            if error_code(error) == sqlite3.SQLITE_FULL:
                raise StorageError(
                    f"the disk of {self._path} is full; make room and give the same command again: it goes on where "
                    "it stopped"
                ) from error
            raise running_error(error) from error


@contextmanager
def _claim(path: Path) -> Iterator[None]:
    if not exists(path):
        raise SchemaMismatch(f"there is no database at {path}; `authsrv migrate` makes the one its configuration names")
    refuse_network(path)
    tighten(path)
    with ProcessLock(path):
        yield


@contextmanager
def _connected(path: Path, pragmas: Pragmas) -> Iterator[sqlite3.Connection]:
    try:
        opened = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise opening_error(error, path) from error
    with closing(opened) as driver:
        try:
            settle(driver, pragmas)
        except sqlite3.Error as error:
            raise opening_error(error, path) from error
        yield driver
