"""Nodes with different configuration files, as during a roll-out: none undoes what the other's file says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from authsrv.config import Config
from authsrv.config.fingerprint import fingerprint
from authsrv.jobs.lease import HELD, RENEWED
from authsrv.jobs.presence import configurations
from tests.support.banning import ban, sub_of
from tests.support.ending import feed
from tests.support.nodes import Nodes, nodes, settle, storage_of
from tests.support.server import ManualClock as Clock
from tests.support.server import Server, demo_config, emulators


def newer(block: dict[str, Any]) -> None:
    """A file with one client more, and one less."""
    found = block["projects"]["demo"]["clients"]
    found["arena"] = {**found["launcher"], "name": "Arena"}
    del found["spa"]


@pytest.fixture
async def rolling() -> AsyncIterator[Nodes]:
    """An old node and a new one."""
    async with nodes(2, [None, newer]) as several:
        await several.time.pass_by(RENEWED + 1)
        yield several


async def disabled(server: Server) -> Mapping[str, bool]:
    return {one.client.client_id: one.disabled_at is not None for one in await storage_of(server).load_clients()}


async def degraded(server: Server) -> list[str]:
    server.app.readiness._probed_at = None
    found: list[str] = (await server.http.get("/health/ready")).json()["degraded"]
    return found


async def test_while_files_differ_every_client_of_either_is_in_force(rolling: Nodes) -> None:
    found = await disabled(rolling[0])
    assert {"arena", "spa"} <= found.keys()
    assert not any(found.values())
    assert (await feed(rolling[0]))["clients"] == (await feed(rolling[1]))["clients"] == {}


async def test_an_old_node_that_starts_again_disables_nothing_of_the_newer_file(rolling: Nodes) -> None:
    await rolling.stop(0)
    await rolling.start()
    await rolling.time.pass_by(2 * RENEWED)
    assert not (await disabled(rolling[1]))["arena"]


@pytest.mark.parametrize("how", ["stops", "dies"])
async def test_a_client_that_left_the_file_is_disabled_once_the_last_old_node_is_gone(rolling: Nodes, how: str) -> None:
    if how == "stops":
        await rolling.stop(0)
    else:
        storage_of(rolling[0]).is_away = True
    await rolling.time.pass_by(HELD + 2 * RENEWED)
    found = await disabled(rolling[1])
    assert (found["spa"], found["arena"]) == (True, False)
    assert "spa" in (await feed(rolling[1]))["clients"]


async def test_a_roll_out_that_is_taken_back_leaves_the_old_file_in_force(rolling: Nodes) -> None:
    await rolling.stop(1)
    await rolling.time.pass_by(2 * RENEWED)
    found = await disabled(rolling[0])
    assert (found["spa"], found["arena"]) == (False, True)


async def test_a_reload_of_the_last_node_brings_all_to_one_file(rolling: Nodes) -> None:
    assert await degraded(rolling[0]) == ["configuration"]
    await rolling[0].app.reload(rolling[1].app.config.model_copy(update={"server": rolling[0].app.config.server}))
    await rolling.time.pass_by(2 * RENEWED)
    assert (await disabled(rolling[0]))["spa"]
    assert [await degraded(server) for server in rolling] == [[], []]


async def test_a_node_that_reloads_while_it_says_that_it_is_there_is_there_with_one_configuration() -> None:
    async with nodes(1) as several:
        presence, storage, go_on = several[0].app.node.presence, storage_of(several[0]), asyncio.Event()
        await settle()

        async def slow() -> int:
            del storage.load_time  # the next one is quick
            await go_on.wait()
            return await storage.load_time()

        storage.load_time = slow  # type: ignore[method-assign]
        under_way = asyncio.gather(presence.round(), presence.announce("another"))
        await settle()
        go_on.set()
        await under_way
        assert presence.all_agree
        found = configurations(lease.name for lease in await storage_of(several[0]).load_leases(0))
        assert found == {"another": 1}


async def test_nodes_say_that_they_differ_and_that_they_agree_again(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="authsrv.nodes"):
        async with nodes(2, [None, newer]) as several:
            await several.time.pass_by(60)
            await several.stop(0)
            await several.time.pass_by(60)
    said = [message for message in caplog.messages if "configuration" in message]
    assert said.count("nodes have different configurations") == 2
    assert said.count("all nodes have the same configuration") == 1


async def test_a_client_that_moves_to_another_project_is_moved_when_all_nodes_say_so() -> None:
    def moved(block: dict[str, Any]) -> None:
        launcher = block["projects"]["demo"]["clients"].pop("launcher")
        block["projects"]["ironkeep"] = {"name": "Ironkeep", "clients": {"launcher": launcher}}

    async with nodes(2, [None, moved]) as several:
        of = {one.client.client_id: one.client.project for one in await storage_of(several[0]).load_clients()}
        assert of["launcher"] == "demo"
        assert (await feed(several[0]))["clients"] == {}
        await several.stop(0)
        await several.time.pass_by(2 * RENEWED)
        of = {one.client.client_id: one.client.project for one in await storage_of(several[1]).load_clients()}
        assert of["launcher"] == "ironkeep"
        assert "launcher" in (await feed(several[1]))["clients"]


# --- what a configuration is known by ---


def config(**changes: Any) -> Config:
    return Config.model_validate(demo_config(emulators(Clock()), "memory://", **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"server": {"port": 9999, "trusted_proxies": ["10.0.0.0/8"]}},
        {"log": {"level": "debug"}},
        {"metrics": {"enabled": True, "host": "10.0.0.7", "port": 9500}},
        {"keys": {"passphrase": "a passphrase that is long enough for a server"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_a_nodes_own_does_not_count(changes: dict[str, Any]) -> None:
    assert fingerprint(config(**changes)) == fingerprint(config())


def _another_secret(block: dict[str, Any]) -> None:
    block["projects"]["demo"]["clients"]["backend"]["secret"] = "another secret of the backend, long enough"


@pytest.mark.parametrize(
    "change",
    [
        newer,
        _another_secret,
        lambda block: block.update(tokens={"access_token_lifetime": 600}),
        lambda block: block.update(keys={"algorithms": ["ES256", "RS256", "EdDSA"]}),
        lambda block: block.update(limits={"multiplier": 7}),
    ],
    ids=["clients", "secret", "tokens", "keys", "limits"],
)
def test_what_players_meet_does(change: Any) -> None:
    block = demo_config(emulators(Clock()), "memory://")
    before = fingerprint(Config.model_validate(block))
    change(block)
    assert fingerprint(Config.model_validate(block)) != before


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    assert fingerprint(config()) == fingerprint(config())
    assert len(fingerprint(config())) == 16


# --- lives of tokens ---


async def test_what_ended_is_told_for_as_long_as_a_token_of_an_older_file_could_be_in_time() -> None:
    def long_lives(block: dict[str, Any]) -> None:
        block["tokens"] = {"access_token_lifetime": 86400}

    async with nodes(1, [long_lives]) as several:
        tokens = await several[0].login("steam")
        sub = sub_of(several[0], tokens)
        await ban(several[0], sub)
        await several.stop(0)
        later = await several.start()
        assert later.app.desk.server.registry.present_token_life() <= 3600
        several.time.clock.now += 23 * 3600
        assert sub in (await feed(later))["not_before"]
        several.time.clock.now += 2 * 3600
        assert (await feed(later))["not_before"] == {}
        last = await several.start()
        assert last.app.desk.server.registry.longest_token_life() <= 3600


async def test_a_node_hears_within_a_minute_of_longer_lives_in_anothers_file() -> None:
    def longer(block: dict[str, Any]) -> None:
        block["tokens"] = {"access_token_lifetime": 7200}

    async with nodes(2, [None, longer]) as several:
        await several.time.pass_by(61)
        assert [one.app.desk.server.registry.longest_token_life() for one in several] == [7200, 7200]
