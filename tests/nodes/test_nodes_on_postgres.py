"""Nodes on a real PostgreSQL, each with a pool and background work of its own, in real time."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from unittest.mock import patch

import pytest

from authsrv.jobs import clock_check
from authsrv.models import KeyRules
from authsrv.nodes import SPREADING
from authsrv.oauth.key_keeper import first_keys
from authsrv.oauth.key_material import Vault
from authsrv.orders.delivery import Delivery
from authsrv.orders.keys import rotate as rotate_keys
from authsrv.orders.nodes import list_nodes
from tests.nodes.test_two_nodes import DAY, edit, kids
from tests.support import postgres
from tests.support.banning import ban, is_dead, sub_of
from tests.support.registration import Registered, register
from tests.support.server import ManualClock, Server, running

pytestmark = pytest.mark.postgres

PATIENCE = 20.0
"""Seconds after which a busy machine is no excuse."""


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - another node's work tells nobody when it is done
            await asyncio.sleep(0.05)


@pytest.fixture
async def three() -> AsyncIterator[list[Server]]:
    """Three nodes that start at the same moment upon nothing, and make real keys."""
    vault, rules = Vault("", os.urandom), KeyRules(("ES256", "RS256"), 90 * DAY, 14 * DAY)
    with postgres.database() as url:
        async with AsyncExitStack() as stack:
            clock = ManualClock(time.time())
            with patch("tests.support.server._signing_keys", lambda now: first_keys(rules, vault, now)):
                nodes = [running(url=url, edit=edit, clock=clock, sleep=asyncio.sleep) for _ in range(3)]
                servers = await asyncio.gather(*(node.__aenter__() for node in nodes))
            for node in nodes:
                stack.push_async_exit(node)
            yield servers


async def test_R22_H12_three_nodes_that_start_at_once_have_one_ring(three: list[Server]) -> None:
    (stored,) = {server.app.desk.keys.ring.stored for server in three}
    assert Counter(key.alg for key in stored) == {"ES256": 1, "RS256": 1, "HKDF": 1}
    tokens = await three[0].login("steam")
    assert (await three[1].userinfo(tokens["access_token"])).status_code == 200
    assert (await three[2].refresh(tokens["refresh_token"])).status_code == 200


async def test_R22_one_of_three_does_the_work_of_all_and_gives_it_on_at_its_stop(three: list[Server]) -> None:
    workers = [server for server in three if server.app.node.work.left]
    assert len(workers) == 1
    told = await list_nodes(three[0].app.desk, {})
    assert Counter(node["works"] for node in told["nodes"]) == {True: 1, False: 2}
    assert len({node["configuration"] for node in told["nodes"]}) == 1


async def test_R22_a_rotation_at_all_nodes_at_once_makes_one_key_and_all_publish_it(three: list[Server]) -> None:
    await asyncio.gather(*(rotate_keys(server.app.desk, {}) for server in three * 3))
    stored = await three[0].app.storage.load_keys()
    assert Counter(key.alg for key in stored if key.use == "sig") == {"ES256": 2, "RS256": 2}

    async def all_publish() -> bool:
        published = [{*await kids(server)} for server in three]
        return published == [{key.kid for key in stored if key.use == "sig"}] * 3

    await soon(all_publish)


async def test_a_key_that_a_command_revoked_is_gone_from_every_node(three: list[Server]) -> None:
    await rotate_keys(three[0].app.desk, {})
    kid = three[0].app.desk.keys.ring.signer("RS256").kid
    delivery = Delivery(three[0].app.config, three[0].events.append)
    try:
        told = await delivery.order("keys.revoke", {"kid": kid})
    finally:
        await delivery.aclose()
    assert {key["state"] for key in told["keys"] if key["kid"] == kid} == {"revoked"}

    async def gone() -> bool:
        return all([kid not in await kids(server) for server in three])

    await soon(gone)


async def test_a_registered_client_is_known_to_every_node_when_it_is_answered(three: list[Server]) -> None:
    began = time.monotonic()
    answer = await register(three[0])
    assert answer.status_code == 201, answer.text
    assert time.monotonic() - began >= SPREADING
    for server in three:
        page = await Registered(server, answer.json()).browser().authorize()
        assert page.status == 200
        assert "/login" in page.url


async def test_a_ban_acts_at_every_node_at_once(three: list[Server]) -> None:
    tokens = await three[0].login("steam")
    await ban(three[0], sub_of(three[0], tokens))
    three[0].clock.now += 1
    for server in three:
        assert await is_dead(server, tokens)
        assert (await server.silent("steam")).status_code == 403


async def test_S12_the_clocks_agree(three: list[Server]) -> None:
    for server in three:
        await server.app.node.clock_check.look()
        assert abs(server.app.node.clock_check.seconds_off) < clock_check.MOST
