"""What a client and a PostgreSQL server say to each other: round trips and statements, seen by a proxy between them.

Owns the protocol's framing (PostgreSQL documentation, chapter "Frontend/Backend Protocol"), as much as counting needs.
Knows no driver, so that whatever one does on the wire is seen.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Direction = Literal["client", "server"]


@dataclass
class Conversation:
    """One connection: who spoke last, and which text each prepared statement has."""

    wire: "Wire"
    last: Direction = "server"
    begun: bool = False
    rest: bytes = b""
    prepared: dict[bytes, str] = field(default_factory=dict)

    def heard_client(self, data: bytes) -> None:
        if self.last == "server":
            self.wire.trips += 1
        self.last = "client"
        self.rest += data
        self._read_startup()
        while self.begun and (message := self._next(5)):
            self._heard(message[:1], message[5:])

    def _read_startup(self) -> None:
        """The first message has no letter before its length."""
        if not self.begun and len(self.rest) >= 4:
            (length,) = struct.unpack("!I", self.rest[:4])
            if len(self.rest) >= length:
                self.rest, self.begun = self.rest[length:], True

    def _next(self, head: int) -> bytes:
        """The next whole message; empty if it is not there yet."""
        if len(self.rest) < head:
            return b""
        (length,) = struct.unpack("!I", self.rest[1:head])
        if len(self.rest) < 1 + length:
            return b""
        message, self.rest = self.rest[: 1 + length], self.rest[1 + length :]
        return message

    def _heard(self, kind: bytes, body: bytes) -> None:
        name, _, after = body.partition(b"\0")
        if kind == b"Q":
            self._ran(name.decode())
        elif kind == b"P":
            self.prepared[name] = after.partition(b"\0")[0].decode()
        elif kind == b"B":
            self._ran(self.prepared[after.partition(b"\0")[0]])

    def _ran(self, statement: str) -> None:
        self.wire.statements.append(" ".join(statement.split()[:2]))


@dataclass
class Wire:
    """Everything that went through a proxy since the last `clear`.

    A round trip begins when a client speaks after the server did, or first of all. `statements` has the first two
    words of each one that was run.
    """

    url: str
    trips: int = 0
    statements: list[str] = field(default_factory=list)

    def clear(self) -> None:
        self.trips = 0
        self.statements.clear()


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[Wire]:
    """A proxy before the server of this URL; `url` of what it yields leads through it."""
    place = urlsplit(url)
    wire = Wire(url)
    tasks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(wire)
        ahead_reader, ahead_writer = await asyncio.open_connection(place.hostname, place.port)
        for pump in (
            _pump(reader, ahead_writer, conversation),
            _pump(ahead_reader, writer, conversation, answers=True),
        ):
            tasks.add(asyncio.create_task(pump))

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    ours = url.replace(f":{place.port}/", f":{server.sockets[0].getsockname()[1]}/")
    wire.url = f"{ours}?sslmode=disable&gssencmode=disable"
    try:
        yield wire
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, conversation: Conversation, *, answers: bool = False
) -> None:
    try:
        while data := await source.read(65536):
            if answers:
                conversation.last = "server"
            else:
                conversation.heard_client(data)
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass  # the other side hears of it
    finally:
        target.close()
