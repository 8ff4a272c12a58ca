"""Copying to PostgreSQL, from it, and back: nothing is lost between two databases that see values differently."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from authsrv.database_url import Database
from authsrv.storage.base import SchemaMismatch, StorageError
from authsrv.storage.migrate import migrate
from authsrv.storage.moving import copying
from authsrv.storage.moving.house_move import Moved, move
from authsrv.storage.moving.tables import TABLES
from authsrv.storage.postgres.storage import PostgresStorage
from authsrv.storage.schema import REVISIONS
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.copying import Watched, empty, filled
from tests.support.postgres import database, execute, fresh_database, private_server, shared_server
from tests.support.storage import NOW, rows

pytestmark = pytest.mark.postgres

Content = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of an empty database."""
    with database() as made:
        yield made


@pytest.fixture
def other() -> Iterator[str]:
    """The URL of another one."""
    with database() as made:
        yield made


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def moved(source: str, target: str) -> Moved:
    return move(Database(source), Database(target), Watched())


def content(place: str) -> Content:
    """Every row of every copied table, by another way than the one that is tested."""
    queries = {table.name: f"SELECT {', '.join(table.columns)} FROM {table.name}" for table in TABLES}  # noqa: S608
    if place.startswith("sqlite:"):
        return {name: sorted(rows(Path(place[10:]), query), key=repr) for name, query in queries.items()}
    return {name: sorted(execute(place, query), key=repr) for name, query in queries.items()}


def test_everything_goes_there_and_comes_back(tmp_path: Path, postgres: str, other: str) -> None:
    source, target = url(filled(tmp_path / "a")), url(empty(tmp_path / "b"))
    for one, next_one in ((source, postgres), (postgres, other), (other, target)):
        outcome = moved(one, next_one)
        assert outcome.is_whole
        assert outcome.copied.rows == 7 * len(TABLES)
        assert content(next_one) == content(source)


