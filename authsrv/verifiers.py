"""The running platforms of every project: started, kept over a reload, stopped.

Owns their lifecycle. What a platform does with a credential is its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from authsrv.outbound.breaker import BreakerState
from authsrv.outbound.client import HttpOutbound
from authsrv.platforms import PLATFORMS
from authsrv.platforms.base import Clock, Outbound, Platform, PlatformSettings, PlatformUnavailable

START_PAUSE = 1.0
"""Seconds before new platforms load their key lists: the server answers first. A login before that loads them too."""
LONGEST_LOGIN = 15
"""Seconds after which no login can still be waiting for a platform that a reload replaced."""

Sleep = Callable[[float], Awaitable[None]]
Place = tuple[str, str]
"""A project's key and a platform's name."""


class Connections(Outbound, Protocol):
    """A platform's way out that somebody must close."""

    @property
    def state(self) -> BreakerState:
        """Whether calls go out, or are held back because the platform does not answer."""

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
        self._new: list[Verifier] = []
        self._working: dict[asyncio.Task[None], Sequence[Verifier]] = {}

    def prepare(self, wanted: Mapping[Place, PlatformSettings]) -> Mapping[Place, Platform[Any]]:
        """Make what is new; what is no longer wanted goes on until `settle`."""
        before = self._running
        self._running = {place: self._running_on(place, settings) for place, settings in wanted.items()}
        self._replaced += [old for place, old in before.items() if self._running.get(place) is not old]
        return {place: verifier.platform for place, verifier in self._running.items()}

    def settle(self) -> None:
        """Start what the last `prepare` made; stop what it replaced, once the logins under way there have ended."""
        if self._new:
            self._begin(self._start_later(self._new), [])
        if self._replaced:
            self._begin(self._stop_later(self._replaced), self._replaced)
        self._new, self._replaced = [], []

    def _begin(self, work: Coroutine[Any, Any, None], leaving: Sequence[Verifier]) -> None:
        task = asyncio.create_task(work)
        self._working[task] = leaving
        task.add_done_callback(self._working.pop)

    async def probe(self, name: str) -> None:
        """Raise `PlatformUnavailable` while calls to this platform are held back for some project."""
        if any(verifier.outbound.state == "open" for (_, known), verifier in self._running.items() if known == name):
            raise PlatformUnavailable(f"calls to {name} are held back")

    async def stop(self) -> None:
        """Stop everything, now."""
        for task in list(self._working):
            task.cancel()
        leaving = [verifier for verifiers in self._working.values() for verifier in verifiers]
        for verifier in (*leaving, *self._replaced, *self._running.values()):
            await verifier.stop()
        self._replaced, self._running = [], {}

    async def _start_later(self, new: Sequence[Verifier]) -> None:
        await self._sleep(START_PAUSE)
        for verifier in new:
            await verifier.platform.start()

    async def _stop_later(self, leaving: Sequence[Verifier]) -> None:
        await self._sleep(LONGEST_LOGIN)
        for verifier in leaving:
            await verifier.stop()

    def _running_on(self, place: Place, settings: PlatformSettings) -> Verifier:
        found = self._running.get(place)
        if found is not None and found.settings == settings:
            return found
        _, name = place
        outbound = self._connect(name, settings, self._clock)
        verifier = Verifier(settings, outbound, PLATFORMS[name](settings, outbound, self._clock))
        self._new.append(verifier)
        return verifier
