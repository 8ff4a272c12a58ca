"""One address as an ASGI application: which methods it takes, and how its refusals are rendered.

The only place that turns an `AuthsrvError` into a response. Knows no endpoint by name.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from authsrv.addresses import ClientAddress
from authsrv.endpoints import dialects
from authsrv.endpoints.forms import Form
from authsrv.endpoints.gamesparks import dialect as gamesparks
from authsrv.endpoints.screens import Screens
from authsrv.errors import AuthsrvError, NotFound
from authsrv.oauth import audiences
from authsrv.oauth.request import Sender, Surface

Handler = Callable[[Request], Awaitable[Response]]

READ = ("GET", "HEAD")
_PAGES = ("/link", "/login", "/account", "/oauth2/logout")
_PROGRAMS = ("/.well-known", "/api", "/gamesparks", "/health", "/oauth2", "/v1")
"""Below these only programs call, whatever they say that they accept."""

_log = logging.getLogger(__name__)


class Endpoint:
    """Serves one handler. Every method that is not named, HEAD too, gets 405 with `Allow`.

    `is_there` tells whether the configuration has the endpoint at present; without, there is nothing at the address.
    """

    def __init__(
        self,
        handler: Handler,
        methods: Sequence[str],
        kind: dialects.Endpoint = "other",
        is_there: Callable[[], bool] | None = None,
    ) -> None:
        self._handler = handler
        self._methods = methods
        self._kind = kind
        self._is_there = is_there

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; an `AuthsrvError` is left to the hygiene layer, which renders it by `render_error`."""
        if self._is_there is not None and not self._is_there():
            raise NotFound
        scope["state"]["endpoint"] = self._kind
        if scope["method"] not in self._methods:
            raise HTTPException(405, headers={"Allow": ", ".join(self._methods)})
        response = await self._handler(Request(scope, receive, send))
        await response(scope, receive, send)


async def not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Every address that has no endpoint."""
    raise NotFound


class ErrorRenderer:
    """The answer for an error in the envelope of its path: a page for browsers, else the dialect of the surface."""

    def __init__(self, screens: Screens) -> None:
        self._screens = screens

    def __call__(self, scope: Scope, error: AuthsrvError, reference: str) -> Response:
        """A page, or JSON with the challenge that RFC 6749 section 5.2 or RFC 6750 section 3 asks for."""
        if is_page(scope["path"]) or _is_mistyped(scope, error):
            return self._screens.error(scope, error, reference)
        kind: dialects.Endpoint = scope["state"].get("endpoint", "other")
        dialect = gamesparks.dialect_of(scope["path"]) or dialects.dialect_of(scope["path"])
        response = dialect.error(error, kind, reference)
        challenge = _challenge(scope, error, kind, response.status_code)
        if challenge:
            response.headers["www-authenticate"] = challenge
        return response


def is_page(path: str) -> bool:
    """Whether people look at what this path answers."""
    return path == "/oauth2/authorize" or _is_below(path, _PAGES)


def _is_mistyped(scope: Scope, error: AuthsrvError) -> bool:
    """Whether a browser shows somebody an address that has no endpoint."""
    if not isinstance(error, NotFound) or "endpoint" in scope["state"] or _is_below(scope["path"], _PROGRAMS):
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _is_below(path: str, tops: Sequence[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)


def _challenge(scope: Scope, error: AuthsrvError, kind: dialects.Endpoint, status: int) -> str:
    if error.error == "invalid_client" and any(name == b"authorization" for name, _ in scope["headers"]):
        return 'Basic realm="authsrv"'
    is_about_the_token = kind == "resource" or error.error in {"invalid_token", "insufficient_scope"}
    if kind in {"resource", "identity"} and is_about_the_token and status in {401, 403}:
        told = "" if error.reason == "no_token" else f', error="{error.error}"'
        return f'Bearer realm="authsrv"{told}'
    if status == 401 and error.error == "invalid_token":
        return 'XBL3.0 realm="authsrv", error="invalid_token"'
    return ""


def report(request: Request, error: AuthsrvError) -> None:
    """Tell the log what a redirect does not say."""
    request.scope["state"]["told"] = error
    facts = {"error": error.error, "reason": error.reason, "detail": error.detail}
    _log.info("refused by redirect", extra={name: value for name, value in facts.items() if value})


def sender(request: Request) -> Sender:
    """Who sent a request, as the hygiene layer found out."""
    state = request.scope["state"]
    address: ClientAddress = state["client_address"]
    surface = dialects.dialect_of(request.scope["path"]).surface
    return Sender(surface, address.bucket, address.cut, state["request_id"])


def parameters(form: Form, names: frozenset[str], surface: Surface) -> Mapping[str, str]:
    """The known parameters of a request for a code or a token, as far as the surface has them.

    Xsolla's has one `audience` and no `resource`. Raises what `Form.take` does.
    """
    if surface == "xsolla":
        return form.take(names - {"resource"})
    return form.take(names, repeatable=audiences.PARAMETERS)


def raw_target(scope: Scope) -> bytes:
    """The request target exactly as sent: path and query."""
    query = scope["query_string"]
    path: bytes = scope["raw_path"].partition(b"?")[0]
    return path + b"?" + query if query else path
