"""Backups of an SQLite file: a copy as it was at one moment, while others write to it.

Owns how one is made, marked and read again. Knows no table but the one of the revision. A connection of its own reads
and never checkpoints; see `connection.py` for why that matters.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from authsrv.storage.base import SchemaMismatch, StorageError
from authsrv.storage.files import create, exists, settle_directory
from authsrv.storage.schema import BACKUP, MIGRATE, check_known
from authsrv.storage.sqlite.connection import opening_error, read_revision

_SET_REVISION = "UPDATE alembic_version SET version_num = :revision"


def back_up(path: Path, backup: Path) -> None:
    """Copy a database with SQLite's backup API; the file appears under its name once it is whole, with mode 0600."""
    part = backup.with_name(backup.name + ".part")
    copy_whole(path, part)
    appear(part, backup)


def write_backup(path: Path, backup: Path) -> None:
    """The same as a backup: one file, marked, so that it is restored before it is served.

    Raises `StorageError` for a name that is taken, and for what is no database of ours.
    """
    refuse_taken(backup)
    if not exists(path):
        raise SchemaMismatch(f"there is no database at {path}; {MIGRATE} to make it")
    part = backup.with_name(backup.name + ".part")
    try:
        copy_whole(path, part)
        mark(part)
        appear(part, backup)
    except sqlite3.Error as error:
        raise opening_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def refuse_taken(backup: Path) -> None:
    """Raise `StorageError` if there is a file of this name already."""
    if backup.exists():
        raise StorageError(f"{backup} is there already; name a new file, with the date and the hour in it")


def copy_whole(path: Path, copy: Path) -> None:
    """Copy a database into a new file (0600), whatever is left of an older attempt. Raises `sqlite3.Error`."""
    copy.unlink(missing_ok=True)
    create(copy)
    with closing(_reading(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def mark(copy: Path) -> None:
    """Make a backup of a copy: its revision says so, and there is no file beside it. Raises `StorageError`."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as driver:
        revision = read_revision(driver)
        if revision is None:
            raise SchemaMismatch("the database has no schema yet, so there is nothing to back up")
        check_known(revision)
        # One file, which can be read where nothing can be written.
        driver.execute("PRAGMA journal_mode = DELETE").fetchall()
        driver.execute(_SET_REVISION, {"revision": BACKUP + revision})


def unmark(copy: Path) -> str:
    """Make a database of the copy of a backup again; its revision. Raises `StorageError` if it cannot be one.

    A file that was copied by other means is as good as ours.
    """
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as driver:
            _check_integrity(driver, copy)
            revision = (read_revision(driver) or "").removeprefix(BACKUP)
            if not revision:
                raise SchemaMismatch("the backup holds no database of authsrv")
            check_known(revision)
            driver.execute(_SET_REVISION, {"revision": revision})
    except sqlite3.Error as error:
        raise StorageError(f"the backup is damaged or no SQLite database: {error}") from error
    return revision


def appear(part: Path, name: Path) -> None:
    """Give a whole file its name, for good."""
    descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(name)
    settle_directory(name.parent)


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _check_integrity(driver: sqlite3.Connection, copy: Path) -> None:
    found = [text for (text,) in driver.execute("PRAGMA integrity_check(3)").fetchall()]
    if found != ["ok"]:
        raise StorageError(f"the backup is damaged: {'; '.join(found)}; take an older one")
    if driver.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise StorageError(f"the backup is damaged: rows in {copy.name} point to rows that are missing")
