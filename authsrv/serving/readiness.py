"""Whether this process should get traffic: started, not draining, able to write; degraded parts are named only.

Owns how probes are run and how long their outcome counts. Knows no storage, no platform and no HTTP.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Probe = Callable[[], Awaitable[None]]
"""Returns when the part works, raises anything when it does not."""

State = Literal["ready", "starting", "draining", "failing"]


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """What to tell a load balancer. `failed` and `degraded` are names of probes; only `failed` makes it red."""

    state: State
    failed: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether traffic is welcome."""
        return self.state == "ready"


class Readiness:
    """The one switch between starting, ready and draining, with the probes that must hold while ready.

    `checks` must all pass; `providers` that fail are listed as degraded. Probes run at most once in `fresh_for`
    seconds, together, each for at most `deadline` seconds, however many callers ask.
    """

    def __init__(
        self,
        checks: Mapping[str, Probe] | None = None,
        providers: Mapping[str, Probe] | None = None,
        *,
        deadline: float = 2.0,
        fresh_for: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = dict(checks or {})
        self._providers = dict(providers or {})
        self._deadline = deadline
        self._fresh_for = fresh_for
        self._clock = clock
        self._started = False
        self._draining = False
        self._probed = ReadinessReport("ready")
        self._probed_at: float | None = None
        self._probing = asyncio.Lock()

    @property
    def draining(self) -> bool:
        """Whether the process is about to stop."""
        return self._draining

    def start(self) -> None:
        """Everything is loaded; from now on the probes decide."""
        self._started = True

    def drain(self) -> None:
        """Red from now on, for good."""
        self._draining = True

    async def report(self) -> ReadinessReport:
        """The state now; the probes' part of it at most `fresh_for` seconds old."""
        if self._draining:
            return ReadinessReport("draining")
        if not self._started:
            return ReadinessReport("starting")
        async with self._probing:
            if self._probed_at is None or self._clock() - self._probed_at >= self._fresh_for:
                self._probed = await self._probe()
                self._probed_at = self._clock()
        return ReadinessReport("draining") if self._draining else self._probed

    async def _probe(self) -> ReadinessReport:
        failed, degraded = await asyncio.gather(self._failing(self._checks), self._failing(self._providers))
        return ReadinessReport("failing" if failed else "ready", failed, degraded)

    async def _failing(self, probes: Mapping[str, Probe]) -> tuple[str, ...]:
        passed = await asyncio.gather(*(self._passes(probe) for probe in probes.values()))
        return tuple(name for name, good in zip(probes, passed, strict=True) if not good)

    async def _passes(self, probe: Probe) -> bool:
        try:
            async with asyncio.timeout(self._deadline):
                await probe()
        except Exception:
            return False
        return True
