"""Which connections to a platform are kept between calls, over a network of this test's own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpcore
import pytest

from authsrv.outbound.client import HttpOutbound

API, OTHER, SECURE = "http://api.example", "http://other.example", "https://api.example"
OPEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Stream(httpcore.AsyncMockStream):
    """Answers each request with the same bytes, once the network lets it. `ended` is the other end's hanging up."""

    def __init__(self, network: "Network") -> None:
        super().__init__([])
        self._network = network
        self.ended = False
        self.closed = False

    async def start_tls(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self._network.asked.put_nowait(self)
        await self._network.shaking_hands.wait()
        return self

    async def read(self, *_: Any, **__: Any) -> bytes:
        self._network.asked.put_nowait(self)
        await self._network.answering.wait()
        return self._network.answer

    def get_extra_info(self, info: str) -> Any:
        return self.ended if info == "is_readable" else None

    async def aclose(self) -> None:
        self.closed = True


class Network(httpcore.AsyncNetworkBackend):
    def __init__(self) -> None:
        self.answer = OPEN
        self.answering, self.shaking_hands = asyncio.Event(), asyncio.Event()
        self.answering.set()
        self.shaking_hands.set()
        self.asked: asyncio.Queue[Stream] = asyncio.Queue()
        self.streams: list[Stream] = []

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.streams.append(Stream(self))
        return self.streams[-1]

    @property
    def open(self) -> list[Stream]:
        return [stream for stream in self.streams if not stream.closed]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def outbound(network: Network) -> AsyncIterator[HttpOutbound]:
    outbound = HttpOutbound("steam", allowed=[API, OTHER, SECURE], clock=lambda: 0.0, network=network)
    await outbound.start()
    yield outbound
    await outbound.aclose()


async def together(outbound: HttpOutbound, network: Network, count: int) -> None:
    """So many calls that all wait for their answers at the same time."""
    network.answering.clear()
    calls = asyncio.gather(*(outbound.get(API) for _ in range(count)))
    for _ in range(count):
        await network.asked.get()
    network.answering.set()
    await calls


async def test_calls_at_once_have_a_connection_each_and_later_ones_take_them_again(
    outbound: HttpOutbound, network: Network
) -> None:
    await together(outbound, network, 3)
    await together(outbound, network, 3)
    assert len(network.streams) == 3


async def test_a_connection_to_one_host_is_not_used_for_another(outbound: HttpOutbound, network: Network) -> None:
    for base in (API, OTHER, API, OTHER):
        await outbound.get(base)
    assert len(network.streams) == 2


async def test_a_connection_that_the_other_end_closed_is_not_used(outbound: HttpOutbound, network: Network) -> None:
    await outbound.get(API)
    network.streams[0].ended = True
    await outbound.get(API)
    assert [stream.closed for stream in network.streams] == [True, False]


async def test_a_connection_that_is_to_be_closed_is_not_kept(outbound: HttpOutbound, network: Network) -> None:
    network.answer = CLOSING
    await outbound.get(API)
    await outbound.get(API)
    assert [stream.closed for stream in network.streams] == [True, True]


async def test_a_connection_on_which_a_call_was_given_up_is_not_kept(outbound: HttpOutbound, network: Network) -> None:
    network.answering.clear()
    call = asyncio.ensure_future(outbound.get(API))
    await network.asked.get()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    network.answering.set()
    await outbound.get(API)
    assert [stream.closed for stream in network.streams] == [True, False]


@pytest.mark.parametrize("steps", range(20))
async def test_a_call_that_is_cancelled_at_any_step_leaves_no_connection_open(
    outbound: HttpOutbound, network: Network, steps: int
) -> None:
    await outbound.get(API)
    call = asyncio.ensure_future(outbound.get(API))
    for _ in range(steps):
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert (await outbound.get(API)).status == 200
    await outbound.aclose()
    assert network.open == []


async def test_a_second_try_that_is_given_up_in_its_handshake_leaves_no_connection_open(
    outbound: HttpOutbound, network: Network
) -> None:
    network.answer = BUSY
    call = asyncio.ensure_future(outbound.get(SECURE, retry=True))
    for _ in ("handshake", "answer"):
        await network.asked.get()
    network.shaking_hands.clear()
    await network.asked.get()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert (len(network.streams), network.open) == (2, [])


async def test_what_a_busy_hour_left_over_is_let_go_one_for_each_call(outbound: HttpOutbound, network: Network) -> None:
    await together(outbound, network, 4)
    fresh = network.streams[-1]
    for stream in network.streams[:-1]:
        stream.ended = True
    for left in (3, 2, 1):
        await outbound.get(API)
        assert len(network.open) == left
    assert network.open == [fresh]


async def test_closing_closes_what_is_kept_and_what_is_in_use_after_its_call(
    outbound: HttpOutbound, network: Network
) -> None:
    await together(outbound, network, 2)
    network.answering.clear()
    call = asyncio.ensure_future(outbound.get(API))
    await network.asked.get()
    await outbound.aclose()
    assert len(network.open) == 1
    network.answering.set()
    assert (await call).status == 200
    assert network.open == []


async def test_a_connection_is_not_kept_longer_than_platforms_keep_theirs(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authsrv.outbound.connections._KEEP_ALIVE", -1.0)
    outbound = HttpOutbound("steam", allowed=[API], clock=lambda: 0.0, network=network)
    await outbound.get(API)
    await outbound.get(API)
    assert [stream.closed for stream in network.streams] == [True, False]
    await outbound.aclose()
