"""Keeps visitors at the issuer's host: who types `localhost` would leave the cookies of a sign-in there and come back
to `127.0.0.1`, where nobody knows of it.
"""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


def at_one_host(route: Route, issuer: str) -> Route:
    """The same route, whose pages are read at the issuer's host only."""
    route.app = OneHost(route.app, issuer)
    return route


class OneHost:
    """Sends who reads a page at `localhost` to the same page at the issuer, if that is 127.0.0.1 and the port fits."""

    def __init__(self, page: ASGIApp, issuer: str) -> None:
        self._page = page
        self._issuer = issuer
        self._other_name = _other_name(issuer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        if request.method in {"GET", "HEAD"} and request.headers.get("host", "").lower() == self._other_name:
            there = RedirectResponse(f"{self._issuer}{_address(request)}", 302)
            await there(scope, receive, send)
            return
        await self._page(scope, receive, send)


def _other_name(issuer: str) -> str | None:
    """What people type for the issuer's host and port; None if its host has no other name."""
    name, _, port = urlsplit(issuer).netloc.partition(":")
    return f"localhost:{port}" if name == "127.0.0.1" else None


def _address(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
