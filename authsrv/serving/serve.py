"""Running the application: one worker, our connection limits, and a stop that loses no request.

Owns signals and the order of stopping (drain, finish, close). Knows the application only as ASGI, and the rest only
through the callables it is given.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from authsrv.serving.last_connections import take_the_last
from authsrv.serving.protocol import HttpLimits, OnRefusal, guarded_protocol
from authsrv.serving.readiness import Readiness

try:
    import uvloop
except ImportError:  # not built for Windows
    uvloop = None  # type: ignore[assignment]  # the one place that asks

Reload = Callable[[], Awaitable[None]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_POLL: Final = 0.02
_UNWIND_SECONDS: Final = 2.0
_NEW_OBJECTS: Final = 2_000  # what a burst of requests leaves behind in cycles is given back soon
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_logger = logging.getLogger("authsrv.serving.serve")


def serve(
    app_factory: Callable[[], ASGIApp],
    *,
    host: str,
    port: int,
    readiness: Readiness,
    limits: HttpLimits | None = None,
    drain_seconds: float = 10.0,
    graceful_seconds: float = 20.0,
    on_ready: Callable[[str, int], None] | None = None,
    on_reload: Reload | None = None,
    on_refusal: OnRefusal | None = None,
    loop_factory: LoopFactory | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status, 0 after an orderly stop.

    `app_factory` is called inside the event loop. The application's lifespan begins before the listener opens and ends
    after the last request. On the first signal `readiness` turns red and the listener stays open for `drain_seconds`;
    then requests in flight get `graceful_seconds`; then the lifespan closes what is open. A second signal ends the
    waits at once, never the closing. SIGHUP calls `on_reload`. `on_ready` gets the address that is listened on.
    `on_refusal` gets the status of each request that the application did not see.
    Raises SystemExit with a status above 0, after logging why, when the application or the listener cannot start.
    """

    async def main() -> None:
        bounds = limits or HttpLimits()
        config = uvicorn.Config(
            app_factory(),
            host=host,
            port=port,
            http=guarded_protocol(bounds, draining=lambda: readiness.draining, on_refusal=on_refusal),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=bounds.keep_alive_seconds,
        )
        server = DrainingServer(config, readiness, drain_seconds, graceful_seconds, on_ready)
        with _signals(server, on_reload):
            await server.serve()

    with asyncio.Runner(loop_factory=loop_factory or (uvloop.new_event_loop if uvloop else None)) as runner:
        runner.run(main())
    return 0


class DrainingServer(uvicorn.Server):
    """uvicorn's server with another way to stop: red first, then closed to new connections, then gone."""

    def __init__(
        self,
        config: uvicorn.Config,
        readiness: Readiness,
        drain_seconds: float,
        graceful_seconds: float,
        on_ready: Callable[[str, int], None] | None,
    ) -> None:
        super().__init__(config)
        self._readiness = readiness
        self._drain_seconds = drain_seconds
        self._graceful_seconds = graceful_seconds
        self._on_ready = on_ready
        self._hurry = asyncio.Event()

    def begin_stop(self) -> None:
        """The first call starts the drain, every further one ends all waiting."""
        if self._readiness.draining:
            self._hurry.set()
            self._stop_listening()
            return
        _logger.info("draining", extra={"seconds": self._drain_seconds})
        self._readiness.drain()
        asyncio.get_running_loop().call_later(self._drain_seconds if self.started else 0, self._stop_listening)

    def _stop_listening(self) -> None:
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn's own handlers would stop listening at once."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then take what lives for good out of the garbage collector's sight."""
        await super().startup(sockets)
        # No gc.collect() before: it takes 50 ms and frees nothing to speak of.
        gc.freeze()
        gc.set_threshold(_NEW_OBJECTS)
        if self._on_ready:
            self._on_ready(*self.servers[0].sockets[0].getsockname()[:2])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Close the listener, let requests finish, cut off what does not, and end the lifespan in every case."""
        if not self._hurry.is_set():
            await take_the_last(each.fileno() for listener in self.servers for each in listener.sockets)
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._finish()
        await self.lifespan.shutdown()

    def _busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks) and not self._hurry.is_set()

    async def _finish(self) -> None:
        state = self.server_state
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._graceful_seconds
        while self._busy() and loop.time() < deadline:  # noqa: ASYNC110 - uvicorn's sets do not tell when they are empty
            await asyncio.sleep(_POLL)
        if state.tasks:
            _logger.warning("requests cut short by the stop", extra={"count": len(state.tasks)})
            for task in state.tasks:
                task.cancel()
            await asyncio.wait(state.tasks, timeout=_UNWIND_SECONDS)


@contextlib.contextmanager
def _signals(server: DrainingServer, on_reload: Reload | None) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    reloads = _Reloads(on_reload)
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, server.begin_stop)
    loop.add_signal_handler(signal.SIGHUP, reloads.begin)
    try:
        yield
    finally:
        for number in (*_STOP_SIGNALS, signal.SIGHUP):
            loop.remove_signal_handler(number)


class _Reloads:
    """Runs the reload callback for each SIGHUP, one after the other. A failed reload changes nothing but the log."""

    def __init__(self, on_reload: Reload | None) -> None:
        self._on_reload = on_reload
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        task = asyncio.get_running_loop().create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        if self._on_reload is None:
            return
        async with self._turn:
            try:
                await self._on_reload()
            except Exception:
                _logger.exception("reload failed; the running configuration stays")
