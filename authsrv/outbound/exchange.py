"""One request over a connection of httpcore, and its whole answer: size limits, leftovers, errors in words of our own.

Owns what every call outside has in common. Knows neither addresses nor circuits. Imports httpcore at its top, so
nothing may import this module before the first call.
"""

import logging
import ssl
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpcore

from authsrv.outbound.call import Call, NotConnected, NotSendable
from authsrv.platforms.base import OutboundResponse

_LIBRARY_LOGGERS = ("httpcore", "httpcore.connection", "httpcore.http11")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that are nobody's to choose: they say where a request goes and where it ends."""
_MOST_PIECES = 4096
"""Of one answer. Each takes some microseconds of the event loop, however small it is."""


def quiet_libraries() -> None:
    """Keep what the HTTP library knows of a request out of the log, even where its loggers' level is lowered."""
    for name in _LIBRARY_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.addFilter(_without_content)


def _without_content(record: logging.LogRecord) -> bool:
    record.msg, record.args = "withheld, because it may quote a request", None
    record.exc_info = None
    return True


def public_authorities() -> ssl.SSLContext:
    """A context that trusts the public certificate authorities and nobody whom the environment names."""
    return ssl.create_default_context(cafile=certifi.where())


def url_of(call: Call) -> httpcore.URL:
    """The address as it is written. httpcore's own reading leaves out what follows a semicolon."""
    parts = urlsplit(call.url)
    target = call.url.removeprefix(f"{parts.scheme}://{parts.netloc}")
    rooted = target if target.startswith("/") else f"/{target}"
    return httpcore.URL(scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=rooted)


async def exchange(
    connection: httpcore.AsyncConnectionInterface, call: Call, url: httpcore.URL, connect: float
) -> OutboundResponse:
    """One request and its whole answer; `connect` is in seconds.

    Errors are raised outside the handlers, so that they carry no foreign text.
    """
    sent_before = call.sent
    try:
        return await _read(await connection.handle_async_request(_request(call, url, connect)), call)
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        call.sent = sent_before
        failure = call.error(f"no connection ({type(error).__name__})", NotConnected)
    except (httpcore.LocalProtocolError, UnicodeEncodeError) as error:
        call.sent = sent_before
        failure = call.error(f"the request cannot be written ({type(error).__name__})", NotSendable)
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        failure = call.error(f"no whole answer ({type(error).__name__})")
    finally:
        await call.abandon()
    raise failure


def _request(call: Call, url: httpcore.URL, connect: float) -> httpcore.Request:
    headers = {"Host": _authority(call.url)}
    headers |= {name: value for name, value in call.headers.items() if name.lower() not in _FRAMING}
    if call.method == "POST":
        headers["Content-Length"] = str(len(call.content))
    encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    # Reading and writing are limited by the deadline of the whole call.
    extensions = {"timeout": {"connect": connect}, "trace": call.trace}
    return httpcore.Request(call.method, url, headers=encoded, content=call.content, extensions=extensions)


def _authority(url: str) -> str:
    """Host and port, but not the port that the scheme implies (RFC 9110 section 7.2)."""
    parts = urlsplit(url)
    return parts.netloc.removesuffix(_DEFAULT_PORTS[parts.scheme])


async def _read(response: httpcore.Response, call: Call) -> OutboundResponse:
    body, pieces = bytearray(), 0
    try:
        headers = _headers(response)
        if headers.get("content-encoding", "identity") != "identity":
            raise call.error("the answer is encoded although we asked for identity")
        async for chunk in response.aiter_stream():
            body += chunk
            pieces += 1
            if len(body) > call.max_body or pieces > _MOST_PIECES:
                raise call.error("the answer is larger than allowed")
        if await _surplus(response):
            raise call.error("the answer is longer than announced")
    finally:
        await response.aclose()
    return OutboundResponse(response.status, headers, bytes(body))


def _headers(response: httpcore.Response) -> dict[str, str]:
    """Lines of the same name are one list (RFC 9110 section 5.3)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _surplus(response: httpcore.Response) -> bytes:
    """What came after the end of the answer. It would be taken for the answer to the next call on this connection,
    so such a connection is closed; likewise one that cannot be judged, because httpcore keeps its parser elsewhere.
    """
    connection = response.extensions["network_stream"]
    parser: Any = response.stream
    for attribute in ("_connection", "_h11_state"):
        parser = getattr(parser, attribute, None)
    surplus, _ = getattr(parser, "trailing_data", (None, True))
    if surplus == b"":
        surplus = _undelivered(connection)
    if surplus != b"":
        await connection.aclose()
    return surplus or b""


def _undelivered(connection: httpcore.AsyncNetworkStream) -> bytes | None:
    """What has been received and not given to the parser; None when the other end is done with the connection.

    TLS gives one record at a time, and anyio keeps what is more than it was asked for.
    """
    ssl_object = connection.get_extra_info("ssl_object")
    if isinstance(ssl_object, ssl.SSLObject):
        try:
            return ssl_object.read(1) or None
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return None
    transport: Any = getattr(connection, "_stream", None)
    transport = getattr(transport, "transport_stream", transport)
    return b"".join(getattr(getattr(transport, "_protocol", None), "read_queue", ()))
