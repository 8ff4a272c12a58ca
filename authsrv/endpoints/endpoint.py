"""One address as an ASGI application: which methods it takes, and how a refusal becomes an answer of its surface.

The only place that turns an `AuthsrvError` into a response. Knows no endpoint by name.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from authsrv.errors import AuthsrvError, MethodNotAllowed, NotFound, ServerError
from authsrv.addresses import ClientAddress
from authsrv.endpoints import dialects
from authsrv.oauth.request import Sender

Handler = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger(__name__)


class Endpoint:
    """Serves one handler. Every method that is not named, HEAD too, gets 405 with `Allow`."""

    def __init__(self, handler: Handler, methods: Sequence[str], kind: dialects.Endpoint = "other") -> None:
        self._handler = handler
        self._methods = methods
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive, send)
        try:
            response = await self._respond(request)
        except AuthsrvError as error:
            response = refusal(request, error, self._kind)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method not in self._methods:
            response = refusal(request, MethodNotAllowed(), self._kind)
            response.headers["allow"] = ", ".join(self._methods)
            return response
        return await self._handler(request)


def refusal(request: Request, error: AuthsrvError, kind: dialects.Endpoint) -> Response:
    """The answer for an error, in the dialect of the path."""
    report(error)
    response = dialects.dialect_of(request.scope["path"]).error(error, kind, reference(request))
    if error.error == "invalid_client" and "authorization" in request.headers:
        response.headers["www-authenticate"] = 'Basic realm="authsrv"'
    return response


def report(error: AuthsrvError) -> None:
    """Tell the log what the answer does not say. What only the operator can mend is an error there."""
    tell = _log.error if isinstance(error, ServerError) else _log.info
    facts = {"error": error.error, "reason": error.reason, "parameter": error.parameter, "detail": error.detail}
    tell("request.refused", extra={name: value for name, value in facts.items() if value})


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Every address that has no endpoint."""
    request = Request(scope, receive, send)
    await refusal(request, NotFound(), "other")(scope, receive, send)


def sender(request: Request) -> Sender:
    """Who sent a request, as the hygiene layer found out."""
    state = request.scope["state"]
    address: ClientAddress = state["client_address"]
    surface = dialects.dialect_of(request.scope["path"]).surface
    return Sender(surface, address.bucket, address.cut, state["request_id"])


def reference(request: Request) -> str:
    """The id of a request, under which the log knows more."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def raw_target(scope: Scope) -> bytes:
    """The request target exactly as sent: path and query."""
    query = scope["query_string"]
    path: bytes = scope["raw_path"].partition(b"?")[0]
    return path + b"?" + query if query else path


def issuer_path(issuer: str) -> str:
    """The path part of the issuer, without a trailing slash."""
    return urlsplit(issuer).path.rstrip("/")
