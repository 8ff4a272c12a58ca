"""What makes a process one node of several that serve a database; nothing of it runs where there can be but one.

Owns which background work goes on here, and which under the lease of all. Knows not what the work is, and decides
nothing about a request.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from authsrv.jobs.clock_check import ClockCheck
from authsrv.jobs.lease import Clock, Lease, Sleep
from authsrv.jobs.news import INTERVAL, News, Take
from authsrv.jobs.presence import Presence
from authsrv.jobs.singletons import Job, Singletons
from authsrv.jobs.token_lives import TokenLives
from authsrv.metrics.sources import NodeVitals
from authsrv.serving.readiness import Probe
from authsrv.storage.base import Storage
from authsrv.storage.changes import VersionName
from authsrv.storage.node_changes import WORK

SPREADING = 2 * INTERVAL
"""Seconds after which every node has heard of a change."""


class Node:
    """One process among those that serve the same database.

    `takers` take over what others changed; `agreed` is called when all nodes have come to have this configuration.
    `own_life` gives the seconds that tokens live by it, `heard_life` takes those that others' tokens do.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        clock: Clock,
        sleep: Sleep,
        random: Callable[[int], bytes],
        takers: Mapping[VersionName, Take],
        agreed: Callable[[], Awaitable[None]],
        own_life: Callable[[], int],
        heard_life: Callable[[int], None],
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._sleep = sleep
        self.name = f"{socket.gethostname()}-{random(4).hex()}"
        self.work = self._lease(WORK)
        self.news = News(storage, takers, sleep)
        self.presence = Presence(storage, self.name, self._lease, agreed, sleep)
        self.clock_check = ClockCheck(storage, clock, sleep)
        self.token_lives = TokenLives(storage, own_life, heard_life, sleep)

    def _lease(self, name: str) -> Lease:
        return Lease(self._storage, name, self.name, clock=self._clock, sleep=self._sleep)

    @property
    def rest(self) -> Sleep:
        """How work of all rests between two steps."""
        return self.work.rest if self._storage.shared else self._sleep

    @property
    def probes(self) -> Mapping[str, Probe]:
        """What an operator should know of although the node serves."""
        if not self._storage.shared:
            return {}
        return {"clock": self.clock_check.probe, "configuration": self.presence.probe}

    def vitals(self) -> NodeVitals | None:
        """How this node is among the others; None where there can be no other."""
        if not self._storage.shared:
            return None
        return NodeVitals({WORK: self.work.left > 0}, self.clock_check.seconds_off)

    async def spread(self) -> None:
        """Wait until every node has heard of what was just written."""
        if self._storage.shared:
            await self._sleep(SPREADING)

    async def announce(self, fingerprint: Callable[[], str]) -> bool:
        """Have this configuration from now on; whether every other node has the same. Raises `StorageError`."""
        if not self._storage.shared:
            return True
        await self.presence.announce(fingerprint())
        return self.presence.all_agree

    @asynccontextmanager
    async def working(self, jobs: Sequence[Job]) -> AsyncIterator[None]:
        """Do what a node does, and `jobs` while they are this node's to do."""
        tasks = [asyncio.create_task(job.run()) for job in await self._tasks(jobs)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.presence.leave()

    async def _tasks(self, jobs: Sequence[Job]) -> Sequence[Job]:
        if not self._storage.shared:
            return [Singletons(jobs, None, self._sleep)]
        await self.clock_check.look()
        await self.token_lives.round()
        return [Singletons(jobs, self.work, self._sleep), self.news, self.presence, self.clock_check, self.token_lives]
