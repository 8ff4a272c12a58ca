"""A connection to one judged address that is still, for TLS and for HTTP, one to the host that the URL names.

Judges nothing. Imports httpcore, so nothing may import this module before the first call.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import httpcore

from authsrv.outbound.call import Call
from authsrv.outbound.exchange import exchange, public_authorities, quiet_libraries, url_of
from authsrv.platforms.base import OutboundResponse


class PinnedConnections:
    """Makes a connection for each call, all with the same trust: public authorities, and those in the PEM file.

    Reads nothing from the environment. Raises OSError if the file cannot be read or holds no certificate.
    """

    def __init__(self, extra_ca: Path | None) -> None:
        quiet_libraries()
        self._trust = public_authorities()
        if extra_ca is not None:
            self._trust.load_verify_locations(extra_ca)

    async def exchange(self, call: Call, address: IPv4Address | IPv6Address, connect: float) -> OutboundResponse:
        """See `exchange.exchange`. No connection is kept: the next call's name may lead elsewhere."""
        url = url_of(call)
        connection = httpcore.AsyncHTTPConnection(
            url.origin, ssl_context=self._trust, network_backend=_Pinned(str(address))
        )
        try:
            return await exchange(connection, call, url, connect)
        finally:
            await connection.aclose()


class _Pinned(httpcore.AnyIOBackend):
    """The network, in which every name leads to one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the point of it
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Of httpcore, which says `host` to TLS and to HTTP."""
        return await super().connect_tcp(self._address, port, timeout, local_address, socket_options)
