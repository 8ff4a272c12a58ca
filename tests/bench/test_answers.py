"""What the load generator takes for an answer, and for a right one."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from bench.answers import Answer, Checks, Wrong, read_answer
from bench.orders import Expected

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n{"a\r\na\r\n": 1234567\r\n1\r\n}\r\n0\r\n\r\n'


@pytest.mark.parametrize(("received", "body"), [(PLAIN, b"{}"), (CHUNKED, b'{"a": 1234567}')])
def test_an_answer_is_whole_at_its_last_byte_and_not_before(received: bytes, body: bytes) -> None:
    assert read_answer(received) == Answer(200, body)
    for end in range(len(received)):
        assert read_answer(received[:end]) is None


def test_a_server_that_closes_is_believed() -> None:
    closing = PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n")
    old = PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0")
    assert [answer.closes for answer in map(read_answer, (closing, old, PLAIN)) if answer] == [True, True, False]


@pytest.mark.parametrize(
    "received", [b"SSH-2.0\r\n\r\n", PLAIN + b"x", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["no HTTP", "too long", "no length"]
)
def test_what_is_no_answer_is_wrong(received: bytes) -> None:
    with pytest.raises(Wrong):
        read_answer(received)


def token(alg: str) -> str:
    return urlsafe_b64encode(json.dumps({"alg": alg}).encode()).decode().rstrip("=") + ".claims.signature"


RIGHT: dict[str, Any] = {"access_token": token("ES256"), "active": True, "sub": "amber", "keys": [1, 2]}
EXPECTED = Expected(
    values={"active": True}, present=("sub",), absent=("error",), jwts={"access_token": "ES256"}, lengths={"keys": 2}
)


def test_a_right_answer_gives_its_members() -> None:
    assert Checks(EXPECTED)(Answer(200, json.dumps(RIGHT).encode())) == RIGHT


@pytest.mark.parametrize(
    "change",
    [
        {"active": False},
        {"active": 1.5},
        {"sub": ""},
        {"error": "invalid_grant"},
        {"keys": [1]},
        {"keys": "two"},
        {"access_token": token("RS256")},
        {"access_token": "opaque"},
        {"access_token": token("ES256").removesuffix("signature")},
    ],
    ids=str,
)
def test_each_difference_is_wrong(change: dict[str, Any]) -> None:
    checks = Checks(EXPECTED)
    checks(Answer(200, json.dumps(RIGHT).encode()))
    with pytest.raises(Wrong):
        checks(Answer(200, json.dumps(RIGHT | change).encode()))


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"<html>"), (200, b"[]")])
def test_other_statuses_and_other_bodies_are_wrong(status: int, body: bytes) -> None:
    with pytest.raises(Wrong):
        Checks(Expected())(Answer(status, body))
