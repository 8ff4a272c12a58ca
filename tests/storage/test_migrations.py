"""The migrations: from nothing to the newest schema, again without harm, with a backup, from anywhere."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from authsrv import shipped
from authsrv.models import NEVER, LoadedGrant, StoredKey
from authsrv.storage.base import SchemaMismatch, StorageError
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddNotice,
    AddRequest,
    AddTrip,
    GiveConsent,
    SetProfile,
    StartSession,
    UseSession,
)
from authsrv.storage.lock import ProcessLock
from authsrv.storage.migrate import engine_of, main, migrate
from authsrv.storage.migrations import configuration, scripts
from authsrv.storage.schema import REVISIONS
from authsrv.storage.sqlite.backup import back_up
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.storage import NOW, digest, full_grant, migrated_file, player, rows
from tests.support.storage_browsers import PROFILE, browser, notice, pending, session, trip

CHECKOUT = Path(__file__).parents[2]


def schema(path: Path) -> dict[str, str]:
    return {str(name): str(text) for name, text in rows(path, "SELECT name, sql FROM sqlite_master")}


# --- running ---


def test_the_code_needs_exactly_the_newest_migration() -> None:
    script = ScriptDirectory(str(scripts()))
    assert [revision.revision for revision in script.walk_revisions()] == list(reversed(REVISIONS))


def test_migrating_again_changes_nothing_and_takes_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    migrate(f"sqlite:///{path}")
    before = path.read_bytes()
    migrate(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.db", "a.db.lock"]


def test_down_and_up_twice_ends_at_the_same_schema(tmp_path: Path) -> None:
    path = migrated_file(tmp_path)
    before = schema(path)
    for _ in range(2):
        with engine_of(path).connect() as connection:
            command.downgrade(configuration(connection), "base")
        assert set(schema(path)) == {"alembic_version", "sqlite_autoindex_alembic_version_1"}
        migrate(f"sqlite:///{path}")
        assert schema(path) == before


def test_new_files_and_directories_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        migrate(f"sqlite:///{tmp_path}/new/deep/a.db")
    finally:
        os.umask(before)
    directory = tmp_path / "new" / "deep"
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())}
    assert found == {"deep": 0o700, "a.db": 0o600, "a.db.lock": 0o600}


def test_memory_needs_no_migration() -> None:
    assert main(["memory://"]) is None


def test_R23_a_failing_migration_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as driver:
        # The last table of the first migration is in the way.
        driver.execute("CREATE TABLE epochs (other)")
    before = schema(path)
    with pytest.raises(StorageError):
        migrate(f"sqlite:///{path}")
    assert schema(path).keys() - {"alembic_version", "sqlite_autoindex_alembic_version_1"} == before.keys()


@pytest.mark.parametrize("directory", ["elsewhere", "."])
def test_the_command_works_from_any_directory(tmp_path: Path, directory: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "authsrv.storage.migrate", "sqlite:///var/a.db"],
        cwd=tmp_path / directory,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert rows(tmp_path / directory / "var" / "a.db", "SELECT version_num FROM alembic_version") == [(REVISIONS[-1],)]


def test_serving_imports_neither_alembic_nor_sqlalchemy() -> None:
    program = "import sys, authsrv.storage; print(sorted({'alembic', 'sqlalchemy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param([], "usage: ", id="no url"),
        pytest.param(["postgres://x"], "write the database's url as sqlite:///", id="other scheme"),
    ],
)
def test_a_wrong_call_says_how_to_call(arguments: list[str], text: str) -> None:
    assert (main(arguments) or "").startswith(text)


# --- what is refused ---


def test_R35_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = migrated_file(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(SchemaMismatch, match="has schema 9999"):
        migrate(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_R35_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_text("[database]\n" * 400)
    with pytest.raises(StorageError, match="is damaged or no SQLite database"):
        migrate(f"sqlite:///{path}")
    assert path.read_text() == "[database]\n" * 400


def test_a_database_in_use_is_not_migrated(tmp_path: Path) -> None:
    path = migrated_file(tmp_path)
    with ProcessLock(path), pytest.raises(StorageError, match="another authsrv process uses"):
        migrate(f"sqlite:///{path}")


def test_a_place_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot create .*file/a\.db: .*own the directory"):
        migrate(f"sqlite:///{tmp_path}/file/a.db")


# --- with data ---


def to(path: Path, revision: str) -> None:
    """Bring the database up or down to a revision."""
    move = command.upgrade if revision > current(path) else command.downgrade
    with engine_of(path).connect() as connection:
        move(configuration(connection), revision)


def current(path: Path) -> str:
    ((revision,),) = rows(path, "SELECT version_num FROM alembic_version") if path.stat().st_size else [("",)]
    return str(revision)


def structure(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Tables with their columns, and indexes: what a text of the schema says, whatever its spaces."""
    tables = [str(name) for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {name: rows(path, f"SELECT * FROM pragma_table_info('{name}')") for name in tables}  # noqa: S608
    return {**found, "": sorted(rows(path, "SELECT name, sql FROM sqlite_master WHERE type = 'index'"))}


@pytest.fixture
def at_0001(tmp_path: Path) -> Path:
    """A database of the first schema with a player and a grant, as the version of then wrote them."""
    path = tmp_path / "authsrv.db"
    path.touch()
    to(path, "0001")
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("INSERT INTO players VALUES (1, 'sub-1', 'skyforge', 'Amber', :now, :now, 1)", {"now": NOW})
        driver.execute(
            """INSERT INTO grants VALUES (1, 'skyforge', 'launcher', 1, 'openid offline',
                'https://api.example https://other.example', 'xbox', 'xuid', '2814600000000001', :now + 1, :now + 2,
                :now + 3, :now + 4, 'n-1', 'http://127.0.0.1/callback', 1, :code, :now + 5, :now + 6, 'challenge', 7,
                :refresh, 8, :previous, :now + 9, CAST('sealed' AS BLOB), :now + 10, 'logout')""",
            {"now": NOW, "code": digest("code"), "refresh": digest("refresh"), "previous": digest("previous")},
        )
    return path


async def grant_in(path: Path) -> LoadedGrant | None:
    storage = SqliteStorage(path)
    await storage.open()
    try:
        return await storage.load_grant(1)
    finally:
        await storage.close()


async def test_a_grant_of_the_first_schema_has_no_session_and_no_claims_in_the_next(at_0001: Path) -> None:
    migrate(f"sqlite:///{at_0001}")
    expected = replace(full_grant(), session_id=0, claims=())
    assert await grant_in(at_0001) == LoadedGrant(expected, player(), issued_as="sub-1")


async def test_going_back_to_the_first_schema_loses_only_what_it_cannot_hold(at_0001: Path) -> None:
    before, grants = structure(at_0001), rows(at_0001, "SELECT * FROM grants")
    migrate(f"sqlite:///{at_0001}")
    storage = SqliteStorage(at_0001)
    await storage.open()
    await storage.apply([AddBrowser(browser()), AddRequest(pending()), AddTrip(trip()), StartSession(session())])
    await storage.apply([UseSession(1, "shop", NOW, NOW), AddGrant(full_grant(2)), AddNotice(notice())])
    await storage.apply([GiveConsent(1, "shop", ("openid",), NOW), SetProfile(1, PROFILE)])
    await storage.close()
    to(at_0001, "0001")
    assert structure(at_0001) == before
    assert rows(at_0001, "SELECT * FROM grants WHERE id = 1") == grants
    assert rows(at_0001, "SELECT id FROM grants") == [(1,), (2,)]
    migrate(f"sqlite:///{at_0001}")
    assert await grant_in(at_0001) == LoadedGrant(
        replace(full_grant(), session_id=0, claims=()), player(), issued_as="sub-1"
    )


async def test_keys_of_an_older_schema_are_the_first_of_their_algorithms_and_sign_until_they_have_a_successor(
    at_0001: Path,
) -> None:
    with closing(sqlite3.connect(at_0001, isolation_level=None)) as driver:
        for kid, use, alg in (("k1", "sig", "ES256"), ("k2", "sig", "RS256"), ("seal", "seal", "HKDF")):
            driver.execute("INSERT INTO keys VALUES (?, ?, ?, x'00', 0, 1, 2, ?)", (kid, use, alg, NEVER))
    migrate(f"sqlite:///{at_0001}")
    storage = SqliteStorage(at_0001)
    await storage.open()
    assert await storage.load_keys() == (
        StoredKey("k1", "sig", "ES256", b"\0", False, 1, 2, NEVER, "ES256"),
        StoredKey("k2", "sig", "RS256", b"\0", False, 1, 2, NEVER, "RS256"),
        StoredKey("seal", "seal", "HKDF", b"\0", False, 1, 2, NEVER, "HKDF"),
    )
    await storage.close()


async def test_players_of_an_older_schema_are_found_by_name_however_many_they_are(at_0001: Path) -> None:
    insert = "INSERT INTO players VALUES (?, ?, 'skyforge', ?, 1, 1, 1)"
    with closing(sqlite3.connect(at_0001)) as driver:
        for number, name in ((2, "\u00c4rger"), (3, ""), (4, "AMBER"), (5, "amb"), (99_999, "zoe")):
            driver.execute(insert, (number, f"sub-{number}", name))
        driver.executemany(insert, ((number, f"sub-{number}", "many") for number in range(6, 20_020)))
        driver.commit()
    migrate(f"sqlite:///{at_0001}")
    storage = SqliteStorage(at_0001)
    await storage.open()
    names = [await storage.load_players_named("skyforge", prefix, 9) for prefix in ("amb", "\u00e4", "Z")]
    await storage.close()
    assert [[one.id for one in found] for found in names] == [[5, 1, 4], [2], [99_999]]


async def test_a_session_of_an_older_schema_was_last_used_when_its_player_signed_in(at_0001: Path) -> None:
    migrate(f"sqlite:///{at_0001}")
    storage = SqliteStorage(at_0001)
    await storage.open()
    await storage.apply([AddBrowser(browser()), StartSession(session())])
    await storage.close()
    to(at_0001, "0004")
    migrate(f"sqlite:///{at_0001}")
    await storage.open()
    (found,) = await storage.load_player_sessions(1)
    await storage.close()
    assert found.session == replace(session(), used_at=session().auth_time)


def test_R23_a_migration_that_fails_half_way_leaves_the_schema_and_the_rows_of_the_one_before(at_0001: Path) -> None:
    with closing(sqlite3.connect(at_0001, isolation_level=None)) as driver:
        # It comes late in the second migration, after seven other tables.
        driver.execute("CREATE TABLE logout_notices (other)")
    before, grants = structure(at_0001), rows(at_0001, "SELECT * FROM grants")
    with pytest.raises(StorageError):
        migrate(f"sqlite:///{at_0001}")
    assert structure(at_0001) == before
    assert rows(at_0001, "SELECT * FROM grants") == grants
    assert current(at_0001) == "0001"


# --- the backup ---


def test_S14_a_filled_database_is_backed_up_before_it_is_migrated(at_0001: Path) -> None:
    migrate(f"sqlite:///{at_0001}")
    backup = at_0001.with_name(f"authsrv.db.before-{REVISIONS[-1]}.bak")
    assert rows(at_0001, "SELECT version_num FROM alembic_version") == [(REVISIONS[-1],)]
    assert rows(backup, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert rows(backup, "SELECT id FROM grants") == rows(at_0001, "SELECT id FROM grants") == [(1,)]
    assert mode(backup) == 0o600
    assert not has_part(at_0001.parent)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def has_part(directory: Path) -> bool:
    return any(file.name.endswith(".part") for file in directory.iterdir())


def test_a_backup_holds_what_is_still_in_the_log_and_replaces_an_older_one(tmp_path: Path) -> None:
    path = migrated_file(tmp_path)
    backup = tmp_path / "b.bak"
    backup.write_text("older")
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("PRAGMA journal_mode = WAL")
        driver.execute("INSERT INTO clients (client_id, project, name) VALUES ('launcher', 'skyforge', 'L')")
        back_up(path, backup)
        assert (tmp_path / "authsrv.db-wal").stat().st_size > 0
    assert rows(backup, "SELECT client_id FROM clients") == [("launcher",)]


# --- where the migrations are ---


def test_an_installed_package_brings_its_own_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "authsrv" / "shipped.py"))
    assert scripts() == tmp_path / "migrations"
    (tmp_path / "authsrv" / "_migrations").mkdir(parents=True)
    assert scripts() == tmp_path / "authsrv" / "_migrations"
