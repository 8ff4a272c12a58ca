"""A wire between programs and a server whose address stays while servers come and go, and which loses answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class LosingWire:
    """Carries each request to the server at `backend`. An answer that `loses` picks is taken from it and thrown away.

    It carries one request on a connection, as urllib sends them. `statuses` are those of every answer, lost ones too.
    """

    port: int
    backend: int = 0
    loses: Callable[[], bool] = lambda: False
    statuses: list[int] = field(default_factory=list)
    lost: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request there, and perhaps its answer back."""
        answer = await self._asked(await _request(reader))
        self.statuses.append(int(answer.split(b" ", 2)[1]))
        if self.loses():
            self.lost += 1
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    async def _asked(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.backend)
        writer.write(request)
        answer = await reader.read(-1)
        writer.close()
        return answer


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    _, found, rest = head.lower().partition(b"content-length: ")
    return head + await reader.readexactly(int(rest.split(b"\r\n")[0]) if found else 0)


@asynccontextmanager
async def losing_wire() -> AsyncIterator[LosingWire]:
    """A wire with a port of its own, that loses nothing yet."""
    wire = LosingWire(0)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    async with server:
        yield wire
