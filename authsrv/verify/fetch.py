"""How the issuer's documents are fetched: a callable that may be replaced, and the one over httpx.

Owns what an answer must not do to us: redirect, grow, or come from an address in clear. Knows no document.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from authsrv import __version__

if TYPE_CHECKING:
    # httpx takes 100 ms to import; whoever brings a fetch of their own never needs it.
    import httpx

_HEADERS = {"User-Agent": f"authsrv-verify/{__version__}", "Accept-Encoding": "identity"}
_CONNECT_SECONDS = 2.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class FetchError(Exception):
    """A document was not had. The text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetch(Protocol):
    """How a document is fetched. Any exception means that it was not had."""

    async def __call__(self, url: str, headers: Mapping[str, str], max_body: int) -> Fetched:
        """GET the address with these headers. MUST NOT follow redirects, and MUST give up a body above `max_body`
        bytes; the time is limited by the caller.
        """


def fetchable(url: str) -> str:
    """The address itself. Raises ValueError unless it is https, or http on this machine."""
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise ValueError("an address of the issuer is not https")
    return url


class HttpFetch:
    """`Fetch` over a transport of httpx: no redirects, no cookies, no proxies from the environment.

    A `transport` of your own brings a proxy or a certificate authority: `AsyncHTTPTransport(proxy=..., verify=...)`.
    """

    def __init__(self, transport: "httpx.AsyncBaseTransport | None" = None) -> None:
        self._transport = transport

    async def __call__(self, url: str, headers: Mapping[str, str], max_body: int) -> Fetched:
        """See `Fetch`."""
        if self._transport is None:
            self._transport = await asyncio.to_thread(_transport)
        response = await self._transport.handle_async_request(_request(url, headers))
        try:
            return Fetched(response.status_code, dict(response.headers), await _body(response, max_body))
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()


def _transport() -> "httpx.AsyncBaseTransport":
    import httpx  # noqa: PLC0415 - see the top of the file

    return httpx.AsyncHTTPTransport(trust_env=False)


def _request(url: str, headers: Mapping[str, str]) -> "httpx.Request":
    import httpx  # noqa: PLC0415 - see the top of the file

    timeout = {"connect": _CONNECT_SECONDS, "read": None, "write": None, "pool": None}
    return httpx.Request("GET", url, headers={**_HEADERS, **headers}, extensions={"timeout": timeout})


async def _body(response: "httpx.Response", max_body: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FetchError("the answer is encoded although we asked for identity")
    body = bytearray()
    async for chunk in cast("httpx.AsyncByteStream", response.stream):
        body += chunk
        if len(body) > max_body:
            raise FetchError("the answer is larger than allowed")
    return bytes(body)
