"""Copying one database into another: everything that is there, once, however often it is interrupted."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from authsrv.database_url import Database
from authsrv.storage.base import SchemaMismatch, StorageError
from authsrv.storage.lock import ProcessLock
from authsrv.storage.migrate import migrate
from authsrv.storage.moving import copying
from authsrv.storage.moving.comparing import canonical
from authsrv.storage.moving.house_move import Moved, move
from authsrv.storage.moving.tables import NOT_COPIED, TABLES, Table
from authsrv.storage.rows.base import Row
from authsrv.storage.schema import REVISIONS
from authsrv.storage.sqlite.connection import WRITER
from authsrv.storage.sqlite.copying import SqliteSide
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.copying import Watched, empty, filled
from tests.support.storage import migrated_file, rows


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def moved(source: Path, target: Path) -> Moved:
    return move(Database(url(source)), Database(url(target)), Watched())


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every copied table, by another way than the one that is tested."""
    order = {table.name: ", ".join(table.key) for table in TABLES}
    return {name: rows(path, f"SELECT * FROM {name} ORDER BY {key}") for name, key in order.items()}  # noqa: S608


def revision(path: Path) -> str:
    ((found,),) = rows(path, "SELECT version_num FROM alembic_version")
    return str(found)


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as driver, driver:
        driver.execute(statement)


# --- the list ---


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_file(tmp_path_factory.mktemp("tables"))


