"""The background task by which a node hears of what other nodes, and commands, have changed.

Owns the rhythm, and which news are taken. What is taken over, and how, is said by whoever has it in memory.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

from authsrv.jobs.lease import Sleep
from authsrv.oauth.key_material import KeyRingError
from authsrv.storage.base import Storage, StorageError
from authsrv.storage.changes import VersionName

INTERVAL = 1.0
"""Seconds between two looks: after that, and the time of a query, a change is known on every node."""

Take = Callable[[], Awaitable[bool]]
"""Takes over what the database has now; whether that is done, or has to be tried again."""

log = logging.getLogger("authsrv.nodes")


class News:
    """Looks at the versions in the database, and has taken over what moved."""

    def __init__(self, storage: Storage, takers: Mapping[VersionName, Take], sleep: Sleep) -> None:
        self._storage = storage
        self._takers = takers
        self._sleep = sleep
        self._taken: dict[str, int] = {}
        self._is_deaf = False

    async def run(self) -> None:
        """Look for ever; cancel it to end it. What could not be taken is tried again."""
        while True:
            await self._sleep(INTERVAL)
            try:
                await self.look()
            except (StorageError, KeyRingError) as error:
                self._cannot(error)
            else:
                self._can()

    async def look(self) -> None:
        """Take over what has changed since the last look. Raises `StorageError`, `KeyRingError`.

        Keys that cannot be read here keep nobody from hearing of clients.
        """
        versions = await self._storage.load_versions()
        moved = [name for name in self._takers if versions.get(name, 0) != self._taken.get(name)]
        faults = [fault for name in moved if (fault := await self._fault_of(name, versions.get(name, 0)))]
        if faults:
            raise faults[0]

    async def _fault_of(self, name: VersionName, version: int) -> Exception | None:
        try:
            if await self._takers[name]():
                self._taken[name] = version
        except (StorageError, KeyRingError) as error:
            return error
        return None

    def _cannot(self, error: Exception) -> None:
        if not self._is_deaf:
            log.error("what other nodes change is not heard of: %s", error)
        self._is_deaf = True

    def _can(self) -> None:
        if self._is_deaf:
            log.info("what other nodes change is heard of again")
        self._is_deaf = False
