"""What a request costs the nodes in CPU time when three of them share a database, beside what it costs one alone.

Owns the measurement. Says nothing about how much is too much.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.cluster import client
from tests.cluster.harness import Cluster, Process
from tests.cluster.load import wire
from tests.cluster.people import People
from tests.cluster.sessions import Session
from tests.cluster.size import SIZE
from tests.cluster.wire import Tally, Wire

CHAINS = 12
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of all nodes for a request in microseconds, and requests a second."""

    cpu: float
    rate: float


async def chain(session: Session, nodes: Sequence[Wire], times: int) -> None:
    """Refreshes one after the other, each at the next node."""
    for turn in range(times):
        answer = await client.refresh(nodes[turn % len(nodes)], session.refresh_token)
        assert answer.status == 200, answer
        session.took(answer)


async def cost(sessions: Sequence[Session], wires: Sequence[Wire], asked: Sequence[Process]) -> Cost:
    """Of `SIZE.requests` refreshes at these nodes."""
    before, began = sum(node.cpu_seconds() for node in asked), time.monotonic()
    await asyncio.gather(
        *(chain(each, _from(wires, place), SIZE.requests // CHAINS) for place, each in enumerate(sessions))
    )
    done = SIZE.requests // CHAINS * CHAINS
    seconds = time.monotonic() - began
    return Cost((sum(node.cpu_seconds() for node in asked) - before) / done * 1e6, done / seconds)


def _from(wires: Sequence[Wire], place: int) -> Sequence[Wire]:
    """The same nodes, another one first."""
    first = place % len(wires)
    return [*wires[first:], *wires[:first]]


async def costs(three: Cluster, people: People) -> list[tuple[Cost, Cost]]:
    """Of a refresh at one node and at all of them, by turns."""
    found = []
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(wire(three, node.port, Tally())) for node in three.nodes]
        sessions = [await _signed_in(nodes[0], people) for _ in range(CHAINS)]
        for session in sessions:  # whatever a node does at its first request
            await chain(session, nodes, len(nodes))
        for _ in range(ROUNDS):
            alone = await cost(sessions, nodes[:1], three.nodes[:1])
            found.append((alone, await cost(sessions, nodes, three.nodes)))
    return found


async def _signed_in(node: Wire, people: People) -> Session:
    identity = people.newcomer("guest")
    tried = client.LoginTry(identity, people.credential(identity))
    session = Session(identity, client.code_of(await client.log_in(node, tried)), tried.verifier)
    session.took(await client.redeem(node, session.code, session.verifier))
    return session


def told(costs: Sequence[Cost]) -> str:
    """The medians, for people."""
    cpu, rate = statistics.median(each.cpu for each in costs), statistics.median(each.rate for each in costs)
    return f"{cpu:.0f} us at {rate:.0f}/s"
