"""Random requests, the same ones in every run: no answer is a fault of ours, and every refusal has its surface's shape.

The application is called over ASGI with bytes that no HTTP library would write, and over the connection class that
serves in production with bytes that are hardly HTTP.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import quote_from_bytes

import pytest

from authsrv.errors import ErrorCode
from authsrv.log import Event
from authsrv.models import TOKEN_EXCHANGE
from authsrv.serving.protocol import HttpLimits, guarded_protocol
from tests.support.exchange import ACCESS_TOKEN, ID_TOKEN, KINDS, PLATFORM, exchanging
from tests.support.server import CALLBACK, CHALLENGE, VERIFIER, Server, launcher_request, running
from tests.support.sockets import port, serving

CANARY = "zqCANARYqz"
PROVIDERS = ("steam", "xbox", "epicgames", "guest")
TOKEN, SILENT, NONCE = "/oauth2/token", "/oauth2/social/{}/cross_auth", "/oauth2/social/steam/nonce"
STANDARD_MEMBERS = {"error", "error_description", "reason", "parameter", "interaction_url", "reference"}
XSOLLA_MEMBERS = {"code", "description", "details"}
TEXT = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 5.2
QUICK = HttpLimits(head_seconds=0.2, request_seconds=0.2, linger_seconds=0.05)
METHODS = (*("POST",) * 16, *("GET",) * 5, "HEAD", "PUT", "OPTIONS", "X" * 20)
NAMES = (
    *launcher_request(),
    *("grant_type", "code", "code_verifier", "refresh_token", "client_secret", "session_ticket", "credential_type"),
    *("app_id", "deployment_id", "sandbox", "nonce", "encrypted_ticket_nonce", "no_user_creation", "audience"),
    *("subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type"),
    *("redirectUrl", "resource", "request", "__proto__", "", "\0", "é", CANARY),
)
GRANTS = (
    *("authorization_code", "refresh_token", "client_credentials", "password"),
    *(TOKEN_EXCHANGE, "urn:ietf:params:oauth:grant-type:token_exchange"),
)
TOKEN_TYPES = (
    *(f"{PLATFORM}{provider}:{kind}" for provider, kind in KINDS.items()),
    *(ACCESS_TOKEN, ACCESS_TOKEN, ID_TOKEN, PLATFORM, f"{PLATFORM}steam", f"{PLATFORM}steam:é", f"{PLATFORM}:"),
)
VALUES = (
    *TOKEN_TYPES,
    *GRANTS,
    *("launcher", "shop", "spa", "backend", "match", "40"),
    *(CALLBACK, "http://127.0.0.1/blank", "https://evil.test/" + CANARY, "javascript:alert(1)", "true", "false", "1"),
    *(CHALLENGE, VERIFIER, "S256", "plain", "code", "openid offline", "a" * 43, "asc_" + "A" * 65, "asr_" + "A" * 65),
    *("session_ticket", "encrypted_app_ticket", "xsts_token", "exchange_code", "id_token", "connect_id_token"),
    *("14000000" + "00" * 60, "eyJhbGciOiJSUzI1NiJ9.e30.AA", "XBL3.0 x=1;a.b.c.d.e", "0" * 32, "4294967296", "-1"),
    *(
        "",
        " ",
        "\t",
        "\r\nX: y",
        "\0",
        "\x7f",
        '"',
        "\\",
        "é",
        "\u202e",
        "\ufeff",
        "😀" * 50,
        "%",
        "[" * 3000,
        "{" * 3000,
    ),
    *("9" * 5000, "1e999", "NaN", "\u00a0".join("ab"), " ".join(map(str, range(90))), CANARY * 3),
)


@dataclass
class Answer:
    """What came back over ASGI."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Request:
    """One request as an ASGI server would hand it over."""

    method: str
    path: str
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=exchanging) as started:
        yield started


@pytest.fixture
def events(server: Server) -> list[Event]:
    """Everything that is logged about requests."""
    found: list[Event] = []
    server.app._hygiene._emit = found.append
    server.app._audit._emit = found.append
    return found


async def send(server: Server, request: Request) -> Answer:
    answer = Answer()
    chunks = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return chunks.pop() if chunks else {"type": "http.disconnect"}

    async def collect(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], dict(message["headers"])
        else:
            answer.body += message.get("body", b"")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": request.method,
        "path": request.path,
        "raw_path": quote_from_bytes(request.path.encode("utf-8", "replace")).encode(),
        "root_path": "",
        "query_string": request.query,
        "headers": list(request.headers),
        "client": ("192.0.2.7", 4711),
        "server": ("127.0.0.1", 8080),
    }
    await server.app(scope, receive, collect)
    return answer


