"""An application behind the connection class that serves in production, on a port of its own and in this event loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.types import ASGIApp

from authsrv.serving.protocol import GuardedProtocol


@asynccontextmanager
async def serving(
    app: ASGIApp, protocol: type[GuardedProtocol], *, keep_alive: float = 5
) -> AsyncIterator[uvicorn.Server]:
    """Listen, without the application's lifespan; at the end cut off who is connected."""
    config = uvicorn.Config(app, port=0, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    config.timeout_keep_alive = keep_alive  # type: ignore[assignment]  # uvicorn's timer takes parts of seconds
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server
    finally:
        server.servers[0].close()
        for open_connection in list(server.server_state.connections):
            open_connection.transport.abort()
        await asyncio.gather(*server.server_state.tasks)


def port(server: uvicorn.Server) -> int:
    """Where it listens."""
    found: int = server.servers[0].sockets[0].getsockname()[1]
    return found


@dataclass(frozen=True)
class Posted:
    """What came back for a form: a status and a JSON object."""

    status: int
    body: dict[str, Any]


async def post(port: int, path: str, form: Mapping[str, str], hang_up_after: float | None = None) -> Posted | None:
    """One form on a connection of its own. None if the caller hangs up, so many seconds after it sent it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = urlencode(form).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    writer.write(head.encode() + body)
    try:
        if hang_up_after is not None:
            await writer.drain()
            await asyncio.sleep(hang_up_after)
            return None
        status, _, rest = (await reader.read(-1)).partition(b"\r\n")
        return Posted(int(status.split(b" ")[1]), json.loads(rest.partition(b"\r\n\r\n")[2]))
    finally:
        writer.close()
