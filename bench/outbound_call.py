"""The HTTP client's own call: what one call to the emulated Steam costs a process that does nothing else.

The client is the one that authsrv has, httpx's transport without its client around it. Run as
`python -m bench.outbound_call PORT KEYS COUNT CONNECTIONS`; prints microseconds of CPU per call.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import uvloop

from bench.credentials import steam_tickets
from bench.emulator import AUTHENTICATE

WARM_UP = 100


async def call_all(transport: httpx.AsyncBaseTransport, urls: Iterator[str]) -> None:
    """One call after the other, each with its whole answer."""
    for url in urls:
        response = await transport.handle_async_request(httpx.Request("GET", url, headers={"x-webapi-key": "key"}))
        await response.aread()
        if response.status_code != 200:
            raise SystemExit(f"the emulator answered {response.status_code}")


async def measure(urls: list[str], connections: int) -> float:
    """Microseconds per call after warming up."""
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=None)  # as authsrv has it
    async with httpx.AsyncHTTPTransport(limits=unlimited, trust_env=False) as transport:

        async def together(some: list[str]) -> None:
            shared = iter(some)
            await asyncio.gather(*(call_all(transport, shared) for _ in range(connections)))

        await together(urls[:WARM_UP])
        began = time.process_time()
        await together(urls[WARM_UP:])
        return (time.process_time() - began) / (len(urls) - WARM_UP) * 1e6


def main() -> None:
    """Make the tickets, call, print."""
    port, keys, count, connections = sys.argv[1:]
    tickets = steam_tickets(Path(keys), int(count) + WARM_UP)
    base = f"http://127.0.0.1:{port}{AUTHENTICATE}"
    urls = [f"{base}?{urlencode({'appid': '1', 'ticket': ticket, 'identity': 'bench'})}" for ticket in tickets]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(measure(urls, int(connections))))


if __name__ == "__main__":
    main()
