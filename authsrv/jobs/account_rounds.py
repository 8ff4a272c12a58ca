"""The background task that looks at every player once a day, a few at a time, so that nobody waits behind it.

Owns the rhythm. What is kept for how long, and who goes, is `authsrv/accounts/keeping.py`'s to know.
"""

import logging
from collections.abc import Awaitable, Callable

from authsrv.accounts.keeping import Keeping
from authsrv.errors import AuthsrvError
from authsrv.storage.base import Storage, StorageError

FIRST = 600.0
"""Seconds after the start: a server that is started every day comes to it too."""
INTERVAL = 86400.0
"""Seconds between two rounds."""
PAUSE = 0.1
"""Seconds between two batches of a round."""
BATCH = 250
"""Players who are looked at together."""

log = logging.getLogger("authsrv.retention")


class AccountRounds:
    """Goes through all players again and again."""

    def __init__(self, storage: Storage, keeping: Keeping, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._storage = storage
        self._keeping = keeping
        self._sleep = sleep

    async def run(self) -> None:
        """Go round for ever; cancel it to end it. What could not be done is tried again in the next round."""
        await self._sleep(FIRST)
        while True:
            try:
                erased = await self.round()
            except (StorageError, AuthsrvError) as error:
                log.warning("looking for what was kept long enough was put off: %s", error)
            else:
                log.info("inactive players erased", extra={"count": erased})
            await self._sleep(INTERVAL)

    async def round(self) -> int:
        """Look at every player once; how many were erased. Raises `StorageError` or `AuthsrvError`."""
        erased, after = 0, 0
        while players := await self._storage.load_players(after, BATCH):
            erased += await self._keeping.look_at(players)
            after = players[-1].id
            await self._sleep(PAUSE)
        return erased
