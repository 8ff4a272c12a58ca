"""The wheel: everything the server needs is inside, and it works away from the source."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.processes import free_port, running, wait_for

ROOT = Path(__file__).parents[1]
CONFIG = """
issuer = "https://login.studio.example"
[database]
url = "sqlite:///authsrv.db"
[projects.skyforge.clients.launcher]
native = true
redirect_uris = ["http://127.0.0.1/callback"]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet")
    _run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", str(directory), str(ROOT))
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an empty environment with the wheel; libraries are borrowed from the one that runs the tests."""
    environment = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    offline = ("--no-index", "--no-deps", "--quiet")
    _run(sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", *offline, str(wheel))
    (site,) = environment.glob("lib/python3*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "authsrv.toml").write_text(CONFIG)
    return tmp_path


def test_migrations_templates_and_types_are_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "authsrv/_migrations/env.py" in names
    assert any(name.startswith("authsrv/_migrations/versions/") and name.endswith(".py") for name in names)
    assert {"authsrv/_templates/demo/page.html", "authsrv/_templates/demo/page.css", "authsrv/py.typed"} <= names
    assert not any(name.startswith(("tests/", "bench/", "migrations/")) for name in names)


def test_the_installed_package_is_the_one_that_runs(installed: Path, elsewhere: Path) -> None:
    code = "import authsrv; print(authsrv.__file__)"
    found = _run(str(installed / "python"), "-c", code, cwd=elsewhere).stdout.strip()
    assert Path(found).is_relative_to(installed.parent)


def test_a_game_backend_can_import_the_verifier_from_it(installed: Path, elsewhere: Path) -> None:
    code = "import authsrv.verify.web; print(authsrv.verify.Verifier('https://login.studio.example', audience='x'))"
    assert "Verifier" in _run(str(installed / "python"), "-c", code, cwd=elsewhere).stdout


def test_the_installed_program_helps_checks_and_migrates(installed: Path, elsewhere: Path) -> None:
    program = str(installed / "authsrv")
    assert _run(program, "--help", cwd=elsewhere).stdout.startswith("Usage: authsrv ")
    assert "no problems" in _run(program, "check", cwd=elsewhere).stdout
    assert "schema of this version" in _run(program, "migrate", cwd=elsewhere).stdout
    assert (elsewhere / "authsrv.db").stat().st_size > 0


def test_the_installed_program_serves(installed: Path, elsewhere: Path) -> None:
    port = free_port()
    configuration = (elsewhere / "authsrv.toml").read_text()
    (elsewhere / "authsrv.toml").write_text(f"{configuration}[server]\nport = {port}\ndrain_seconds = 0\n")
    with running("serve", "--migrate", cwd=elsewhere, python=str(installed / "python")) as process:
        assert json.loads(wait_for(f"http://127.0.0.1:{port}/health/ready", process))["status"] == "ready"


def _run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