def test_keys_are_in_the_same_order_whatever_the_database_sorts_by(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch after the other, so that an order by a language would pass rows over, or meet them twice."""
    source, target = url(filled(tmp_path / "a", rows=40)), url(empty(tmp_path / "b"))
    monkeypatch.setattr(copying, "ROWS_AT_A_TIME", 3)
    assert moved(source, postgres).is_whole
    assert moved(postgres, target).is_whole
    assert content(target) == content(source)


# --- ids ---


async def first_id(place: str) -> int:
    opened = SqliteStorage(Path(place[10:])) if place.startswith("sqlite:") else PostgresStorage(Database(place))
    await opened.open()
    try:
        return opened.next_id()
    finally:
        await opened.close()


async def test_no_id_is_given_twice_on_the_way_there_and_back(tmp_path: Path, postgres: str) -> None:
    source, target = url(filled(tmp_path / "a")), url(empty(tmp_path / "b"))
    given = [await first_id(source)]
    # What a test fills in has numbers that no storage gives.
    assert moved(source, postgres).is_whole
    given.append(await first_id(postgres))
    assert moved(postgres, target).is_whole
    given.append(await first_id(target))
    assert given == sorted(set(given))


async def test_a_database_whose_ids_are_ahead_of_the_clock_has_to_wait(tmp_path: Path, postgres: str) -> None:
    """As they are for some minutes after a move from PostgreSQL to SQLite."""
    source, target = url(empty(tmp_path / "a")), url(empty(tmp_path / "b"))
    assert moved(postgres, source).is_whole
    await first_id(source)
    with pytest.raises(StorageError, match=r"ids that the source gave are \d+ seconds ahead of those that database"):
        moved(source, postgres)
    assert moved(source, target).is_whole
    assert execute(postgres, "SELECT version_num FROM alembic_version") == [(REVISIONS[-1],)]


# --- interruptions ---

_CHILD = """
import signal, sys
from authsrv.database_url import Database
from authsrv.storage.moving import copying
from authsrv.storage.moving.house_move import move
from tests.support.copying import Watched
copying.ROWS_AT_A_TIME = 1
import authsrv.storage.postgres.copying  # before the clock runs
# Nobody handles this signal: the process is gone at once.
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[3]))
sys.exit(not move(Database(sys.argv[1]), Database(sys.argv[2]), Watched()).is_whole)
"""


def test_a_move_survives_a_kill_at_any_moment(tmp_path: Path, postgres: str) -> None:
    source = url(filled(tmp_path / "a"))
    statuses = [
        subprocess.run([sys.executable, "-c", _CHILD, source, postgres, str(seconds)], check=False).returncode
        for seconds in (0.001, 0.03, 0.06, 0.1, 0)
    ]
    assert statuses[0] == -signal.SIGALRM
    assert statuses[-1] == 0
    assert content(postgres) == content(source)


_END = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def lost(source: str, target: str, postgres: str) -> str:
    """What is told of a move in the middle of which the server ends all connections to its database."""

    class Losing(Watched):
        def advance(self, rows: int) -> None:
            super().advance(rows)
            if self.rows == [70]:
                execute(postgres, _END)

    with pytest.raises(StorageError) as caught:
        move(Database(source), Database(target), Losing())
    return str(caught.value)


@pytest.mark.parametrize("role", ["source", "target"])
def test_a_connection_that_is_lost_is_told_and_the_same_command_goes_on(
    tmp_path: Path, postgres: str, role: str
) -> None:
    source, target = url(filled(tmp_path / "a")), postgres
    if role == "source":
        assert moved(source, postgres).is_whole
        source, target = postgres, url(empty(tmp_path / "b"))
    told = lost(source, target, postgres)
    assert "the connection to database" in told
    assert "give the same command again: it goes on where it stopped" in told
    for use in (
        lambda: moved(target, url(empty(tmp_path / "c"))),
        lambda: migrate(target),
        lambda: asyncio.run(first_id(target)),
    ):
        with pytest.raises(SchemaMismatch, match="the database is not whole"):
            use()
    outcome = moved(source, target)
    assert (outcome.is_whole, outcome.copied.rows_before, outcome.copied.rows) == (True, 70, 7 * len(TABLES) - 70)


def test_a_full_disk_is_told_and_the_same_command_goes_on(tmp_path: Path) -> None:
    source = url(filled(tmp_path / "a"))
    with fresh_database(shared_server()) as target:
        execute(
            target,
            """CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$""",
            "CREATE TRIGGER no_room BEFORE INSERT ON events EXECUTE FUNCTION no_room()",
        )
        with pytest.raises(StorageError, match=r"the disk of database .* is full; make room and give the same command"):
            moved(source, target)
        execute(target, "DROP TRIGGER no_room ON events")
        outcome = moved(source, target)
        assert outcome.is_whole
        assert outcome.copied.rows_before > 0


# --- who else uses it ---


@pytest.mark.parametrize("role", ["source", "target"])
def test_a_database_that_a_node_serves_is_not_moved(tmp_path: Path, postgres: str, role: str) -> None:
    execute(postgres, f"INSERT INTO leases VALUES ('sweeper', 'node-1', {NOW * 2})")  # noqa: S608
    file = url(empty(tmp_path / "a"))
    sides = (postgres, file) if role == "source" else (file, postgres)
    with pytest.raises(StorageError, match=r"is served, a node holds the lease 'sweeper'; stop all nodes"):
        moved(*sides)


def test_a_lease_that_is_over_keeps_nobody_from_moving(tmp_path: Path, postgres: str) -> None:
    execute(postgres, "INSERT INTO leases VALUES ('sweeper', 'node-1', 1)")
    target = empty(tmp_path / "a")
    assert moved(postgres, url(target)).is_whole
    assert rows(target, "SELECT * FROM leases") == []


def test_a_node_that_starts_meanwhile_voids_the_copy(tmp_path: Path, postgres: str) -> None:
    moved(url(filled(tmp_path / "a")), postgres)
    target = url(empty(tmp_path / "b"))

    class Starting(Watched):
        def begin(self, doing: str, rows: int) -> None:
            super().begin(doing, rows)
            if doing == "Comparing":
                execute(postgres, "UPDATE epochs SET value = value + 1", "DELETE FROM events")

    with pytest.raises(StorageError, match=r"a node was started on database .* meanwhile"):
        move(Database(postgres), Database(target), Starting())
    with pytest.raises(StorageError, match="holds an unfinished copy"):
        moved(postgres, target)


# --- refusals ---


def test_one_database_cannot_be_moved_to_itself(postgres: str) -> None:
    again = postgres.replace("postgres@", "somebody@")
    with pytest.raises(StorageError, match="--from and --to name the same database"):
        moved(postgres, again)


def test_a_target_that_is_not_empty_stays_as_it_is(tmp_path: Path, postgres: str) -> None:
    source = url(filled(tmp_path / "a"))
    moved(source, postgres)
    before = content(postgres)
    with pytest.raises(StorageError, match="is not empty, it has rows in players, identities"):
        moved(source, postgres)
    assert content(postgres) == before


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    target = shared_server().url("nowhere")
    with pytest.raises(StorageError, match=r'database "nowhere" does not exist; make it, with its roles'):
        moved(url(filled(tmp_path / "a")), target)


def test_a_database_without_tables_is_told(tmp_path: Path) -> None:
    target = shared_server().url("postgres")
    with pytest.raises(SchemaMismatch, match=r"database postgres of .*: the database has no schema yet; run"):
        moved(url(filled(tmp_path / "a")), target)


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize(("found", "text"), [("9999", "has schema 9999, this authsrv knows up to"), ("0005", "needs")])
def test_another_schema_is_told(tmp_path: Path, role: str, found: str, text: str) -> None:
    file = url(empty(tmp_path / "a"))
    with fresh_database(shared_server()) as changed:
        execute(changed, f"UPDATE alembic_version SET version_num = '{found}'", "DROP TABLE leases")  # noqa: S608
        sides = (changed, file) if role == "source" else (file, changed)
        with pytest.raises(SchemaMismatch, match=text):
            moved(*sides)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("postgresql://amber:hunter2@127.0.0.1:1/authsrv", id="nobody listens"),
        pytest.param("postgresql://amber:hunter2/x@127.0.0.1/authsrv", id="a slash in it"),
        pytest.param("postgresql://amber:hunter2@127.0.0.1:port/authsrv", id="no port"),
        pytest.param("postgresql://amber:hunter2@127.0.0.1", id="no name"),
        pytest.param("postgresql://amber@127.0.0.1:1/authsrv?password=hunter2&sslmode=maybe", id="a wrong setting"),
        pytest.param("postgresql://amber@127.0.0.1:1/authsrv?pasword=hunter2", id="a misspelt setting"),
        pytest.param("mysql://amber:hunter2@127.0.0.1/authsrv", id="another server"),
    ],
)
def test_the_password_is_in_no_text(tmp_path: Path, target: str) -> None:
    with pytest.raises(StorageError) as caught:
        moved(url(filled(tmp_path / "a", rows=1)), target)
    assert "hunter2" not in str(caught.value)


def test_a_user_that_only_reads_is_enough_for_the_source_and_told_for_the_target(tmp_path: Path) -> None:
    source = url(filled(tmp_path / "a"))
    with fresh_database(shared_server()) as postgres:
        execute(postgres, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN")
        execute(postgres, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        reader = postgres.replace("postgres@", "reader@")
        with pytest.raises(StorageError, match="may not do it; name the one that `authsrv migrate` runs as"):
            moved(source, reader)
        moved(source, postgres)
        assert moved(reader, url(empty(tmp_path / "b"))).is_whole
        execute(postgres, "DROP OWNED BY reader", "DROP ROLE reader")


def test_a_wrong_password_is_told_and_the_right_one_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = url(empty(tmp_path / "a"))
    with private_server() as server:
        execute(server.url("migrated"), "ALTER ROLE postgres PASSWORD 'hunter2'")
        server.stop()
        server.allow("host all all 127.0.0.1/32 scram-sha-256\n")
        server.start()
        target = server.url("migrated")
        for wrong in ("", "hunter3"):
            with pytest.raises(StorageError, match=r"password.*; give the right one in the environment") as caught:
                move(Database(source), Database(target, wrong), Watched())
            assert "hunter" not in str(caught.value)
        assert move(Database(source), Database(target, "hunter2"), Watched()).is_whole
        monkeypatch.setenv("PGPASSWORD", "hunter2")
        assert moved(target, url(empty(tmp_path / "b"))).is_whole


def test_a_text_that_postgresql_cannot_hold_is_told_without_what_stands_in_it(tmp_path: Path, postgres: str) -> None:
    source = filled(tmp_path / "a")
    with closing(sqlite3.connect(source)) as driver, driver:
        driver.execute("UPDATE players SET display_name = 'secret' || char(0) WHERE id = 3")
    with pytest.raises(StorageError, match="does not take a row") as caught:
        moved(url(source), postgres)
    assert "secret" not in str(caught.value)


def test_a_row_that_is_refused_is_told_without_what_stands_in_it(tmp_path: Path) -> None:
    """PostgreSQL's own text has the whole row."""
    source = filled(tmp_path / "a")
    with closing(sqlite3.connect(source)) as driver, driver:
        driver.execute("UPDATE players SET display_name = 'secret' WHERE id = 3")
    with fresh_database(shared_server()) as target:
        execute(target, "ALTER TABLE players ADD CONSTRAINT no_third CHECK (id <> 3)")
        with pytest.raises(StorageError, match=r"does not take a row \(no_third\)") as caught:
            moved(url(source), target)
    assert "secret" not in str(caught.value)
