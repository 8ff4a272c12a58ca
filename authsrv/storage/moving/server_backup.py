"""Backups of a database server as the same kind of file as those of SQLite, and the way back into an empty database.

Owns the order that makes it safe to be killed anywhere: what is not whole is nobody's backup, and served by nobody.
Knows no driver.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from authsrv.database_url import Database
from authsrv.storage.base import StorageError
from authsrv.storage.migrate import migrate
from authsrv.storage.moving.comparing import compare
from authsrv.storage.moving.copying import HEAD, Source, Target, begin, check_whole, copy, finish
from authsrv.storage.moving.house_move import source_of, target_of
from authsrv.storage.moving.tables import TABLES
from authsrv.storage.rows.base import Values
from authsrv.storage.schema import COPYING
from authsrv.storage.sqlite.backup import appear, mark, refuse_taken
from authsrv.storage.sqlite.copying import sqlite_source, sqlite_target
from authsrv.storage.statements import restored as restore_sql

_SET_REVISION = "UPDATE alembic_version SET version_num = :revision"


class Unwatched:
    """Nobody wants to know how far it is."""

    def begin(self, doing: str, rows: int) -> None:
        """So many rows are to be done now."""

    def advance(self, rows: int) -> None:
        """So many more are done."""


def write_server_backup(database: Database, backup: Path) -> None:
    """Write a database as it is at one moment, served or not, into a file that appears once it is whole.

    Raises `StorageError`, also for a name that is taken.
    """
    refuse_taken(backup)
    with making_room(backup.with_name(f"{backup.name}.part")) as room:
        part = room / "authsrv.db"
        migrate(f"sqlite:///{part}")
        with source_of(database, may_be_served=True) as source, sqlite_target(part) as target:
            check_whole(source)
            _carry(source, target)
        mark(part)
        appear(part, backup)


def fill_server(work: Path, database: Database, now: int) -> None:
    """Copy a finished file into an empty database. What an earlier call left there unfinished goes first.

    Raises `StorageError`.
    """
    with target_of(database) as target:
        _clear_unfinished(target)
    migrate(database.url, database.password)
    with sqlite_source(work) as source, target_of(database) as target:
        _carry(source, target, restored_at=now)


def refuse_served(database: Database) -> None:
    """Raise `StorageError` while nodes use the database."""
    with target_of(database):
        pass


@contextmanager
def making_room(directory: Path) -> Iterator[Path]:
    """A directory for what is not finished; what a killed process left in it goes first."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _carry(source: Source, target: Target, restored_at: int = 0) -> None:
    counts, watch = begin(source, target), Unwatched()
    copy(source, target, counts, watch)
    if not all(one.is_equal for one in compare(source, target, counts, watch)):
        raise StorageError(f"{target.name} does not hold what {source.name} does; is somebody else writing to it?")
    if restored_at:
        target.execute([(restore_sql.NOTE_RESTORED, {"now": restored_at})])
    finish(source, target)


def _clear_unfinished(target: Target) -> None:
    """An unfinished copy was never served, so nothing in it is anybody's."""
    if (target.revision() or "").startswith(COPYING):
        forget: list[tuple[str, Values]] = [(f"DELETE FROM {table.name}", {}) for table in reversed(TABLES)]  # noqa: S608 - names from the list
        target.execute([*forget, (_SET_REVISION, {"revision": HEAD})])