def test_every_table_is_copied_or_it_is_said_why_not(template: Path) -> None:
    found = [name for (name,) in rows(template, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert sorted([*(table.name for table in TABLES), *NOT_COPIED]) == sorted(map(str, found))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_copied_in_the_order_of_the_key(template: Path, table: Table) -> None:
    found = rows(template, f"SELECT name, pk FROM pragma_table_info('{table.name}') ORDER BY pk")  # noqa: S608
    assert sorted(table.columns) == sorted(str(name) for name, _ in found)
    assert list(table.key) == [name for name, place in found if place]


def test_rows_are_copied_after_those_they_point_to(template: Path) -> None:
    before: list[str] = []
    for table in TABLES:
        needed = rows(template, f"SELECT \"table\" FROM pragma_foreign_key_list('{table.name}')")  # noqa: S608
        assert {name for (name,) in needed} <= set(before)
        before.append(table.name)


# --- what arrives ---


def test_everything_arrives_as_it_was(tmp_path: Path) -> None:
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    before = content(source)
    outcome = moved(source, target)
    assert content(target) == before == content(source)
    assert outcome.is_whole
    assert (outcome.copied.rows, outcome.copied.rows_before) == (7 * len(TABLES), 0)


def test_tables_longer_than_a_batch_arrive_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among them some that end where a batch ends."""
    source, target = filled(tmp_path / "a", rows=6), empty(tmp_path / "b")
    monkeypatch.setattr(copying, "ROWS_AT_A_TIME", 3)
    assert moved(source, target).is_whole
    assert content(target) == content(source)


def test_an_empty_database_can_be_moved(tmp_path: Path) -> None:
    source, target = empty(tmp_path / "a"), empty(tmp_path / "b")
    outcome = moved(source, target)
    assert (outcome.is_whole, outcome.copied.rows, revision(target)) == (True, 0, REVISIONS[-1])


def test_the_watcher_hears_of_every_row(tmp_path: Path) -> None:
    source, target, watched = filled(tmp_path / "a"), empty(tmp_path / "b"), Watched()
    move(Database(url(source)), Database(url(target)), watched)
    total = 7 * len(TABLES)
    assert watched.phases == [("Copying", total), ("Comparing", 2 * total)]
    assert watched.rows == [total, 2 * total]


# --- ids ---


async def first_id(path: Path) -> int:
    storage = SqliteStorage(path)
    await storage.open()
    try:
        return storage.next_id()
    finally:
        await storage.close()


async def test_no_id_is_given_twice(tmp_path: Path) -> None:
    """Not even that of a row that is no more."""
    source, target = filled(tmp_path / "a", start=41), empty(tmp_path / "b")
    given = await first_id(source)
    moved(source, target)
    assert await first_id(target) > given


async def test_ids_beyond_the_start_number_are_left_behind_too(tmp_path: Path) -> None:
    source, target, highest = filled(tmp_path / "a"), empty(tmp_path / "b"), (900 << 40) + 5
    change(source, f"UPDATE events SET id = {highest} WHERE id = 7")  # noqa: S608
    moved(source, target)
    assert await first_id(target) > highest


# --- interruptions ---


class Killed(BaseException):
    """Nothing after it runs, but for what the driver does when it is closed."""


def interrupted(monkeypatch: pytest.MonkeyPatch, source: Path, target: Path, batch: int, *, committed: bool) -> None:
    """A move that ended before or after it committed that batch."""
    insert, left = SqliteSide.insert, iter(range(batch, -1, -1))

    def killed(self: SqliteSide, table: Table, rows: Sequence[Row]) -> None:
        is_last = next(left) == 0
        if not is_last or committed:
            insert(self, table, rows)
        if is_last:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(SqliteSide, "insert", killed)
        with pytest.raises(Killed):
            moved(source, target)


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 2, 30, 68])
def test_a_move_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, committed: bool
) -> None:
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    monkeypatch.setattr(copying, "ROWS_AT_A_TIME", 3)
    interrupted(monkeypatch, source, target, batch, committed=committed)
    before = sum(map(len, content(target).values()))
    outcome = moved(source, target)
    assert (outcome.copied.rows_before, outcome.copied.rows) == (before, 7 * len(TABLES) - before)
    assert outcome.is_whole
    assert content(target) == content(source)


def test_what_is_not_whole_is_neither_served_nor_migrated_nor_moved_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    interrupted(monkeypatch, source, target, 3, committed=True)
    for use in (
        lambda: asyncio.run(SqliteStorage(target).open()),
        lambda: migrate(url(target)),
        lambda: moved(target, empty(tmp_path / "c")),
    ):
        with pytest.raises(SchemaMismatch, match="the database is not whole: copying into it was interrupted"):
            use()


async def test_a_source_that_was_served_since_cannot_be_moved_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    interrupted(monkeypatch, source, target, 3, committed=True)
    await first_id(source)
    with pytest.raises(StorageError, match=r"unfinished copy of another database, or of .* before it was served again"):
        moved(source, target)


def test_a_move_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    # One that is killed at its very end has done it.
    times = (0.001, 0.01, 0.03, 0.06, 0.1, 0.1, 0)
    statuses = [status_of_a_move(source, target, seconds) for seconds in times if not is_done(source, target)]
    assert statuses[0] == -signal.SIGALRM
    assert set(statuses) <= {-signal.SIGALRM, 0}
    assert is_done(source, target)


def is_done(source: Path, target: Path) -> bool:
    """Whether everything is there, and the target may be served."""
    return revision(target) == REVISIONS[-1] and content(target) == content(source)


_CHILD = """
import signal, sys
from authsrv.database_url import Database
from authsrv.storage.moving import copying
from authsrv.storage.moving.house_move import move
from tests.support.copying import Watched
copying.ROWS_AT_A_TIME = 1
# Nobody handles this signal: the process is gone at once.
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[3]))
sys.exit(not move(Database(sys.argv[1]), Database(sys.argv[2]), Watched()).is_whole)
"""


def status_of_a_move(source: Path, target: Path, killed_after: float) -> int:
    arguments = (url(source), url(target), str(killed_after))
    return subprocess.run([sys.executable, "-c", _CHILD, *arguments], check=False).returncode


# --- comparing ---


def test_rows_that_got_lost_on_the_way_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each table, but for those that the database itself watches over, because others point to their rows."""
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    insert, watched = SqliteSide.insert, {"players", "sessions", "bans"}

    def losing(self: SqliteSide, table: Table, rows: Sequence[Row]) -> None:
        insert(self, table, rows if table.name in watched else rows[:-1])

    monkeypatch.setattr(SqliteSide, "insert", losing)
    different = [one for one in moved(source, target).comparisons if not one.is_equal]
    assert {one.table for one in different} | watched == {table.name for table in TABLES}
    assert {(one.source.rows, one.target.rows) for one in different} == {(7, 6)}
    with pytest.raises(SchemaMismatch, match="not whole"):
        migrate(url(target))


