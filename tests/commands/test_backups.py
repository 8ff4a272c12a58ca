"""`authsrv backup`, `authsrv restore` and `authsrv restored` as an operator meets them."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from authsrv.cli import app
from authsrv.commands import confirming
from tests.support.storage import migrated_file, rows

RUN = CliRunner()
CONFIG = """
issuer = "https://login.studio.example"
[database]
url = "sqlite:///{directory}/authsrv.db"
[projects.skyforge.clients.launcher]
native = true
redirect_uris = ["http://127.0.0.1/callback"]
"""
ASKS = "this asks before it does anything, and there is no terminal; add --yes"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a configuration and a database that was served once."""
    (tmp_path / "authsrv.toml").write_text(CONFIG.format(directory=tmp_path))
    migrated_file(tmp_path)
    assert run(tmp_path, "keys", "list")[0] == 0
    return tmp_path


def run(place: Path, *arguments: str, given: bytes | None = None) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    done = RUN.invoke(app, [*arguments, "--config", str(place / "authsrv.toml")], input=given)
    return done.exit_code, done.stdout, done.stderr


def backed_up(place: Path) -> Path:
    file = place / "one.backup"
    assert run(place, "backup", str(file))[0] == 0
    return file


def restored_at(place: Path) -> list[tuple[object, ...]]:
    return rows(place / "authsrv.db", "SELECT value FROM versions WHERE name = 'restored'")


def test_a_backup_tells_where_it_is_and_how_large(place: Path) -> None:
    file = place / "one.backup"
    assert run(place, "backup", str(file)) == (0, f"{file} holds the database: {file.stat().st_size} bytes.\n", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    status, told, error = run(place, "backup", str(file))
    assert (status, told) == (1, "")
    assert error == f"authsrv: {file} is there already; name a new file, with the date and the hour in it\n"
    second = place / "two.backup"
    assert json.loads(run(place, "backup", str(second), "--json")[1]) == {
        "file": str(second),
        "bytes": second.stat().st_size,
    }


def test_a_restore_tells_what_it_ended_and_what_is_left_to_do(place: Path) -> None:
    file = backed_up(place)
    status, told, _ = run(place, "restore", str(file), "--replace", "--yes")
    assert status == 0
    assert told.startswith("Ended: 0 grants, 0 sessions, 0 pending requests, 0 link codes, 0 presented credentials.\n")
    (aside,) = place.glob("authsrv.db.replaced-*")
    assert f"The database before is {aside}; remove it" in told
    assert "authsrv keys revoke" in told
    assert restored_at(place)


def test_json_has_the_same_in_numbers(place: Path) -> None:
    file = backed_up(place)
    told = json.loads(run(place, "restore", str(file), "--dry-run", "--json")[1])
    assert told == {
        "done": False,
        "schema": "0007",
        "grants": 0,
        "sessions": 0,
        "requests": 0,
        "link_codes": 0,
        "credentials": 0,
        "erased_again": 0,
        "moved_aside": None,
    }
    assert restored_at(place) == []


@pytest.mark.parametrize("command", [["restore", "one.backup", "--replace"], ["restored"]], ids=" ".join)
def test_they_ask_and_take_nothing_but_the_word(
    place: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(place)
    monkeypatch.chdir(place)
    assert run(place, *command) == (1, "", f"authsrv: {ASKS}\n")
    monkeypatch.setattr(confirming, "at_terminal", lambda: True)
    assert run(place, *command, given=b"yes\n")[0] == 1
    assert restored_at(place) == []
    assert run(place, *command, given=b"restore\n")[0] == 0
    assert restored_at(place)


def test_restored_only_tells_what_it_would_end_when_it_is_tried(place: Path) -> None:
    status, told, _ = run(place, "restored", "--dry-run")
    assert status == 0
    assert told.startswith("Would end: 0 grants")
    assert told.endswith("Nothing was changed.\n")
    assert restored_at(place) == []


def test_a_backup_goes_through_pipes(place: Path) -> None:
    done = RUN.invoke(app, ["backup", "-", "--config", str(place / "authsrv.toml")])
    assert done.exit_code == 0
    assert done.stdout_bytes.startswith(b"SQLite format 3\0")
    status, told, _ = run(place, "restore", "-", "--replace", "--yes", given=done.stdout_bytes)
    assert (status, told[:6]) == (0, "Ended:")
    assert restored_at(place)


def test_a_backup_that_came_through_a_pipe_by_half_is_refused(place: Path) -> None:
    done = RUN.invoke(app, ["backup", "-", "--config", str(place / "authsrv.toml")])
    status, told, error = run(place, "restore", "-", "--dry-run", given=done.stdout_bytes[:-5000])
    assert (status, told) == (1, "")
    assert error.startswith("authsrv: the backup is damaged")


def test_what_is_not_there_is_told(place: Path) -> None:
    assert run(place, "restore", str(place / "none"), "--dry-run")[2] == f"authsrv: there is no file {place / 'none'}\n"
    (place / "authsrv.db").unlink()
    status, _, error = run(place, "backup", str(place / "one.backup"))
    assert status == 1
    assert "authsrv.db" in error
    assert not list(place.glob("one.backup*"))
