"""What authsrv says of a PostgreSQL that it cannot use, and with how few rights it serves one."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from authsrv.database_url import Database
from authsrv.storage import open_storage
from authsrv.storage.base import SchemaMismatch, StorageError, StorageUnavailable
from authsrv.storage.migrate import migrate
from authsrv.storage.schema import REVISIONS
from tests.support.postgres import PostgresServer, execute, fresh_database, private_server, shared_server
from tests.support.processes import free_port
from tests.support.server import running

pytestmark = pytest.mark.postgres

ROLES = Path(__file__).parents[2] / "docs" / "deploy" / "postgresql-roles.sql"
PASSWORD = "canary-password-of-the-database"


async def refusal(url: str, password: str = "") -> StorageError:
    """Why the storage does not open. The password is never told."""
    storage = open_storage(Database(url, password))
    with pytest.raises(StorageError) as caught:
        await storage.open()
    await storage.close()
    assert PASSWORD not in str(caught.value)
    return caught.value


@contextmanager
def empty_database(server: PostgresServer) -> Iterator[str]:
    name = f"empty_{secrets.token_hex(4)}"
    execute(server.url("postgres"), f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield server.url(name)
    finally:
        execute(server.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


# --- what is told ---


async def test_a_database_without_the_schema_says_migrate() -> None:
    with empty_database(shared_server()) as url:
        error = await refusal(url)
        assert isinstance(error, SchemaMismatch)
        assert "run `authsrv migrate`" in str(error)
        migrate(url)
        storage = open_storage(Database(url))
        await storage.open()
        await storage.close()


async def test_R35_a_database_of_a_newer_authsrv_is_refused() -> None:
    with fresh_database(shared_server()) as url:
        execute(
            url,
            "UPDATE alembic_version SET version_num = '9999'",
            "UPDATE versions SET value = 9999 WHERE name = 'oldest_code'",
        )
        error = await refusal(url)
        assert isinstance(error, SchemaMismatch)
        assert "9999" in str(error)
        assert REVISIONS[-1] in str(error)


async def test_a_database_that_is_not_there_is_named() -> None:
    error = await refusal(shared_server().url("nowhere"))
    assert isinstance(error, StorageUnavailable)
    assert 'database "nowhere" does not exist; make it' in str(error)


async def test_a_server_that_is_not_there_is_named() -> None:
    port = free_port()
    error = await refusal(f"postgresql://postgres@127.0.0.1:{port}/authsrv")
    assert isinstance(error, StorageUnavailable)
    assert "127.0.0.1" in str(error)
    assert str(port) in str(error)


async def test_a_url_that_nobody_understands_is_refused_without_its_password() -> None:
    assert "cannot be read" in str(await refusal(f"postgresql://authsrv:{PASSWORD}@host/name?sslmod=verify-full"))


# --- roles ---


@pytest.fixture(scope="module")
def guarded() -> Iterator[PostgresServer]:
    """A server with the roles of the documentation, that lets them in with a password only."""
    with private_server() as server:
        execute(server.url("postgres"), "CREATE ROLE administrator LOGIN CREATEDB CREATEROLE")
        # What managed servers give is no superuser.
        execute(server.url("postgres", "administrator"), "CREATE DATABASE authsrv TEMPLATE template0")
        execute(server.url("authsrv", "administrator"), ROLES.read_text("utf-8"))
        for role in ("authsrv_owner", "authsrv"):
            execute(server.url("authsrv"), f"ALTER ROLE {role} PASSWORD '{PASSWORD}-{role}'")
        server.stop()
        server.allow("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        server.start()
        migrate(server.url("authsrv", "authsrv_owner"), f"{PASSWORD}-authsrv_owner")
        yield server


def url_of(server: PostgresServer, role: str = "authsrv") -> str:
    return server.url("authsrv", f"{role}:{PASSWORD}-{role}")


async def test_the_role_that_serves_needs_no_rights_but_those_over_rows(guarded: PostgresServer) -> None:
    async with running(url=url_of(guarded)) as server:
        tokens = await server.login("steam")
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200
        await server.app.storage.sweep(int(server.clock.now) + 999, 100)
        await server.app.storage.ping()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "DROP TABLE grants",
        "TRUNCATE grants",
        "ALTER TABLE grants ADD COLUMN mine int",
        "CREATE INDEX mine ON grants (scope)",
        "CREATE ROLE mine",
        "SET ROLE authsrv_owner",
        "COPY grants TO '/tmp/grants'",
    ],
)
def test_the_role_that_serves_may_change_no_table(guarded: PostgresServer, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(url_of(guarded), statement)


def test_the_role_that_serves_is_told_who_migrates(guarded: PostgresServer) -> None:
    execute(guarded.url("postgres"), "DROP DATABASE IF EXISTS other", "CREATE DATABASE other TEMPLATE template0")
    for _ in range(2):  # in a database of another name, with roles that are there, and again
        execute(guarded.url("other"), ROLES.read_text("utf-8"))
    with pytest.raises(StorageError) as caught:
        migrate(guarded.url("other", "authsrv"), f"{PASSWORD}-authsrv")
    assert str(caught.value) == (
        "the database could not be migrated: permission denied for schema public; "
        "do it as the role that owns the tables, which is not the one that nodes use"
    )
    migrate(guarded.url("other", "authsrv_owner"), f"{PASSWORD}-authsrv_owner")


async def test_a_role_without_rights_over_the_tables_is_told_what_it_lacks(guarded: PostgresServer) -> None:
    execute(
        guarded.url("authsrv"),
        "DROP ROLE IF EXISTS stranger",
        f"CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}-stranger'",
        "GRANT CONNECT ON DATABASE authsrv TO stranger",
        "GRANT USAGE ON SCHEMA public TO stranger",
    )
    error = await refusal(url_of(guarded, "stranger"))
    assert "permission denied" in str(error)
    assert "grant it what serving needs" in str(error)


async def test_a_wrong_password_is_refused_at_start(guarded: PostgresServer) -> None:
    error = await refusal(guarded.url("authsrv", "authsrv"), f"{PASSWORD} of somebody else")
    assert 'password authentication failed for user "authsrv"' in str(error)
    assert "database.password is not the one of this user" in str(error)
    error = await refusal(guarded.url("authsrv", "authsrv"))
    assert "set database.password" in str(error)


async def test_the_password_of_the_configuration_goes_before_that_of_the_url(guarded: PostgresServer) -> None:
    storage = open_storage(Database(guarded.url("authsrv", "authsrv:wrong"), f"{PASSWORD}-authsrv"))
    await storage.open()
    await storage.close()
