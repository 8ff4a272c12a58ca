"""The load generator against servers that do as they are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from urllib.parse import parse_qs

import pytest

from bench.load import MOST_FAILURES, Load
from bench.orders import Expected, Order, Outcome, Request, Requests

Answering = Callable[[str], tuple[str, float, bool]]
"""The body for a form, after how many seconds, and whether the connection stays."""


@asynccontextmanager
async def server(answering: Answering) -> AsyncIterator[int]:
    handlers: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        stays = True
        while stays and (head := await reader.readline()):
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                if line.startswith(b"Content-Length:"):
                    length = int(line.split(b":")[1])
            form = (await reader.readexactly(length)).decode()
            body, pause, stays = answering(form)
            await asyncio.sleep(pause)
            connection = "" if stays else "Connection: close\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{connection}\r\n{body}".encode())
            assert head.startswith(b"POST /token ")
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
    await asyncio.gather(*(handler for handler in handlers if handler))


async def carry_out(answering: Answering, requests: Requests, **order: float) -> Outcome:
    limits = {"connections": 2, "count": 10, "seconds": 5.0} | order
    async with server(answering) as port:
        asked = Order(port=port, host="x", requests=requests, **limits)  # type: ignore[arg-type]  # numbers all
        return await Load(Order.from_json(json.loads(json.dumps(asdict(asked))))).carry_out()


def once(count: int) -> Requests:
    return Requests(tuple(Request("/token", {"code": str(n)}) for n in range(count)), Expected(), once=True)


async def test_what_may_be_used_once_is_sent_once() -> None:
    seen: list[str] = []

    def answering(form: str) -> tuple[str, float, bool]:
        seen.append(form)
        return "{}", 0, True

    outcome = await carry_out(answering, once(7), count=100)
    assert sorted(seen) == [f"code={n}" for n in range(7)]
    assert (outcome.requests, outcome.failures) == (7, 0)


async def test_the_number_of_requests_and_the_seconds_are_limits() -> None:
    again = Requests((Request("/token"),), Expected())
    assert (await carry_out(lambda _: ("{}", 0, True), again, count=9)).requests == 9
    assert (await carry_out(lambda _: ("{}", 0.05, True), again, count=1000, seconds=0.12)).requests <= 6


async def test_each_connection_goes_on_with_its_last_refresh_token() -> None:
    seen: list[str] = []

    def answering(form: str) -> tuple[str, float, bool]:
        token = parse_qs(form)["refresh_token"][0]
        seen.append(token)
        return json.dumps({"refresh_token": token + "+"}), 0, True

    first = tuple(Request("/token", {"refresh_token": token}) for token in "ab")
    outcome = await carry_out(answering, Requests(first, Expected(), chained=True), count=6)
    assert outcome.requests == 6
    for chain in "ab":
        mine = [token for token in seen if token[0] == chain]
        assert mine == [chain + "+" * n for n in range(len(mine))]


async def test_wrong_answers_are_counted_and_end_a_hopeless_round() -> None:
    outcome = await carry_out(lambda _: ("[]", 0, True), Requests((Request("/token"),), Expected()), count=10_000)
    assert outcome.requests == 0
    assert MOST_FAILURES <= outcome.failures <= MOST_FAILURES + 2
    assert outcome.errors


async def test_a_connection_that_the_server_closes_is_opened_again() -> None:
    outcome = await carry_out(lambda _: ("{}", 0, False), once(5))
    assert (outcome.requests, outcome.failures) == (5, 0)


async def test_at_a_fixed_rate_a_pause_is_charged_to_everything_that_it_kept_waiting() -> None:
    pauses = iter([0.4])
    again = Requests((Request("/token"),), Expected())
    outcome = await carry_out(
        lambda _: ("{}", next(pauses, 0.0), True), again, connections=1, count=1000, seconds=0.4, rate=100
    )
    assert outcome.requests == pytest.approx(41, abs=1), "all that were due were sent"
    assert outcome.latency["p50"] > 100, "half of them waited a fifth of a second or more"


async def test_at_a_fixed_rate_no_more_is_sent_than_is_due() -> None:
    again = Requests((Request("/token"),), Expected())
    outcome = await carry_out(lambda _: ("{}", 0, True), again, connections=4, count=1000, seconds=0.3, rate=50)
    assert outcome.requests == pytest.approx(16, abs=1)


async def test_a_server_that_is_gone_is_a_failure_and_not_the_end_of_the_generator() -> None:
    async with server(lambda _: ("{}", 0, True)) as port:
        pass
    outcome = await Load(Order(port, "x", once(3), connections=2, count=3, seconds=1.0)).carry_out()
    assert (outcome.requests, outcome.failures) == (0, 1)
