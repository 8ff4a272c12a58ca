"""A backup on its way to become the database of an SQLite file, and the cut that each restored file gets.

Owns the order that makes it safe to be killed anywhere: whatever can be served is whole and cut. Knows no change.
"""

import sqlite3
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from authsrv.storage.base import Cut, StorageError
from authsrv.storage.cutting import cut
from authsrv.storage.dialogues import read_subjects
from authsrv.storage.files import settle_directory
from authsrv.storage.lock import ProcessLock
from authsrv.storage.migrate import upgrade
from authsrv.storage.rows.base import EPOCH_BITS, timed_ids
from authsrv.storage.schema import check_revision
from authsrv.storage.sqlite.backup import appear, copy_whole, unmark
from authsrv.storage.sqlite.connection import WRITER, opening_error, read_revision
from authsrv.storage.sqlite.start import StartMark
from authsrv.storage.sqlite.units import follow, write_along

_SIDE_FILES = ("-wal", "-shm", "-journal")
_RAISE_START = "UPDATE epochs SET value = :number WHERE id = 1 AND value < :number"


def take_in(backup: Path, work: Path) -> str:
    """Make a database of this version of a backup, in a new file; the revision that the backup had.

    Checks the whole of it. Raises `StorageError`.
    """
    if not backup.is_file():
        raise StorageError(f"there is no file {backup}")
    try:
        copy_whole(backup, work)
    except sqlite3.Error as error:
        raise StorageError(f"the backup is damaged or no SQLite database: {error}") from error
    revision = unmark(work)
    upgrade(work)
    return revision


def cut_file(path: Path, projects: Collection[str], now: int, *, above: int = 0, preview: bool = False) -> Cut:
    """As `Storage.cut`, in a file that nobody has opened: what it ended, or would end with `preview`.

    Its start number rises above the given one, and above that which was noted beside it. Raises `StorageError`.
    """
    try:
        with ProcessLock(path), closing(_writing(path)) as driver:
            check_revision(read_revision(driver))
            driver.execute("BEGIN IMMEDIATE")
            done = write_along(driver, cut(projects, now))
            driver.execute(_RAISE_START, {"number": max(above, StartMark(path).known()) + 1})
            driver.execute("ROLLBACK" if preview else "COMMIT")
    except sqlite3.Error as error:
        raise opening_error(error, path) from error
    return done


def present(path: Path, subs: Collection[str]) -> int:
    """How many of these players there are in a file. Raises `StorageError`."""
    try:
        with closing(sqlite3.connect(path)) as driver:
            return len(follow(driver, read_subjects(subs)))
    except sqlite3.Error as error:
        raise opening_error(error, path) from error


def holds_players(path: Path) -> bool:
    """Whether a file was served before, or cannot be read, so that it must not be lost. The caller has the lock."""
    if not path.exists() or not path.stat().st_size:
        return False
    try:
        with closing(sqlite3.connect(path)) as driver:
            if read_revision(driver) is None:
                return bool(driver.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall())
            return bool(driver.execute("SELECT 1 FROM players UNION ALL SELECT 1 FROM keys LIMIT 1").fetchall())
    except sqlite3.Error:
        return True


def hold_ids_back(path: Path) -> None:
    """Let a file that goes into a database server give no ids that are ahead of the server's, which tell the time."""
    most = (next(timed_ids(0, time.time)) >> EPOCH_BITS) - 2
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("UPDATE epochs SET value = min(value, :most)", {"most": most})


def put_in_place(work: Path, path: Path) -> Path | None:
    """Let a finished file be the database; where the one before it is now. The caller has the lock of `path`."""
    aside = _set_aside(path) if holds_players(path) else None
    for end in _SIDE_FILES:
        path.with_name(path.name + end).unlink(missing_ok=True)
    with closing(sqlite3.connect(work)) as driver:
        ((number,),) = driver.execute("SELECT value FROM epochs WHERE id = 1").fetchall()
    # Noted first: from here on nothing older can be served under this name.
    StartMark(path).note(int(number))
    appear(work, path)
    return aside


def _set_aside(path: Path) -> Path:
    """Give the old database another name, with what belongs to it."""
    _settle(path)
    aside = path.with_name(f"{path.name}.replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    if aside.exists():
        raise StorageError(f"{aside} is there already; wait a second and give the command again")
    for end in (*_SIDE_FILES, ""):
        file = path.with_name(path.name + end)
        if file.exists():
            file.rename(aside.with_name(aside.name + end))
    settle_directory(path.parent)
    return aside


def _settle(path: Path) -> None:
    """Move the write-ahead log into the file, so that the one is whole without the other; a damaged one stays."""
    try:
        with closing(sqlite3.connect(path)) as driver:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error:
        return


def _writing(path: Path) -> sqlite3.Connection:
    driver = sqlite3.connect(path, isolation_level=None)
    for name, value, _ in WRITER:
        driver.execute(f"PRAGMA {name} = {value}").fetchall()
    return driver
