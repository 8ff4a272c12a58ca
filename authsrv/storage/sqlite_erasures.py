"""What must follow an erasure in a database file: its entry in the ledger, and files without copies of what is gone.

SQLite overwrites what is deleted, but where rows that grew were moved between pages it may leave an older copy in the
unused part of a page, which writing the database anew removes. Owns when each of these is done, and tried again. Knows
no change and no statement but its own.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from authsrv.account_models import Erasure
from authsrv.models import Player
from authsrv.storage.base import StorageError
from authsrv.storage.dialogues import read_erasures, read_subjects
from authsrv.storage.erasure_ledger import ErasureLedger
from authsrv.storage.sqlite_lane import Lane
from authsrv.storage.sqlite_units import follow

_HOUR, _DAY = 3600, 86400
MOST_WHILE_SERVING = 16 * 2**20
"""Bytes of a database that may be written anew while others wait to write, once an hour at most."""
MOST_AT_THE_END = 256 * 2**20
"""Bytes of one that may be written anew before the process ends. A larger one is the operator's to rewrite."""

log = logging.getLogger("authsrv.storage")


class SqliteErasures:
    """Follows up the erasures of one open database."""

    def __init__(self, path: Path, writer: Lane, reader: Lane) -> None:
        self._path = path
        self._ledger = ErasureLedger.beside(path)
        self._writer = writer
        self._reader = reader
        self._turn = asyncio.Lock()
        self._is_noted = False
        self._is_clean = True
        self._is_rewritten = True
        self._has_erased = False
        self._rewrites_from = 0
        self._pruned_up_to = 0

    async def begin(self) -> None:
        """Note what the database knows and the ledger does not: the process may have been killed in between.

        Raises `StorageError` when the ledger cannot be read or written.
        """
        await self._compare()

    async def resurrected(self) -> tuple[Player, ...]:
        """Whom the ledger knows as erased, and who are there."""
        subs = (await asyncio.to_thread(self._ledger.read)).keys()
        return await self._reader.run(partial(follow, reading=read_subjects(subs)))

    async def follow(self, erased: Sequence[Erasure]) -> None:
        """Note these, which are committed, and clean up. What fails is tried again by `settle`."""
        async with self._turn:
            self._is_clean = self._is_rewritten = False
            self._has_erased = True
            try:
                await asyncio.to_thread(self._ledger.add, erased)
            except StorageError as error:
                self._is_noted = False
                log.error("an erasure is not in the ledger yet: %s", error)  # noqa: TRY400 - the text says it all
            await self._clean()

    async def settle(self, now: int, forgotten_before: int) -> None:
        """Do what `follow` could not do, and once a day forget entries from before a time. Raises `StorageError`."""
        async with self._turn:
            if not self._is_noted:
                await self._compare()
            if not self._is_clean:
                await self._clean()
            if not self._is_rewritten and now >= self._rewrites_from:
                self._rewrites_from = now + _HOUR
                await self._rewrite(MOST_WHILE_SERVING)
            if forgotten_before >= self._pruned_up_to + _DAY:
                await asyncio.to_thread(self._ledger.prune, forgotten_before)
                self._pruned_up_to = forgotten_before

    async def end(self) -> None:
        """Clean up what this process left, before the database is closed. Never raises."""
        async with self._turn:
            if self._has_erased:
                await self._rewrite(MOST_AT_THE_END)

    async def _rewrite(self, most: int) -> None:
        if not self._is_rewritten and self._path.stat().st_size <= most:
            self._is_rewritten = await self._writer.rewrite()

    async def _compare(self) -> None:
        known = await asyncio.to_thread(self._ledger.read)
        in_database = await self._reader.run(partial(follow, reading=read_erasures()))
        missing = [one for one in in_database if one.sub not in known]
        if missing:
            await asyncio.to_thread(self._ledger.add, missing)
        self._is_noted = True
        # Whether the last process came to it is not known.
        self._is_rewritten = self._is_rewritten and not in_database

    async def _clean(self) -> None:
        self._is_clean = await self._writer.checkpoint()
        if not self._is_clean:
            log.warning("the write-ahead log may hold copies of erased rows until whoever reads the database is done")
