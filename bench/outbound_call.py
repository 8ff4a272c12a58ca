"""The HTTP client's own call: what one call to the emulated Steam costs a process that does nothing else.

The client is the one that authsrv has, httpcore's connections, one for each call that runs at once. Run as
`python -m bench.outbound_call PORT KEYS COUNT CONNECTIONS`; prints microseconds of CPU per call.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlencode

import httpcore
import uvloop

from bench.credentials import steam_tickets
from bench.emulator import AUTHENTICATE

WARM_UP = 100
HOST = "127.0.0.1"


async def call_all(connection: httpcore.AsyncConnectionInterface, urls: Iterator[str]) -> None:
    """One call after the other over one connection, each with its whole answer."""
    for url in urls:
        request = httpcore.Request("GET", url, headers={"host": HOST, "x-webapi-key": "key"})
        response = await connection.handle_async_request(request)
        await response.aread()
        await response.aclose()
        if response.status != 200:
            raise SystemExit(f"the emulator answered {response.status}")


async def measure(port: int, urls: list[str], connections: int) -> float:
    """Microseconds per call after warming up."""
    origin = httpcore.Origin(b"http", HOST.encode(), port)
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(httpcore.AsyncHTTPConnection(origin)) for _ in range(connections)]

        async def together(some: list[str]) -> None:
            shared = iter(some)
            await asyncio.gather(*(call_all(connection, shared) for connection in made))

        await together(urls[:WARM_UP])
        began = time.process_time()
        await together(urls[WARM_UP:])
        return (time.process_time() - began) / (len(urls) - WARM_UP) * 1e6


def main() -> None:
    """Make the tickets, call, print."""
    port, keys, count, connections = sys.argv[1:]
    tickets = steam_tickets(Path(keys), int(count) + WARM_UP)
    base = f"http://{HOST}:{port}{AUTHENTICATE}"
    urls = [f"{base}?{urlencode({'appid': '1', 'ticket': ticket, 'identity': 'bench'})}" for ticket in tickets]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(measure(int(port), urls, int(connections))))


if __name__ == "__main__":
    main()
