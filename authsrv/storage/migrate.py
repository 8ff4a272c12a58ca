"""Brings a database to the schema this code needs. Runs in a process of its own, before serving.

Owns what is special about a file: its lock, and the copy that is taken first.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import sqlalchemy
from alembic import command

from authsrv.database_url import names_postgres
from authsrv.storage.base import StorageError
from authsrv.storage.files import create, path_of, refuse_network, tighten
from authsrv.storage.lock import ProcessLock
from authsrv.storage.migrations import HEAD, configuration
from authsrv.storage.postgres.migrate import migrate_postgres
from authsrv.storage.schema import check_known
from authsrv.storage.sqlite.backup import back_up
from authsrv.storage.sqlite.connection import opening_error, read_revision


def migrate(url: str, password: str = "") -> None:
    """Create the database file if it is missing and run the migrations it lacks; harmless when there are none.

    An existing file is copied to `<file>.before-<revision>.bak` (0600) first. A database of PostgreSQL must exist, and
    its operator backs it up. Raises `StorageError` (`SchemaMismatch` for a newer schema) with a text for the operator.
    """
    if url == "memory://":
        return
    if names_postgres(url):
        migrate_postgres(url, password)
        return
    path = path_of(url)
    create(path)
    refuse_network(path)
    tighten(path)
    with ProcessLock(path):
        try:
            _migrate_file(path)
        except (sqlite3.Error, sqlalchemy.exc.DBAPIError) as error:
            raise opening_error(_driver_error(error), path) from error


def _driver_error(error: sqlite3.Error | sqlalchemy.exc.DBAPIError) -> sqlite3.Error:
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    return cause if isinstance(cause, sqlite3.Error) else sqlite3.Error()


def _migrate_file(path: Path) -> None:
    found = _current(path)
    if found == HEAD:
        return
    if found is not None:
        check_known(found)
    if found is not None or _has_tables(path):
        back_up(path, path.with_name(f"{path.name}.before-{HEAD}.bak"))
    upgrade(path)


def upgrade(path: Path) -> None:
    """Run the migrations that the file lacks. The caller has the lock."""
    with engine_of(path).connect() as connection:
        command.upgrade(configuration(connection), HEAD)


def _current(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as driver:
        return read_revision(driver)


def _has_tables(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as driver:
        return bool(driver.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall())


def engine_of(path: Path) -> sqlalchemy.Engine:
    """An engine whose transactions cover DDL too: Python's sqlite3 would commit before each CREATE TABLE."""
    engine = sqlalchemy.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(path, isolation_level=None), poolclass=sqlalchemy.pool.NullPool
    )
    sqlalchemy.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def main(arguments: list[str]) -> str | None:
    """Migrate the database of one URL; returns what went wrong, for `sys.exit`."""
    if len(arguments) != 1:
        return "usage: python -m authsrv.storage.migrate sqlite:///path/to/authsrv.db"
    try:
        migrate(arguments[0])
    except StorageError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
