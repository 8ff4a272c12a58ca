"""A connection to one judged address that is still, for TLS and for HTTP, one to the host that the URL names.

Imports httpx at its top, so nothing may import this module before the first call. Judges nothing.
"""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import httpx

from authsrv.outbound.exchange import quiet_libraries


class PinnedTransports:
    """Makes a transport for each call, all with the same trust: public authorities, and those in the PEM file.

    Reads nothing from the environment. Raises OSError if the file cannot be read or holds no certificate.
    """

    def __init__(self, extra_ca: Path | None) -> None:
        quiet_libraries()
        self._context = httpx.create_ssl_context(trust_env=False)
        if extra_ca is not None:
            self._context.load_verify_locations(extra_ca)

    def to(self, address: IPv4Address | IPv6Address) -> httpx.AsyncBaseTransport:
        """A transport for one call. httpcore keeps connections by address, and two hosts can share an address: the
        second would be asked over a connection whose certificate was checked for the first.
        """
        return _PinnedTransport(str(address), httpx.AsyncHTTPTransport(verify=self._context))


class _PinnedTransport(httpx.AsyncBaseTransport):
    def __init__(self, address: str, transport: httpx.AsyncHTTPTransport) -> None:
        self._address = address
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to the address. Its Host header holds the name and stays."""
        request.extensions["sni_hostname"] = request.url.raw_host.decode("ascii")
        request.url = request.url.copy_with(host=self._address)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._transport.aclose()
