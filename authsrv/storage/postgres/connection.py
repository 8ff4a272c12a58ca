"""PostgreSQL connections as authsrv uses them: how one is made and set up, and errors that say what to do.

Owns everything about one connection and what an error of the driver means. Knows neither tables nor changes.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor, errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq.abc import PGconn
from psycopg.rows import tuple_row
from psycopg.types.numeric import Int8BinaryDumper

from authsrv.database_url import Database
from authsrv.storage.base import SchemaMismatch, StorageError, StorageUnavailable
from authsrv.storage.postgres.statements import Statements
from authsrv.storage.rows.base import Row
from authsrv.storage.schema import REVISIONS, check_served
from authsrv.storage.statements.base import SELECT_SCHEMA_REVISION
from authsrv.storage.statements.nodes import SELECT_OLDEST_CODE

CONNECT_SECONDS: Final = 3
"""How long making a connection may take."""


class Connection(AsyncConnection[Row]):
    """A connection and the statements that it knows."""

    def __init__(self, pgconn: PGconn, row_factory: Any = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self.adapters.register_dumper(int, Int8BinaryDumper)
        self.statements = Statements(self)


class LostEarly(psycopg.OperationalError):
    """The connection broke before anything could have been committed on it."""


RETRIED: Final = (errors.SerializationFailure, errors.DeadlockDetected, LostEarly)
"""Two transactions met, or the server was restarted since: what was to be done is done again, whole."""
_REMEDIES: Final = {
    "certificate verify failed": "sslrootcert must be the certificate of who signed the server's",
    "does not match host name": "the URL must name the server as its certificate does",
    "server does not support SSL": "switch TLS on there",
    "no encryption": "add sslmode=verify-full to the URL",
    "password authentication failed": "database.password is not the one of this user",
    "no password supplied": "set database.password",
    "does not exist": "make it, with its roles, as docs/postgresql.md says",
    "too many clients": "allow more max_connections there, or lower database.pool_size",
    "connection slots are reserved": "allow more max_connections there, or lower database.pool_size",
}
"""What to do about words of libpq and of the server, which say what is wrong."""
log = logging.getLogger("authsrv.storage")

_BROKEN_RULES: Final = (psycopg.IntegrityError, psycopg.DataError)


def conninfo(database: Database) -> dict[str, Any]:
    """Where the database is and who asks, as libpq names it. Raises `StorageError` for a URL that it does not take."""
    try:
        return conninfo_to_dict(database.url, password=database.password or None)
    except psycopg.ProgrammingError as error:
        raise StorageError(f"the database url cannot be read: {_told(error)}") from None


def arguments(database: Database) -> dict[str, Any]:
    """What every connection of a node is made with."""
    return {
        "application_name": "authsrv",
        "connect_timeout": CONNECT_SECONDS,
        **conninfo(database),
        "autocommit": True,
        "cursor_factory": AsyncRawCursor,
        # `Statements` prepares them. The driver would drop them with its own after each ROLLBACK.
        "prepare_threshold": None,
    }


@contextmanager
def before_commit(connection: Connection) -> Iterator[None]:
    """Within it nothing is committed: a connection that breaks raises `LostEarly`."""
    try:
        yield
    except psycopg.OperationalError as error:
        if connection.broken or connection.closed:
            raise LostEarly(str(error)) from error
        raise


async def set_up(connection: Connection, database: Database) -> None:
    """Time limits, durability and types of a connection that was just made."""
    connection.statements.are_kept = database.prepared_statements
    settings = {
        "statement_timeout": f"{database.statement_timeout * 1000:.0f}",
        "lock_timeout": f"{database.lock_timeout * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{database.idle_timeout * 1000:.0f}",
        "default_transaction_isolation": "read committed",
    }
    async with connection.pipeline():
        for name, value in settings.items():
            await connection.execute("SELECT set_config($1, $2, false)", [name, value])
        # A server that answers before the commit is on disk loses what was acknowledged; stricter settings stay.
        await connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )


async def check_schema(connection: Connection) -> None:
    """Raise `SchemaMismatch` unless the schema is one that this code serves."""
    revision = await _value(connection, SELECT_SCHEMA_REVISION)
    check_served(revision, None if revision in REVISIONS else await _value(connection, SELECT_OLDEST_CODE))


async def _value(connection: Connection, statement: str) -> Any:
    """The only column of the only row; None if there is none, or no such table."""
    try:
        row = await (await connection.execute(statement)).fetchone()
    except errors.UndefinedTable:
        return None
    return row[0] if row else None


def opening_error(error: psycopg.Error, given: dict[str, Any]) -> StorageError:
    """What an operator can do about a database that cannot be opened."""
    place = f"PostgreSQL at {given.get('host') or 'the local socket'}, database {given.get('dbname') or 'unnamed'}"
    if isinstance(error, errors.InsufficientPrivilege):
        return SchemaMismatch(f"{place}: the user may not use the tables ({_told(error)}); grant it what serving needs")
    told = _told(error)
    remedy = next((f"; {what}" for sign, what in _REMEDIES.items() if sign in told), "")
    return StorageUnavailable(f"{place} cannot be used: {told}{remedy}")


def failure_of(error: psycopg.Error) -> StorageError:
    """What an error in the middle of serving means to the caller; the log has it."""
    failure = running_error(error)
    log.error("a transaction failed: %s", failure)
    return failure


def running_error(error: Exception) -> StorageError:
    """What an error in the middle of serving means: a wrong value, or a database that cannot."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, _BROKEN_RULES):
        rule = error.diag.constraint_name or type(error).__name__
        return StorageError(f"a rule of the schema is broken ({rule})")
    return StorageUnavailable(f"PostgreSQL did not do it ({type(error).__name__})")


def _told(error: psycopg.Error) -> str:
    """The server's or libpq's own words, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
