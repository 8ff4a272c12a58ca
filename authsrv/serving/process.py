"""One server process: the log pipeline, the application, the control socket beside it, and the listener.

Owns what happens at a reload and in which order things open and close. Decides nothing about a request.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from authsrv import config as configuration
from authsrv import log
from authsrv.app import Application, ReloadRefused, World, create_app
from authsrv.config import Config, ConfigError
from authsrv.metrics.lag import LoopLag
from authsrv.oauth.key_material import KeyRingError
from authsrv.orders import ORDERS
from authsrv.orders.desk import Order, OrderRefused
from authsrv.serving.control import ControlError, ControlServer
from authsrv.serving.metrics_listener import MetricsEndpoint, MetricsRefused, listening
from authsrv.serving.protocol import HttpLimits
from authsrv.serving.serve import serve
from authsrv.storage.base import StorageError

OnReady = Callable[[str, int], None]
"""Gets the address that is listened on."""


def run(config: Config, path: Path, *, on_ready: OnReady | None = None, stop_on_hangup: bool = False) -> int:
    """Serve the configuration read from `path` until a stop signal; the exit status.

    SIGHUP reads the file again, or ends a process that belongs to a terminal (`stop_on_hangup`).
    """
    pipeline = log.configure(level=config.log.level, pretty=config.log.format == "console")
    try:
        application = create_app(config, World(emit=pipeline.emit))
        process = Process(application, path, dropped=lambda: pipeline.dropped)
        return serve(
            lambda: process,
            host=config.server.host,
            port=config.server.port,
            readiness=application.readiness,
            limits=http_limits(config),
            drain_seconds=config.server.drain_seconds,
            graceful_seconds=config.server.graceful_seconds,
            on_ready=on_ready,
            on_refusal=application.seen.refuse,
            on_reload=_terminate if stop_on_hangup else process.reload,
        )
    finally:
        pipeline.stop()


def http_limits(config: Config) -> HttpLimits:
    """How large a request head may be: XSTS tokens reach 64 KiB, and Xsolla's SDKs put tickets into the address."""
    uses_xbox = any("xbox" in project.platforms for project in config.projects.values())
    uses_xsolla = any(client.profile == "xsolla" for client in config.clients().values())
    if uses_xbox:
        return HttpLimits(head_bytes=80 * 1024, url_bytes=24 * 1024)
    return HttpLimits(head_bytes=32 * 1024, url_bytes=24 * 1024) if uses_xsolla else HttpLimits()


class Process:
    """The application with its control socket, as one ASGI application."""

    def __init__(self, application: Application, path: Path, *, dropped: Callable[[], int] = int) -> None:
        self._application = application
        self._path = path
        self._dropped = dropped
        self.metrics_port: int | None = None
        self._router = Router(lifespan=self._lifespan)
        socket = application.config.control_socket
        orders = {name: partial(self._obey, order) for name, order in ORDERS.items()}
        self._control = ControlServer(socket, {"reload": self._reload, **orders}) if socket else None
        self._reloading = asyncio.Lock()
        self._refusal = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan and requests."""
        if scope["type"] == "lifespan":
            await self._router(scope, receive, self._plainly(send))
        else:
            await self._application(scope, receive, send)

    def _plainly(self, send: Send) -> Send:
        """What an operator can mend is told in its own words, without the traceback."""

        async def tell(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._refusal:
                message = {**message, "message": f"the server cannot start: {self._refusal}"}
            await send(message)

        return tell

    async def reload(self) -> None:
        """Take over the file if it is right; raises `ConfigError` or `ReloadRefused`, and then nothing has changed."""
        # From reading to taking over: an older reading must not come last and bring back what the newer one removed.
        async with self._reloading:
            await self._application.reload(await asyncio.to_thread(configuration.load, self._path))

    async def _reload(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            await self.reload()
        except (ConfigError, ReloadRefused) as error:
            raise ControlError(str(error)) from error
        return {"report": configuration.report([], self._application.config.warnings)}

    async def _obey(self, order: Order, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return await order(self._application.desk, arguments)
        except OrderRefused as error:
            raise ControlError(str(error), error.code) from error
        except StorageError as error:
            raise ControlError(str(error)) from error

    @asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncIterator[None]:
        """The socket opens after the storage, whose lock says that no other server runs."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._application.router.lifespan_context(self._application))
                await self._listen_for_commands(stack)
                await stack.enter_async_context(self.metrics_served())
            except (StorageError, KeyRingError, ControlError, MetricsRefused) as error:
                self._refusal = str(error)
                raise
            yield

    async def _listen_for_commands(self, stack: AsyncExitStack) -> None:
        if self._control is not None:
            await self._control.start()
            stack.push_async_callback(self._control.stop)

    @asynccontextmanager
    async def metrics_served(self) -> AsyncIterator[None]:
        """Listen for Prometheus within the block, if the configuration says so."""
        settings = self._application.config.metrics
        if not settings.enabled:
            yield
            return
        from authsrv.metrics.exposition import Exposition  # noqa: PLC0415 - prometheus_client takes memory and time

        lag = LoopLag()
        exposition = Exposition(self._application.figures(lag=lag.seconds, dropped=self._dropped))
        measuring = asyncio.create_task(lag.run())
        try:
            async with listening(MetricsEndpoint(exposition.render), settings.host, settings.port) as self.metrics_port:
                yield
        finally:
            measuring.cancel()


async def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
