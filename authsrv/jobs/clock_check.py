"""The background task that holds this node's clock against the database's.

Nodes whose clocks differ would not agree on what has expired. Owns the rhythm and the difference that is too much.
"""

import logging
from collections.abc import Callable

from authsrv.jobs.lease import Sleep
from authsrv.serving.readiness import PartDown
from authsrv.storage.base import Storage, StorageError

INTERVAL = 60.0
"""Seconds between two looks."""
MOST = 5
"""Seconds by which the clocks may differ."""

log = logging.getLogger("authsrv.nodes")


class ClockDiffers(PartDown):
    """The clock of this node is too far from the database's."""

    def __init__(self) -> None:
        super().__init__("differs")


class ClockCheck:
    """Knows whether the clock was right when it was last looked at. `clock` gives Unix seconds."""

    def __init__(self, storage: Storage, clock: Callable[[], float], sleep: Sleep) -> None:
        self._storage = storage
        self._clock = clock
        self._sleep = sleep
        self.seconds_off = 0.0
        """By how much this clock is at least ahead of the database's, negative if behind; 0 within a second."""

    async def run(self) -> None:
        """Look for ever; cancel it to end it."""
        while True:
            await self._sleep(INTERVAL)
            await self.look()

    async def look(self) -> None:
        """Compare once. A database that does not answer says nothing about the clock."""
        before = self._clock()
        try:
            theirs = await self._storage.load_time()
        except StorageError as error:
            log.warning("the clock could not be compared with the database's: %s", error)
            return
        # The answer is of some moment in between, and of some moment in its second.
        self.seconds_off = max(0.0, before - (theirs + 1)) + min(0.0, self._clock() - theirs)
        if self._is_off:
            seconds = round(self.seconds_off, 1)
            log.error("this node's clock and the database's differ; set them by NTP", extra={"seconds": seconds})

    async def probe(self) -> None:
        """Raise `ClockDiffers` while the clock is too far off."""
        if self._is_off:
            raise ClockDiffers

    @property
    def _is_off(self) -> bool:
        return abs(self.seconds_off) > MOST
