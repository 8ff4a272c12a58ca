"""HTTP/1.1 to one address of this machine, as lean as a load generator needs it; connections are kept.

Owns framing, the pool, and the figures of what was answered. Knows nothing of what is asked.
"""

import asyncio
import json
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

PATIENCE = 20.0
"""Seconds until a client hangs up."""
_GONE = (OSError, asyncio.IncompleteReadError, TimeoutError)


class Lost(Exception):
    """No answer of a node arrived. Nobody knows whether the request was carried out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node said, and when (seconds of the monotonic clock)."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        """The members of its body."""
        found: dict[str, Any] = json.loads(self.content)
        return found

    @property
    def error(self) -> str:
        """The code of a refusal; empty when it is none."""
        return "" if self.status < 400 else str(self.json.get("error", ""))


@dataclass(frozen=True, slots=True)
class Incident:
    """An answer of the 500s, of a node or of the balancer that has no node to ask."""

    began: float
    at: float
    path: str
    status: int
    retry_after: str
    of_a_node: bool
    content: bytes


@dataclass(slots=True)
class Tally:
    """What was answered to everybody who shares it; `slowest` in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    slowest: float = 0.0
    incidents: list[Incident] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All that were sent."""
        return self.statuses.total() + self.lost

    def note(self, path: str, began: float, answer: Answer) -> None:
        """Count one answer."""
        self.statuses[answer.status] += 1
        self.slowest = max(self.slowest, answer.at - began)
        if answer.status >= 500:
            retry_after, of_a_node = answer.headers.get("retry-after", ""), "x-request-id" in answer.headers
            self.incidents.append(
                Incident(began, answer.at, path, answer.status, retry_after, of_a_node, answer.content[:300])
            )


class Wire:
    """Connections to one port, under the name of the issuer."""

    def __init__(self, port: int, host: str, tally: Tally, *, patience: float = PATIENCE) -> None:
        self.port = port
        self.tally = tally
        self._host = host
        self._patience = patience
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, **form: str) -> Answer:
        """A form, as token requests have it. Raises `Lost`."""
        body = urlencode(form).encode()
        return await self.ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    async def post_json(self, path: str, sent: object, headers: Mapping[str, str] | None = None) -> Answer:
        """A JSON object. Raises `Lost`."""
        body = json.dumps(sent).encode()
        return await self.ask("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises `Lost`."""
        return await self.ask("GET", path, b"", headers or {})

    async def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One request on a connection of its own, new or kept. Raises `Lost`."""
        began = time.monotonic()
        try:
            answer = await asyncio.wait_for(self._asked(method, path, body, headers), self._patience)
        except _GONE as error:
            self.tally.lost += 1
            raise Lost(f"{method} {path}: {error!r}") from error
        self.tally.note(path.partition("?")[0], began, answer)
        return answer

    def close(self) -> None:
        """Hang up on what is kept."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _asked(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        reader, writer = await self._connection()
        keep = False
        try:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join([*lines, "\r\n"]).encode() + body)
            answer = await _read(reader)
            keep = answer.headers.get("connection", "") != "close"
        finally:
            if keep:
                self._idle.append((reader, writer))
            else:
                writer.close()
        return answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


async def _read(reader: asyncio.StreamReader) -> Answer:
    head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(head.split(" ")[1]), headers, content, time.monotonic())


def basic(client_id: str, secret: str) -> dict[str, str]:
    """The header by which a server of the studio proves who it is."""
    return {"Authorization": f"Basic {b64encode(f'{client_id}:{secret}'.encode()).decode()}"}


def bearer(token: str) -> dict[str, str]:
    """The header by which a game acts for its player."""
    return {"Authorization": f"Bearer {token}"}
