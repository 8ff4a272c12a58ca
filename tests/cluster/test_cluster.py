"""Three nodes on one PostgreSQL behind nginx: races between them, and every promise kept while things break under load.

The figures are printed (`-s`); AUTHSRV_CLUSTER=full runs the thousand rounds and the hundred kills.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from random import Random

import pytest

from tests.cluster import cpu
from tests.cluster.checker import bad_answers
from tests.cluster.faults import blocks, freezes, kills, stops
from tests.cluster.harness import Cluster
from tests.cluster.load import Break, Verdict, print_out, under_load, wire
from tests.cluster.people import People
from tests.cluster.races import RACES, Field
from tests.cluster.size import SIZE
from tests.cluster.wire import Tally

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.nginx, pytest.mark.timeout(SIZE.limit)]


@pytest.mark.parametrize("name", RACES)
async def test_races_between_nodes_have_one_winner(name: str, three: Cluster, people: People, chance: Random) -> None:
    began, tally = time.monotonic(), Tally()
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(wire(three, node.port, tally)) for node in three.nodes]
        on = Field(nodes, people, chance, SIZE.racers)
        for _ in range(SIZE.rounds):
            await RACES[name](on)
    print_out(
        f"{name}: {SIZE.rounds} rounds x {SIZE.racers} racers, {tally.requests} requests in "
        f"{time.monotonic() - began:.0f} s ({dict(tally.statuses)}; {tally.lost} lost), {dict(on.seen)}, "
        f"{len(on.wrong)} wrong"
    )
    assert not on.wrong, f"{on.wrong[:5]} of {len(on.wrong)}\n{three.said()}"
    assert not bad_answers(tally)


async def loaded(
    three: Cluster, people: People, chance: Random, breaks: Callable[[Cluster, Random, int], Break], times: int
) -> Verdict:
    """Every promise made under load holds, while this breaks so many times."""
    fault = breaks(three, chance, times)
    verdict = await under_load(breaks.__name__, three, people, chance, players=SIZE.players, fault=fault)
    assert not verdict.wrong, f"{verdict.wrong[:5]} of {len(verdict.wrong)}\n{three.said()}"
    assert len(verdict.broken) == times
    assert verdict.known.facts > SIZE.players
    return verdict


async def test_R01_R38_nodes_are_killed_in_a_loop(three: Cluster, people: People, chance: Random) -> None:
    await loaded(three, people, chance, kills, SIZE.kills)


async def test_R16_the_database_ends_at_once_and_comes_back(three: Cluster, people: People, chance: Random) -> None:
    await loaded(three, people, chance, stops, SIZE.stops)


async def test_R18_every_connection_of_every_pool_waits_for_a_lock(
    three: Cluster, people: People, chance: Random
) -> None:
    verdict = await loaded(three, people, chance, blocks, SIZE.stalls)
    assert verdict.tally.statuses[503] > 0
    assert verdict.tally.lost == 0


async def test_R18_a_node_stands_still_with_transactions_open(three: Cluster, people: People, chance: Random) -> None:
    await loaded(three, people, chance, freezes, SIZE.stalls)


async def test_a_request_costs_three_nodes_about_what_it_costs_one(three: Cluster, people: People) -> None:
    """The kernel counts CPU time in hundredths of a second, so that few requests are measured coarsely."""
    found = await cpu.costs(three, people)
    ratios = sorted(shared.cpu / alone.cpu for alone, shared in found)
    alone, shared = zip(*found, strict=True)
    print_out(
        f"CPU of a refresh: one node {cpu.told(alone)}, three nodes {cpu.told(shared)}, "
        f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    assert statistics.median(ratios) <= (1.1 if SIZE.requests >= 1000 else 1.5)