class Dice:
    """Requests from a seed."""

    def __init__(self, seed: int, credentials: Sequence[str] = ()) -> None:
        self._credentials = credentials
        self._random = random.Random(seed)  # noqa: S311 - the same requests in every run

    def request(self) -> Request:
        form = self._form()
        method = self._random.choice(METHODS)
        in_query = method != "POST" or self._rarely()
        return Request(
            method, self._path(), form if in_query else b"", self._headers(), b"" if in_query else self._body(form)
        )

    def raw(self) -> bytes:
        """A request as bytes on a connection, whole or broken."""
        request = self.request()
        target = request.path.encode("utf-8", "replace") + (b"?" + request.query if request.query else b"")
        lines = [b"%s %s HTTP/1.1" % (request.method.encode(), target)]
        lines += [b"%s: %s" % header for header in request.headers]
        lines += [] if self._rarely() else [b"content-length: %d" % len(request.body)]
        data = b"\r\n".join((*lines, b"", b"")) + request.body
        return self._broken(data) if self._random.random() < 0.5 else data

    def _broken(self, data: bytes) -> bytes:
        position = self._random.randrange(len(data))
        junk = self._random.choice((b"\0", b"\n", b"\r", b"\xff", b" ", b"\r\n\r\n", self._random.randbytes(5), b""))
        return data[:position] + junk + data[position + self._random.randrange(3) :]

    def _rarely(self) -> bool:
        return self._random.random() < 0.15

    def _path(self) -> str:
        provider = self._random.choice(("nobody", CANARY, "é", "\0") if self._rarely() else PROVIDERS)
        path = self._random.choice((TOKEN, SILENT.format(provider), SILENT.format(provider), NONCE))
        return self._random.choice(("/api", "/api", "//", "/x")) + path if self._rarely() else path

    def _form(self) -> bytes:
        """Often a good request with a few faults in it, sometimes nothing but faults."""
        fields = [] if self._rarely() else [(name, value or "") for name, value in launcher_request().items()]
        if self._random.random() < 0.5:
            fields.append(("grant_type", self._random.choice(GRANTS)))
        if self._credentials and self._random.random() < 0.2:
            exchange = {"subject_token": self._credential(), "subject_token_type": self._random.choice(TOKEN_TYPES)}
            fields = [*(dict(fields) | {"grant_type": TOKEN_EXCHANGE} | exchange).items()]
        if self._credentials and self._random.random() < 0.7:
            names = ("session_ticket", "session_ticket", "code", "refresh_token", "subject_token", "actor_token")
            fields.append((self._random.choice(names), self._credential()))
        for _ in range(self._random.randrange(5)):
            fault = (self._random.choice(NAMES), self._random.choice(VALUES))
            fields = [known for known in fields if self._rarely() or known[0] != fault[0]] + [fault]
        self._random.shuffle(fields)
        return b"&".join(self._encoded(name) + b"=" + self._encoded(value) for name, value in fields)

    def _credential(self) -> str:
        """A good one, or one with a character changed, left out or put in."""
        text = self._random.choice(self._credentials)
        position = self._random.randrange(len(text))
        if self._random.random() < 0.5:
            return text
        return text[:position] + self._random.choice(("", "A", "=", " ", "é")) + text[position + 1 :]

    def _encoded(self, text: str) -> bytes:
        if self._random.random() < 0.02:
            return self._random.choice((b"%", b"%ff", b"%c0%af", b"%ed%a0%80", b"%zz", self._random.randbytes(9)))
        return quote_from_bytes(text.encode("utf-8")).encode()

    def _body(self, form: bytes) -> bytes:
        if self._random.random() < 0.05:
            return self._random.randbytes(self._random.choice((1, 100, 20_000, 140_000)))
        return form

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"host", b"127.0.0.1:8080"), (b"content-type", b"application/x-www-form-urlencoded")]
        extra: list[Callable[[], tuple[bytes, bytes]]] = [
            lambda: (b"host", self._random.choice((b"evil.test", b"a/b?", b"", b"\xff", b"127.0.0.1:8080"))),
            lambda: (b"content-type", self._random.choice((b"application/json", b"multipart/form-data", b"\xff", b""))),
            lambda: (b"content-encoding", self._random.choice((b"gzip", b"identity", b"\xff"))),
            lambda: (b"authorization", self._authorization()),
            lambda: (b"signature", self._random.choice((b"A" * 102 + b"==", b"\xff", b""))),
            lambda: (b"origin", self._random.choice((b"http://127.0.0.1:8080", b"null", b"\xff"))),
            lambda: (b"x-forwarded-for", self._random.choice((b"1.2.3.4", b"::", b"\xff, \xff", b"," * 500))),
            lambda: (b"content-length", self._random.choice((b"0", b"-1", b"9" * 18, b"9" * 30, b"1_0", b"\xb2"))),
            lambda: (b"access-control-request-method", b"POST"),
            lambda: (self._random.choice((b"upgrade", b"connection", b"expect", b"te")), b"x"),
        ]
        while self._random.random() < 0.15:
            headers.insert(self._random.randrange(len(headers) + 1), self._random.choice(extra)())
        return headers if self._random.random() < 0.97 else headers[1:]

    def _authorization(self) -> bytes:
        return self._random.choice(
            (
                b"Basic /zr/",
                b"Basic YmFja2VuZDpiYWNrZW5kLXNlY3JldA==",
                b"Basic %s" % (b"A" * 5000),
                b"Basic \xff",
                b"Bearer " + CANARY.encode(),
                b"XBL3.0 x=1;eyJhIjoxfQ.a.a.a.a",
                b"XBL3.0 x=\xff;a",
                b"\xff",
                b"",
                b"Basic",
            )
        )


