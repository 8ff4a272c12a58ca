"""Counts of rate limits in PostgreSQL: nodes that exchange at once, and a server that goes and comes back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from authsrv.database_url import Database
from authsrv.jobs.rate_exchange import RateExchange
from authsrv.limits import RateLimiter, Rule
from authsrv.storage import open_storage
from authsrv.storage.base import Storage
from tests.support.postgres import execute, private_server
from tests.support.storage import NOW, storage_on
from tests.test_shared_limits import ATTACKER, QUOTAS

pytestmark = pytest.mark.postgres


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Storage]:
    storage = open_storage(Database(url, pool_timeout=1))
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


async def test_R17_nodes_that_count_the_same_at_once_are_never_in_each_others_way(tmp_path: Path) -> None:
    keys = [bytes([number]) for number in range(200)]
    forwards, backwards = dict.fromkeys(keys, 1), dict.fromkeys(reversed(keys), 1)
    async with storage_on("postgres", tmp_path) as storage:
        await asyncio.gather(*(storage.exchange_counts(counts, NOW) for counts in (forwards, backwards) * 20))
        assert storage.vitals().traffic["write"].repeated == 0


async def test_R16_while_the_server_is_gone_a_node_counts_alone_and_then_nothing_twice() -> None:
    with private_server() as server:
        url = server.url("migrated")
        async with opened(url) as storage:
            limits = RateLimiter(QUOTAS, clock=time.monotonic, salt=b"of the key ring")
            exchange = RateExchange(limits, storage, clock=time.time, sleep=asyncio.sleep)
            await fail(limits, exchange)
            server.stop()
            await fail(limits, exchange, 5)
            assert exchange.alone
            assert limits.headers(*ATTACKER)["RateLimit"].startswith('"secret-failures";r=4;')
            server.start()
            await back(exchange)
            await fail(limits, exchange, 4)
            # The one that was on its way when the server went is its node's alone.
            assert execute(url, "SELECT count FROM rate_counts") == [(9,)]
            assert limits.headers(*ATTACKER)["RateLimit"].startswith('"secret-failures";r=0;')


async def fail(limits: RateLimiter, exchange: RateExchange, times: int = 1) -> None:
    for _ in range(times):
        limits.record_failure(Rule.SECRET_FAILURES, *ATTACKER[1:])
        await exchange.round()


async def back(exchange: RateExchange) -> None:
    async with asyncio.timeout(30):
        while exchange.alone:
            await exchange.round()
