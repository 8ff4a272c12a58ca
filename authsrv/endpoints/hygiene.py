"""What holds for every request and answer, whatever the endpoint: the outermost application inside the server.

Owns request ids, security headers, the client's address, the place where the Host check and cross-origin rules apply,
the last line of defence against exceptions, and the access log. Knows no surface: error bodies come from the
`render_error` it is given.
"""

import random
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authsrv.addresses import AddressResolver, ClientAddress
from authsrv.endpoints import cors
from authsrv.endpoints.hosts import HostCheck
from authsrv.errors import (
    AuthsrvError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    ServerError,
    TemporarilyUnavailable,
    UnsupportedMediaType,
)
from authsrv.log import Emit, Event, request_id, traceback_text

Header = tuple[bytes, bytes]
RenderError = Callable[[Scope, AuthsrvError, str], Response]
"""Renders an error in the envelope of the surface that `scope["path"]` belongs to; the text is the reference id."""

_CLIENT_CLOSED: Final = 499  # never sent; the access log's word for a client that went away

_SECURITY: Final[tuple[Header, ...]] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_TRANSPORT: Final[Header] = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
_IDENTIFIER: Final = re.compile(r"(?<=/)(?=[^/]{0,99}\d)[^/]{8,}")
_CLOSED: Final[tuple[Header, ...]] = ((b"cross-origin-resource-policy", b"same-origin"),)
_CROSS: Final[tuple[Header, ...]] = ((b"cross-origin-resource-policy", b"cross-origin"),)

_FROM_ROUTER: Final[dict[int, type[AuthsrvError]]] = {
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
}


class InternalError(ServerError):
    """A fault of ours. The cause stands in the log beside the reference id."""

    status = 500
    text = "The server failed; its operator can find the cause by the reference id."


