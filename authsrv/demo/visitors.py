"""Who is at the demo shop: sign-ins under way and signed-in players, by browser, in memory.

Owns the cookie. Knows neither OpenID Connect nor any page.
"""

import secrets
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from authsrv.demo.relying_party import Attempt, SignedIn

COOKIE = "demo_shop"
_MOST_VISITORS = 1000
_MOST_ATTEMPTS = 8


@dataclass(slots=True)
class Visitor:
    """One browser. Sign-ins in several of its tabs go on side by side, each found by its `state`."""

    attempts: dict[str, Attempt] = field(default_factory=dict)
    signed_in: SignedIn | None = None

    def begin(self, attempt: Attempt) -> None:
        """Remember a sign-in; of many the oldest is forgotten."""
        self.attempts[attempt.state] = attempt
        _shorten(self.attempts, _MOST_ATTEMPTS)


class Visitors:
    """Every browser that began to sign in since the demo started, the last thousand of them."""

    def __init__(self) -> None:
        self._known: dict[str, Visitor] = {}

    def find(self, request: Request) -> Visitor:
        """The browser of a request, or one that is not kept."""
        return self._known.get(request.cookies.get(COOKIE, ""), Visitor())

    def keep(self, visitor: Visitor, request: Request, response: Response) -> Response:
        """Remember the browser under a new name: after a sign-in the one it had before is worth nothing."""
        self._known.pop(request.cookies.get(COOKIE, ""), None)
        name = secrets.token_urlsafe(32)
        self._known[name] = visitor
        _shorten(self._known, _MOST_VISITORS)
        # Without Secure, because the demo speaks http on loopback; a real site sets it, and __Host- before the name.
        response.set_cookie(COOKIE, name, path="/demo", httponly=True, samesite="lax")
        return response

    def forget(self, request: Request, response: Response) -> Response:
        """Nobody is signed in in this browser any more."""
        self._known.pop(request.cookies.get(COOKIE, ""), None)
        response.delete_cookie(COOKIE, path="/demo", httponly=True, samesite="lax")
        return response


def _shorten(table: dict[str, Visitor] | dict[str, Attempt], most: int) -> None:
    while len(table) > most:
        del table[next(iter(table))]
