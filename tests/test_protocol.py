import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock

import pytest
import uvicorn
import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from authsrv.endpoints.forms import read_form
from authsrv.endpoints.hygiene import Hygiene
from authsrv.errors import AuthsrvError
from authsrv.serving.protocol import GuardedProtocol, HttpLimits, guarded_protocol
from tests.support.sockets import port, serving

SMALL = HttpLimits(head_bytes=2048, url_bytes=512, headers=20, linger_seconds=0.2)
QUICK = HttpLimits(head_bytes=2048, head_seconds=0.1, request_seconds=0.2, linger_seconds=0.2)


@dataclass
class Recorder:
    """An application that answers with the body it got and remembers every request."""

    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[bytes, bytes]] = field(default_factory=list)
    before_answer: Callable[[], Awaitable[object]] | None = None
    answer_unread: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b"" if self.answer_unread else await self.body(receive)
        if body is None:
            self.gone.set()
            return
        self.seen.append((scope["method"], scope["path"], body))
        self.headers.append(dict(scope["headers"]))
        self.arrived.set()
        if self.before_answer:
            await self.before_answer()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def body(self, receive: Receive) -> bytes | None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message["body"]
            more = message["more_body"]
        return body


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return await asyncio.wait_for(self.reader.read(-1), 5)

    async def answer(self) -> bytes:
        """One answer with a Content-Length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await asyncio.wait_for(self.reader.readexactly(length), 5)


@asynccontextmanager
async def connection(server: uvicorn.Server) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def exchange(data: bytes, limits: HttpLimits = SMALL) -> tuple[bytes, Recorder]:
    """What the server sends until it closes the connection, and what reached the application."""
    app = Recorder()
    async with serving(app, guarded_protocol(limits)) as server, connection(server) as client:
        client.send(data)
        return await client.rest(), app


def beginning(begun: asyncio.Event) -> type[GuardedProtocol]:
    """The protocol, telling when the first bytes of a request were read."""

    class Watched(guarded_protocol(SMALL)):  # type: ignore[misc]  # a class made at run time
        def on_message_begin(self) -> None:
            super().on_message_begin()
            begun.set()

    return Watched


def assert_refused(answer: bytes, status: int) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/json" in head
    assert b"cache-control: no-store" in head
    assert b"connection: close" in head
    document = json.loads(body)
    assert list(document) == ["error", "error_description"]
    assert document["error"] == "invalid_request"


GET = b"GET /a HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"


async def test_requests_within_the_limits_are_served_on_one_connection() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        for _ in range(3):
            client.send(POST + b"Content-Length: 3\r\n\r\nabc")
            assert (await client.answer()).endswith(b"\r\n\r\nabc")
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n")
        assert (await client.answer()).endswith(b"\r\n\r\nde")
    assert len(app.seen) == 4


async def test_an_answer_is_sent_as_one_piece() -> None:
    sending: list[Mock] = []

    class Watched(guarded_protocol(SMALL)):  # type: ignore[misc]  # a class made at run time
        def connection_made(self, transport: asyncio.Transport) -> None:
            sending.append(Mock(wraps=transport))
            super().connection_made(sending[-1])

    async with serving(Recorder(), Watched) as server, connection(server) as client:
        client.send(POST + b"Content-Length: 3\r\n\r\nabc")
        assert (await client.answer()).endswith(b"\r\n\r\nabc")
        ((head, body),) = sending[0].writelines.call_args.args
    assert (head[:9], body) == (b"HTTP/1.1 ", b"abc")
    sending[0].writelines.assert_called_once()
    sending[0].write.assert_not_called()


async def test_the_head_of_an_answer_does_not_wait_for_a_slow_body() -> None:
    rest = asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await rest.wait()
        await send({"type": "http.response.body", "body": b"x"})

    async with serving(slow, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(GET + b"\r\n")
        assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 200 ")
        rest.set()
        assert await asyncio.wait_for(client.reader.readexactly(1), 5) == b"x"


async def test_an_answer_to_head_is_sent_before_a_shutdown_in_the_same_turn_closes_the_connection() -> None:
    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        await send({"type": "http.response.body", "body": b""})
        for open_connection in server.server_state.connections:
            open_connection.shutdown()

    async with serving(answer, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(GET + b"X: y\r\n" * 25 + b"\r\n", id="too many"),
        pytest.param(GET + b"X: " + b"y" * 3000 + b"\r\n\r\n", id="too large"),
        pytest.param(GET + b"X: " + b"y" * 3000, id="a value without end"),
        pytest.param(GET + b"X" * 3000, id="a name without end"),
        pytest.param(GET + b"X: y\r\n" * 25, id="too many, unfinished"),
    ],
)
async def test_F05_R29_a_flood_of_headers_is_refused(data: bytes) -> None:
    answer, app = await exchange(data)
    assert_refused(answer, 431)
    assert app.seen == []


async def test_F05_a_head_that_drips_in_is_counted_across_reads() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(POST + b"Content-Length: 3\r\n\r\nabc")
        await client.answer()
        client.send(GET + b"X: ")
        reading = asyncio.ensure_future(client.rest())
        while not reading.done():
            client.send(b"y" * 300)
            await client.writer.drain()
            await asyncio.wait([reading], timeout=0.01)
        assert_refused(reading.result(), 431)
    assert len(app.seen) == 1


@pytest.mark.parametrize("trailers", [b"X: y\r\n" * 25, b"X: " + b"y" * 3000])
async def test_F05_a_flood_of_trailers_is_refused(trailers: bytes) -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 100 ")
        client.send(trailers)
        assert_refused(await client.rest(), 431)
    assert app.seen == []


async def test_heads_that_come_in_two_parts_do_not_add_up() -> None:
    begun = asyncio.Event()
    async with serving(Recorder(), beginning(begun)) as server, connection(server) as client:
        for _ in range(5):
            begun.clear()
            client.send(GET + b"X: " + b"y" * 700)
            await asyncio.wait_for(begun.wait(), 5)
            client.send(b"\r\n\r\n")
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_the_keep_alive_time_runs_only_between_requests() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(SMALL), keep_alive=0.1) as server, connection(server) as client:
        client.send(GET + b"\r\n")
        await client.answer()
        late = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, late.set)
        app.before_answer = late.wait
        client.send(GET + b"\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        client.send(b"\r\n")
        assert await client.rest() == b""


async def test_a_large_body_does_not_count_as_head() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(
            POST + b"Content-Length: 50000\r\n\r\n" + b"z" * 50000 + GET
        )  # the next head begins in the same read
        assert len(await client.answer()) > 50000
        client.send(b"\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_pipelined_requests_are_counted_one_by_one() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send((GET + b"\r\n") * 200)
        for _ in range(200):
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_F06_a_long_url_is_refused() -> None:
    answer, app = await exchange(b"GET /?a=" + b"b" * 600 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert_refused(answer, 414)
    assert app.seen == []
    answer, _ = await exchange(b"GET /?a=" + b"b" * 64 * 1024)
    assert_refused(answer, 414)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", id="two equal lengths"),
        pytest.param(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", id="two lengths"),
        pytest.param(POST + b"Content-Length: 3, 3\r\n\r\nabc", id="list of lengths"),
        pytest.param(POST + b"Content-Length: -3\r\n\r\nabc", id="negative length"),
        pytest.param(POST + b"Content-Length: +3\r\n\r\nabc", id="signed length"),
        pytest.param(POST + b"Content-Length: 0x3\r\n\r\nabc", id="hex length"),
        pytest.param(POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc", id="overflowing length"),
        pytest.param(
            POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="length and coding"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", id="coding and length"
        ),
        pytest.param(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="another coding"),
        pytest.param(POST + b"Transfer-Encoding: identity\r\n\r\n", id="identity"),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="unknown coding"),
        pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", id="space before the colon"),
        pytest.param(b"POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="coding in 1.0"),
        pytest.param(b"GET /a HTTP/1.1\nHost: x\n\n", id="bare LF"),
        pytest.param(b"GET /a HTTP/1.1\r\nHost: x\nY: z\r\n\r\n", id="bare LF between headers"),
        pytest.param(b"GET /a HTTP/1.1\r\nHost: x\rY: z\r\n\r\n", id="bare CR"),
        pytest.param(GET + b"Y: a\r\n b\r\n\r\n", id="folded header"),
        pytest.param(GET + b"Y: a\0b\r\n\r\n", id="NUL"),
        pytest.param(b"GET /a\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", id="CONNECT"),
        pytest.param(b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", id="absolute form without path"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", id="raw bytes in the path"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
    ],
)
async def test_F15_R29_ambiguous_and_malformed_requests_are_refused_and_the_connection_closed(data: bytes) -> None:
    answer, app = await exchange(data)
    assert_refused(answer, 400)
    assert app.seen == []


async def test_F15_a_broken_chunk_takes_the_request_from_the_application() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n-1\r\n")
        assert_refused(await client.rest(), 400)
        await asyncio.wait_for(app.gone.wait(), 5)
    assert app.seen == []


async def test_F15_an_error_in_the_next_request_does_not_break_into_the_answer() -> None:
    release = asyncio.Event()
    app = Recorder(before_answer=release.wait)
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(POST + b"Content-Length: 3\r\n\r\nabcGARBAGE\r\n\r\n")
        await asyncio.wait_for(app.arrived.wait(), 5)
        release.set()
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nabc")
    assert answer.count(b"HTTP/1.1") == 1


async def test_F15_trailers_never_become_headers() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: Basic x\r\n\r\n")
        await client.answer()
    assert b"authorization" not in app.headers[0]


async def test_F15_a_body_behind_an_upgrade_offer_stays_a_body() -> None:
    app = Recorder()
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
    async with serving(app, guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(POST + offer + b"Content-Length: %d\r\n\r\n" % len(smuggled))
        await client.writer.drain()
        client.send(smuggled)
        assert (await client.answer()).endswith(smuggled)
        client.send(GET + offer + b"\r\n" + GET + b"\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
    assert app.seen == [("POST", "/a", smuggled), ("GET", "/a", b""), ("GET", "/a", b"")]
    assert app.headers[0][b"connection"].strip() == b"HTTP2-Settings"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"", 0, id="nothing"),
        pytest.param(b"\r\n\r\n", 0, id="empty lines"),
        pytest.param(b"GET /a HT", 408, id="part of the request line"),
        pytest.param(GET + b"X: y", 408, id="part of a header"),
        pytest.param(POST + b"Content-Length: 3\r\n\r\nab", 408, id="part of the body"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", 408, id="part of the chunks"),
    ],
)
async def test_F07_a_slow_sender_is_closed_at_the_deadline(data: bytes, status: int) -> None:
    answer, app = await exchange(data, QUICK)
    if status:
        assert_refused(answer, status)
    else:
        assert answer == b""
    assert app.seen == []


async def test_F07_the_second_request_of_a_connection_has_its_deadline_too() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(QUICK)) as server, connection(server) as client:
        client.send(GET + b"\r\n")
        await client.answer()
        client.send(GET)
        assert_refused(await client.rest(), 408)


async def test_F07_many_slow_senders_do_not_disturb_a_healthy_client() -> None:
    app = Recorder()
    async with serving(app, guarded_protocol(QUICK)) as server:
        slow = []
        for _ in range(100):
            slow.append(await asyncio.open_connection("127.0.0.1", port(server)))
            slow[-1][1].write(b"GET /slow HT")  # at once: who says nothing by the deadline is closed without a word
        async with connection(server) as client:
            client.send(GET + b"\r\n")
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        for reader, writer in slow:
            assert_refused(await asyncio.wait_for(reader.read(-1), 5), 408)
            writer.close()
    assert app.seen == [("GET", "/a", b"")]


def watching(limits: HttpLimits, fired: asyncio.Event) -> type[GuardedProtocol]:
    class Watched(guarded_protocol(limits)):  # type: ignore[misc]  # a class made at run time
        def _check_deadline(self) -> None:
            super()._check_deadline()
            fired.set()

    return Watched


async def test_a_slow_answer_is_not_the_senders_fault() -> None:
    fired = asyncio.Event()
    app = Recorder(before_answer=fired.wait)
    async with serving(app, watching(QUICK, fired)) as server, connection(server) as client:
        client.send(GET + b"\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_the_deadline_leaves_an_idle_connection_to_the_keep_alive_time() -> None:
    fired = asyncio.Event()
    app = Recorder()
    async with serving(app, watching(QUICK, fired)) as server, connection(server) as client:
        client.send(GET + b"\r\n")
        await client.answer()
        await asyncio.wait_for(fired.wait(), 5)
        client.send(GET + b"\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_F07_a_body_that_drips_after_an_early_answer_ends_without_a_second_answer() -> None:
    app = Recorder(answer_unread=True)
    async with serving(app, guarded_protocol(QUICK)) as server, connection(server) as client:
        client.send(POST + b"Content-Length: 1000\r\n\r\nabc")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        client.send(b"d")
        assert await client.rest() == b""


async def test_R19_answers_ask_to_close_while_draining() -> None:
    app = Recorder()
    draining = asyncio.Event()
    async with serving(app, guarded_protocol(SMALL, draining=draining.is_set)) as server, connection(server) as client:
        client.send(GET + b"\r\n")
        assert b"connection: close" not in await client.answer()
        draining.set()
        client.send(GET + b"\r\n")
        assert b"connection: close" in await client.rest()


async def test_R19_a_request_whose_head_is_arriving_is_still_answered_at_shutdown() -> None:
    begun = asyncio.Event()
    async with serving(Recorder(), beginning(begun)) as server, connection(server) as client:
        client.send(GET)
        await asyncio.wait_for(begun.wait(), 5)
        for found in list(server.server_state.connections):
            found.shutdown()
        client.send(b"\r\n")
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


def test_F05_F07_F15_hold_on_uvloop_too() -> None:
    async def all_of_them() -> list[bytes]:
        requests: list[tuple[bytes, Any]] = [
            (GET + b"X: " + b"y" * 3000, SMALL),
            (GET + b"X: y", QUICK),
            (POST + b"Content-Length: -3\r\n\r\n", SMALL),
        ]
        return [(await exchange(data, limits))[0] for data, limits in requests]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answers = runner.run(all_of_them())
    assert [answer.split(b" ")[1] for answer in answers] == [b"431", b"408", b"400"]


def rendered(_scope: Scope, error: AuthsrvError, _reference: str) -> Response:
    return JSONResponse({"error": error.error, "error_description": error.description}, status_code=error.status)


async def take_form(request: Request) -> Response:
    form = await read_form(request, 1000)
    return JSONResponse(dict(form.take(["a"])))


def form_site(events: list[dict[str, Any]]) -> ASGIApp:
    router = Router([Route("/form", take_form, methods=["POST"])], redirect_slashes=False)
    return Hygiene(router, issuer="http://x", render_error=rendered, emit=events.append)


FORM = b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"


async def test_F01_a_big_body_is_refused_by_its_length_and_in_our_format() -> None:
    events: list[dict[str, Any]] = []
    async with serving(form_site(events), guarded_protocol(QUICK)) as server, connection(server) as client:
        client.send(FORM + b"Content-Length: 100000000\r\n\r\na=1")
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"cache-control: no-store" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "invalid_request"
        assert await client.rest() == b""  # the rest of the body has its deadline
    assert [event["status"] for event in events] == [413]


async def test_F01_a_chunked_body_without_end_is_refused_at_the_limit() -> None:
    events: list[dict[str, Any]] = []
    async with serving(form_site(events), guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(FORM + b"Transfer-Encoding: chunked\r\n\r\n")
        reading = asyncio.ensure_future(client.answer())
        while not reading.done():
            client.send(b"64\r\n" + b"a" * 100 + b"\r\n")
            await client.writer.drain()
            await asyncio.wait([reading], timeout=0.01)
        assert reading.result().startswith(b"HTTP/1.1 413 ")
    assert [event["status"] for event in events] == [413]


async def test_F07_a_body_that_stops_is_no_error_of_the_application() -> None:
    events: list[dict[str, Any]] = []
    async with serving(form_site(events), guarded_protocol(QUICK)) as server, connection(server) as client:
        client.send(FORM + b"Content-Length: 10\r\n\r\na=1")
        assert_refused(await client.rest(), 408)
    assert [(event["status"], "exception" in event) for event in events] == [(499, False)]


async def test_F01_F15_a_form_within_its_limits_passes_the_whole_stack() -> None:
    async with serving(form_site([]), guarded_protocol(SMALL)) as server, connection(server) as client:
        client.send(FORM + b"Content-Length: 7\r\n\r\na=b%20c")
        assert (await client.answer()).endswith(b'{"a":"b c"}')
