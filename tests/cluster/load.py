"""Many players at once for a while, through the balancer, while something breaks; then the checker's verdict.

Owns the order: load, fault, end of the fault, check. Knows no particular fault.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from tests.cluster.checker import Checker, Fault, Known, bad_answers, contradictions, known, unexplained
from tests.cluster.harness import Cluster
from tests.cluster.ledger import Ledger
from tests.cluster.people import People
from tests.cluster.player import Player
from tests.cluster.sessions import Session
from tests.cluster.wire import Tally, Wire


@dataclass
class Verdict:
    """What came of a load. `wrong` is empty when every promise was kept."""

    name: str
    seconds: float
    tally: Tally
    known: Known
    sessions: list[Session]
    broken: list[Fault] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def figures(self) -> str:
        """One line for people."""
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.tally.statuses.items()))
        of_nodes = sum(incident.of_a_node for incident in self.tally.incidents)
        calls = sum(len(session.history) for session in self.sessions)
        return (
            f"{self.name}: {self.tally.requests} requests in {self.seconds:.0f} s ({statuses}; {of_nodes} of the 5xx "
            f"by a node; {self.tally.lost} lost; slowest {self.tally.slowest:.1f} s), {len(self.broken)} faults, "
            f"{self.known.facts} facts, {len(self.known.families)} families, {calls} calls in {len(self.sessions)} "
            f"histories, {self.known.unanswered} never answered, {len(self.wrong)} promises broken"
        )


HEALED = 2.0
"""For how many seconds the load goes on when nothing is broken any more."""

Break = Callable[[list[Fault]], Coroutine[None, None, None]]
"""Breaks things while the load runs, and notes from when to when."""


async def under_load(
    name: str, cluster: Cluster, people: People, chance: Random, *, players: int, fault: Break
) -> Verdict:
    """So many players for as long as `fault` runs and a little longer, and what was wrong."""
    began, tally = time.monotonic(), Tally()
    directory = cluster.directory / name
    directory.mkdir()
    async with wire(cluster, cluster.port, tally) as balancer, AsyncExitStack() as stack:
        ledgers = [stack.enter_context(Ledger(directory / f"{number}.jsonl")) for number in range(players)]
        playing = [Player(balancer, people, ledger, Random(chance.random())) for ledger in ledgers]  # noqa: S311
        broken: list[Fault] = []
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for player in playing:
                tasks.create_task(player.play(over))
            await fault(broken)
            await asyncio.sleep(HEALED)
            over.set()
    found, sessions = known(sorted(directory.iterdir())), [each for player in playing for each in player.all_sessions]
    verdict = Verdict(name, time.monotonic() - began, tally, found, sessions, broken)
    verdict.wrong += [*contradictions(found), *bad_answers(tally, broken), *unexplained(sessions)]
    verdict.wrong += await after(cluster, found)
    print_out(verdict.figures())
    return verdict


async def after(cluster: Cluster, found: Known) -> list[str]:
    """What every node says now, with nothing broken any more."""
    tally = Tally()
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(wire(cluster, node.port, tally)) for node in cluster.nodes]
        wrong = await Checker(found, nodes).faults()
    return [*wrong, *bad_answers(tally)]


@asynccontextmanager
async def wire(cluster: Cluster, port: int, tally: Tally) -> AsyncIterator[Wire]:
    """Connections to the balancer or to a node."""
    opened = Wire(port, cluster.host, tally)
    try:
        yield opened
    finally:
        opened.close()


def print_out(text: str) -> None:
    """For whoever runs the test by hand, with `-s` or when it fails."""
    sys.stdout.write(f"{text}\n")
