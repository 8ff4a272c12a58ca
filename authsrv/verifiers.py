"""The running platforms of every project: started, kept over a reload, stopped.

Owns their lifecycle. What a platform does with a credential is its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from authsrv.outbound.client import HttpOutbound
from authsrv.platforms import PLATFORMS
from authsrv.platforms.base import Clock, Outbound, Platform, PlatformSettings

LONGEST_LOGIN = 15
"""Seconds after which no login can still be waiting for a platform that a reload replaced."""

Sleep = Callable[[float], Awaitable[None]]
Place = tuple[str, str]
"""A project's key and a platform's name."""


class Connections(Outbound, Protocol):
    """A platform's way out that somebody must close."""

    async def aclose(self) -> None:
        """Close every connection, after the platform has stopped."""


Connect = Callable[[str, PlatformSettings, Clock], Connections]
"""Makes the way out to a platform, by its name and settings."""


def connect_by_http(name: str, settings: PlatformSettings, clock: Clock) -> Connections:
    """A platform's own connections, limits and circuit."""
    kind = PLATFORMS[name]
    return HttpOutbound(name, allowed=settings.addresses(), clock=clock, denials_are_ours=kind.denials_are_ours)


@dataclass(frozen=True, slots=True)
class Verifier:
    """One platform of one project, running."""

    settings: PlatformSettings
    outbound: Connections
    platform: Platform[Any]

    async def stop(self) -> None:
        """End its background work, then its connections."""
        await self.platform.stop()
        await self.outbound.aclose()


class Verifiers:
    """The platforms of all projects. One whose settings stay the same is kept across reloads, and its keys with it."""

    def __init__(self, clock: Clock, connect: Connect, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._connect = connect
        self._sleep = sleep
        self._running: dict[Place, Verifier] = {}
        self._replaced: list[Verifier] = []
        self._leaving: dict[asyncio.Task[None], Sequence[Verifier]] = {}

    async def prepare(self, wanted: Mapping[Place, PlatformSettings]) -> Mapping[Place, Platform[Any]]:
        """Start what is new; what is no longer wanted goes on until `settle`."""
        before = self._running
        self._running = {place: await self._running_on(place, settings) for place, settings in wanted.items()}
        self._replaced += [old for place, old in before.items() if self._running.get(place) is not old]
        return {place: verifier.platform for place, verifier in self._running.items()}

    def settle(self) -> None:
        """Stop what the last `prepare` replaced, once the logins that are under way there have ended."""
        leaving, self._replaced = self._replaced, []
        if leaving:
            task = asyncio.create_task(self._stop_later(leaving))
            self._leaving[task] = leaving
            task.add_done_callback(self._leaving.pop)

    async def stop(self) -> None:
        """Stop everything, now."""
        for task in list(self._leaving):
            task.cancel()
        leaving = [verifier for verifiers in self._leaving.values() for verifier in verifiers]
        for verifier in (*leaving, *self._replaced, *self._running.values()):
            await verifier.stop()
        self._replaced, self._running = [], {}

    async def _stop_later(self, leaving: Sequence[Verifier]) -> None:
        await self._sleep(LONGEST_LOGIN)
        for verifier in leaving:
            await verifier.stop()

    async def _running_on(self, place: Place, settings: PlatformSettings) -> Verifier:
        found = self._running.get(place)
        if found is not None and found.settings == settings:
            return found
        _, name = place
        outbound = self._connect(name, settings, self._clock)
        platform = PLATFORMS[name](settings, outbound, self._clock)
        await platform.start()
        return Verifier(settings, outbound, platform)
