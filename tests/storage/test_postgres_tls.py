"""TLS to PostgreSQL: `verify-full` takes the right server and no other, and says why it takes none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from authsrv.database_url import Database
from authsrv.storage import open_storage
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.migrate import migrate
from tests.support.postgres import MIGRATED, PostgresServer, private_server, with_tls
from tests.support.throwaway_ca import ThrowawayCa, throwaway_ca

pytestmark = pytest.mark.postgres_tls

ONLY_TLS = "hostssl all all all trust\n"


def authority(folder: Path) -> ThrowawayCa:
    folder.mkdir()
    return throwaway_ca(folder)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCa:
    return authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def server(ours: ThrowawayCa) -> Iterator[PostgresServer]:
    """A server with a certificate for `localhost`."""
    with private_server(with_tls()) as server:
        server.stop()
        server.secure(ours.server_file("localhost"))
        server.allow(ONLY_TLS)
        server.start()
        yield server


def url_of(server: PostgresServer, host: str, ca: Path, mode: str = "verify-full") -> str:
    return f"postgresql://postgres@{host}:{server.port}/{MIGRATED}?sslmode={mode}&sslrootcert={ca}"


async def refusal(url: str) -> str:
    storage = open_storage(Database(url))
    with pytest.raises(StorageUnavailable) as caught:
        await storage.open()
    await storage.close()
    return str(caught.value)


async def test_the_right_authority_and_name_are_taken(server: PostgresServer, ours: ThrowawayCa) -> None:
    storage = open_storage(Database(url_of(server, "localhost", ours.file)))
    await storage.open()
    assert await storage._read("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", {}) == [(True,)]  # type: ignore[attr-defined]
    await storage.close()
    migrate(url_of(server, "localhost", ours.file))


async def test_a_certificate_for_another_name_is_refused(server: PostgresServer, ours: ThrowawayCa) -> None:
    told = await refusal(url_of(server, "127.0.0.1", ours.file))
    assert 'server certificate for "localhost"' in told
    assert 'does not match host name "127.0.0.1"' in told
    assert "the URL must name the server as its certificate does" in told


async def test_a_certificate_of_another_authority_is_refused(server: PostgresServer, tmp_path: Path) -> None:
    told = await refusal(url_of(server, "localhost", authority(tmp_path / "theirs").file))
    assert "certificate verify failed" in told
    assert "sslrootcert must be the certificate of who signed the server's" in told


async def test_an_authority_that_is_not_there_is_named(server: PostgresServer, tmp_path: Path) -> None:
    told = await refusal(url_of(server, "localhost", tmp_path / "nowhere.pem"))
    assert "nowhere.pem" in told


async def test_a_server_without_tls_is_refused(ours: ThrowawayCa) -> None:
    with private_server(with_tls()) as plain:
        told = await refusal(url_of(plain, "localhost", ours.file))
        assert "server does not support SSL, but SSL was required" in told
        assert "switch TLS on there" in told


async def test_a_server_that_wants_tls_takes_nothing_else(server: PostgresServer, ours: ThrowawayCa) -> None:
    told = await refusal(url_of(server, "localhost", ours.file, "disable"))
    assert "add sslmode=verify-full to the URL" in told


async def test_without_verification_anybodys_certificate_would_do(server: PostgresServer, tmp_path: Path) -> None:
    """Why the check of the configuration asks for `verify-full`."""
    storage = open_storage(Database(f"postgresql://postgres@127.0.0.1:{server.port}/{MIGRATED}?sslmode=require"))
    await storage.open()
    await storage.close()
