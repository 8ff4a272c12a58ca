"""What Compose starts first and then, without an engine: the database, its roles, the migration, two nodes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import httpx
import psycopg
import pytest

from tests.deploy.test_compose import CONFIGURATION, PLACE, SERVICES, given, mounts
from tests.support.deployed import SECRETS, below, prepare, run
from tests.support.postgres import PostgresServer, execute, private_server
from tests.support.processes import free_port, wait_for

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]

ENDS = 30.0
ISSUER = {"host": "login.studio.example"}
BEGINNING = "/docker-entrypoint-initdb.d/"
SQL = ["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname=authsrv"]
ROLES = ("database_owner_password", "database_password")


@contextmanager
def database(directory: Path) -> Iterator[PostgresServer]:
    """A server that listens on its Unix socket alone and asks for passwords, after what Compose does to a new one."""
    with private_server() as server:
        server.stop()
        server.settings = {**server.settings, "listen_addresses": "", "unix_socket_directories": str(server.directory)}
        server.allow("local all postgres trust\nlocal all all scram-sha-256\n")
        server.start()
        prepare(directory, "", {f"{SECRETS}/{name}": name for name in ROLES})
        _begin(server, directory)
        yield server


def _begin(server: PostgresServer, directory: Path) -> None:
    """What the image of PostgreSQL does when a database is made: `POSTGRES_DB`, then the files in their order."""
    execute(_socket(server), f"CREATE DATABASE {SERVICES['database']['environment']['POSTGRES_DB']}")
    path = f"{server.binaries.directory}:{os.environ['PATH']}"
    where = {"PATH": path, "PGHOST": str(server.directory), "PGPORT": str(server.port), "PGUSER": "postgres"}
    files = {target: source for target, source in mounts("database").items() if target.startswith(BEGINNING)}
    for target in sorted(files):
        script = (PLACE / files[target]).read_text("utf-8").replace(SECRETS, str(below(directory, SECRETS)))
        command = ["/bin/sh", "-c", script] if target.endswith(".sh") else SQL
        done = subprocess.run(command, env=where, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _socket(server: PostgresServer) -> str:
    return f"postgresql://postgres@/postgres?host={quote(str(server.directory))}&port={server.port}"


def environment(server: PostgresServer, service: str) -> Mapping[str, str]:
    """That of a service, with the socket where it is here."""
    url = SERVICES[service]["environment"]["AUTHSRV_DATABASE_URL"]
    here = f"host={quote(str(server.directory))}&port={server.port}"
    return {"AUTHSRV_DATABASE_URL": url.replace("host=/run/postgresql", here)}


def configured(data: Path, own: Path, service: str, port: int) -> Path:
    """The file of a service on a port of its own, in a directory of its own; `data` is what all share."""
    text = CONFIGURATION.replace("/var/lib/authsrv", str(data)).replace("/run/authsrv", str(own))
    secrets = {f"{SECRETS}/{file}": secret for file, secret in given(service).items()}
    return prepare(own, text.replace("[server]\n", f"[server]\nport = {port}\ndrain_seconds = 0\n"), secrets)


def migrate(server: PostgresServer, data: Path, service: str) -> subprocess.CompletedProcess[str]:
    """`authsrv migrate` with what a service has."""
    with TemporaryDirectory() as own:
        return run(configured(data, Path(own), service, free_port()), "migrate", environment(server, service))


@contextmanager
def node(server: PostgresServer, data: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    port = free_port()
    with (
        TemporaryDirectory() as own,  # of pytest's directories the name of a Unix socket would be too long
        subprocess.Popen(
            [sys.executable, "-m", "authsrv", "serve", "--config", configured(data, Path(own), "authsrv-1", port)],
            env={**os.environ, **environment(server, "authsrv-1")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            yield port, process
        finally:
            process.kill()


def test_the_owner_migrates_and_nodes_serve_with_a_role_that_owns_nothing(tmp_path: Path) -> None:
    with database(tmp_path) as server:
        assert migrate(server, tmp_path, "authsrv-1").returncode == 1
        done = migrate(server, tmp_path, "migrate")
        assert done.returncode == 0, done.stdout + done.stderr
        with node(server, tmp_path) as (first, one), node(server, tmp_path) as (second, other):
            for port, process in ((first, one), (second, other)):
                assert b'"ready"' in wait_for(f"http://127.0.0.1:{port}/health/ready", process)
            published = [httpx.get(f"http://127.0.0.1:{port}/oauth2/jwks", headers=ISSUER) for port in (first, second)]
            assert published[0].json()["keys"]
            assert published[0].json() == published[1].json()
            for process in (one, other):
                process.send_signal(signal.SIGTERM)
            assert [process.wait(ENDS) for process in (one, other)] == [0, 0]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "DROP TABLE players",
        "ALTER TABLE players ADD COLUMN mine int",
        "TRUNCATE players",
        "CREATE SCHEMA mine",
        "COPY players TO PROGRAM 'cat'",
    ],
)
def test_a_node_that_was_taken_over_cannot_change_what_tables_there_are(migrated: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(migrated, statement)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL by which a node reaches a database that the owner has migrated."""
    directory = tmp_path_factory.mktemp("compose")
    with database(directory) as server:
        done = migrate(server, directory, "migrate")
        assert done.returncode == 0, done.stdout + done.stderr
        password = below(directory, f"{SECRETS}/database_password").read_text("utf-8")
        url = environment(server, "authsrv-1")["AUTHSRV_DATABASE_URL"]
        yield url.replace("authsrv@", f"authsrv:{password}@")
