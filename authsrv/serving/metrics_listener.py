"""The listener for Prometheus: an address of its own, in the same event loop, never the public one.

Owns who may hold it up: nobody. Few connections, small heads, short deadlines. Knows of metrics only that they render.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from authsrv.serving.protocol import GuardedProtocol, HttpLimits, guarded_protocol

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Takes the value of Accept, gives the body and its media type."""

MOST_CONNECTIONS: Final = 16
"""Prometheus keeps one or two open; whoever comes beyond that is closed at once."""
LIMITS: Final = HttpLimits(
    head_bytes=8 * 1024, url_bytes=1024, headers=50, head_seconds=5.0, request_seconds=5.0, keep_alive_seconds=75
)
READING_SECONDS: Final = 15.0
"""How long a reader may leave an answer unread before the connection is cut."""
_NOT_FOUND: Final = b"The metrics are at /metrics.\n"
_NOT_ALLOWED: Final = b"Only GET and HEAD.\n"

_logger = logging.getLogger("authsrv.serving.metrics")


class MetricsRefused(Exception):
    """The listener cannot be opened. The text is for operators."""


class MetricsEndpoint:
    """`GET /metrics` as an ASGI application; there is nothing else."""

    def __init__(self, render: Render) -> None:
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - no body is read
        """Answer one request."""
        status, body, media_type = await self._answer(scope)
        headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]
        headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope) -> tuple[int, bytes, str]:
        if scope["path"] != "/metrics":
            return 404, _NOT_FOUND, "text/plain"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, _NOT_ALLOWED, "text/plain"
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        return 200, *await self._render(accept.decode("latin-1"))


@asynccontextmanager
async def listening(app: ASGIApp, host: str, port: int) -> AsyncIterator[int]:
    """Serve the application on this address within the block, which gets the port. Raises `MetricsRefused`."""
    protocol = _bounded(guarded_protocol(LIMITS))
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=LIMITS.keep_alive_seconds,
    )
    config.load()
    state = ServerState()
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: protocol(config, state, {}), host, port, backlog=MOST_CONNECTIONS
        )
    except OSError as error:
        raise MetricsRefused(
            f"the metrics cannot listen on {host} port {port}: {error.strerror or error}; change [metrics]"
        ) from error
    found = server.sockets[0].getsockname()[1]
    _logger.info("metrics at http://%s:%d/metrics", host, found)
    try:
        yield found
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()


def _bounded(guarded: type[GuardedProtocol]) -> type[GuardedProtocol]:
    """The protocol, cutting off whoever comes beyond the bound and whoever does not read."""

    class Bounded(guarded):  # type: ignore[misc,valid-type]  # a class made at run time
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if len(self.connections) > MOST_CONNECTIONS:
                transport.abort()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self.loop.call_later(READING_SECONDS, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _stop_waiting(self) -> None:
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None

    return Bounded
