"""An application behind the connection class that serves in production, on a port of its own and in this event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
