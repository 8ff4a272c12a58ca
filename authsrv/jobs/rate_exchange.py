"""The background task that tells other nodes what this one counted for the rate limits, and hears what they did.

Owns the rhythm, and what happens while the store is away: each node then counts alone. No request ever waits for it.
Which counters concern the others is the limiter's to know.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from authsrv.limits import RateLimiter
from authsrv.serving.readiness import PartDown
from authsrv.storage.base import CountStore, StorageError

INTERVAL = 1.0
"""Seconds between two exchanges, if nothing is urgent."""
PAUSE = 0.02
"""Seconds between two exchanges, however urgent: what an attacker causes is bounded by it."""
TIMEOUT = 2.0
"""Seconds after which a store that does not answer is away."""
BATCH = 500
"""Counters in one exchange; further ones follow in the next, after the pause."""

log = logging.getLogger("authsrv.limits")


class RateExchange:
    """Exchanges counts with the store of all nodes. `clock` is the store's, in Unix seconds.

    `alone` is true while the store is away. What was on its way when it went counts on this node alone: told again, it
    might count twice.
    """

    def __init__(
        self,
        limits: RateLimiter,
        store: CountStore,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._limits = limits
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._urgent = asyncio.Event()
        self.alone = False
        limits.share(self._urgent.set)

    async def run(self) -> None:
        """Exchange for ever; cancel it to end it. A store that is away is asked again each second."""
        while True:
            await self._rest()
            await self.round()

    async def round(self) -> None:
        """Exchange what there is to exchange now, at most `BATCH` counters."""
        self._urgent.clear()
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._exchange()
        except (StorageError, TimeoutError) as error:
            self._away(error)
        else:
            self._back()

    async def _rest(self) -> None:
        await self._sleep(PAUSE)
        if self.alone:
            await self._sleep(INTERVAL)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), INTERVAL)

    async def _exchange(self) -> None:
        if self.alone:
            await self._store.ping()
        told = self._limits.tell(BATCH)
        if self._limits.more_to_tell:
            self._urgent.set()
        if told:
            now = self._clock()
            self._limits.hear(await self._store.exchange_counts(told, int(now)), now)

    async def probe(self) -> None:
        """Raise `PartDown` while this node counts alone."""
        if self.alone:
            raise PartDown("away")

    def _away(self, error: Exception) -> None:
        if not self.alone:
            log.warning("rate limits are counted by this node alone: %s", str(error) or "the store does not answer")
        self.alone = True

    def _back(self) -> None:
        if self.alone:
            log.warning("rate limits are shared with the other nodes again")
        self.alone = False
