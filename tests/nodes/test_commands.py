"""Orders of commands upon a storage that nodes serve: they need no node, and nodes act upon what they did."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from authsrv.config.fingerprint import fingerprint
from authsrv.jobs.lease import HELD
from authsrv.orders.delivery import Delivery
from tests.nodes.test_configurations import newer
from tests.support.banning import is_dead, sub_of
from tests.support.ending import with_everybody
from tests.support.nodes import Nodes, NodesStorage, nodes, storage_of
from tests.support.server import Server


@pytest.fixture
async def pair() -> AsyncIterator[Nodes]:
    async with nodes(2, [with_everybody, with_everybody]) as several:
        yield several


@contextmanager
def elsewhere(several: Nodes) -> Iterator[None]:
    """What opens a storage meanwhile opens this one, as a process of its own."""
    with (
        patch("authsrv.app.open_storage", lambda *_: NodesStorage(several.home)),
        patch("authsrv.orders.delivery.World", lambda **parts: _world(several, **parts)),
    ):
        yield


def _world(several: Nodes, **parts: Any) -> Any:
    from authsrv.app import World  # noqa: PLC0415 - the original of what is replaced

    return World(clock=several.home.clock, **parts)


async def ordered(several: Nodes, name: str, **arguments: Any) -> Any:
    with elsewhere(several):
        delivery = Delivery(several[0].app.config, several[0].events.append)
        try:
            return await delivery.order(name, arguments)
        finally:
            await delivery.aclose()


async def kids(server: Server) -> list[str]:
    return [key["kid"] for key in (await server.http.get("/oauth2/jwks")).json()["keys"]]


async def test_keys_that_a_command_rotated_are_published_by_every_node_within_the_poll(pair: Nodes) -> None:
    told = await ordered(pair, "keys.rotate")
    for node in pair:
        await node.app.node.news.look()
        assert set(await kids(node)) == {key["kid"] for key in told["keys"]}


async def test_a_ban_that_a_command_ordered_acts_on_every_node_at_once(pair: Nodes) -> None:
    tokens = await pair[0].login("steam")
    await ordered(pair, "players.ban", sub=sub_of(pair[0], tokens), reason="cheating", operator="support")
    pair.time.clock.now += 1
    for node in pair:
        assert (await node.silent("steam")).status_code == 403
    assert await is_dead(pair[1], tokens)


async def test_tokens_that_a_command_voided_are_void_on_every_node_at_once(pair: Nodes) -> None:
    tokens = await pair[0].login("steam")
    await ordered(pair, "tokens.revoke", kind="player", subject=sub_of(pair[0], tokens))
    for node in pair:
        assert (await node.userinfo(tokens["access_token"])).status_code == 401


async def test_a_command_is_no_node_and_takes_no_work(pair: Nodes) -> None:
    before = await storage_of(pair[0]).load_leases(0)
    await ordered(pair, "keys.list")
    assert await storage_of(pair[0]).load_leases(0) == before


# --- authsrv nodes ---


async def test_the_nodes_are_told_with_their_configurations_and_who_works() -> None:
    async with nodes(2, [None, newer]) as several:
        await several.time.pass_by(1)
        told = await ordered(several, "nodes.list")
        expected = [
            {
                "name": server.app.node.name,
                "configuration": fingerprint(server.app.config),
                "works": number in several.workers(),
                "until": int(several.time.clock()) - 1 + HELD,
            }
            for number, server in enumerate(several)
        ]
        assert told["shared"] is True
        assert sorted(told["nodes"], key=json.dumps) == sorted(expected, key=json.dumps)


async def test_a_node_that_died_is_told_no_more_after_its_time_and_one_that_stopped_at_once(pair: Nodes) -> None:
    await pair.stop(0)
    assert len((await ordered(pair, "nodes.list"))["nodes"]) == 1
    storage_of(pair[1]).is_away = True
    await pair.time.pass_by(HELD + 1)
    assert (await ordered(pair, "nodes.list"))["nodes"] == []
