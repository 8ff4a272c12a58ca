"""A platform that misbehaves on demand: raw bytes over a loopback socket, nothing but asyncio.

Owns the faults of the outage matrix. Knows neither HTTP libraries nor platforms.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"(?im)^content-length:[ ]*([0-9]+)\r$")

Fault = Callable[["Exchange"], Awaitable[None]]
"""What is done with one request. Returning leaves the connection open for the next one."""


class Hangup(Exception):
    """Raised by a fault: close the connection now."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it came, and the way back."""

    head: bytes
    body: bytes
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@dataclass
class FaultServer:
    """`script` says what to do with each request in turn; its last entry stays. `requests` holds what came."""

    script: list[Fault]
    port: int = 0
    requests: list[Exchange] = field(default_factory=list)
    connections: int = 0
    listener: asyncio.Server | None = None
    _arrival: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop_listening(self) -> None:
        """Refuse new connections from now on."""
        if self.listener:
            self.listener.close()

    async def arrived(self, count: int) -> None:
        """Wait until this many requests came."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= count)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(Hangup, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await self._serve_one(reader, writer)
        writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        exchange = Exchange(head, body, writer)
        self.requests.append(exchange)
        async with self._arrival:
            self._arrival.notify_all()
        await self.script[min(len(self.requests), len(self.script)) - 1](exchange)


@contextlib.asynccontextmanager
async def serving(*script: Fault, tls: ssl.SSLContext | None = None) -> AsyncIterator[FaultServer]:
    """A fault server on a free loopback port; it is gone, with every connection, when the block ends."""
    faults = FaultServer(list(script))
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(faults.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    faults.listener = server
    faults.port = server.sockets[0].getsockname()[1]
    try:
        yield faults
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(status: str = "200 OK", body: bytes = b"{}", *headers: str) -> Fault:
    """A whole answer with the right length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return raw("\r\n".join(lines).encode() + body)


def raw(data: bytes) -> Fault:
    """These bytes, and the connection stays open."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(data)

    return fault


def raw_then_hangup(data: bytes) -> Fault:
    """These bytes, then the end of the stream."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(data)
        raise Hangup

    return fault


def raw_then_reset(data: bytes) -> Fault:
    """These bytes, then a reset connection (RST)."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(data)
        exchange.writer.transport.abort()
        raise Hangup

    return fault


async def black_hole(_exchange: Exchange) -> None:
    """Never an answer."""
    await asyncio.Event().wait()


def late(pause: float) -> Fault:
    """A good answer, too late."""

    async def fault(exchange: Exchange) -> None:
        await asyncio.sleep(pause)
        await answer()(exchange)

    return fault


def dripping(pause: float) -> Fault:
    """A body of one byte at a time that would take for ever."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await exchange.send(b"x")
            await asyncio.sleep(pause)

    return fault


async def endless(exchange: Exchange) -> None:
    """A chunked body without end."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await exchange.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
