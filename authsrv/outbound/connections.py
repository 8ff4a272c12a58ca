"""Connections to one platform that are kept between calls. Each call has one to itself.

Knows no limits: the places of the caller are the limit. Imports httpcore, so nothing may import this module before the
first call.
"""

import ssl
from collections import defaultdict, deque
from functools import cache

import httpcore

from authsrv.outbound.call import Call
from authsrv.outbound.exchange import exchange, public_authorities, quiet_libraries, url_of
from authsrv.platforms.base import OutboundResponse

_KEEP_ALIVE = 20.0
_Kept = deque[httpcore.AsyncHTTPConnection]


class KeptConnections:
    """Takes the freshest connection to a host that is still open, or makes one, and gives it back after the call.

    httpcore's own pool looks at all its connections at each call, which with 32 calls at once took more CPU than the
    calls themselves.
    """

    def __init__(self, network: httpcore.AsyncNetworkBackend | None = None) -> None:
        quiet_libraries()
        self._trust = _public_authorities()
        self._network = network
        self._kept: defaultdict[str, _Kept] = defaultdict(deque)
        self._closed = False

    async def exchange(self, call: Call, connect: float) -> OutboundResponse:
        """See `exchange.exchange`."""
        url = url_of(call)
        kept = self._kept[str(url.origin)]
        connection = await _freshest(kept) or self._new(url.origin)
        try:
            return await exchange(connection, call, url, connect)
        finally:
            await self._keep(kept, connection)

    async def aclose(self) -> None:
        """Close all that no call uses; the others close when their calls end."""
        self._closed = True
        for kept in self._kept.values():
            while kept:
                await kept.pop().aclose()

    def _new(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._trust, keepalive_expiry=_KEEP_ALIVE, network_backend=self._network
        )

    async def _keep(self, kept: _Kept, connection: httpcore.AsyncHTTPConnection) -> None:
        # Not only where httpcore closed it: cancelled while an answer is closed, it forgets the connection, open.
        if self._closed or not connection.is_available():
            await connection.aclose()
        else:
            kept.append(connection)


async def _freshest(kept: _Kept) -> httpcore.AsyncHTTPConnection | None:
    # One look at the other end for each call lets those go in time that a busy hour has left over.
    if kept and kept[0].has_expired():
        await kept.popleft().aclose()
    while kept:
        connection = kept.pop()
        if not connection.has_expired():
            return connection
        await connection.aclose()
    return None


@cache
def _public_authorities() -> ssl.SSLContext:
    """Read once, not for each platform."""
    return public_authorities()
