"""Connections of the load generator: bytes out, whole and checked answers in.

Owns one request at a time on one socket, opened again when the server closes it. Knows nothing of pace or sums.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol, cast
from urllib.parse import urlencode

from bench.answers import Checks, Wrong, read_answer
from bench.orders import Request


def encode(host: str, request: Request) -> bytes:
    """The bytes of a request."""
    body = urlencode(request.form).encode()
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {host}", "Accept: application/json"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.method == "POST":
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Chain:
    """The requests of one connection that carry on the refresh token of the answer before; none after a failure."""

    def __init__(self, host: str, first: Request) -> None:
        self._host = host
        self._request: Request | None = first

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        request, self._request = self._request, None
        if request is None:
            raise StopIteration
        self._sent = request
        return encode(self._host, request)

    def follow(self, members: dict[str, Any]) -> None:
        """Go on with this answer's token."""
        sent = self._sent
        form = {**sent.form, "refresh_token": members["refresh_token"]}
        self._request = Request(sent.path, form, sent.headers, sent.method)


class Owner(Protocol):
    """Whom a connection tells what came of each request."""

    def answered(self, connection: "Connection", due: float) -> None:
        """The answer was right."""

    def failed(self, connection: "Connection", why: str) -> None:
        """It was wrong, or there was none."""


class Connection(asyncio.Protocol):
    """One kept-alive connection. `requests` are what it sends, alone or by turns with others."""

    def __init__(self, owner: Owner, port: int, checks: Checks, requests: Iterator[bytes]) -> None:
        self._owner = owner
        self._port = port
        self._checks = checks
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._asked = False
        self._due = 0.0
        self._opening: asyncio.Task[None] | None = None
        self.requests = requests

    async def open(self) -> None:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def close(self) -> None:
        """Drop the socket; whatever still comes is nobody's."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.set_protocol(asyncio.Protocol())
            transport.close()

    def send(self, request: bytes, due: float) -> None:
        """Send what was due at this time, over a new socket if the last one is closed."""
        self._due, self._asked = due, True
        if self._transport is None:
            self._opening = asyncio.ensure_future(self._open_and_send(request))
        else:
            self._transport.write(request)

    async def _open_and_send(self, request: bytes) -> None:
        try:
            await self.open()
        except OSError as error:
            self._fail(str(error))
            return
        assert self._transport is not None
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Of `asyncio.Protocol`: collect, check, tell."""
        received = self._received + data if self._received else data
        try:
            answer = read_answer(received)
            if answer is None:
                self._received = received
                return
            if answer.closes:
                self.close()
            members = self._checks(answer)
            if isinstance(self.requests, Chain):
                self.requests.follow(members)
        except (Wrong, ValueError, LookupError, AttributeError) as error:
            self._fail(str(error))
            return
        self._received, self._asked = b"", False
        self._owner.answered(self, self._due)

    def connection_lost(self, exc: Exception | None) -> None:
        """Of `asyncio.Protocol`."""
        self._transport = None
        if self._asked:
            self._fail(str(exc or "the connection was closed before the answer"))

    def _fail(self, why: str) -> None:
        self._received, self._asked = b"", False
        self.close()
        self._owner.failed(self, why)
