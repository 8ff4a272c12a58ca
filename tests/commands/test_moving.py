"""`authsrv migrate-data`: what the operator reads, and what a script does."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from authsrv.cli import app
from authsrv.commands import moving
from authsrv.database_url import Database
from authsrv.storage.base import StorageError
from authsrv.storage.moving import house_move
from authsrv.storage.moving.tables import TABLES
from authsrv.storage.sqlite.copying import SqliteSide
from tests.support.copying import empty, filled

ROWS = 7 * len(TABLES)


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["migrate-data", *arguments])


def run(tmp_path: Path, *more: str) -> Result:
    """Move a filled database into an empty one."""
    source, target = filled(tmp_path / "a"), empty(tmp_path / "b")
    return ran("--from", url(source), "--to", url(target), *more)


def test_a_table_tells_what_arrived(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["TABLE", "FROM", "TO", "CHECKSUM"]
    assert [line[:3] for line in lines[1 : len(TABLES) + 1]] == [[table.name, "7", "7"] for table in TABLES]
    assert f"Copied {ROWS} rows in " in done.stdout
    assert " rows/s)." in done.stdout
    assert "the old one never again" in done.stdout


def test_a_script_reads_json(tmp_path: Path) -> None:
    done = run(tmp_path, "--json")
    found = json.loads(done.stdout)
    assert (found["equal"], found["rows"], found["rows_before"]) == (True, ROWS, 0)
    assert found["rows_per_second"] > 0
    assert [one["table"] for one in found["tables"]] == [table.name for table in TABLES]
    assert all(one["equal"] and one["from"] == one["to"] and one["from"]["rows"] == 7 for one in found["tables"])
    assert {len(one["from"]["sha256"]) for one in found["tables"]} == {64}


def test_what_differs_is_named_and_the_command_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = SqliteSide.insert

    def losing(side: SqliteSide, table: object, rows: list[object]) -> None:
        insert(side, table, rows[:-1] if table.name == "events" else rows)  # type: ignore[arg-type,attr-defined]

    monkeypatch.setattr(SqliteSide, "insert", losing)
    done = run(tmp_path)
    assert done.exit_code == 1
    (line,) = [line for line in done.stdout.splitlines() if "IS NOT" in line]
    assert line.split()[:3] == ["events", "7", "6"]
    assert "The new database is not to be used" in done.stderr
    assert "Everything is there" not in done.stdout


def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    source = filled(tmp_path / "a")
    done = ran("--from", url(source), "--to", url(source))
    assert done.exit_code == 1
    assert done.stderr == "authsrv: --from and --to name the same database; name another one to move to\n"


@pytest.mark.parametrize("wrong", ["mysql://amber:hunter2@db/x", "hunter2", "postgresql://amber:hunter2@db"])
def test_a_wrong_url_is_refused_without_its_password(tmp_path: Path, wrong: str) -> None:
    done = ran("--from", wrong, "--to", url(tmp_path / "a.db"))
    assert done.exit_code == 1
    assert "postgresql://user@host:5432/name" in done.stderr
    assert "hunter2" not in done.output


def test_passwords_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Database] = []

    def move(source: Database, target: Database, _watch: object) -> None:
        given.extend((source, target))
        raise StorageError("enough")

    monkeypatch.setattr(house_move, "move", move)
    for name in ("one", "two"):
        (tmp_path / name).write_text(f" of {name}\n")
    addresses = "postgresql://amber@old/x", "postgresql://amber@new/x"
    files = ("--from-password-file", str(tmp_path / "one"), "--to-password-file", str(tmp_path / "two"))
    ran("--from", addresses[0], "--to", addresses[1], *files)
    assert given == [Database(addresses[0], " of one"), Database(addresses[1], " of two")]


def test_a_password_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = ran("--from", "sqlite:///a", "--to", "sqlite:///b", "--to-password-file", str(tmp_path / "none"))
    assert done.exit_code == 1
    assert "none cannot be read: " in done.stderr


def test_somebody_who_watches_sees_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with moving.Bar(hidden=False) as bar:
        bar.begin("Copying", 10)
        bar.advance(10)
        bar.begin("Comparing", 0)
    shown = capsys.readouterr().err
    assert "Copying" in shown
    assert "Comparing" in shown


def test_a_script_sees_no_bar(tmp_path: Path) -> None:
    assert not sys.stderr.isatty()
    assert run(tmp_path).stderr == ""
