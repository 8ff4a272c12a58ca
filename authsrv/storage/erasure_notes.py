"""Keeps the ledger of an open database up to date: what the database knows and the ledger does not is noted again.

Owns when the ledger is read, added to and pruned, off the event loop. Knows no SQL.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from authsrv.account_models import Erasure
from authsrv.storage.base import StorageError
from authsrv.storage.erasure_ledger import Ledger

_DAY: Final = 86400

log = logging.getLogger("authsrv.storage")


class ErasureNotes:
    """The ledger of one open database, whose own erasures `in_database` reads."""

    def __init__(self, ledger: Ledger, in_database: Callable[[], Awaitable[Sequence[Erasure]]]) -> None:
        self._ledger = ledger
        self._in_database = in_database
        self._is_complete = False
        self._pruned_up_to = 0

    async def complete(self) -> Sequence[Erasure]:
        """Note what is missing, if anything may be; the erasures that the database knows, if it was asked.

        Raises `StorageError` when the ledger cannot be read or written.
        """
        if self._is_complete:
            return ()
        found = await self._in_database()
        known = await self.known()
        missing = [one for one in found if one.sub not in known]
        if missing:
            await asyncio.to_thread(self._ledger.add, missing)
        self._is_complete = True
        return found

    async def known(self) -> Collection[str]:
        """Who was erased. Raises `StorageError`."""
        return (await asyncio.to_thread(self._ledger.read)).keys()

    async def add(self, erased: Sequence[Erasure]) -> None:
        """Note these, which are committed. What fails is tried again by `complete`."""
        try:
            await asyncio.to_thread(self._ledger.add, erased)
        except StorageError as error:
            self._is_complete = False
            log.error("an erasure is not in the ledger yet: %s", error)  # noqa: TRY400 - the text says it all

    async def prune(self, forgotten_before: int) -> None:
        """Once a day forget entries from before a time. Raises `StorageError`."""
        if forgotten_before >= self._pruned_up_to + _DAY:
            await asyncio.to_thread(self._ledger.prune, forgotten_before)
            self._pruned_up_to = forgotten_before
