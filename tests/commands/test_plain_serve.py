"""What `authsrv serve` understands without the library for command lines is what that library understands."""

import gc
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from authsrv.__main__ import main
from authsrv.cli import app
from authsrv.commands import starting
from authsrv.commands.plain_serve import Serve, plain

PLAIN = (
    "",
    "--migrate",
    "--config a.toml",
    "-c a.toml",
    "--config=a.toml",
    "--migrate --config a.toml",
    "--config a.toml --migrate",
    "--config a.toml --config b.toml",
    "--config=a=b.toml",
)
FOR_THE_LIBRARY = ("--help", "--nothing", "--config", "--config=", "--config --migrate", "-ca.toml", "a.toml", "--")


def judged(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Serve:
    """What the library makes of the arguments."""
    found: list[Serve] = []

    def start(asked: Serve) -> int:
        found.append(asked)
        return 0

    monkeypatch.setattr(starting, "start", start)
    assert CliRunner().invoke(app, ["serve", *arguments]).exit_code == 0
    return found[0]


@pytest.mark.parametrize("environment", [None, "", "c.toml"])
@pytest.mark.parametrize("arguments", PLAIN)
def test_plain_arguments_mean_what_they_mean_to_the_library(
    arguments: str, environment: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment is not None:
        monkeypatch.setenv("AUTHSRV_CONFIG", environment)
    asked = plain(arguments.split())
    assert asked is not None
    assert asked == judged(arguments.split(), monkeypatch)


@pytest.mark.parametrize("arguments", FOR_THE_LIBRARY)
def test_everything_else_is_for_the_library(arguments: str) -> None:
    assert plain(arguments.split()) is None


@pytest.mark.parametrize("named", ["none.toml", "directory.toml"])
@pytest.mark.parametrize("end", [[], ["--"]], ids=["plain", "by the library"])
def test_a_start_that_fails_says_the_same_either_way(named: str, end: list[str], tmp_path: Path) -> None:
    (tmp_path / "directory.toml").mkdir()
    command = [sys.executable, "-m", "authsrv", "serve", "--config", named, *end]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"authsrv: the configuration cannot be used\n\n{named}\n  problem: the file cannot")


def test_a_migration_that_fails_ends_the_start_with_its_status(tmp_path: Path) -> None:
    (tmp_path / "authsrv.db").write_text("not a database at all, but a text of some length " * 20)
    (tmp_path / "authsrv.toml").write_text(
        f'issuer = "https://login.studio.example"\n[database]\nurl = "sqlite:///{tmp_path}/authsrv.db"\n'
    )
    command = [sys.executable, "-m", "authsrv", "serve", "--migrate"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "authsrv: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_start_without_a_stderr_ends_with_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert starting.start(Serve(tmp_path / "none.toml", migrate_first=False)) == 1


def test_a_start_that_is_interrupted_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: Serve) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(starting, "start", start)
    monkeypatch.setattr(sys, "argv", ["authsrv", "serve"])
    monkeypatch.setattr(gc, "set_threshold", lambda _: None)
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with pytest.raises(SystemExit, match="Aborted!"):
        main()
