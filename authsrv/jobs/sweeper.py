"""The background task that removes expired rows, a few at a time, so that nobody waits behind it.

Owns the rhythm. What counts as expired is the storage's rule; it knows no database.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from authsrv.models import Retention
from authsrv.storage.base import Storage, StorageError, Swept

INTERVAL = 60.0
"""Seconds between two rounds, before jitter."""
BATCH = 100
"""Rows looked at, and at most removed, in one short write: each may lie in another page of an index."""
MANY = BATCH // 10
"""Rows that had to go in a batch, from which on the next one is urgent."""
PACE = 10_000
"""Rows a second at most while many have to go."""
PAUSE = 0.05
"""Seconds after a batch in which few had to go: looking through what lives is not urgent."""

log = logging.getLogger("authsrv.sweeper")


class Sweeper:
    """Sweeps the whole storage once in a while. `clock` gives Unix time, `chance` a number from 0 to 1.

    The chance spreads the rounds of several nodes that were started together. `retention` tells for how long things are
    kept now. `chores` are done after each round, by those who must know what goes; each returns how many rows went.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
        timer: Callable[[], float] = time.perf_counter,
        retention: Callable[[], Retention] = Retention,
        chores: Sequence[Callable[[], Awaitable[int]]] = (),
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._timer = timer
        self._retention = retention
        self._chores = chores
        self.removed = 0

    async def run(self) -> None:
        """Sweep for ever; cancel it to end it. A database that cannot is tried again in the next round."""
        while True:
            await self._sleep(INTERVAL * (0.5 + self._chance()))
            await self._try_round()

    async def round(self) -> int:
        """Sweep everything once; how many rows went. Raises `StorageError`."""
        swept, took = await self._batch()
        removed = swept.rows
        while swept.more:
            await self._sleep(_pause(swept, took))
            swept, took = await self._batch()
            removed += swept.rows
        return removed + sum([await chore() for chore in self._chores])

    async def _batch(self) -> tuple[Swept, float]:
        """What a batch came to, and how many seconds it took with the waiting for others."""
        began = self._timer()
        swept = await self._storage.sweep(int(self._clock()), BATCH, self._retention())
        return swept, self._timer() - began

    async def _try_round(self) -> None:
        try:
            removed = await self.round()
            self.removed += removed
        except StorageError as error:
            log.warning("sweeping was put off: %s", error)
        else:
            log.debug("swept %d rows", removed)


def _pause(swept: Swept, took: float) -> float:
    """Seconds until the next batch. What is slow, or waits behind others, gets at least half of the time to itself."""
    return max(BATCH / PACE - took, took) if swept.rows >= MANY else PAUSE
