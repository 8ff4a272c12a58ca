"""Python environments of peers: made once per list of requirements, and kept.

Owns `venv` and pip as far as a peer needs them. Knows no peer.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.servers import installed_environment
from bench.systems.base import NotInstalled

INSTALL_SECONDS = 600
SEED_SECONDS = 600


class Environment:
    """One in `cache`, with what `requirements` pins by version and hash."""

    def __init__(self, cache: Path, requirements: Path) -> None:
        self._home = cache / "venv"
        self._requirements = requirements
        self._installed = cache / "requirements.txt"

    def install(self) -> None:
        """From the package registry, unless these very requirements are there. Raises `NotInstalled`."""
        wanted = self._requirements.read_text()
        if self._installed.exists() and self._installed.read_text() == wanted:
            return
        self._installed.unlink(missing_ok=True)
        _do([sys.executable, "-m", "venv", "--clear", str(self._home)])
        pip = [self.program("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _do([*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", str(self._requirements)])
        self._installed.write_text(wanted)

    def program(self, name: str) -> str:
        """The path of a command that was installed."""
        return str(self._home / "bin" / name)

    def version(self, package: str) -> str:
        """Of one that was installed."""
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return subprocess.run(
            [self.program("python"), "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()

    def run(self, script: Path, given: str, environment: Mapping[str, str], log: Path) -> str:
        """What a script prints when it is given this on standard input. What it complains of goes to `log`."""
        with log.open("a") as errors:
            done = subprocess.run(
                [self.program("python"), str(script)],
                input=given,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                check=True,
                timeout=SEED_SECONDS,
                env={**installed_environment(), **environment},
            )
        return done.stdout


def _do(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, timeout=INSTALL_SECONDS, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise NotInstalled((error.stderr.strip().splitlines() or ["its installation failed"])[-1]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
