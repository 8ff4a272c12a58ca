"""A network that delivers every request and loses some answers, and clients that ask again until one arrives."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import httpx

from tests.support.server import Server

MOST_TRIES = 100


@dataclass
class LosingNetwork(httpx.AsyncBaseTransport):
    """Hands every request to the server; then `loses` decides whether the answer arrives."""

    inner: httpx.AsyncBaseTransport
    loses: Callable[[], bool]
    given: list[httpx.Response] = field(default_factory=list)
    """All that the server answered, lost answers too."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.inner.handle_async_request(request)
        await answer.aread()
        self.given.append(answer)
        if self.loses():
            raise httpx.ReadError("the answer was lost", request=request)
        return answer

    def tokens(self, name: str) -> list[str]:
        """This member of every good answer that the server gave."""
        return [answer.json()[name] for answer in self.given if answer.status_code == 200]


@asynccontextmanager
async def losing(server: Server, loses: Callable[[], bool]) -> AsyncIterator[tuple[Server, LosingNetwork]]:
    """The same server, seen through a network that loses answers."""
    network = LosingNetwork(server.http._transport, loses)
    async with httpx.AsyncClient(transport=network, base_url=server.http.base_url) as http:
        yield replace(server, http=http), network


async def until_answered(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The first answer that arrives, asking again after each lost one."""
    for _ in range(MOST_TRIES):
        with suppress(httpx.ReadError):
            return await ask()
    raise AssertionError("every answer was lost")
