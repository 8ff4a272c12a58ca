"""The application behind a real socket of this process, and a look at every connection that the process makes."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import httpx

from authsrv.app import Application
from authsrv.serving.process import http_limits
from authsrv.serving.protocol import guarded_protocol
from tests.support.sockets import port, serving


@dataclass(frozen=True, slots=True)
class Listener:
    """An application at an address of this machine. The client follows no redirects."""

    http: httpx.AsyncClient
    address: tuple[str, int]


class _ToAddress(httpx.AsyncBaseTransport):
    """Sends what is for the issuer to this address, under the issuer's name."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._host, self._port = address
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(host=self._host, port=self._port)
        sent = httpx.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        return await self._inner.handle_async_request(sent)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def over_sockets(app: Application) -> AsyncIterator[Listener]:
    """The application reached by TCP, with the limits it would be served with."""
    async with serving(app, guarded_protocol(http_limits(app.config))) as server:
        address = ("127.0.0.1", port(server))
        async with httpx.AsyncClient(transport=_ToAddress(address), base_url=app.config.issuer) as http:
            yield Listener(http, address)


@contextmanager
def connections() -> Iterator[list[object]]:
    """Every address to which this process connects inside the block."""
    seen: list[object] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: tuple[str, int]) -> None:
        seen.append(address)
        connect(self, address)

    with patch.object(socket.socket, "connect", noted):
        yield seen
