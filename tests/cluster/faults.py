"""What breaks under load, and for how long: nodes killed and started again, a database that is gone for a while.

Owns the faults. Knows neither the load nor what is checked.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from random import Random

from tests.cluster.checker import Fault
from tests.cluster.harness import Cluster
from tests.cluster.load import Break

QUIET = 1.0
"""Seconds of undisturbed load before each fault."""
LONGER_THAN_ANY_WAIT = 4.0
"""Seconds: longer than nodes wait for a connection, a lock, or the next statement of a transaction."""


def kills(cluster: Cluster, chance: Random, times: int) -> Break:
    """`kill -9` of a node that chance picks, which is started again at once."""

    def kill() -> None:
        node = chance.choice(cluster.nodes)
        node.kill()
        node.start()

    return _again_and_again(kill, chance, times)


def stops(cluster: Cluster, chance: Random, times: int, *, away: float = 1.0) -> Break:
    """The database ends as by a power cut, and is started again after a while."""

    def stop() -> None:
        cluster.database.stop()
        time.sleep(chance.uniform(0, away))
        cluster.database.start()

    return _again_and_again(stop, chance, times)


def blocks(cluster: Cluster, chance: Random, times: int) -> Break:
    """Somebody else locks the table of grants, so that every connection of every pool waits for it."""
    import psycopg  # noqa: PLC0415 - an extra: the tests on SQLite must import this without it

    def block() -> None:
        with psycopg.connect(cluster.database.url) as outsider:
            outsider.execute("LOCK TABLE grants IN ACCESS EXCLUSIVE MODE")
            time.sleep(LONGER_THAN_ANY_WAIT)

    return _again_and_again(block, chance, times)


def freezes(cluster: Cluster, chance: Random, times: int) -> Break:
    """A node stands still in the middle of what it does, with transactions open, and goes on later."""

    def freeze() -> None:
        node = chance.choice(cluster.nodes)
        node.signal(signal.SIGSTOP)
        time.sleep(LONGER_THAN_ANY_WAIT)
        node.signal(signal.SIGCONT)

    return _again_and_again(freeze, chance, times)


def _again_and_again(fault: Callable[[], None], chance: Random, times: int) -> Break:
    async def broken(faults: list[Fault]) -> None:
        for _ in range(times):
            await asyncio.sleep(QUIET * chance.uniform(0.5, 1.5))
            began = time.monotonic()
            await asyncio.to_thread(fault)
            faults.append(Fault(began, time.monotonic()))

    return broken
