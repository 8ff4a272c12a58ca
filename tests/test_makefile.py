"""The Makefile: its verbs, what it hands on, and what it says when the machine lacks something."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERBS = ("run", "test", "check", "lint", "types", "bench", "clean")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the Makefile reads, set up as far as make can tell."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def make(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "ARGS", "PORT", "EMULATOR_PORT"))
    }
    return subprocess.run(
        [shutil.which("make") or "make", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_exists(checkout: Path, verb: str) -> None:
    assert make(checkout, "--dry-run", verb).returncode == 0


def test_check_is_lint_types_and_tests(checkout: Path) -> None:
    planned = make(checkout, "--dry-run", "check").stdout
    commands = [line.rpartition(" -m ")[2] for line in planned.splitlines()]
    in_parallel = "pytest -n auto --dist loadfile"
    assert [command.strip() for command in commands] == ["ruff check .", "ruff format --check .", "mypy", in_parallel]


def test_ports_are_handed_to_the_demo(checkout: Path) -> None:
    planned = make(checkout, "--dry-run", "run", "PORT=8181", "EMULATOR_PORT=8191").stdout
    assert '-m authsrv demo --port "8181" --emulator-port "8191"' in planned


def test_nothing_is_installed_again_until_the_pins_change(checkout: Path) -> None:
    assert "pip" not in make(checkout, "--dry-run", "test").stdout
    stamp = (checkout / ".venv" / ".installed").stat().st_mtime
    os.utime(checkout / "constraints.txt", (stamp + 10, stamp + 10))
    planned = make(checkout, "--dry-run", "test").stdout
    assert "install --require-hashes -r constraints.txt" in planned
    assert "install --no-deps --no-build-isolation -e ." in planned


def test_without_a_fitting_python_it_says_what_to_install(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    done = make(checkout, "test", "PYTHONS=python-of-nowhere python-of-yesterday")
    assert done.returncode != 0
    assert "authsrv needs Python 3.11 or newer" in done.stderr
    assert "apt install" in done.stderr
    assert not (checkout / ".venv").exists()


def test_nothing_newer_than_make_3_81_is_used() -> None:
    text = (ROOT / "Makefile").read_text()
    newer = re.compile(r"^\.ONESHELL|!=|::=|\$\(file |&:|^\.SHELLFLAGS|\$\(guile |\$\(let |\$\(intcmp ", re.MULTILINE)
    assert not newer.search(text)
