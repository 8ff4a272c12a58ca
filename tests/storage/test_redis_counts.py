"""Counts of rate limits in Redis or Valkey: the suite of every such store, TLS, passwords, a server that is gone."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from authsrv.models import RATE_WINDOW, SharedCount
from authsrv.storage.base import StorageError, StorageUnavailable
from authsrv.storage.redis_counts import RedisCounts
from tests.conformance.counts import *  # noqa: F403 - the suite
from tests.support.processes import free_port
from tests.support.redis import Redis, running_redis
from tests.support.storage import NOW
from tests.support.throwaway_ca import throwaway_ca

pytestmark = pytest.mark.redis

PASSWORD = "p@ss/word:with#everything"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    with running_redis(tmp_path) as started:
        yield started


@pytest.fixture
async def storage(server: Redis) -> AsyncIterator[RedisCounts]:
    async with counts(server.url) as opened:
        yield opened


@asynccontextmanager
async def counts(url: str, password: str = "", ca: str = "") -> AsyncIterator[RedisCounts]:
    opened = RedisCounts(url, password=password, ca=ca)
    try:
        yield opened
    finally:
        await opened.aclose()


async def keys_of(server: Redis) -> list[str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"KEYS *\r\n")
    await writer.drain()
    (number,) = [int((await reader.readline())[1:])]
    lines = [await reader.readline() for _ in range(2 * number)]
    writer.close()
    return sorted(line.decode().strip() for line in lines[1::2])


async def test_later_nodes_hear_how_long_a_window_still_lasts(storage: RedisCounts, server: Redis) -> None:
    await storage.exchange_counts({b"one": 3}, NOW)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    (key,) = await keys_of(server)
    writer.write(f"EXPIRE {key} 20\r\n".encode())
    assert await reader.readline() == b":1\r\n"
    writer.close()
    assert await storage.exchange_counts({b"one": 1}, NOW + 7) == {b"one": SharedCount(4, NOW + 27)}


async def test_I06_a_key_is_told_from_those_of_other_programs_and_says_nothing(
    storage: RedisCounts, server: Redis
) -> None:
    await storage.exchange_counts({b"\x01\xff": 3}, NOW)
    assert await keys_of(server) == ["authsrv:01ff"]


async def test_the_password_and_the_user_are_sent(tmp_path: Path) -> None:
    allowed = "+evalsha +script|load +get +ttl +incrby +expire"
    options = ("user default off", f"user authsrv on >{PASSWORD} ~authsrv:* -@all {allowed}")
    with running_redis(tmp_path, *options) as server:
        url = server.url.replace("//", "//authsrv@")
        async with counts(url, PASSWORD) as opened:
            await opened.ping()
            for total in (1, 2):
                found = await opened.exchange_counts({b"one": 1}, NOW)
                assert found == {b"one": SharedCount(total, NOW + RATE_WINDOW)}
        async with counts(url, "another") as opened:
            with pytest.raises(StorageUnavailable, match="invalid username-password pair") as refused:
                await opened.exchange_counts({b"one": 1}, NOW)
            assert "another" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "trusted", "taken"),
    [
        pytest.param("127.0.0.1", True, True, id="its own certificate"),
        pytest.param("127.0.0.1", False, False, id="an authority that nobody named"),
        pytest.param("redis.elsewhere.example", True, False, id="another server's certificate"),
    ],
)
async def test_with_TLS_the_server_proves_who_it_is(tmp_path: Path, name: str, trusted: bool, taken: bool) -> None:
    ca, port = throwaway_ca(tmp_path), free_port()
    pem = ca.server_file(name)
    options = ("port 0", f"tls-port {port}", f"tls-cert-file {pem}", f"tls-key-file {pem}", "tls-auth-clients no")
    with running_redis(tmp_path, *options, port=port) as server:
        async with counts(server.url.replace("redis:", "rediss:"), ca=str(ca.file) if trusted else "") as opened:
            if taken:
                await opened.ping()
            else:
                with pytest.raises(StorageUnavailable, match=r"(?i)certificate"):
                    await opened.ping()


async def test_R16_a_server_that_is_gone_is_said_to_be_and_found_again(storage: RedisCounts, server: Redis) -> None:
    await storage.exchange_counts({b"one": 1}, NOW)
    server.stop()
    for call in (storage.exchange_counts({b"one": 1, b"two": 1}, NOW), storage.ping()):
        with pytest.raises(StorageUnavailable, match=r"^Redis: "):
            await call
    server.start()
    await storage.ping()
    assert await storage.exchange_counts({b"one": 1}, NOW) == {b"one": SharedCount(1, NOW + RATE_WINDOW)}


async def test_R16_a_server_that_answers_nobody_is_given_up(storage: RedisCounts, server: Redis) -> None:
    await storage.exchange_counts({b"one": 1}, NOW)
    server.freeze()
    begun = time.monotonic()
    with pytest.raises(StorageUnavailable):
        await storage.exchange_counts({b"one": 1}, NOW)
    assert time.monotonic() - begun < 30


@asynccontextmanager
async def losing_answers(server: Redis) -> AsyncIterator[str]:
    """The address of something that passes everything on to the server, and is gone before a count's answer is."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, commands = await asyncio.open_connection("127.0.0.1", server.port)
        while received := await reader.read(65536):
            commands.write(received)
            answer = await answers.read(65536)
            if b"EVALSHA" in received:
                break
            writer.write(answer)
        commands.close()
        writer.close()

    listener = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with listener:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"


async def test_R14_what_may_have_been_counted_is_not_sent_again(storage: RedisCounts, server: Redis) -> None:
    await storage.exchange_counts({b"one": 1}, NOW)
    async with losing_answers(server) as url, counts(url) as opened:
        with pytest.raises(StorageUnavailable):
            await opened.exchange_counts({b"one": 10}, NOW)
    assert (await storage.exchange_counts({b"one": 100}, NOW))[b"one"].count == 111


def test_without_the_libraries_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "limits.aio.storage", None)
    with pytest.raises(StorageError, match=r"run: pip install 'authsrv\[redis\]'"):
        RedisCounts("redis://127.0.0.1:1/0")
