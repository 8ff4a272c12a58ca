"""The control socket: how a command on the same machine asks the running server to do something.

One JSON line in, one JSON line out, on a Unix socket with mode 0600, so the file system decides who may ask. Owns the
framing and the socket file. Knows no command by name.
"""

import asyncio
import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes the command's arguments, returns the members of its answer; raises `ControlError` to refuse."""

MAX_LINE: Final = 1024 * 1024
"""Bytes of a request."""
MAX_ANSWER: Final = 256 * 1024 * 1024
"""Bytes of an answer: everything that is stored about one player may be in it."""
_PROBE_SECONDS: Final = 1.0
_MAX_PATH: Final = 100  # sun_path has room for 107 bytes and differs between systems

_logger = logging.getLogger("authsrv.serving.control")


class ControlError(Exception):
    """The command was refused or could not be delivered. The text says what to do.

    `code` is for programs; it means what the commands say it does, and is empty for what no program needs to know.
    """

    def __init__(self, text: str, code: str = "") -> None:
        self.code = code
        super().__init__(text)


class NotServing(ControlError):
    """No server listens on the socket."""


class ControlServer:
    """Listens on `path` and runs `handlers` by command name, each request within `deadline` seconds."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler], *, deadline: float = 30.0) -> None:
        self._path = path
        self._handlers = dict(handlers)
        self._deadline = deadline
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind the socket, replacing the file of a server that is gone.

        Raises `ControlError` when another server listens there or the path cannot be used.
        """
        if len(os.fsencode(self._path)) > _MAX_PATH:
            raise ControlError(
                f"the control socket's path is longer than {_MAX_PATH} bytes; move the database: {self._path}"
            )
        _remove_stale(self._path)
        self._server = await asyncio.start_unix_server(self._serve, sock=_bound(self._path), limit=MAX_LINE)

    async def stop(self) -> None:
        """Stop listening and remove the socket file. Safe to call twice."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                answer = await self._answer(await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except TimeoutError:
            _logger.warning("control request gave up at its deadline")
        except (OSError, ValueError) as error:
            _logger.warning("control request failed: %s", type(error).__name__)
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            command, arguments = _request(line)
            return {"ok": True, **await self._handler(command)(arguments)}
        except ControlError as error:
            return {"ok": False, "error": str(error), "code": error.code}
        except Exception:
            _logger.exception("control command failed")
            return {"ok": False, "error": "the command failed; the server's log has the cause"}

    def _handler(self, command: str) -> Handler:
        if command not in self._handlers:
            raise ControlError(f"unknown command; this server knows: {', '.join(sorted(self._handlers))}")
        return self._handlers[command]


async def call(path: Path, command: str, *, deadline: float = 30.0, **arguments: Any) -> dict[str, Any]:
    """Send one command and return the members of its answer.

    Raises `NotServing` when nobody listens, `ControlError` when the server refuses or does not answer in time.
    """
    try:
        async with asyncio.timeout(deadline):
            line = await _exchange(path, json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
    except TimeoutError:
        raise ControlError("the server did not answer in time; its log may say why") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotServing(f"no server listens on {path}; start one with authsrv serve") from None
    except (OSError, ValueError) as error:
        raise ControlError(f"the control socket {path} cannot be used: {error}") from None
    return _result(line)


async def _exchange(path: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path, limit=MAX_ANSWER)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _request(line: bytes) -> tuple[str, Mapping[str, Any]]:
    request = _object(line)
    command, arguments = request.get("command"), request.get("arguments", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise ControlError("the request must name a command, and its arguments must be an object")
    return command, arguments


def _result(line: bytes) -> dict[str, Any]:
    answer = _object(line)
    if answer.pop("ok", None) is not True:
        raise ControlError(str(answer.get("error", "the server gave no answer")), str(answer.get("code", "")))
    return answer


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ControlError("a line on the control socket was no JSON") from None
    if not isinstance(found, dict):
        raise ControlError("a line on the control socket was no JSON object")
    return found


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISSOCK(mode):
            raise ControlError(f"{path} exists and is no socket; move it away")
        _probe(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except OSError as error:
        raise ControlError(f"the control socket {path} cannot be made: {error.strerror or error}") from error
    raise ControlError(f"another server listens on {path}; stop it first")


def _probe(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_SECONDS)
        probe.connect(os.fspath(path))


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)  # the file must never exist with a wider mode, not even for a moment
    try:
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        raise ControlError(f"the control socket {path} cannot be made: {error.strerror}") from error
    finally:
        os.umask(mask)
    listener.setblocking(False)
    return listener
