"""Serves the emulator over HTTP, with connections that a fault may drop and an end that follows its parent's.

Knows nothing of platforms; it is handed the application.
"""

import os
import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from authsrv.emulator.faults import ABORT_EXTENSION

STDIN = 0


class PortTaken(Exception):
    """Another program listens where we wanted to."""

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        super().__init__(f"{host}:{port} is taken by another program")


class AbortableProtocol(HttpToolsProtocol):
    """Offers the application to drop the connection without an answer."""

    def on_message_begin(self) -> None:
        """Add the extension to every request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT_EXTENSION: {"close": self.transport.abort}}


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises `PortTaken`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(host, port) from error
    return listener


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    try:
        listen(host, port).close()
    except PortTaken:
        return False
    return True


def serve(app: ASGIApp, listener: socket.socket, *, until_stdin_closes: bool) -> None:
    """Serve until SIGINT, SIGTERM or, if asked, until standard input ends, as it does when a parent dies."""
    config = uvicorn.Config(
        app,
        http=AbortableProtocol,
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    if until_stdin_closes:
        threading.Thread(target=_at_end_of_stdin, args=(lambda: _stop(server),), daemon=True).start()
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return


def _at_end_of_stdin(stop: Callable[[], None]) -> None:
    while os.read(STDIN, 64):
        pass
    stop()


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True
