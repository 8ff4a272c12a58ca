"""The background task by which nodes know how long tokens live that another configuration gave.

A node tells verifiers what was revoked for as long as a token of it can be about. After a roll-out that shortened the
lives of tokens, those of before are about for longer than the new file says. Owns the rhythm and what is remembered.
"""

from collections.abc import Callable
from contextlib import suppress

from authsrv.jobs.lease import Sleep
from authsrv.storage.base import Storage, StorageError
from authsrv.storage.node_changes import TakeLease, token_life, token_life_of

INTERVAL = 60.0
"""Seconds between two looks."""
_EVERYBODY = "all"


class TokenLives:
    """Says how long this node's tokens live, and hears it of the others.

    `own` gives the seconds by the configuration that is in force here; `heard` takes those of others.
    """

    def __init__(self, storage: Storage, own: Callable[[], int], heard: Callable[[int], None], sleep: Sleep) -> None:
        self._storage = storage
        self._own = own
        self._heard = heard
        self._sleep = sleep

    async def run(self) -> None:
        """Go on for ever; cancel it to end it."""
        while True:
            await self._sleep(INTERVAL)
            with suppress(StorageError):  # `News` says so
                await self.round()

    async def round(self) -> None:
        """Say it, and hear what is said. Raises `StorageError`."""
        now, life = await self._storage.load_time(), self._own()
        # The last token of this configuration may come just before the next round.
        until = now + life + 2 * int(INTERVAL)
        await self._storage.apply([TakeLease(token_life(life), _EVERYBODY, now, until)])
        for lease in await self._storage.load_leases(now):
            self._heard(token_life_of(lease.name))
