"""A connection to one judged address that is still, for TLS and for HTTP, one to the host that the URL names.

Judges nothing. Imports httpcore, so nothing may import this module before the first call.
"""

import ssl
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import httpcore

from authsrv.outbound.call import Call
from authsrv.outbound.exchange import exchange, public_authorities, quiet_libraries, url_of
from authsrv.platforms.base import OutboundResponse

_FRAMING = 128 * 1024
"""Bytes that an answer may have beside its body: heads, interim answers, the lengths of chunks, TLS not counted."""


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
            url.origin, ssl_context=self._trust, network_backend=_Pinned(str(address), 2 * call.max_body + _FRAMING)
        )
        try:
            return await exchange(connection, call, url, connect)
        finally:
            await connection.aclose()


class _Pinned(httpcore.AnyIOBackend):
    """The network, in which every name leads to one address, which may say so many bytes."""

    def __init__(self, address: str, most: int) -> None:
        self._address = address
        self._most = most

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the point of it
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Of httpcore, which says `host` to TLS and to HTTP."""
        stream = await super().connect_tcp(self._address, port, timeout, local_address, socket_options)
        return _Metered(stream, self._most)


class _Metered(httpcore.AsyncNetworkStream):
    """A stream that breaks above so many bytes. The body alone has a limit elsewhere; interim answers have none."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, left: int) -> None:
        self._stream = stream
        self._left = left

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's own
        """Of httpcore."""
        received = await self._stream.read(max_bytes, timeout)
        self._left -= len(received)
        if self._left < 0:
            raise httpcore.ReadError
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's own
        """Of httpcore."""
        await self._stream.write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own
    ) -> httpcore.AsyncNetworkStream:
        """Of httpcore."""
        return _Metered(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._left)

    def get_extra_info(self, info: str) -> Any:
        """Of httpcore."""
        return self._stream.get_extra_info(info)

    async def aclose(self) -> None:
        """Of httpcore."""
        await self._stream.aclose()
