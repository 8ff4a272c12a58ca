"""The Dockerfile, carried out step by step in an empty directory: what it builds, serves and never writes."""

import json
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.dockerfile import Build, context, instructions, scripts
from tests.support.processes import free_port, wait_for
from tests.support.wheels import make_wheel, needed

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
DATA = "/var/lib/authsrv"
PATHS = re.compile(rf"(?<![\w/.-])/(?:opt/authsrv|build|etc/authsrv|{DATA[1:]})(?![\w-])")
CONFIG = """
issuer = "https://login.studio.example"
[database]
url = "sqlite:///{data}/authsrv.db"
[server]
host = "127.0.0.1"
port = {port}
drain_seconds = 0
[projects.skyforge.clients.launcher]
native = true
redirect_uris = ["http://127.0.0.1/callback"]
"""
PROGRAMS = {
    "python": f'exec {sys.executable} "$@"',
    # The one step that fetches: the same files, from what this test run uses.
    "pip": 'case "$*" in "download --require-hashes --only-binary=:all: "*) cp -r {wheels} wheels ;; *) exit 9 ;; esac',
    # What only root may do.
    "useradd": 'echo "$@" > {wheels}/../useradd',
    "install": 'for word; do case $word in --*) ;; *) mkdir -p "$word" && chmod 0700 "$word" ;; esac; done',
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Build:
    place = tmp_path_factory.mktemp("image")
    for name in ("wheels", "root"):
        (place / name).mkdir()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    wanted = project["project"]["dependencies"] + extras["postgres"] + extras["redis"]
    for found in needed(*wanted, *project["build-system"]["requires"]):
        make_wheel(found, place / "wheels")
    programs = {name: text.replace("{wheels}", str(place / "wheels")) for name, text in PROGRAMS.items()}
    build = Build(context(ROOT, place / "context"), place / "root", scripts(place / "programs", programs), PATHS)
    build.carry_out(DOCKERFILE)
    return build


@contextmanager
def container(image: Build, port: int) -> Iterator[subprocess.Popen[str]]:
    """What the image starts without further words, on this port."""
    etc = image.below("/etc/authsrv")
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "authsrv.toml").write_text(CONFIG.format(data=image.below(DATA), port=port), "utf-8")
    with subprocess.Popen(
        image.start([*image.entrypoint, *image.cmd]),
        executable=image.below("/opt/authsrv/bin") / image.entrypoint[0],
        cwd=image.below(image.workdir),
        env=image.container(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def healthy(image: Build, port: int) -> bool:
    command = [word.replace("8080", str(port)) for word in image.healthcheck]
    return inside(image, *command).returncode == 0


def inside(image: Build, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in the container; programs are looked for where the image says."""
    program, *words = command
    return subprocess.run(
        ["/usr/bin/env", program, *words],
        cwd=image.below(image.workdir),
        env=image.container(),
        capture_output=True,
        text=True,
        check=False,
    )


def files(image: Build) -> dict[str, tuple[int, int]]:
    """Everything below the root but the volumes, with size and time of change."""
    volumes = [image.below(volume) for volume in image.volumes]
    outside = [path for path in image.root.rglob("*") if not any(path.is_relative_to(volume) for volume in volumes)]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in outside if not path.is_dir()}


def test_it_serves_is_healthy_and_stops_in_order(image: Build) -> None:
    port = free_port()
    with container(image, port) as process:
        assert json.loads(wait_for(f"http://127.0.0.1:{port}/health/ready", process))["status"] == "ready"
        assert healthy(image, port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not healthy(image, port)


def test_it_writes_nothing_but_into_its_volume(image: Build) -> None:
    port = free_port()
    with container(image, port) as process:
        before = files(image)
        wait_for(f"http://127.0.0.1:{port}/health/ready", process)
        assert healthy(image, port)
    assert files(image) == before
    assert image.volumes == [DATA]
    assert (image.below(DATA) / "authsrv.db").exists()


def test_it_has_the_drivers_of_postgresql_and_redis(image: Build) -> None:
    code = "import authsrv, psycopg, psycopg_pool, psycopg_binary, limits, redis; print(authsrv.__file__)"
    found = inside(image, "python", "-c", code)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).is_relative_to(image.below("/opt/authsrv"))


def test_it_has_no_tool_to_install_anything_with_and_nothing_of_the_tests(image: Build) -> None:
    assert not image.below("/build").exists()
    for name in ("pip", "hatchling", "pytest"):
        assert inside(image, "python", "-c", f"import {name}").returncode != 0


def test_nothing_in_it_runs_as_root(image: Build) -> None:
    assert image.user == "10001"
    made = (image.context.parent / "useradd").read_text("utf-8").split()
    assert made == ["--system", "--uid", image.user, "--no-create-home", "authsrv"]


def test_the_health_check_asks_the_port_that_is_told_to_others() -> None:
    (exposed,) = [one.text for one in instructions(DOCKERFILE) if one.name == "EXPOSE"]
    (check,) = [one for one in instructions(DOCKERFILE) if one.name == "HEALTHCHECK"]
    assert f"http://127.0.0.1:{exposed}/health/ready" in check.command[2]


def test_every_step_but_the_download_is_kept_off_the_network() -> None:
    steps = [step for one in instructions(DOCKERFILE) if one.name == "RUN" for step in one.text.split("&&")]
    pip = [step for step in steps if re.search(r"\bpip (\S+ \S+ )?(install|wheel|download)\b", step)]
    assert [("download" in step, "--no-index" in step) for step in pip] == [(True, False), *[(False, True)] * 3]
