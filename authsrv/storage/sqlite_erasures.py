"""What must follow an erasure in a database file: its entry in the ledger, and a write-ahead log without copies.

Owns when that is tried again. Knows no change and no statement but its own.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from authsrv.account_models import Erasure
from authsrv.models import Player
from authsrv.storage.base import StorageError
from authsrv.storage.erasure_ledger import ErasureLedger
from authsrv.storage.rows import player_of
from authsrv.storage.sqlite_lane import Lane
from authsrv.storage.sqlite_privacy import read_erasures, read_subjects

_DAY = 86400

log = logging.getLogger("authsrv.storage")


class SqliteErasures:
    """Follows up the erasures of one open database."""

    def __init__(self, ledger: ErasureLedger, writer: Lane, reader: Lane) -> None:
        self._ledger = ledger
        self._writer = writer
        self._reader = reader
        self._turn = asyncio.Lock()
        self._is_noted = False
        self._is_clean = True
        self._pruned_up_to = 0

    async def begin(self) -> None:
        """Note what the database knows and the ledger does not: the process may have been killed in between.

        Raises `StorageError` when the ledger cannot be read or written.
        """
        await self._compare()

    async def resurrected(self) -> tuple[Player, ...]:
        """Whom the ledger knows as erased, and who are there."""
        subs = (await asyncio.to_thread(self._ledger.read)).keys()
        return tuple(map(player_of, await self._reader.run(partial(read_subjects, subs=subs))))

    async def follow(self, erased: Sequence[Erasure]) -> None:
        """Note these, which are committed, and clean up. What fails is tried again by `settle`."""
        async with self._turn:
            self._is_clean = False
            try:
                await asyncio.to_thread(self._ledger.add, erased)
            except StorageError as error:
                self._is_noted = False
                log.error("an erasure is not in the ledger yet: %s", error)  # noqa: TRY400 - the text says it all
            await self._clean()

    async def settle(self, forgotten_before: int) -> None:
        """Do what `follow` could not do, and once a day forget old entries. Raises `StorageError`."""
        async with self._turn:
            if not self._is_noted:
                await self._compare()
            if not self._is_clean:
                await self._clean()
            if forgotten_before >= self._pruned_up_to + _DAY:
                await asyncio.to_thread(self._ledger.prune, forgotten_before)
                self._pruned_up_to = forgotten_before

    async def _compare(self) -> None:
        known = await asyncio.to_thread(self._ledger.read)
        in_database = await self._reader.run(partial(read_erasures, values={"since": 0}))
        missing = [one for one in in_database if one.sub not in known]
        if missing:
            await asyncio.to_thread(self._ledger.add, missing)
        self._is_noted = True

    async def _clean(self) -> None:
        self._is_clean = await self._writer.checkpoint()
        if not self._is_clean:
            log.warning("the write-ahead log may hold copies of erased rows until whoever reads the database is done")
