"""Answers as they come off the wire: whole or not yet, and whether they are what they must be.

Owns the little of HTTP/1.1 that a client of known servers needs, and the checks of every body. Knows no socket.
"""

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any

from bench.orders import Expected

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n")
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n")
_SHOWN = 200


class Wrong(Exception):
    """An answer that is not what it must be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `closes` tells that the connection cannot be used again."""

    status: int
    body: bytes
    closes: bool = False


def read_answer(received: bytes) -> Answer | None:
    """The one answer that these bytes are, None while some are missing. Raises `Wrong` for what is no answer."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = received[: end + 2].lower()
    if not head.startswith(b"http/1."):
        raise Wrong(f"no HTTP/1.1: {received[:_SHOWN]!r}")
    body = _body(head, received[end + 4 :])
    if body is None:
        return None
    return Answer(int(head[9:12]), body, head.startswith(b"http/1.0") or _CLOSES.search(head) is not None)


def _body(head: bytes, rest: bytes) -> bytes | None:
    length = _LENGTH.search(head)
    if length:
        return _exactly(int(length[1]), rest)
    if _CHUNKED.search(head):
        return _joined(rest)
    raise Wrong("an answer with neither Content-Length nor chunks")


def _exactly(length: int, rest: bytes) -> bytes | None:
    if len(rest) > length:
        raise Wrong("more bytes than Content-Length says")
    return rest if len(rest) == length else None


def _joined(rest: bytes) -> bytes | None:
    """The chunks of RFC 9112 section 7.1, without extensions' meaning and without trailers."""
    parts: list[bytes] = []
    while rest:
        size, found, rest = rest.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16) if found else 0
        if not found or len(rest) < length + 2:
            return None
        if not length:
            return b"".join(parts)
        parts.append(rest[:length])
        rest = rest[length + 2 :]
    return None


class Checks:
    """What every answer of a round must be."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._names = (*expected.present, *expected.jwts)
        self._heads: set[tuple[str, str]] = set()
        """JWT headers that were read before: those of one key are always the same text."""

    def __call__(self, answer: Answer) -> dict[str, Any]:
        """The body's members. Raises `Wrong` with what is wrong."""
        if answer.status != self._expected.status:
            raise Wrong(f"{answer.status}: {answer.body[:_SHOWN].decode(errors='replace')}")
        members = _members(answer.body)
        for name in self._names:
            if not members.get(name):
                raise Wrong(f"{name} is missing: {sorted(members)}")
        for name in self._expected.absent:
            if name in members:
                raise Wrong(f"{name} should not be there")
        self._check_values(members)
        for name, algorithm in self._expected.jwts.items():
            self._check_jwt(name, members[name], algorithm)
        return members

    def _check_values(self, members: dict[str, Any]) -> None:
        for name, value in self._expected.values.items():
            if members.get(name) != value:
                raise Wrong(f"{name} is {members.get(name)!r}, not {value!r}")
        for name, least in self._expected.lengths.items():
            if not isinstance(members.get(name), list) or len(members[name]) < least:
                raise Wrong(f"{name} has fewer than {least} elements")

    def _check_jwt(self, name: str, token: str, algorithm: str) -> None:
        head, _, rest = token.partition(".")
        if rest.count(".") != 1 or rest.startswith(".") or rest.endswith("."):
            raise Wrong(f"{name} is no signed JWT")
        if (name, head) in self._heads:
            return
        if json.loads(urlsafe_b64decode(head + "==")).get("alg") != algorithm:
            raise Wrong(f"{name} is not signed by {algorithm}")
        self._heads.add((name, head))


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = json.loads(body)
    except ValueError as error:
        raise Wrong(f"no JSON: {body[:_SHOWN]!r}") from error
    if not isinstance(members, dict):
        raise Wrong("a JSON body that is no object")
    return members
