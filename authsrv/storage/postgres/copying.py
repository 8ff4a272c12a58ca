"""A database of PostgreSQL as the two sides of copying.

Owns the snapshot that is read, who else may use the database, and what an operator is told of an error: never what
stands in a row.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import RawCursor, errors
from psycopg.types.numeric import Int8BinaryDumper

from authsrv.database_url import Database, names_postgres
from authsrv.storage.base import StorageError, StorageUnavailable
from authsrv.storage.moving.copying import HEAD, Statements, start_number
from authsrv.storage.moving.tables import Table
from authsrv.storage.node_changes import TOKEN_LIVES
from authsrv.storage.postgres.compiled import compiled
from authsrv.storage.postgres.connection import CONNECT_SECONDS, conninfo, opening_error
from authsrv.storage.rows.base import EPOCH_BITS, Row, Values, timed_ids
from authsrv.storage.statements.base import SELECT_SCHEMA_REVISION

Connection = psycopg.Connection[Row]

_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# What nodes remember of tokens outlives them.
_LIVE_LEASES: Final = """
    SELECT name FROM leases WHERE expires_at > :now AND name NOT LIKE :memories ORDER BY name"""
_PATIENT: Final = ("statement_timeout", "idle_in_transaction_session_timeout")
"""What must not end a transaction here: a table may be long, and the other side slow."""
_NEXT: Final = "give the same command again: it goes on where it stopped"
_WAITED: Final = 10
"""Seconds by which ids may be ahead of the clock for a copy to wait instead of being refused."""
_REMEDIES: Final = (
    ("password", "give the right one in the environment (PGPASSWORD) or in a file (--from-password-file, --to-...)"),
)
"""What helps, by what libpq's text holds."""


@contextmanager
def postgres_source(database: Database, *, may_be_served: bool = False) -> "Iterator[PostgresSide]":
    """A database as it is now. Raises `StorageError` while nodes use it, unless they may."""
    with _connected(database) as side:
        if not may_be_served:
            side.refuse_nodes()
        side.begin_snapshot(may_be_served=may_be_served)
        yield side


@contextmanager
def postgres_target(database: Database) -> "Iterator[PostgresSide]":
    """A database that is written here. Raises `StorageError` while nodes use it."""
    with _connected(database) as side:
        side.refuse_nodes()
        yield side


class PostgresSide:
    """One database, as a `Source` and as a `Target`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._name = _name(connection)
        self._start: int | None = None

    @property
    def name(self) -> str:
        return self._name

    def revision(self) -> str | None:
        try:
            # A savepoint inside of the snapshot, which the error would end.
            with self._connection.transaction():
                row = self._connection.execute(SELECT_SCHEMA_REVISION).fetchone()
        except errors.UndefinedTable:
            return None
        except psycopg.Error as error:
            raise self._told(error) from error
        return None if row is None else str(row[0])

    def fetch(self, statement: str, values: Values) -> list[Row]:
        with self._telling():
            return self._execute(statement, values).fetchall()

    def highest_start(self) -> int:
        return next(timed_ids(0, time.time)) >> EPOCH_BITS

    def refuse_ids(self, highest: int) -> None:
        """Ids here tell the time. Those that other databases counted may be ahead of it for some minutes."""
        seconds = (highest - next(timed_ids(0, time.time))) >> 32
        if 0 <= seconds < _WAITED:
            time.sleep(seconds + 1)
        elif seconds >= 0:
            raise StorageError(
                f"ids that the source gave are {seconds + 1} seconds ahead of those that {self._name} gives by the "
                "clock, as they are soon after a move in the other direction; give the same command again after that"
            )

    def refuse_changes(self) -> None:
        """Look at the database as it is now, and no more at the snapshot."""
        if self._start is None:
            return
        with self._telling():
            self._connection.rollback()
        self.refuse_nodes()
        if start_number(self) != self._start:
            raise StorageError(
                f"a node was started on {self._name} meanwhile, what it wrote is not in the copy; stop all nodes and "
                "begin again with an empty database"
            )

    def refuse_nodes(self) -> None:
        """Raise `StorageError` while a node serves the database: one of them always holds a lease."""
        if self.revision() != HEAD:  # it has other tables, and is refused for that
            return
        held = [name for (name,) in self.fetch(_LIVE_LEASES, {"now": int(time.time()), "memories": f"{TOKEN_LIVES}/%"})]
        if held:
            raise StorageError(
                f"{self._name} is served, a node holds the lease {held[0]!r}; stop all nodes and give the command "
                "again half a minute later"
            )

    def begin_snapshot(self, *, may_be_served: bool) -> None:
        """Read everything as it is now, until `refuse_changes`."""
        with self._telling():
            self._connection.execute(_SNAPSHOT)
            self._be_patient()
        if not may_be_served and self.revision() is not None:
            self._start = start_number(self)

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        statement = f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN"
        with self._telling(), self._transaction(), self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def execute(self, statements: Statements) -> None:
        with self._telling(), self._transaction():
            for statement, values in statements:
                self._execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._connection.transaction():
            self._be_patient()
            # A server that answers before the commit is on disk could lose what is taken for copied.
            self._connection.execute("SELECT set_config('synchronous_commit', 'on', true)")
            yield

    def _be_patient(self) -> None:
        for name in _PATIENT:
            self._connection.execute("SELECT set_config($1, '0', true)", [name])

    def _execute(self, statement: str, values: Values) -> psycopg.Cursor[Row]:
        text = compiled(statement)
        return self._connection.execute(text.text, text.bound(values), binary=True)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._told(error) from error

    def _told(self, error: psycopg.Error) -> StorageError:
        what = error.diag.constraint_name or type(error).__name__
        match error:
            case errors.DiskFull():
                return StorageError(f"the disk of {self._name} is full; make room and {_NEXT}")
            case psycopg.IntegrityError() | psycopg.DataError():
                return StorageError(
                    f"{self._name} does not take a row ({what}); somebody else wrote to it, or the source is damaged: "
                    "begin again with an empty database"
                )
            case errors.InsufficientPrivilege():
                return StorageError(
                    f"the user of {self._name} may not do it; name the one that `authsrv migrate` runs as, and {_NEXT}"
                )
            case psycopg.OperationalError():
                return StorageUnavailable(f"the connection to {self._name} was lost, or it stopped ({what}); {_NEXT}")
        return StorageError(f"{self._name} did not do it ({what})")


@contextmanager
def _connected(database: Database) -> Iterator[PostgresSide]:
    if not names_postgres(database.url):
        raise StorageError("write the database's url as postgresql://user@host:5432/name, without the password")
    given: dict[str, Any] = {"application_name": "authsrv", "connect_timeout": CONNECT_SECONDS, **conninfo(database)}
    try:
        # A pooler may give each transaction another connection of its own, which knows no statements of ours.
        connection = psycopg.Connection[Row].connect(
            **given, autocommit=True, cursor_factory=RawCursor, prepare_threshold=None
        )
    except psycopg.Error as error:
        raise _not_opened(error, given) from None
    with connection:
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        yield PostgresSide(connection)


def _not_opened(error: psycopg.Error, given: dict[str, Any]) -> StorageError:
    told = opening_error(error, given)
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in str(told)), "")
    return type(told)(f"{told}; {remedy}") if remedy else told


def _name(connection: Connection) -> str:
    info = connection.info
    return f"database {info.dbname} of {info.host or 'the local socket'}:{info.port}"
