"""Whether this process should get traffic: started, not draining, able to write; degraded parts are named only.

Owns how probes are run and how long their outcome counts. Knows no storage, no platform and no HTTP.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Final, Literal

from authsrv.records import dataclass

Probe = Callable[[], Awaitable[None]]
"""Returns when the part works, raises anything when it does not."""

State = Literal["ready", "starting", "draining", "failing"]
OK: Final = "ok"


class PartDown(Exception):
    """A part does not work, and why, as a code of ours that may be told to everybody."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class Absent(Exception):
    """The configuration does not have the part; nothing is told of it."""


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """What to tell a load balancer. `failed` and `degraded` are names of parts; only `failed` makes it red.

    `parts` has every part that was asked, and how it is: `ok`, `failing`, `no_answer`, or a code of its own.
    """

    state: State
    failed: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)

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
        checks, providers = await asyncio.gather(self._states(self._checks), self._states(self._providers))
        failed, degraded = _down(checks), _down(providers)
        return ReadinessReport("failing" if failed else "ready", failed, degraded, {**checks, **providers})

    async def _states(self, probes: Mapping[str, Probe]) -> dict[str, str]:
        found = await asyncio.gather(*(self._state(probe) for probe in probes.values()))
        return {name: state for name, state in zip(probes, found, strict=True) if state}

    async def _state(self, probe: Probe) -> str:
        try:
            async with asyncio.timeout(self._deadline):
                await probe()
        except PartDown as down:
            return down.why
        except Absent:
            return ""
        except TimeoutError:
            return "no_answer"
        except Exception:
            return "failing"
        return OK


def _down(states: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name, state in states.items() if state != OK)