@dataclass(slots=True)
class _Exchange:
    """One request while it is served, and what the access log will say about it."""

    scope: Scope
    receive: Receive
    server: Send
    complete: "Callable[[_Exchange, Sequence[Header]], list[Header]]"
    reference: str
    client: ClientAddress
    preflight: bool = False
    status: int = 0
    sent: int = 0
    error: str = ""
    reason: str = ""
    detail: str = ""
    exception: str = ""

    async def send(self, message: Message) -> None:
        """Send the answer, or a part of it, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self.complete(self, message.get("headers", ()))}
        else:
            self.sent += len(message.get("body", b""))
        await self.server(message)


class Hygiene:
    """Wraps the application. Endpoints find `request_id` and `client_address` in the request's state.

    Any `AuthsrvError` that an endpoint raises is rendered by `render_error`. HSTS is sent for an https `issuer`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        issuer: str,
        render_error: RenderError,
        emit: Emit,
        allowed_origins: cors.Origins = frozenset,
        addresses: AddressResolver | None = None,
        hosts: HostCheck | None = None,
        randomness: random.Random | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._render_error = render_error
        self._emit = emit
        self._allowed_origins = allowed_origins
        self._addresses = addresses or AddressResolver()
        self._hosts = hosts or HostCheck(issuer)
        # A reference is no secret; the system's source costs a system call, in which another thread may take over.
        self._randomness = randomness or random.Random()  # noqa: S311
        self._clock = clock
        self._headers = (*_SECURITY, _TRANSPORT) if issuer.startswith("https://") else _SECURITY
        self._names = frozenset(name for name, _ in self._headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock()
        exchange = self._open(scope, receive, send)
        token = request_id.set(exchange.reference)
        try:
            await self._serve(exchange)
        finally:
            request_id.reset(token)
            self._emit(_access_event(exchange, self._clock() - began))

    def _open(self, scope: Scope, receive: Receive, send: Send) -> _Exchange:
        peer = scope.get("client")
        client = self._addresses.resolve(peer[0] if peer else "", scope["headers"])
        reference = f"{self._randomness.getrandbits(64):016x}"
        scope.setdefault("app", self)  # Starlette's router then raises 404 and 405 instead of answering in plain text
        scope.setdefault("state", {}).update(request_id=reference, client_address=client)
        return _Exchange(scope, receive, send, self._completed, reference, client)

    async def _serve(self, exchange: _Exchange) -> None:
        try:
            self._hosts.require(exchange.scope)
            if exchange.scope["method"] != "OPTIONS" or not await self._answered_preflight(exchange):
                await self._app(exchange.scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = exchange.status or _CLIENT_CLOSED
        except AuthsrvError as error:
            await self._refuse(exchange, error)
        except HTTPException as error:
            await self._refuse(exchange, _translated(error), _raw(error.headers or {}))
        except Exception as error:
            exchange.exception = traceback_text(error)
            await self._refuse(exchange, InternalError())
        except BaseException:  # cancelled, because the server stops
            await self._refuse(exchange, TemporarilyUnavailable(retry_after=1))
            raise

    async def _refuse(self, exchange: _Exchange, error: AuthsrvError, headers: Sequence[Header] = ()) -> None:
        exchange.error, exchange.reason, exchange.detail = error.error, error.reason, error.detail
        if exchange.status:
            return  # the answer has begun; the server closes the connection
        answer = self._render_error(exchange.scope, error, exchange.reference)
        answer.raw_headers.extend(headers)
        await answer(exchange.scope, exchange.receive, exchange.send)

    async def _answered_preflight(self, exchange: _Exchange) -> bool:
        sent = dict(exchange.scope["headers"])
        if b"origin" not in sent or b"access-control-request-method" not in sent:
            return False
        headers = cors.preflight_headers(exchange.scope["path"], sent[b"origin"], self._allowed_origins)
        if headers is None:
            return False
        exchange.preflight = True
        await exchange.send({"type": "http.response.start", "status": 204, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": b""})
        return True

    def _completed(self, exchange: _Exchange, headers: Sequence[Header]) -> list[Header]:
        present = {name for name, _ in headers}
        own = self._headers if self._names.isdisjoint(present) else self._absent(present)
        request_id = (b"x-request-id", exchange.reference.encode())
        return [*headers, *own, request_id, *self._cross_origin(exchange)]

    def _cross_origin(self, exchange: _Exchange) -> Sequence[Header]:
        scope = exchange.scope
        rule = cors.path_class(scope["path"])
        if rule == "closed":
            return _CLOSED
        if exchange.preflight:
            return _CROSS
        return [*_CROSS, *cors.answer_headers(rule, scope["headers"], self._allowed_origins)]

    def _absent(self, present: Collection[bytes]) -> list[Header]:
        """What an answer does not say itself."""
        return [header for header in self._headers if header[0] not in present]


def _translated(error: HTTPException) -> AuthsrvError:
    if error.status_code >= 500:
        return InternalError()
    return _FROM_ROUTER.get(error.status_code, InvalidRequest)()


def _raw(headers: Mapping[str, str]) -> list[Header]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _access_event(exchange: _Exchange, seconds: float) -> Event:
    event: Event = {
        "event": "request",
        "logger": "authsrv.access",
        "level": "error" if exchange.error == "server_error" else "info",
        "method": exchange.scope["method"],
        "path": _route(exchange.scope),
        "status": exchange.status,
        "duration_ms": round(seconds * 1000, 2),
        "request_id": exchange.reference,
        "client": exchange.client.cut,
        "bytes": exchange.sent,
    }
    if exchange.error:
        _tell_refusal(event, exchange)
    _tell_noted(event, exchange.scope["state"])
    return event


def _tell_refusal(event: Event, exchange: _Exchange) -> None:
    for name in ("error", "reason", "detail", "exception"):
        value = getattr(exchange, name)
        if value:
            event[name] = value


def _tell_noted(event: Event, state: Mapping[str, Any]) -> None:
    """What an endpoint noted for the log: of its own words only, and the error that a redirect told."""
    for name in ("grant", "provider"):
        if name in state:
            event[name] = state[name]
    told: AuthsrvError | None = state.get("told")
    if told:
        event |= {"error": told.error, "reason": told.reason}


def _route(scope: Scope) -> str:
    """The route's own path where there is one, so that no identifier in an address is logged; never the query.

    Where there is none, whatever may be an identifier is left out: an address of ours with a slash too many holds one.
    """
    return getattr(scope.get("route"), "path", "") or _IDENTIFIER.sub("*", scope["path"][:100])
