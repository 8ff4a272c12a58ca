"""A circuit breaker as a pure state machine: when a struggling platform is left alone, and when it is asked again.

Owns the counting. Knows no network and no platform; it does not wait, sleep or log.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Literal, NewType

from authsrv.records import dataclass

BreakerState = Literal["closed", "open", "half_open"]
Permit = NewType("Permit", int)
"""Leave to make one call; to be given back by `record` or `abandon`."""

Verdict = Literal[
    "success",  # the platform answered and decided
    "failure",  # no connection, no answer in time, a broken answer, 5xx
    "denied",  # 401 or 403 about our own key
    "throttled",  # 429
]


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When the circuit opens and for how long. Times are in seconds.

    It opens after `row` failures in a row, after `denials` denied calls in a row, after one throttled call, or when
    `share` of at least `calls` calls within `window` failed. It stays open for `pause`, doubling up to `longest` while
    probes fail; for `longest` at once when denied or throttled, because going on would get our address banned.
    """

    row: int = 5
    denials: int = 3
    share: float = 0.5
    calls: int = 20
    window: float = 10
    pause: float = 10
    longest: float = 60


class Breaker:
    """The circuit to one platform.

    Closed: every call may go out. Open: none. Half open, once the pause is over: one probe, whose outcome closes the
    circuit or opens it again. Outcomes of calls that began before the last change of state are ignored.
    """

    def __init__(self, clock: Callable[[], float], policy: BreakerPolicy | None = None) -> None:
        self._clock = clock
        self._policy = policy or BreakerPolicy()
        self._reading = clock()
        self._elapsed = 0.0
        self._era = 0
        self._open_until: float | None = None
        self._pause = 0.0
        self._probing = False
        self._failures_in_row = 0
        self._denials_in_row = 0
        self._recent: deque[tuple[float, bool]] = deque()
        self._recent_failures = 0

    @property
    def state(self) -> BreakerState:
        """Closed, open (nothing goes out) or half open (one probe may go, or is under way)."""
        if self._open_until is None:
            return "closed"
        return "open" if self._now() < self._open_until else "half_open"

    @property
    def retry_after(self) -> int:
        """Whole seconds after which asking again makes sense, at least 1."""
        return max(1, math.ceil((self._open_until or 0) - self._now()))

    def admit(self) -> Permit | None:
        """Leave for one call, or None while the circuit is open or its probe is under way."""
        state = self.state
        if state == "open" or self._probing:
            return None
        self._probing = state == "half_open"
        return Permit(self._era)

    def abandon(self, permit: Permit) -> None:
        """The call taught nothing about the platform. Does nothing after `record`."""
        if permit == self._era:
            self._probing = False

    def record(self, permit: Permit, verdict: Verdict) -> None:
        """How the call ended."""
        if permit != self._era:
            return
        if verdict == "throttled":
            self._open(self._policy.longest)
        elif verdict == "failure":
            self._count_failure()
        elif verdict == "denied" and self._denials_in_row + 1 >= self._policy.denials:
            self._denials_in_row += 1
            self._open(self._policy.longest)
        else:
            self._denials_in_row = self._denials_in_row + 1 if verdict == "denied" else 0
            self._count_answer()

    def _count_answer(self) -> None:
        if self._open_until is not None:
            self._close()
        self._failures_in_row = 0
        self._remember(failed=False)

    def _count_failure(self) -> None:
        self._failures_in_row += 1
        self._remember(failed=True)
        if self._open_until is not None or self._failures_in_row >= self._policy.row or self._too_many_failed():
            self._open(min(max(self._policy.pause, 2 * self._pause), self._policy.longest))

    def _too_many_failed(self) -> bool:
        calls = len(self._recent)
        return calls >= self._policy.calls and self._recent_failures >= calls * self._policy.share

    def _open(self, pause: float) -> None:
        self._pause = pause
        self._open_until = self._now() + pause
        self._begin_era()

    def _close(self) -> None:
        self._pause = 0.0
        self._open_until = None
        self._begin_era()

    def _begin_era(self) -> None:
        self._era += 1
        self._probing = False
        self._failures_in_row = 0
        self._recent.clear()
        self._recent_failures = 0

    def _remember(self, *, failed: bool) -> None:
        now = self._now()
        self._recent.append((now, failed))
        self._recent_failures += failed
        while self._recent[0][0] < now - self._policy.window:
            self._recent_failures -= self._recent.popleft()[1]

    def _now(self) -> float:
        """Seconds since the start. A clock that is set back must not stretch an open circuit."""
        reading = self._clock()
        self._elapsed += max(0.0, reading - self._reading)
        self._reading = reading
        return self._elapsed
