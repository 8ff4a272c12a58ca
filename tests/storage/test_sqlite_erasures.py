"""What an erasure leaves in the files of an SQLite database: nothing, and a line in the ledger beside it."""

import asyncio
import json
import logging
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from authsrv.account_models import Erasure
from authsrv.models import Retention
from authsrv.storage.base import StorageError
from authsrv.storage.changes import AddGrant, AddPlayer, LinkIdentity, SetProfile
from authsrv.storage.privacy_changes import ErasePlayer
from authsrv.storage.sqlite import erasures as sqlite_erasures
from authsrv.storage.sqlite import lane as sqlite_lane
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.storage import NOW, grant, identity, migrated_file, player, rows, writing_connection

DAY = 86400
MARKERS = ("Canary Name", "76561190000000001", "canary@example.com")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return migrated_file(tmp_path)


@pytest.fixture
async def storage(path: Path) -> AsyncIterator[SqliteStorage]:
    opened = SqliteStorage(path)
    await opened.open()
    yield opened
    await opened.close()


def ledger(path: Path) -> Path:
    return path.with_name("authsrv.db.erasures")


def noted(path: Path) -> list[str]:
    return [json.loads(line)["sub"] for line in ledger(path).read_text().splitlines()]


async def born(storage: SqliteStorage, number: int = 1) -> None:
    """A player with the marks of this module."""
    await storage.apply([AddPlayer(player(number, name=MARKERS[0])), LinkIdentity(identity(MARKERS[1]), number, NOW)])
    await storage.apply([SetProfile(number, json.dumps({"email": MARKERS[2]}))])


def erasure(number: int = 1, now: int = NOW) -> ErasePlayer:
    return ErasePlayer(number, 1, (f"sub-{number}",), -number, now)


def found_in_files(path: Path) -> list[str]:
    """The markers that stand in the database or in a file beside it."""
    content = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    return [marker for marker in MARKERS if marker.encode() in content]


async def test_G10_P05_neither_database_nor_log_hold_anything_of_an_erased_player(
    storage: SqliteStorage, path: Path
) -> None:
    await born(storage)
    assert found_in_files(path) == list(MARKERS)
    await storage.apply([erasure()])
    assert found_in_files(path) == []
    assert path.with_name("authsrv.db-wal").stat().st_size == 0


async def test_P05_the_ledger_notes_who_was_erased_when_and_is_private(storage: SqliteStorage, path: Path) -> None:
    await born(storage)
    assert not ledger(path).exists()
    await storage.apply([erasure()])
    assert ledger(path).read_text() == f'{{"sub": "sub-1", "erased_at": {NOW}}}\n'
    assert stat.S_IMODE(ledger(path).stat().st_mode) == 0o600


async def test_P05_whom_a_restored_backup_brings_back_is_known_by_the_ledger(path: Path) -> None:
    storage, backup = SqliteStorage(path), path.with_name("backup")
    await storage.open()
    await born(storage)
    await storage.apply([AddPlayer(player(2))])
    with closing(sqlite3.connect(path)) as source:
        source.execute("VACUUM INTO ?", (str(backup),))
    await storage.apply([erasure()])
    assert await storage.load_resurrected() == ()
    await storage.close()
    shutil.move(backup, path)
    await storage.open()
    assert await storage.load_resurrected() == (player(name=MARKERS[0]),)
    await storage.apply([erasure(now=NOW + 5)])
    assert await storage.load_resurrected() == ()
    await storage.close()
    assert found_in_files(path) == []


async def test_P05_what_a_killed_process_did_not_write_into_the_ledger_is_there_after_the_next_start(
    path: Path,
) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await born(storage)
    await storage.apply([AddPlayer(player(2)), erasure(), erasure(2)])
    await storage.close()
    first, second = ledger(path).read_text().splitlines(keepends=True)
    for torn in ("", first, first + second[:9]):
        ledger(path).write_text(torn)
        await storage.open()
        assert noted(path) == ["sub-1", "sub-2"]
        await storage.close()


async def test_P05_a_ledger_with_a_broken_line_keeps_the_server_from_starting_and_names_the_line(path: Path) -> None:
    ledger(path).write_text('{"sub": "a", "erased_at": 1}\nbroken\n{"sub": "b", "erased_at": 2}\n')
    storage = SqliteStorage(path)
    with pytest.raises(StorageError, match=r"line 2 of .*authsrv\.db\.erasures cannot be read"):
        await storage.open()
    await storage.close()