def test_a_value_that_changed_on_the_way_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    insert = SqliteSide.insert

    def changing(self: SqliteSide, table: Table, rows: Sequence[Row]) -> None:
        """The last column of the fifth row."""
        worse = [(*row[:-1], 0) if place == 4 else row for place, row in enumerate(rows)]
        insert(self, table, worse if table.name == "events" else rows)

    monkeypatch.setattr(SqliteSide, "insert", changing)
    assert [one.table for one in moved(source, target).comparisons if not one.is_equal] == ["events"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([(None,)], [("None",)], id="null and text"),
        pytest.param([(1,)], [("1",)], id="number and text"),
        pytest.param([(b"a",)], [("a",)], id="bytes and text"),
        pytest.param([("",)], [(None,)], id="empty and null"),
        pytest.param([("a", "b")], [("a", "b"), ()], id="another row"),
        pytest.param([("a",), ("b",)], [("a')\n('b",)], id="a line's end"),
        pytest.param([("\u00e4",)], [("a\u0308",)], id="two ways to write a letter"),
        pytest.param([(2**53 + 1,)], [(2**53,)], id="large numbers"),
    ],
)
def test_no_two_contents_look_alike(one: list[Row], other: list[Row]) -> None:
    assert canonical(one) != canonical(other)


def test_the_form_that_is_compared_is_fixed() -> None:
    """So that checksums can be compared with those of another machine."""
    assert canonical([(1, None, "\u00e4'", b"\0a"), (-1, "\n", "\U0001f980", "")]) == (
        b"""(1, None, "\\xe4'", b'\\x00a')\n(-1, '\\n', '\\U0001f980', '')\n"""
    )


# --- refusals ---


def test_one_database_cannot_be_moved_to_itself(tmp_path: Path) -> None:
    source = filled(tmp_path / "a")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(StorageError, match="--from and --to name the same database"):
        moved(source, tmp_path / "b" / source.name)


def test_without_the_driver_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "authsrv.storage.postgres.copying", raising=False)
    with pytest.raises(StorageError, match=r"pip install 'authsrv\[postgres\]'"):
        move(Database(url(filled(tmp_path / "a"))), Database("postgresql://amber@127.0.0.1/authsrv"), Watched())


@pytest.mark.parametrize("side", ["a", "b"])
def test_what_is_served_is_not_moved(tmp_path: Path, side: str) -> None:
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    with (
        ProcessLock(tmp_path / side / source.name),
        pytest.raises(StorageError, match=f"another authsrv process uses .*/{side}/"),
    ):
        moved(source, target)


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_database_that_is_not_there_is_named(tmp_path: Path, side: str) -> None:
    filled(tmp_path / "a"), empty(tmp_path / "b")
    (tmp_path / side / "authsrv.db").unlink()
    with pytest.raises(SchemaMismatch, match=f"there is no database at .*/{side}/authsrv.db; `authsrv migrate`"):
        moved(tmp_path / "a" / "authsrv.db", tmp_path / "b" / "authsrv.db")


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize(
    ("change_of_schema", "text"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "has schema 0001, this authsrv needs"),
        ("UPDATE alembic_version SET version_num = '9999'", "has schema 9999, this authsrv knows up to"),
        ("DROP TABLE alembic_version", "the database has no schema yet; run `authsrv migrate`"),
    ],
)
def test_both_need_the_schema_of_this_version(tmp_path: Path, side: str, change_of_schema: str, text: str) -> None:
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    change(tmp_path / side / "authsrv.db", change_of_schema)
    with pytest.raises(SchemaMismatch, match=f"/{side}/authsrv.db: .*{text}"):
        moved(source, target)


def test_a_target_that_is_not_empty_stays_as_it_is(tmp_path: Path) -> None:
    source, target = filled(tmp_path / "a"), filled(tmp_path / "b", rows=1)
    before = content(target)
    names = ", ".join(table.name for table in TABLES)
    with pytest.raises(StorageError, match=f"is not empty, it has rows in {names}; name an empty database"):
        moved(source, target)
    assert content(target) == before
    assert revision(target) == REVISIONS[-1]


def test_a_full_disk_is_told_and_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = filled(tmp_path / "a", rows=200), empty(tmp_path / "b")
    ((pages,),) = rows(target, "PRAGMA page_count")
    limit = (("max_page_count", str(pages), pages),)
    with monkeypatch.context() as patched:
        patched.setattr("authsrv.storage.sqlite.copying.WRITER", (*WRITER, *limit))
        with pytest.raises(StorageError, match=r"disk of .*/b/.* is full; make room"):
            moved(source, target)
    assert moved(source, target).is_whole


def test_a_damaged_source_is_told(tmp_path: Path) -> None:
    source, target = filled(tmp_path / "a", rows=200), empty(tmp_path / "b")
    with source.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096 * 30)
    with pytest.raises(StorageError, match="damaged"):
        moved(source, target)
