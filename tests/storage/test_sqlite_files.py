"""The database file: who may read it, who may open it, and what an operator is told when it cannot be used."""

import logging
import os
import re
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from authsrv.database_url import Database
from authsrv.storage import BACKENDS, files, open_storage
from authsrv.storage.base import SchemaMismatch, StorageError, StorageUnavailable
from authsrv.storage.changes import AddPlayer
from authsrv.storage.files import path_of
from authsrv.storage.memory.storage import MemoryStorage
from authsrv.storage.postgres.storage import PostgresStorage
from authsrv.storage.schema import REVISIONS
from authsrv.storage.sqlite import connection as sqlite_connection
from authsrv.storage.sqlite.connection import READER, WRITER, Pragmas
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.storage import migrated_file, migrated_sqlite, player, reading_connection, writing_connection

# --- urls ---


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("sqlite:////srv/authsrv/a.db", Path("/srv/authsrv/a.db"), id="absolute"),
        pytest.param("sqlite:///var/a.db", Path.cwd() / "var/a.db", id="relative"),
    ],
)
def test_a_url_names_a_file(url: str, path: Path) -> None:
    assert path_of(url) == path


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite://host/a.db", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "memory:/x"],
)
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="write the "):
        open_storage(Database(url))


def test_an_unknown_scheme_is_refused_without_its_password() -> None:
    with pytest.raises(StorageError, match="must begin with one of: memory:, sqlite:, postgresql:") as caught:
        open_storage(Database("mysql://root:hunter2@db/x"))
    assert "hunter2" not in str(caught.value)


def test_each_scheme_has_its_backend(tmp_path: Path) -> None:
    assert set(BACKENDS) == {"memory", "sqlite", "postgresql", "postgres"}
    assert isinstance(open_storage(Database("memory://")), MemoryStorage)
    assert isinstance(open_storage(Database(f"sqlite:///{tmp_path}/a.db")), SqliteStorage)
    assert isinstance(open_storage(Database("postgresql://localhost/authsrv")), PostgresStorage)


# --- modes ---


def modes(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


async def test_G09_every_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        storage = migrated_sqlite(tmp_path)
        await storage.open()
        await storage.apply([AddPlayer(player())])
        found = modes(tmp_path)
        await storage.close()
    finally:
        os.umask(before)
    assert found == {
        "authsrv.db": 0o600,
        "authsrv.db-wal": 0o600,
        "authsrv.db-shm": 0o600,
        "authsrv.db.lock": 0o600,
        "authsrv.db.start": 0o600,
    }


async def test_G09_a_file_that_others_may_read_is_made_private(tmp_path: Path) -> None:
    storage = migrated_sqlite(tmp_path)
    (tmp_path / "authsrv.db.erasures").touch()
    for name in ("authsrv.db", "authsrv.db.erasures"):
        os.chmod(tmp_path / name, 0o664)  # noqa: PTH101 - the fault
    await storage.open()
    found = modes(tmp_path)
    await storage.close()
    assert set(found.values()) == {0o600}


# --- one process ---


async def test_a_second_opener_is_refused_and_told_why(tmp_path: Path) -> None:
    first, second = migrated_sqlite(tmp_path), SqliteStorage(tmp_path / "authsrv.db")
    await first.open()
    with pytest.raises(StorageError, match=r"another authsrv process uses .*authsrv\.db; stop it first"):
        await second.open()
    await second.close()
    await first.ping()
    await first.close()
    await second.open()
    await second.close()


async def test_a_failed_open_leaves_nothing_behind(tmp_path: Path) -> None:
    path = migrated_file(tmp_path)
    set_revision(path, "0000")
    storage = SqliteStorage(path)
    with pytest.raises(SchemaMismatch):
        await storage.open()
    with pytest.raises(StorageUnavailable):
        await storage.ping()
    await storage.close()
    set_revision(path, REVISIONS[-1])
    await storage.open()
    await storage.close()


# --- R35: what is in the file ---


def set_revision(path: Path, revision: str, oldest_code: int = 9999) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        driver.execute("UPDATE versions SET value = ? WHERE name = 'oldest_code'", (oldest_code,))


def drop_revision(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("DROP TABLE alembic_version")


def overwrite(offset: int, data: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    return damage


def become_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


async def test_R23_a_newer_schema_that_took_nothing_away_is_served_by_the_version_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = migrated_file(tmp_path)
    set_revision(path, "9999", oldest_code=int(REVISIONS[-1]))
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("ALTER TABLE players ADD COLUMN pronouns TEXT NOT NULL DEFAULT ''")
    storage = SqliteStorage(path)
    await storage.open()
    await storage.apply([AddPlayer(player())])
    assert await storage.load_subject("sub-1") == player()
    await storage.close()
    assert "has schema 9999, newer than this authsrv's (" in caplog.text


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        pytest.param(
            lambda path: path.unlink(),
            "there is no database at .*; run `authsrv migrate`.*working directory",
            id="missing",
        ),
        pytest.param(lambda path: path.write_bytes(b""), "no schema yet; run `authsrv migrate`", id="empty"),
        pytest.param(drop_revision, "no schema yet; run `authsrv migrate`", id="no revision"),
        pytest.param(
            lambda path: set_revision(path, "9999"),
            f"has schema 9999, this authsrv knows up to {REVISIONS[-1]}; install the newer authsrv",
            id="newer, and not for this version",
        ),
        pytest.param(
            lambda path: set_revision(path, REVISIONS[0]),
            f"has schema {REVISIONS[0]}, this authsrv needs {REVISIONS[-1]}; run `authsrv migrate`",
            id="older",
        ),
    ],
)
async def test_R35_another_schema_is_refused_with_what_to_do(
    tmp_path: Path, damage: Callable[[Path], None], text: str
) -> None:
    path = migrated_file(tmp_path)
    damage(path)
    with pytest.raises(SchemaMismatch, match=text):
        await SqliteStorage(path).open()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        pytest.param(
            overwrite(0, b"not a database!!"), "is damaged or no SQLite database .*restore a backup", id="magic"
        ),
        pytest.param(overwrite(16, b"\x00\x03"), "is damaged or no SQLite database", id="page size"),
        pytest.param(overwrite(18, b"\x09\x09"), "is damaged or no SQLite database|for writing", id="file format"),
        pytest.param(overwrite(100, b"\xff" * 3000), "is damaged or no SQLite database", id="schema page"),
        pytest.param(lambda path: path.write_text("[database]\n" * 400), "is damaged or no SQLite", id="other file"),
        pytest.param(become_a_directory, "cannot be opened for writing", id="directory"),
    ],
)
async def test_R35_a_damaged_file_is_refused_with_what_to_do(
    tmp_path: Path, damage: Callable[[Path], None], text: str
) -> None:
    path = migrated_file(tmp_path)
    damage(path)
    with pytest.raises(StorageError, match=text) as caught:
        await SqliteStorage(path).open()
    assert not isinstance(caught.value, SchemaMismatch)


