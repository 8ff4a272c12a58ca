"""The background task that says this node is there, and with which configuration; and knows of the others.

Owns who counts as there, and when all of them agree. What follows from that is done by others.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from authsrv.jobs.lease import RENEWED, Lease, Sleep
from authsrv.serving.readiness import PartDown
from authsrv.storage.base import Storage, StorageError
from authsrv.storage.node_changes import presence, presence_of

MakeLease = Callable[[str], Lease]
"""The lease of a name, for this node."""

log = logging.getLogger("authsrv.nodes")


class NodesDiffer(PartDown):
    """Not all nodes have the same configuration."""

    def __init__(self) -> None:
        super().__init__("differs")


class Presence:
    """A node among the others. `agreed` is called once all nodes have come to have its configuration."""

    def __init__(
        self, storage: Storage, node: str, lease: MakeLease, agreed: Callable[[], Awaitable[None]], sleep: Sleep
    ) -> None:
        self._storage = storage
        self._node = node
        self._make_lease = lease
        self._agreed = agreed
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._lease: Lease | None = None
        self._others: Mapping[str, int] = {}
        self._is_settled = True

    async def announce(self, fingerprint: str) -> None:
        """Be there with a configuration from now on. Raises `StorageError`."""
        async with self._turn:
            before, self._lease = self._lease, self._make_lease(presence(self._node, fingerprint))
            await self._lease.take()
            if before is not None and before.name != self._lease.name:
                await before.release()
            await self._look(fingerprint)

    @property
    def all_agree(self) -> bool:
        """Whether no other configuration was there at the last look."""
        return not self._others

    async def run(self) -> None:
        """Stay for ever; cancel it to end it."""
        while True:
            await self._sleep(RENEWED)
            with suppress(StorageError):  # `News` says so
                await self.round()

    async def round(self) -> None:
        """Stay, and look who else is there. Raises `StorageError`."""
        async with self._turn:  # a reload meanwhile would be followed by what was there before it
            assert self._lease is not None  # noqa: S101 - announced before
            await self._lease.take()
            await self._look(presence_of(self._lease.name))
        if self.all_agree and not self._is_settled:
            await self._agreed()
            self._is_settled = True

    async def leave(self) -> None:
        """Be there no more."""
        if self._lease is not None:
            with suppress(StorageError):
                await self._lease.release()

    async def probe(self) -> None:
        """Raise `NodesDiffer` while not all nodes have the same configuration."""
        if self._others:
            raise NodesDiffer

    async def _look(self, own: str) -> None:
        found = configurations(lease.name for lease in await self._storage.load_leases(await self._storage.load_time()))
        others = {fingerprint: nodes for fingerprint, nodes in found.items() if fingerprint != own}
        if others != self._others:
            self._tell(own, others)
        self._others = others
        self._is_settled &= not others

    def _tell(self, own: str, others: Mapping[str, int]) -> None:
        if others:
            log.warning("nodes have different configurations", extra={"own": own, "others": dict(others)})
        else:
            log.info("all nodes have the same configuration", extra={"own": own})


def configurations(names: Iterable[str]) -> Mapping[str, int]:
    """How many nodes have each configuration, by its fingerprint, out of the names of all leases."""
    return Counter(filter(None, map(presence_of, names)))
