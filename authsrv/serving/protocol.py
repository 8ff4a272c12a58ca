"""HTTP/1.1 on one connection: uvicorn's httptools protocol with the limits and deadlines that it lacks.

Owns what is refused before any application code runs: heads too large, senders too slow, framing that two readers
could read differently (RFC 9112 sections 6 and 11.2). Knows no path and no surface.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from authsrv.records import dataclass
from authsrv.serving.outgoing import Outgoing

_logger = logging.getLogger("authsrv.serving.protocol")


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one connection may send. Sizes in bytes, times in seconds.

    `head_bytes` counts request line and headers, `head_seconds` and `request_seconds` count from the request's first
    byte. `keep_alive_seconds` is for an idle connection and longer than proxies keep theirs, so that they close first.
    `linger_seconds` is how long a refused client may still send while it reads the answer.
    """

    head_bytes: int = 16 * 1024
    url_bytes: int = 8 * 1024
    headers: int = 100
    head_seconds: float = 10.0
    request_seconds: float = 20.0
    keep_alive_seconds: int = 75
    linger_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: HTTPStatus
    description: str


_MALFORMED: Final = _Refusal(HTTPStatus.BAD_REQUEST, "The request is not well-formed HTTP/1.1.")
_URL_TOO_LONG: Final = _Refusal(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    "The request address is longer than this server accepts; send the parameters in a POST body.",
)
_HEAD_TOO_LARGE: Final = _Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request headers are larger or more than this server accepts."
)
_TOO_SLOW: Final = _Refusal(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.")


OnRefusal = Callable[[int], None]
"""Gets the status of each request that no application saw."""


class _Refused(Exception):
    """Stops the parser from inside one of its callbacks; httptools keeps it as the context of its own error."""

    def __init__(self, refusal: _Refusal) -> None:
        self.refusal = refusal


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Its class carries the limits; `guarded_protocol` makes one for uvicorn's `http` setting.

    The only timer is armed when a request begins and looks at the clock when it fires, so a connection that is kept
    alive pays for it once in `head_seconds`, not once per request.
    """

    limits: ClassVar[HttpLimits] = HttpLimits()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._began: float | None = None
        self._open = False  # from the first byte of a message to its last
        self._in_head = True  # until the headers of the message, or of the next one, are complete
        self._messages = 0
        self._pending_bytes = 0  # of the current head, or since the last byte of body
        self._arrived_bytes = 0  # an upper bound of the head that is complete in this read
        self._body_came = False
        self._upgrading = False
        self._refused = False
        self._stopping = False
        self._outgoing: Outgoing | None = None

    def draining(self) -> bool:
        """Whether answers should ask the client to close the connection, because the server is about to stop."""
        return False

    def refusing(self, status: int) -> None:
        """A request is refused with this status; somebody may want to count."""

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self._outgoing = Outgoing(transport, self.loop)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._arrived_bytes = self._pending_bytes + len(data)
        if not self._in_head:
            self._receive_body(data)
            return
        messages = self._messages + (not self._open)
        self._feed(data)
        if self._in_head and self._open and self._messages <= messages:
            self._check_pending(len(data))

    def _receive_body(self, data: bytes) -> None:
        self._body_came = False
        self._feed(data)
        if not self._in_head and not self._body_came:
            self._check_pending(len(data))

    def _check_pending(self, more: int) -> None:
        # The parser reports a header or trailer only when it is complete; an endless one shows in the bytes alone.
        self._pending_bytes += more
        if len(self.url) > self.limits.url_bytes:
            self._refuse(_URL_TOO_LONG)
        elif self._pending_bytes > self.limits.head_bytes or len(self.headers) > self.limits.headers:
            self._refuse(_HEAD_TOO_LARGE)

    def _feed(self, data: bytes) -> None:
        try:
            self._parse(data)
        except httptools.HttpParserUpgrade:
            self._refuse(_MALFORMED)  # CONNECT, or a second offer in one read
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, _Refused) else _MALFORMED)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.parser.get_method() == b"CONNECT":
                raise
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.feed_data(head + data[upgrade.args[0] :])

    def _head_without_upgrade(self) -> bytes:
        """The head just read, as if it had not offered another protocol (RFC 9110 section 7.8).

        The parser takes every byte after such a head for the other protocol, the request's own body included; a new
        parser that never saw the offer reads them as HTTP.
        """
        self._upgrading = False
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
        head = [b"%s %s HTTP/%s\r\n" % (method, self.url, version)]
        head += [
            b"%s: %s\r\n" % (name, _without_upgrade(value) if name == b"connection" else value) for name, value in kept
        ]
        return b"".join((*head, b"\r\n"))

    # the parser's callbacks

    def on_message_begin(self) -> None:
        self._unset_keepalive_if_required()
        super().on_message_begin()
        self._messages += 1
        self._pending_bytes = 0
        self._open = True
        self._begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._upgrading = True
            return
        self._check_head()
        super().on_headers_complete()
        self.cycle.transport = self._outgoing  # type: ignore[assignment]  # all of a transport that a cycle uses
        self._in_head = False
        self._pending_bytes = 0
        self.headers = []  # trailers are never merged into the headers (RFC 9110 section 6.5.1)
        if self._stopping or self.draining():
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        if self._outgoing is not None:
            self._outgoing.flush()  # an answer to HEAD has no second piece, and whoever closes next must not cut it off
        super().on_response_complete()

    def _check_head(self) -> None:
        if len(self.url) > self.limits.url_bytes:
            raise _Refused(_URL_TOO_LONG)
        if len(self.headers) > self.limits.headers or self._head_too_large():
            raise _Refused(_HEAD_TOO_LARGE)
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        version = self.parser.get_http_version()
        if version != "1.1" and (version != "1.0" or codings):
            raise _Refused(_MALFORMED)
        if codings and codings[0].strip().lower() != b"chunked":
            raise _Refused(_MALFORMED)

    def _head_too_large(self) -> bool:
        if self._arrived_bytes <= self.limits.head_bytes:
            return False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return size > self.limits.head_bytes

    def on_body(self, body: bytes) -> None:
        self._body_came = True
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        self._began = None
        self._open = False
        self._in_head = True
        super().on_message_complete()

    # deadlines

    def _begin(self) -> None:
        self._began = self.loop.time()
        if self._deadline_timer is None:
            self._deadline_timer = self.loop.call_later(self.limits.head_seconds, self._check_deadline)

    def _check_deadline(self) -> None:
        self._deadline_timer = None
        if self._began is None or self.transport.is_closing():
            return
        allowed = self.limits.head_seconds if self._in_head else self.limits.request_seconds
        due = self._began + allowed
        now = self.loop.time()
        if self.flow.read_paused:
            due = max(due, now + 1.0)  # the delay is ours
        if due > now:
            self._deadline_timer = self.loop.call_at(due, self._check_deadline)
        elif self._messages:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()

    def _answering(self) -> bool:
        """Whether a request that arrived whole still waits for (a part of) its answer."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _cancel_deadline(self) -> None:
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
            self._deadline_timer = None

    # refusals

    def _refuse(self, refusal: _Refusal) -> None:
        """Answer and close. Nothing that still arrives on the connection is read as HTTP.

        An answer that is under way is not broken into: the connection closes after it.
        """
        if self._refused:
            return
        self._refused = True
        self._cancel_deadline()
        _logger.info("request refused", extra={"status": int(refusal.status), "reason": refusal.description})
        self.refusing(int(refusal.status))
        if self._answering():
            self.cycle.keep_alive = False
        elif self.pipeline or (not self._in_head and self._abandon_cycle()):
            self.transport.close()
        else:
            self.transport.write(_answer(refusal))
            self._linger()

    def _abandon_cycle(self) -> bool:
        """Take the request whose body is arriving from the application; true if it has begun to answer."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return self.cycle.response_started

    def _linger(self) -> None:
        # Closing with unread bytes would reset the connection and may take the answer away from the client.
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._deadline_timer = self.loop.call_later(self.limits.linger_seconds, self.transport.close)

    def shutdown(self) -> None:
        """Close when idle; otherwise after the answer to the request that is in flight or arriving."""
        self._stopping = True
        if not (self._open and self._in_head):
            super().shutdown()


def _answer(refusal: _Refusal) -> bytes:
    body = json.dumps({"error": "invalid_request", "error_description": refusal.description}).encode()
    return (
        b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n%s"
    ) % (refusal.status, refusal.status.phrase.encode(), len(body), body)


def _without_upgrade(connection: bytes) -> bytes:
    return b",".join(option for option in connection.split(b",") if option.strip().lower() != b"upgrade")


def guarded_protocol(
    limits: HttpLimits, *, draining: Callable[[], bool] = bool, on_refusal: OnRefusal | None = None
) -> type[GuardedProtocol]:
    """The protocol class for uvicorn's `http` setting, with its limits bound. `draining` is asked once per request."""

    class Bound(GuardedProtocol):
        def draining(self) -> bool:
            return draining()

        def refusing(self, status: int) -> None:
            if on_refusal is not None:
                on_refusal(status)

    Bound.limits = limits
    return Bound
