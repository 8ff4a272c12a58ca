"""What breaks under load, and for how long: nodes killed and started again, a database that is gone for a while.

Owns the faults. Knows neither the load nor what is checked.
"""

import asyncio
import time
from collections.abc import Callable
from random import Random

from tests.cluster.checker import Fault
from tests.cluster.harness import Cluster
from tests.cluster.load import Break

QUIET = 1.0
"""Seconds of undisturbed load before each fault."""


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


def _again_and_again(fault: Callable[[], None], chance: Random, times: int) -> Break:
    async def broken(faults: list[Fault]) -> None:
        for _ in range(times):
            await asyncio.sleep(QUIET * chance.uniform(0.5, 1.5))
            began = time.monotonic()
            await asyncio.to_thread(fault)
            faults.append(Fault(began, time.monotonic()))

    return broken
