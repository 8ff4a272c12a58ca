"""What a connection sends: pieces that are written in one turn of the event loop leave together.

uvicorn writes the head of an answer and its body apart, and each would be a system call and a packet of its own, which
costs more than making either. Owns what waits to leave. Knows no HTTP.
"""

import asyncio


class Outgoing:
    """Stands before a transport. The first of two pieces waits for the second, at most until the turn ends."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting = b""

    def write(self, data: bytes) -> None:
        """Send, now or at the end of the turn."""
        if self._waiting:
            first, self._waiting = self._waiting, b""
            self._transport.writelines((first, data))
        elif data:
            self._waiting = data
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what waits, unless the connection has gone meanwhile."""
        waiting, self._waiting = self._waiting, b""
        if waiting and not self._transport.is_closing():
            self._transport.write(waiting)

    def close(self) -> None:
        """Close the connection behind what waits."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Of the transport."""
        return self._transport.is_closing()
