"""The background task that removes expired rows, a few at a time, so that nobody waits behind it.

Owns the rhythm. What counts as expired is the storage's rule; it knows no database.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

from authsrv.models import Retention
from authsrv.storage.base import Storage, StorageError, Swept

INTERVAL = 60.0
"""Seconds between two rounds, before jitter."""
PAUSE = 0.1
"""Seconds between two batches of a round: others write meanwhile."""
BATCH = 250
"""Rows looked at, and at most removed, in one short write."""

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
        retention: Callable[[], Retention] = Retention,
        chores: Sequence[Callable[[], Awaitable[int]]] = (),
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
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
        swept = await self._batch()
        removed = swept.rows
        while swept.more:
            await self._sleep(PAUSE)
            swept = await self._batch()
            removed += swept.rows
        return removed + sum([await chore() for chore in self._chores])

    async def _batch(self) -> Swept:
        return await self._storage.sweep(int(self._clock()), BATCH, self._retention())

    async def _try_round(self) -> None:
        try:
            removed = await self.round()
            self.removed += removed
        except StorageError as error:
            log.warning("sweeping was put off: %s", error)
        else:
            log.debug("swept %d rows", removed)
