"""The JavaScript packages of the tests, as `package-lock.json` names them."""

import fcntl
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parent
MODULES = DIRECTORY / "node_modules"


def install() -> Path:
    """Install what is not installed yet; the directory of the modules. Needs npm beside node."""
    with (DIRECTORY / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes may run tests at once
        stamp = MODULES / f".installed-{sha256(lock.read()).hexdigest()[:16]}"
        if not stamp.exists():
            _install()
            stamp.touch()
    return MODULES


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("this test needs npm beside node")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    subprocess.run(command, cwd=DIRECTORY, check=True, capture_output=True, timeout=120)
