"""The background task that looks after the signing keys once a minute.

Owns the rhythm. What is due is the keeper's to know.
"""

import logging
from collections.abc import Awaitable, Callable

from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.key_material import KeyRingError
from authsrv.storage.base import StorageError

INTERVAL = 60.0
"""Seconds between two rounds."""

log = logging.getLogger("authsrv.keys")


class KeyRounds:
    """Lets the keeper do what is due, again and again."""

    def __init__(self, keeper: KeyKeeper, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._keeper = keeper
        self._sleep = sleep

    async def run(self) -> None:
        """Go round for ever; cancel it to end it. What could not be done is tried again in the next round."""
        while True:
            await self._sleep(INTERVAL)
            try:
                await self._keeper.round()
            except (StorageError, KeyRingError) as error:
                log.error("the signing keys stay as they are: %s", error)  # noqa: TRY400 - the text says it all