async def test_R04_a_directory_that_takes_no_lock_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = migrated_sqlite(tmp_path)
    # The lock's place is taken: also root cannot write there, as nobody can in a read-only directory.
    (tmp_path / "authsrv.db.lock").mkdir()
    with pytest.raises(
        StorageError, match=rf"cannot write the lock file .*own the directory {re.escape(str(tmp_path))}"
    ):
        await storage.open()


async def test_G11_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = migrated_sqlite(tmp_path)
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(files, "MOUNTS", mounts)
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    with pytest.raises(StorageError, match=r"network file system \(nfs4\); put the database on a local disk"):
        await storage.open()
    mounts.write_text(f"server:/ / nfs4 rw 0 0\ndisk {tmp_path} ext4 rw 0 0\n")
    await storage.open()
    await storage.close()


# --- pragmas ---


@pytest.mark.parametrize("kind", ["writer", "reader"])
async def test_S9_every_pragma_is_as_demanded(tmp_path: Path, kind: str) -> None:
    storage = migrated_sqlite(tmp_path)
    await storage.open()
    connection, pragmas = {
        "writer": (writing_connection(storage), WRITER),
        "reader": (reading_connection(storage), READER),
    }[kind]
    found = {name: (await connection.execute_fetchall(f"PRAGMA {name}")) for name, _, _ in pragmas}
    await storage.close()
    assert {name: list(value) for name, value in found.items()} == {name: [(want,)] for name, _, want in pragmas}


@pytest.mark.parametrize(
    "pragma",
    [
        pytest.param(("synchronous", "OFF", 2), id="another value"),
        pytest.param(("no_such_pragma", "ON", 1), id="unknown to this build"),
    ],
)
async def test_S9_a_pragma_that_does_not_hold_stops_the_start(
    tmp_path: Path, pragma: tuple[str, str, str | int]
) -> None:
    with pytest.raises(StorageError, match=f"does not keep PRAGMA {pragma[0]}"):
        await sqlite_connection.connect(migrated_file(tmp_path), (pragma,))


def test_S8_only_the_writer_checkpoints() -> None:
    def value(pragmas: Pragmas, wanted: str) -> list[str]:
        return [text for name, text, _ in pragmas if name == wanted]

    assert value(READER, "wal_autocheckpoint") == ["0"]
    assert value(READER, "query_only") == ["ON"]
    assert value(WRITER, "journal_size_limit") != []


async def test_S8_closing_moves_the_log_into_the_database(tmp_path: Path) -> None:
    storage = migrated_sqlite(tmp_path)
    await storage.open()
    await storage.apply([AddPlayer(player())])
    await storage.close()
    assert sorted(modes(tmp_path)) == ["authsrv.db", "authsrv.db.lock", "authsrv.db.start"]


async def test_S8_closing_empties_the_log_also_while_a_backup_looks_on(tmp_path: Path) -> None:
    storage = migrated_sqlite(tmp_path)
    await storage.open()
    await storage.apply([AddPlayer(player())])
    with closing(sqlite3.connect(tmp_path / "authsrv.db")) as onlooker:
        assert onlooker.execute("SELECT count(*) FROM players").fetchall() == [(1,)]
        await storage.close()
        assert length(tmp_path / "authsrv.db-wal") == 0


def length(path: Path) -> int:
    return path.stat().st_size


async def test_S6_the_sqlite_version_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = migrated_sqlite(tmp_path)
    with caplog.at_level(logging.INFO, logger="authsrv.storage"):
        await storage.open()
    await storage.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"opened {tmp_path}/authsrv.db with SQLite {sqlite3.sqlite_version}, start number 1"
    ]
