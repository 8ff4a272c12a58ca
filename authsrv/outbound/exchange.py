"""One request over a transport of httpx, and its whole answer: size limits, leftovers, errors in words of our own.

Owns what every call outside has in common. Knows neither addresses nor circuits.
"""

import logging
from typing import TYPE_CHECKING, Any, cast

from authsrv import __version__
from authsrv.outbound.call import Call, NotConnected, NotSendable
from authsrv.platforms.base import OutboundResponse

if TYPE_CHECKING:
    # httpx takes 100 ms to import. It is imported where the first call needs it, so that a cold start does not wait.
    import httpx

BASE_HEADERS = {"User-Agent": f"authsrv/{__version__}", "Accept-Encoding": "identity"}
_LIBRARY_LOGGERS = ("httpx", "httpcore", "httpcore.connection", "httpcore.http11")


def quiet_libraries() -> None:
    """Keep what the HTTP libraries know of a request out of the log, even where their loggers' level is lowered."""
    for name in _LIBRARY_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.addFilter(_without_content)


def _without_content(record: logging.LogRecord) -> bool:
    record.msg, record.args = "withheld, because it may quote a request", None
    record.exc_info = None
    return True


async def exchange(transport: "httpx.AsyncBaseTransport", call: Call, connect: float) -> OutboundResponse:
    """One request and its whole answer. Errors are raised outside the handlers, so that they carry no foreign text."""
    import httpx  # noqa: PLC0415 - see the top of the file

    sent_before = call.sent
    if call.opaque:
        call.sent = True
    try:
        return await _read(await transport.handle_async_request(_request(call, connect)), call)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        call.sent = sent_before
        failure = call.error(f"no connection ({type(error).__name__})", NotConnected)
    except (httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError) as error:
        call.sent = sent_before
        failure = call.error(f"the request cannot be written ({type(error).__name__})", NotSendable)
    except (httpx.HTTPError, OSError) as error:
        failure = call.error(f"no whole answer ({type(error).__name__})")
    finally:
        await call.abandon()
    raise failure


def _request(call: Call, connect: float) -> "httpx.Request":
    import httpx  # noqa: PLC0415 - see the top of the file

    # Reading and writing are limited by the deadline of the whole call.
    extensions = {"timeout": {"connect": connect, "read": None, "write": None, "pool": None}, "trace": call.trace}
    content = call.content if call.method == "POST" else None
    return httpx.Request(call.method, call.url, headers=call.headers, content=content, extensions=extensions)


async def _read(response: "httpx.Response", call: Call) -> OutboundResponse:
    body = bytearray()
    try:
        headers = dict(response.headers.items())
        if headers.get("content-encoding", "identity") != "identity":
            raise call.error("the answer is encoded although we asked for identity")
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            body += chunk
            if len(body) > call.max_body:
                raise call.error("the answer is larger than allowed")
        if await _surplus(response):
            raise call.error("the answer is longer than announced")
    finally:
        await response.aclose()
    return OutboundResponse(response.status_code, headers, bytes(body))


async def _surplus(response: "httpx.Response") -> bytes:
    """What came after the end of the answer. It would be taken for the answer to the next call on this connection,
    so such a connection is closed; likewise one that cannot be judged, because httpcore keeps its parser elsewhere.
    """
    connection = response.extensions.get("network_stream")
    if connection is None:
        return b""
    parser: Any = response.stream
    for attribute in ("_httpcore_stream", "_stream", "_connection", "_h11_state"):
        parser = getattr(parser, attribute, None)
    surplus, _ = getattr(parser, "trailing_data", (None, True))
    if surplus != b"":
        await connection.aclose()
    return surplus or b""
