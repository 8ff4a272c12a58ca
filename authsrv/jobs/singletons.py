"""Runs the work that one node at a time does.

Owns when it begins and ends on this node, and that it ends before another node's begins. Knows no job by name.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from authsrv.jobs.lease import RENEWED, Lease, LeaseLost, Sleep
from authsrv.storage.base import StorageError

AFTER_A_FAULT = 60.0
"""Seconds after which a job that ended by an error of ours is begun anew."""
_LEAVING = 2.0
"""Seconds that letting go of the lease may take at a stop."""

log = logging.getLogger("authsrv.nodes")


class Job(Protocol):
    """Something that goes on for ever, with pauses."""

    async def run(self) -> None:
        """Go on until cancelled."""


class Singletons:
    """Jobs of which each runs on one node. Without a lease this is the only node there can be.

    The jobs rest by `Lease.rest`, so that none does a further step once the lease may be another node's.
    """

    def __init__(self, jobs: Sequence[Job], lease: Lease | None, sleep: Sleep) -> None:
        self._jobs = jobs
        self._lease = lease
        self._sleep = sleep

    async def run(self) -> None:
        """Go on for ever; cancel it to end the jobs and let another node have them."""
        if self._lease is None:
            await self._work()
            return
        while True:
            try:
                await self._try(self._lease)
            except StorageError as error:
                log.warning("whether this node has to do the work of all is not known: %s", error)
            await self._sleep(RENEWED)

    async def _try(self, lease: Lease) -> None:
        if not await lease.take():
            return
        log.info("this node does the work of all", extra={"lease": lease.name})
        try:
            await self._work(lease)
        except* LeaseLost:
            log.warning("the work of all is another node's, or may be", extra={"lease": lease.name})
        finally:
            await _let_go(lease)

    async def _work(self, lease: Lease | None = None) -> None:
        async with asyncio.TaskGroup() as group:
            for job in self._jobs:
                group.create_task(self._again_and_again(job))
            if lease is not None:
                group.create_task(_hold(lease))
                group.create_task(_watch(lease))

    async def _again_and_again(self, job: Job) -> None:
        while True:
            try:
                return await job.run()
            except LeaseLost:
                raise
            except Exception:
                log.exception("a background task failed and begins anew")
            await self._sleep(AFTER_A_FAULT)


async def _hold(lease: Lease) -> None:
    """Renew the lease for ever. Raises `LeaseLost` when another node has it."""
    while True:
        await lease.rest(min(RENEWED, lease.left))
        with suppress(StorageError):  # tried again as long as there is time
            if not await lease.take():
                raise LeaseLost(lease.name)


async def _watch(lease: Lease) -> None:
    """Raise `LeaseLost` at the lease's end, also while a renewal or a step of a job waits for a slow database."""
    while True:
        await lease.rest(lease.left)


async def _let_go(lease: Lease) -> None:
    try:
        async with asyncio.timeout(_LEAVING):
            await lease.release()
    except (StorageError, TimeoutError):
        log.warning("the lease is not given back; it ends by itself", extra={"lease": lease.name})
