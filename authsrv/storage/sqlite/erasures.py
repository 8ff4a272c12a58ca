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
from authsrv.storage.dialogues import read_erasures, read_subjects
from authsrv.storage.erasure_ledger import ErasureLedger
from authsrv.storage.erasure_notes import ErasureNotes
from authsrv.storage.sqlite.lane import Lane
from authsrv.storage.sqlite.units import follow

_HOUR = 3600
MOST_WHILE_SERVING = 16 * 2**20
"""Bytes of a database that may be written anew while others wait to write, once an hour at most."""
MOST_AT_THE_END = 256 * 2**20
"""Bytes of one that may be written anew before the process ends. A larger one is the operator's to rewrite."""

log = logging.getLogger("authsrv.storage")


class SqliteErasures:
    """Follows up the erasures of one open database."""

    def __init__(self, path: Path, writer: Lane, reader: Lane) -> None:
        self._path = path
        self._notes = ErasureNotes(ErasureLedger.beside(path), self._in_database)
        self._writer = writer
        self._reader = reader
        self._turn = asyncio.Lock()
        self._is_clean = True
        self._is_rewritten = True
        self._has_erased = False
        self._rewrites_from = 0

    async def begin(self) -> None:
        """Note what the database knows and the ledger does not: the process may have been killed in between.

        Raises `StorageError` when the ledger cannot be read or written.
        """
        found = await self._notes.complete()
        # Whether the last process came to it is not known.
        self._is_rewritten = not found

    async def resurrected(self) -> tuple[Player, ...]:
        """Whom the ledger knows as erased, and who are there."""
        return await self._reader.run(partial(follow, reading=read_subjects(await self._notes.known())))

    async def follow(self, erased: Sequence[Erasure]) -> None:
        """Note these, which are committed, and clean up. What fails is tried again by `settle`."""
        async with self._turn:
            self._is_clean = self._is_rewritten = False
            self._has_erased = True
            await self._notes.add(erased)
            await self._clean()

    async def settle(self, now: int, forgotten_before: int) -> None:
        """Do what `follow` could not do, and once a day forget entries from before a time. Raises `StorageError`."""
        async with self._turn:
            await self._notes.complete()
            if not self._is_clean:
                await self._clean()
            if not self._is_rewritten and now >= self._rewrites_from:
                self._rewrites_from = now + _HOUR
                await self._rewrite(MOST_WHILE_SERVING)
            await self._notes.prune(forgotten_before)

    async def end(self) -> None:
        """Clean up what this process left, before the database is closed. Never raises."""
        async with self._turn:
            if self._has_erased:
                await self._rewrite(MOST_AT_THE_END)

    async def _rewrite(self, most: int) -> None:
        if not self._is_rewritten and self._path.stat().st_size <= most:
            self._is_rewritten = await self._writer.rewrite()

    async def _in_database(self) -> Sequence[Erasure]:
        return await self._reader.run(partial(follow, reading=read_erasures()))

    async def _clean(self) -> None:
        self._is_clean = await self._writer.checkpoint()
        if not self._is_clean:
            log.warning("the write-ahead log may hold copies of erased rows until whoever reads the database is done")
