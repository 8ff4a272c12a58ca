"""The load generator: a process of its own that keeps connections open and sends one request after the other on each.

Owns HTTP/1.1 as far as this needs it, and the checks of every answer. Reads one order per line from standard input as
JSON and answers each with one line; knows nothing of what serves.
"""

import asyncio
import json
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvloop

MOST_ERRORS_KEPT = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What to send. `forms` are used once each; with `chained`, each connection begins with one of them and goes on
    with the refresh token of its last answer. `tokens` names the JWTs an answer must hold and their algorithms.
    """

    port: int
    host: str
    forms: list[dict[str, str]]
    tokens: dict[str, str]
    refreshes: bool
    connections: int
    count: int
    seconds: float
    chained: bool = False


@dataclass(slots=True)
class Outcome:
    """What came of an order. `last` are the refresh tokens of the chains' ends."""

    requests: int = 0
    seconds: float = 0.0
    failures: int = 0
    errors: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)

    def failed(self, why: str) -> None:
        self.failures += 1
        if len(self.errors) < MOST_ERRORS_KEPT:
            self.errors.append(why)


class Wrong(Exception):
    """An answer that is not what it must be."""


async def carry_out(order: Order) -> Outcome:
    outcome = Outcome()
    deadline = time.perf_counter() + order.seconds
    left = iter(range(order.count))
    forms = iter(order.forms)
    began = time.perf_counter()
    chains = [_chain(order, outcome, left, forms, deadline) for _ in range(order.connections)]
    await asyncio.gather(*chains)
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _chain(
    order: Order, outcome: Outcome, left: Iterator[int], forms: Iterator[dict[str, str]], deadline: float
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", order.port)
    form: dict[str, str] | None = next(forms, None)
    while form is not None and next(left, None) is not None and time.perf_counter() < deadline:
        try:
            answer = check(order, *await _exchange(reader, writer, order.host, form))
        except (Wrong, OSError, asyncio.IncompleteReadError) as error:
            outcome.failed(str(error) or type(error).__name__)
            break
        outcome.requests += 1
        form = {**form, "refresh_token": answer["refresh_token"]} if order.chained else next(forms, None)
    if order.chained and form is not None:
        outcome.last.append(form["refresh_token"])
    writer.close()
    await writer.wait_closed()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, form: dict[str, str]
) -> tuple[int, bytes]:
    body = urlencode(form).encode()
    head = (
        f"POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench\r\nAccept: application/json\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    lines = answer.lower().split(b"\r\n")
    lengths = [line.partition(b":")[2] for line in lines if line.startswith(b"content-length:")]
    if len(lengths) != 1:
        raise Wrong("an answer without one Content-Length")
    return int(answer[9:12]), await reader.readexactly(int(lengths[0]))


def check(order: Order, status: int, body: bytes) -> dict[str, Any]:
    """The answer's members. Raises `Wrong` unless it is the token answer that the order expects."""
    if status != 200:
        raise Wrong(f"{status}: {body[:200].decode(errors='replace')}")
    answer: dict[str, Any] = json.loads(body)
    if answer.get("token_type") != "Bearer" or answer.get("expires_in") != 900:
        raise Wrong("token_type or expires_in is wrong")
    if ("refresh_token" in answer) != order.refreshes or ("id_token" in answer) != ("id_token" in order.tokens):
        raise Wrong(f"members of the answer: {sorted(answer)}")
    for name, algorithm in order.tokens.items():
        header, _, _ = answer[name].partition(".")
        if json.loads(urlsafe_b64decode(header + "=="))["alg"] != algorithm:
            raise Wrong(f"{name} is not signed by {algorithm}")
    return answer


def main() -> None:
    for line in sys.stdin:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(carry_out(Order(**json.loads(line))))
        print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
