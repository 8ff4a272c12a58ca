"""Requests as raw bytes, straight to the application: what no HTTP client would send, and every field of the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Scope

from tests.support.server import ISSUER

Headers = Sequence[tuple[bytes, bytes]]
FORM: Headers = ((b"content-type", b"application/x-www-form-urlencoded"),)


@dataclass
class Answer:
    """A status, every header field in order, and the body."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    def one(self, name: bytes) -> str:
        (value,) = self.all(name)
        return value.decode("latin-1")

    @property
    def location(self) -> str:
        """Where the browser is sent; empty if nowhere."""
        return self.one(b"location") if self.all(b"location") else ""


async def ask(app: ASGIApp, method: str, target: bytes, headers: Headers = (), body: bytes = b"") -> Answer:
    """One request. Without a `host` among the headers it names the issuer's of the demo."""
    path, _, query = target.partition(b"?")
    if not any(name == b"host" for name, _ in headers):
        headers = [(b"host", urlsplit(ISSUER).netloc.encode()), *headers]
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8080),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *parts = sent
    return Answer(start["status"], list(start["headers"]), b"".join(part.get("body", b"") for part in parts))
