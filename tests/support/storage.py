"""Storages for tests on every backend, models with everything filled in, and a look at the statements SQLite ran."""

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from authsrv.database_url import Database
from authsrv.models import Digest, Grant, IdentityKey, Player, Reservation, StoredKey
from authsrv.storage import open_storage
from authsrv.storage.base import Storage
from authsrv.storage.memory.storage import MemoryStorage
from authsrv.storage.migrate import migrate
from authsrv.storage.sqlite.connection import Connection
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support import postgres

NOW = 1_800_000_000
BACKENDS = ("memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres))
"""What a test that holds for every storage is run with."""


@contextmanager
def database_on(backend: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database with the newest schema, on the backend of this name. A file lies in `directory`."""
    if backend == "postgres":
        with postgres.database() as url:
            yield url
    else:
        yield "memory://" if backend == "memory" else f"sqlite:///{migrated_file(directory)}"


@asynccontextmanager
async def storage_on(backend: str, directory: Path) -> AsyncIterator[Storage]:
    """An empty storage on the backend of this name, open until the block ends."""
    with database_on(backend, directory) as url:
        # A busy machine is no reason for a test to fail that is not about time.
        storage = open_storage(Database(url, pool_timeout=30, statement_timeout=30, lock_timeout=30, idle_timeout=60))
        await storage.open()
        try:
            yield storage
        finally:
            await storage.close()


def memory_storage() -> MemoryStorage:
    """An empty storage in memory, not yet opened."""
    return MemoryStorage()


def migrated_sqlite(directory: Path) -> SqliteStorage:
    """An empty storage in a migrated file of its own, not yet opened."""
    return SqliteStorage(migrated_file(directory))


def migrated_file(directory: Path) -> Path:
    """An empty database with the newest schema."""
    path = directory / "authsrv.db"
    path.touch(mode=0o600)
    path.write_bytes(_template())
    return path


@cache
def _template() -> bytes:
    """The migrated file's bytes: Alembic runs once per test session."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "template.db"
        migrate(f"sqlite:///{path}")
        return path.read_bytes()


def writing_connection(storage: SqliteStorage) -> Connection:
    """The connection that writes, for faults and traces."""
    assert storage._writer is not None
    assert storage._writer._connection is not None
    return storage._writer._connection


def reading_connection(storage: SqliteStorage) -> Connection:
    """The connection that reads, for traces."""
    assert storage._reader is not None
    assert storage._reader._connection is not None
    return storage._reader._connection


@asynccontextmanager
async def traced(connection: Connection) -> AsyncIterator[list[str]]:
    """The first words of every statement the connection runs inside the block."""
    statements: list[str] = []
    await connection.set_trace_callback(lambda statement: statements.append(" ".join(statement.split()[:2])))
    try:
        yield statements
    finally:
        await connection.set_trace_callback(None)  # type: ignore[arg-type]  # the way to end it


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What another connection reads from the file."""
    driver = sqlite3.connect(path)
    try:
        return driver.execute(query).fetchall()
    finally:
        driver.close()


def digest(text: str) -> Digest:
    return Digest(sha256(text.encode()).digest())


def player(number: int = 1, *, name: str = "Amber") -> Player:
    return Player(number, f"sub-{number}", "skyforge", name, created_at=NOW, last_login_at=NOW)


def identity(subject: str = "76561202255232001") -> IdentityKey:
    return IdentityKey("skyforge", "steam", "", subject)


def grant(number: int = 1, *, player_id: int = 1) -> Grant:
    """A grant with an unused code."""
    return Grant(
        id=number,
        project="skyforge",
        client_id="launcher",
        player_id=player_id,
        scope=("openid", "offline"),
        audience=("https://api.example",),
        platform="steam",
        idp="steam",
        idp_subject="76561202255232001",
        auth_time=NOW,
        created_at=NOW,
        expires_at=NOW + 60,
        absolute_expires_at=NOW + 86400,
        code_hash=digest(f"code {number}"),
        code_expires_at=NOW + 60,
    )


def full_grant(number: int = 1, *, player_id: int = 1) -> Grant:
    """A grant in which no field has its default."""
    return Grant(
        id=number,
        project="skyforge",
        client_id="launcher",
        player_id=player_id,
        scope=("openid", "offline"),
        audience=("https://api.example", "https://other.example"),
        platform="xbox",
        idp="xuid",
        idp_subject="2814600000000001",
        auth_time=NOW + 1,
        created_at=NOW + 2,
        expires_at=NOW + 3,
        absolute_expires_at=NOW + 4,
        nonce="n-1",
        redirect_uri="http://127.0.0.1/callback",
        delivered_as_json=True,
        code_hash=digest("code"),
        code_expires_at=NOW + 5,
        code_used_at=NOW + 6,
        code_challenge="challenge",
        code_failures=7,
        refresh_hash=digest("refresh"),
        refresh_generation=8,
        refresh_previous_hash=digest("previous"),
        refresh_rotated_at=NOW + 9,
        refresh_successor=b"sealed",
        revoked_at=NOW + 10,
        revoked_reason="logout",
        session_id=11,
        claims=("userinfo:name", "id_token:email"),
    )


def reservation(ticket: str = "ticket", *, holder: str = "request", now: int = NOW) -> Reservation:
    return Reservation(
        digest=digest(ticket),
        requester=digest("launcher"),
        holder=holder.encode(),
        state="pending",
        lease_until=now + 15,
        created_at=now,
        expires_at=now + 86400,
    )


def signing_key(kid: str = "k1", *, alg: str = "ES256", follows: str = "", created_at: int = NOW) -> StoredKey:
    """A key in clear; the first one of its algorithm unless it follows another."""
    return StoredKey(kid, "sig", alg, b"der", False, created_at, created_at + 1, created_at + 2, follows or alg)
