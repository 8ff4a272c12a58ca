"""What runs for a project because its configuration says so: started, kept over a reload, stopped.

Owns that lifecycle, whatever it is that runs. Knows no service by name, and not what it is asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from authsrv.outbound.breaker import BreakerState
from authsrv.outbound.figures import CallFigures, HostVitals
from authsrv.platforms.base import Clock, Outbound, PlatformSettings
from authsrv.records import dataclass
from authsrv.serving.readiness import Absent, PartDown

START_PAUSE = 1.0
"""Seconds before new platforms load their key lists: the server answers first. A login before that loads them too."""
LONGEST_LOGIN = 15
"""Seconds after which no login can still be waiting for what a reload replaced."""

Sleep = Callable[[float], Awaitable[None]]
Place = tuple[str, str]
"""A project's key and the service's name."""


class Connections(Outbound, Protocol):
    """A service's way out that somebody must close."""

    @property
    def state(self) -> BreakerState:
        """Whether calls go out, or are held back because nobody answers."""

    figures: CallFigures
    """Where calls are counted."""

    def vitals(self) -> Sequence[HostVitals]:
        """How the way to each host is."""

    async def start(self) -> None:
        """Make ready what calls need, or the first one would spend a part of its time with that."""

    async def aclose(self) -> None:
        """Close every connection, after the service has stopped."""


Connect = Callable[[str, PlatformSettings, Clock], Connections]
"""Makes the way out to a service, by its name and settings."""


class Service(Protocol):
    """Anything that runs between two reloads."""

    async def start(self) -> None:
        """Load what can be loaded ahead. A failure is not fatal and is not raised."""

    async def stop(self) -> None:
        """End background work."""


S = TypeVar("S", bound=Service)
Make = Callable[[Place, Any, Outbound, Clock], S]
"""Makes what runs at a place, of its settings and its way out."""


@dataclass(frozen=True, slots=True)
class Running(Generic[S]):
    """One service of one project."""

    settings: PlatformSettings
    outbound: Connections
    service: S

    async def stop(self) -> None:
        """End its background work, then its connections."""
        await self.service.stop()
        await self.outbound.aclose()


class Services(Generic[S]):
    """The services of all projects. One whose settings stay the same is kept across reloads, with all it knows."""

    def __init__(self, clock: Clock, connect: Connect, make: Make[S], sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._connect = connect
        self._make = make
        self._sleep = sleep
        self._running: dict[Place, Running[S]] = {}
        self._replaced: list[Running[S]] = []
        self._new: list[Running[S]] = []
        self._working: dict[asyncio.Task[None], Sequence[Running[S]]] = {}
        self.figures = CallFigures()

    def prepare(self, wanted: Mapping[Place, PlatformSettings]) -> Mapping[Place, S]:
        """Make what is new; what is no longer wanted goes on until `settle`."""
        before = self._running
        self._running = {place: self._running_on(place, settings) for place, settings in wanted.items()}
        self._replaced += [old for place, old in before.items() if self._running.get(place) is not old]
        return {place: running.service for place, running in self._running.items()}

    def settle(self) -> None:
        """Start what the last `prepare` made; stop what it replaced, once the logins under way there have ended."""
        if self._new:
            self._begin(self._start_later(self._new), [])
        if self._replaced:
            self._begin(self._stop_later(self._replaced), self._replaced)
        self._new, self._replaced = [], []

    def _begin(self, work: Coroutine[Any, Any, None], leaving: Sequence[Running[S]]) -> None:
        task = asyncio.create_task(work)
        self._working[task] = leaving
        task.add_done_callback(self._working.pop)

    async def probe(self, name: str) -> None:
        """Raise `PartDown` while calls to this service are held back for some project, `Absent` if none has it."""
        found = [running.outbound.state for (_, known), running in self._running.items() if known == name]
        if not found:
            raise Absent
        if "open" in found:
            raise PartDown("circuit_open")

    def vitals(self) -> list[tuple[str, HostVitals]]:
        """Each service that runs, by name, and how the way to each of its hosts is."""
        return [(name, one) for (_, name), running in self._running.items() for one in running.outbound.vitals()]

    async def stop(self) -> None:
        """Stop everything, now."""
        for task in list(self._working):
            task.cancel()
        leaving = [running for services in self._working.values() for running in services]
        for running in (*leaving, *self._replaced, *self._running.values()):
            await running.stop()
        self._replaced, self._running = [], {}

    async def _start_later(self, new: Sequence[Running[S]]) -> None:
        await self._sleep(START_PAUSE)
        for running in new:
            await running.outbound.start()
            await running.service.start()

    async def _stop_later(self, leaving: Sequence[Running[S]]) -> None:
        await self._sleep(LONGEST_LOGIN)
        for running in leaving:
            await running.stop()

    def _running_on(self, place: Place, settings: PlatformSettings) -> Running[S]:
        found = self._running.get(place)
        if found is not None and found.settings == settings:
            return found
        _, name = place
        outbound = self._connect(name, settings, self._clock)
        outbound.figures = self.figures
        running = Running(settings, outbound, self._make(place, settings, outbound, self._clock))
        self._new.append(running)
        return running
