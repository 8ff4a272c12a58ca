"""The running platforms of every project: started, kept over a reload, stopped.

Owns their lifecycle. What a platform does with a credential is its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from authsrv.outbound import HttpOutbound
from authsrv.platforms import PLATFORMS
from authsrv.platforms.base import Clock, Outbound, Platform, PlatformSettings

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

    def __init__(self, clock: Clock, connect: Connect) -> None:
        self._clock = clock
        self._connect = connect
        self._running: dict[Place, Verifier] = {}
        self._replaced: list[Verifier] = []

    async def prepare(self, wanted: Mapping[Place, PlatformSettings]) -> Mapping[Place, Platform[Any]]:
        """Start what is new; what is no longer wanted goes on until `settle`."""
        before = self._running
        self._running = {place: await self._running_on(place, settings) for place, settings in wanted.items()}
        self._replaced += [old for place, old in before.items() if self._running.get(place) is not old]
        return {place: verifier.platform for place, verifier in self._running.items()}

    async def settle(self) -> None:
        """Stop what the last `prepare` replaced."""
        while self._replaced:
            await self._replaced.pop().stop()

    async def stop(self) -> None:
        """Stop everything."""
        self._replaced += self._running.values()
        self._running = {}
        await self.settle()

    async def _running_on(self, place: Place, settings: PlatformSettings) -> Verifier:
        found = self._running.get(place)
        if found is not None and found.settings == settings:
            return found
        _, name = place
        outbound = self._connect(name, settings, self._clock)
        platform = PLATFORMS[name](settings, outbound, self._clock)
        await platform.start()
        return Verifier(settings, outbound, platform)