def assert_refusal(path: str, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
    """One JSON shape for each surface, whatever was wrong."""
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"cache-control"] == b"no-store"
    document = json.loads(body)
    if path.startswith("/api/"):
        assert document.keys() == {"error"}
        assert document["error"].keys() == XSOLLA_MEMBERS
        assert TEXT.fullmatch(document["error"]["description"])
        return
    assert document.keys() <= STANDARD_MEMBERS
    assert document["error"] in get_args(ErrorCode)
    assert TEXT.fullmatch(document["error_description"])
    assert status != 503 or headers[b"retry-after"].isdigit()


def assert_sound(request: Request, answer: Answer) -> None:
    """No fault of ours, nothing repeated, and no way out but a registered one."""
    assert answer.status < 500 or answer.status == 503, (request, answer)
    location = answer.headers.get(b"location")
    if location is not None:
        assert location.startswith((CALLBACK.encode(), b"http://127.0.0.1/blank", b"http://127.0.0.1:8080/demo/"))
        assert location.isascii()
        assert b" " not in location
    elif answer.status >= 400 and request.method != "HEAD":
        assert_refusal(request.path, answer.status, answer.headers, answer.body)
    assert CANARY.encode() not in answer.body
    assert all(b"\r" not in value and b"\n" not in value for value in answer.headers.values())


@pytest.mark.parametrize("seed", range(8))
async def test_F21_random_requests_get_no_5xx_and_one_shape_of_error(
    server: Server, events: list[Event], seed: int
) -> None:
    credentials = [next(iter(server.mint(name).parameters.values())) for name in PROVIDERS for _ in range(40)]
    dice = Dice(seed, [*credentials, *[(await server.login("steam"))["access_token"]] * 40])
    statuses = set()
    for _ in range(600):
        request = dice.request()
        answer = await send(server, request)
        assert_sound(request, answer)
        statuses.add(answer.status)
    assert {200, 400, 401, 404, 405} <= statuses
    assert not [event for event in events if "exception" in event]


async def test_I01_what_random_requests_carry_in_parameters_is_not_logged(server: Server, events: list[Event]) -> None:
    for value in (CANARY, f"asc_{CANARY}", f"XBL3.0 x=1;{CANARY}"):
        for name in NAMES:
            for path in (TOKEN, SILENT.format("steam"), SILENT.format("epicgames")):
                form = {"grant_type": "authorization_code"} | launcher_request() | {name: value}
                await server.http.post(path, data={k: v for k, v in form.items() if v})
    assert len(events) > 100
    assert [event for event in events if CANARY in json.dumps(event)] == []


@pytest.mark.parametrize("seed", range(3))
async def test_F15_F21_random_bytes_on_a_connection_get_no_5xx_and_one_shape_of_error(
    server: Server, events: list[Event], seed: int
) -> None:
    dice = Dice(100 + seed)
    async with serving(server.app, guarded_protocol(QUICK)) as listener:
        answers = await asyncio.gather(*(_exchanged(port(listener), dice.raw()) for _ in range(120)))
    statuses = {
        int(status) for answer in answers for status in re.findall(rb"^HTTP/1\.1 ([0-9]{3}) ", answer, re.MULTILINE)
    }
    assert 400 in statuses
    assert {status for status in statuses if status >= 500} <= {503}
    assert not [event for event in events if "exception" in event]


async def _exchanged(port: int, data: bytes) -> bytes:
    """All that comes back until the server closes, or has nothing more to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    except (ConnectionError, TimeoutError):
        return b""
    finally:
        writer.close()
