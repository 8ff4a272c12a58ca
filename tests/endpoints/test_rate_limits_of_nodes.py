"""Two nodes reach rate limits together, over HTTP, whichever store they count in; and alone when that is away."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.metrics import measured, value
from tests.support.nodes import nodes, storage_of
from tests.support.redis import Redis, running_redis
from tests.support.server import ManualClock, Server, running
from tests.support.storage import database_on

Pair = tuple[Server, Server]
Edit = Callable[[dict[str, Any]], None]


def counting_in(store: str) -> Edit:
    def edit(block: dict[str, Any]) -> None:
        block["limits"] = {"store": store, "secret_failures_per_minute": 4, "logins_per_minute_per_player": 4}

    return edit


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with running_redis(tmp_path) as started:
        yield started


@asynccontextmanager
async def on_memory(store: str = "") -> AsyncIterator[Pair]:
    async with nodes(2, [counting_in(store)] * 2) as several:
        yield several[0], several[1]


@asynccontextmanager
async def on_postgres(url: str) -> AsyncIterator[Pair]:
    clock, edit = ManualClock(), counting_in("")
    async with running(url=url, edit=edit, clock=clock) as one, running(url=url, edit=edit, clock=clock) as other:
        yield one, other


STORES = [
    "memory",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("redis", marks=pytest.mark.redis),
]


@pytest.fixture(params=STORES)
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        if request.param == "postgres":
            url = stack.enter_context(database_on("postgres", tmp_path))
            yield await stack.enter_async_context(on_postgres(url))
        else:
            store = request.getfixturevalue("redis").url if request.param == "redis" else ""
            yield await stack.enter_async_context(on_memory(store))


async def exchange(*servers: Server) -> None:
    for server in servers:
        assert server.app.rate_exchange is not None
        await server.app.rate_exchange.round()


async def guess(node: Server) -> httpx.Response:
    wrong = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": "wrong"}
    return await node.http.post("/oauth2/token", data=wrong)


async def test_B15_wrong_secrets_are_counted_on_all_nodes_together(pair: Pair) -> None:
    one, other = pair
    for node in (one, other, one, other):
        assert (await guess(node)).status_code == 401
        await exchange(node)
    limited = await guess(other)
    assert limited.status_code == 429
    assert limited.headers["ratelimit-policy"] == '"secret-failures";q=4;w=60'
    assert 1 <= int(limited.headers["retry-after"]) <= 60
    # The first one heard of three; it hears of the rest with what it lets through.
    assert (await guess(one)).status_code == 401
    await exchange(one)
    assert (await guess(one)).status_code == 429


async def test_F14_logins_of_a_player_are_counted_on_all_nodes_together(pair: Pair) -> None:
    one, other = pair
    for node in (one, one, other, other):
        assert (await node.silent("steam")).status_code == 200
    await exchange(one, other)
    limited = await other.silent("steam")
    assert limited.status_code == 429
    assert limited.headers["ratelimit-policy"] == '"claimed-player-logins";q=4;w=60'
    assert (await other.silent("steam", other.mint("steam", "birch"))).status_code == 200


async def test_R16_without_the_store_each_node_counts_alone_and_answers_as_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def edit(block: dict[str, Any]) -> None:
        counting_in("")(block)
        measured(block)

    async with nodes(2, [edit] * 2) as several:
        one, other = several
        assert await value(one, "authsrv_rate_limits_alone") == 0
        storage_of(one).is_away = True
        with caplog.at_level(logging.INFO, logger="authsrv.limits"):
            for _ in range(4):
                assert (await guess(one)).status_code == 401
                await exchange(one)
            assert (await guess(one)).status_code == 429
            assert await value(one, "authsrv_rate_limits_alone") == 1
            storage_of(one).is_away = False
            await exchange(one)
        assert await value(one, "authsrv_rate_limits_alone") == 0
        assert [record.getMessage() for record in caplog.records if record.name == "authsrv.limits"] == [
            "rate limits are counted by this node alone: the database is away",
            "rate limits are shared with the other nodes again",
        ]
        # Of the four the first was lost with the storage; the other three are told now.
        assert (await guess(other)).status_code == 401
        await exchange(other)
        assert (await guess(other)).status_code == 429


async def test_one_node_on_its_own_database_exchanges_nothing() -> None:
    async with running() as server:
        assert server.app.rate_exchange is None
