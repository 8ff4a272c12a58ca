"""The migrations: from nothing to the newest schema, again without harm, with a backup, from anywhere."""

import dataclasses
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from authsrv.models import Grant, Player, Reservation, StoredKey
from authsrv.storage import migrate as migrations
from authsrv.storage.base import SchemaMismatch, StorageError
from authsrv.storage.changes import AddGrant, AddPlayer
from authsrv.storage.lock import ProcessLock
from authsrv.storage.migrate import back_up, configuration, engine_of, main, migrate, scripts
from authsrv.storage.schema import REVISIONS
from authsrv.storage.sqlite import SqliteStorage
from tests.support.storage import full_grant, migrated_file, player, rows

CHECKOUT = Path(__file__).parents[2]


def schema(path: Path) -> dict[str, str]:
    return {str(name): str(text) for name, text in rows(path, "SELECT name, sql FROM sqlite_master")}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_file(tmp_path_factory.mktemp("schema"))


# --- what the schema has ---


@pytest.mark.parametrize(
    ("model", "table", "elsewhere"),
    [
        pytest.param(Player, "players", set(), id="players"),
        pytest.param(Grant, "grants", set(), id="grants"),
        pytest.param(Reservation, "credentials", {"identity"}, id="credentials"),
        pytest.param(StoredKey, "keys", set(), id="keys"),
    ],
)
def test_each_field_of_a_model_has_its_column(
    template: Path, model: type[Player], table: str, elsewhere: set[str]
) -> None:
    columns = {name for (name,) in rows(template, f"SELECT name FROM pragma_table_info('{table}')")}  # noqa: S608
    assert {field.name for field in dataclasses.fields(model)} - elsewhere <= columns


def test_G07_every_table_of_ours_is_strict(template: Path) -> None:
    tables = {str(name): strict for name, strict in rows(template, "SELECT name, strict FROM pragma_table_list")}
    ours = {name: tables[name] for name in tables if not name.startswith(("sqlite_", "alembic_"))}
    assert ours == dict.fromkeys(("players", "identities", "grants", "credentials", "keys", "clients", "epochs"), 1)


def test_S10_only_four_column_types_are_used(template: Path) -> None:
    query = """SELECT DISTINCT c.type FROM pragma_table_list t JOIN pragma_table_info(t.name) c WHERE t.strict"""
    assert {kind for (kind,) in rows(template, query)} == {"TEXT", "INTEGER", "BLOB"}


def test_grants_have_no_index_that_a_refresh_would_have_to_update(template: Path) -> None:
    query = "SELECT c.name FROM pragma_index_list('grants') i JOIN pragma_index_info(i.name) c"
    assert rows(template, query) == [("player_id",)]


def test_the_code_needs_exactly_the_newest_migration() -> None:
    script = ScriptDirectory(str(scripts()))
    assert [revision.revision for revision in script.walk_revisions()] == list(reversed(REVISIONS))


# --- running ---


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


# --- the backup ---


@pytest.fixture
def at_head_0002(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of a future that has one more migration."""
    folder = tmp_path / "migrations"
    for source in (CHECKOUT / "migrations").rglob("*.[pm][ya]*"):
        if source.suffix in {".py", ".mako"}:
            target = folder / source.relative_to(CHECKOUT / "migrations")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    (folder / "versions" / "0002_more.py").write_text(
        'from alembic import op\nrevision = "0002"\ndown_revision = "0001"\n'
        'def upgrade():\n    op.execute("ALTER TABLE players ADD COLUMN more TEXT")\n'
    )
    monkeypatch.setattr(migrations, "scripts", lambda: folder)
    monkeypatch.setattr(migrations, "HEAD", "0002")


async def filled(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await storage.apply([AddPlayer(player()), AddGrant(full_grant())])
    await storage.close()


@pytest.mark.usefixtures("at_head_0002")
async def test_S14_a_filled_database_is_backed_up_before_it_is_migrated(tmp_path: Path) -> None:
    path = migrated_file(tmp_path)
    await filled(path)
    migrate(f"sqlite:///{path}")
    backup = tmp_path / "authsrv.db.before-0002.bak"
    assert rows(path, "SELECT version_num FROM alembic_version") == [("0002",)]
    assert rows(backup, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert rows(backup, "SELECT id FROM grants") == rows(path, "SELECT id FROM grants") == [(1,)]
    assert mode(backup) == 0o600
    assert not has_part(tmp_path)


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
    module = tmp_path / "authsrv" / "storage" / "migrate.py"
    monkeypatch.setattr(migrations, "__file__", str(module))
    assert scripts() == tmp_path / "migrations"
    (tmp_path / "authsrv" / "_migrations").mkdir(parents=True)
    assert scripts() == tmp_path / "authsrv" / "_migrations"
