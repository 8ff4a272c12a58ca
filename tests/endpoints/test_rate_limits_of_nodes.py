"""Two nodes of one database reach rate limits together, over HTTP, whichever store they count in."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.redis import Redis, running_redis
from tests.support.server import ManualClock, Server, running
from tests.support.storage import database_on

pytestmark = pytest.mark.postgres

Nodes = tuple[Server, Server]
Edit = Callable[[dict[str, Any]], None]


def counting_in(store: str, **own: int) -> Edit:
    def edit(block: dict[str, Any]) -> None:
        block["limits"] = {"store": store, **own}

    return edit


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with running_redis(tmp_path) as started:
        yield started


@pytest.fixture(params=["postgres", pytest.param("redis", marks=pytest.mark.redis)])
async def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Nodes]:
    store = request.getfixturevalue("redis").url if request.param == "redis" else ""
    clock, edit = ManualClock(), counting_in(store, secret_failures_per_minute=4, logins_per_minute_per_player=4)
    with database_on("postgres", tmp_path) as url:
        async with running(url=url, edit=edit, clock=clock) as one, running(url=url, edit=edit, clock=clock) as other:
            yield one, other


async def exchange(*nodes: Server) -> None:
    for node in nodes:
        assert node.app.rate_exchange is not None
        await node.app.rate_exchange.round()
        assert not node.app.rate_exchange.alone


async def guess(node: Server) -> httpx.Response:
    wrong = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": "wrong"}
    return await node.http.post("/oauth2/token", data=wrong)


async def test_B15_wrong_secrets_are_counted_on_all_nodes_together(nodes: Nodes) -> None:
    one, other = nodes
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


async def test_F14_logins_of_a_player_are_counted_on_all_nodes_together(nodes: Nodes) -> None:
    one, other = nodes
    for node in (one, one, other, other):
        assert (await node.silent("steam")).status_code == 200
    await exchange(one, other)
    limited = await other.silent("steam")
    assert limited.status_code == 429
    assert limited.headers["ratelimit-policy"] == '"claimed-player-logins";q=4;w=60'
    assert (await other.silent("steam", other.mint("steam", "birch"))).status_code == 200


async def test_I06_the_table_holds_no_id(nodes: Nodes) -> None:
    one, _ = nodes
    await one.silent("steam")
    await guess(one)
    await exchange(one)
    keys = [key for (key,) in one.rows("SELECT key FROM rate_counts") if isinstance(key, bytes)]
    assert all(len(key) == 16 for key in keys)