async def test_P05_an_erasure_that_the_ledger_cannot_take_is_done_and_noted_by_a_later_sweep(
    storage: SqliteStorage, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await born(storage)
    ledger(path).mkdir()
    with caplog.at_level(logging.ERROR, logger="authsrv.storage"):
        await storage.apply([erasure()])
    assert [record.getMessage() for record in caplog.records if "not in the ledger yet" in record.getMessage()]
    assert found_in_files(path) == []
    with pytest.raises(StorageError):
        await storage.sweep(NOW, 10)
    ledger(path).rmdir()
    await storage.sweep(NOW, 10)
    assert noted(path) == ["sub-1"]


async def test_P05_while_somebody_reads_the_log_cannot_be_emptied_and_a_later_sweep_does_it(
    storage: SqliteStorage, path: Path
) -> None:
    await writing_connection(storage).execute_fetchall("PRAGMA busy_timeout = 20")
    await born(storage)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM players").fetchall()
        await storage.apply([erasure()])
        assert found_in_files(path) == list(MARKERS)
    await storage.sweep(NOW, 10)
    assert found_in_files(path) == []


def unused_pages(path: Path) -> int:
    ((found,),) = rows(path, "PRAGMA freelist_count")
    assert isinstance(found, int)
    return found


async def with_unused_pages(storage: SqliteStorage, owner: int = 5) -> None:
    """As after a sweep of a night's logins."""
    grants = [replace(grant(number, player_id=owner), expires_at=NOW, nonce="n" * 500) for number in range(1, 400)]
    await storage.apply([AddPlayer(player(owner)), *map(AddGrant, grants)])
    await storage.sweep(NOW + DAY, 1000)


async def test_P05_a_small_database_is_written_anew_after_an_erasure_by_the_next_sweep(
    storage: SqliteStorage, path: Path
) -> None:
    await born(storage)
    await with_unused_pages(storage)
    assert unused_pages(path) > 10
    await storage.sweep(NOW, 10)
    assert unused_pages(path) > 10, "without an erasure it would be for nothing"
    await storage.apply([erasure()])
    await storage.sweep(NOW, 10)
    assert (unused_pages(path), found_in_files(path)) == (0, [])
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert await storage.load_subject("sub-5") == player(5)


async def test_P05_a_database_is_written_anew_once_an_hour_at_most_however_many_erasures_there_are(
    storage: SqliteStorage, path: Path
) -> None:
    for number in (1, 2):
        await born(storage, number)
        await with_unused_pages(storage, 10 + number)
        await storage.apply([erasure(number)])
        await storage.sweep(NOW + DAY + number, 10)
    assert unused_pages(path) > 10
    await storage.sweep(NOW + DAY + 3600, 10)
    assert unused_pages(path) > 10
    await storage.sweep(NOW + DAY + 3601, 10)
    assert unused_pages(path) == 0


async def test_P05_a_larger_database_is_written_anew_when_it_is_closed_and_after_a_crash_once_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_erasures, "MOST_WHILE_SERVING", 0)
    storage = SqliteStorage(path)
    await storage.open()
    await with_unused_pages(storage)
    await born(storage)
    await storage.apply([erasure()])
    await storage.sweep(NOW, 10)
    assert unused_pages(path) > 10
    await storage.close()
    assert unused_pages(path) == 0
    await storage.open()
    await storage.apply([AddPlayer(player(6))])
    await storage.close()


async def test_P05_the_largest_database_is_left_to_its_operator(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_WHILE_SERVING", "MOST_AT_THE_END"):
        monkeypatch.setattr(sqlite_erasures, name, 0)
    storage = SqliteStorage(path)
    await storage.open()
    await with_unused_pages(storage)
    await born(storage)
    await storage.apply([erasure()])
    await storage.sweep(NOW, 10)
    await storage.close()
    assert unused_pages(path) > 10
    monkeypatch.undo()
    await storage.open()
    await storage.sweep(NOW, 10)
    await storage.close()
    assert unused_pages(path) == 0


async def test_P05_what_cannot_be_written_anew_goes_on_as_it_is(
    storage: SqliteStorage, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await born(storage)
    await storage.apply([erasure()])

    def full(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, logger="authsrv.storage"):
        patch.setattr(sqlite_lane, "_rewrite", full)
        await storage.sweep(NOW, 10)
    assert "could not be written anew" in caplog.text
    await storage.apply([AddPlayer(player(6))])
    await storage.sweep(NOW, 10)
    assert await storage.load_subject("sub-6") == player(6)


async def test_P05_a_caller_who_is_gone_changes_nothing_of_what_follows(storage: SqliteStorage, path: Path) -> None:
    await born(storage)
    erasing = asyncio.create_task(storage.apply([erasure()]))
    await asyncio.sleep(0)
    erasing.cancel()
    await asyncio.gather(erasing, return_exceptions=True)
    await storage.close()
    assert noted(path) == ["sub-1"]
    assert found_in_files(path) == []


async def test_P08_the_ledger_forgets_when_no_backup_can_bring_anybody_back(storage: SqliteStorage, path: Path) -> None:
    await storage.apply([AddPlayer(player(number)) for number in (1, 2)])
    await storage.apply([erasure(1), erasure(2, NOW + 10 * DAY)])
    await storage.sweep(NOW + 30 * DAY, 100)
    assert noted(path) == ["sub-1", "sub-2"]
    await storage.sweep(NOW + 31 * DAY, 100)
    assert noted(path) == ["sub-2"]
    assert await storage.load_erasure("sub-2") == Erasure("sub-2", NOW + 10 * DAY)
    assert stat.S_IMODE(ledger(path).stat().st_mode) == 0o600
    await storage.sweep(NOW + 33 * DAY, 100, Retention(erasures=60))
    assert ledger(path).read_text() == ""
    assert rows(path, "SELECT count(*) FROM erasures") == [(0,)]


async def test_P05_the_ledger_of_a_storage_that_is_closed_takes_nothing(path: Path) -> None:
    storage = SqliteStorage(path)
    with pytest.raises(StorageError):
        await storage.apply([erasure()])
    with pytest.raises(StorageError):
        await storage.load_resurrected()
    assert not ledger(path).exists()
