"""Counters in windows of one minute: what this node counted, and what it heard of the other nodes.

Owns what is forgotten when, and what was told to the others already. Knows no rule, no quota and no store.
"""

from collections.abc import Callable
from dataclasses import dataclass

from authsrv.models import RATE_WINDOW, SharedCount

Clock = Callable[[], float]
"""Seconds; a monotonic clock will do."""

MAX_COUNTERS = 100_000
"""About 25 MB when full; then the oldest windows are forgotten first."""
_SAME_WINDOW = 2
"""Seconds by which a store that counts down in whole seconds may differ from itself about when one window ends."""


@dataclass(slots=True)
class _Counter:
    """`own` was counted here, `told` of it was sent to the store, `others` is what other nodes had sent there.

    `shared_end` is the end of the store's window in its own time, 0 before anything was heard of it.
    """

    ends_at: float
    own: int = 0
    told: int = 0
    others: int = 0
    shared_end: int = 0


class Windows:
    """Counters, each in a window of one minute that begins with its first event; never more than `max_counters`.

    Used by one thread.
    """

    def __init__(self, clock: Clock, max_counters: int) -> None:
        self._clock = clock
        self._max_counters = max_counters
        self._counters: dict[bytes, _Counter] = {}

    def add(self, key: bytes) -> int:
        """Count one event; the count so far in its window, on all nodes as far as is known."""
        counter = self._open_window(key) or self._begin(key)
        counter.own += 1
        return counter.own + counter.others

    def count(self, key: bytes) -> int:
        """The count of the open window, 0 if none is open."""
        counter = self._open_window(key)
        return counter.own + counter.others if counter else 0

    def untold(self, key: bytes) -> int:
        """What was counted here since `tell`."""
        counter = self._open_window(key)
        return counter.own - counter.told if counter else 0

    def tell(self, key: bytes) -> int:
        """What was counted here since the last call, which never comes again: the store may have taken it."""
        counter = self._open_window(key)
        if counter is None:
            return 0
        amount, counter.told = counter.own - counter.told, counter.own
        return amount

    def hear(self, key: bytes, shared: SharedCount, seconds: float) -> None:
        """Take over what the store has since it was told last; its window ends in `seconds`."""
        counter = self._open_window(key)
        if counter is None:
            return
        if counter.shared_end and shared.ends_at > counter.shared_end + _SAME_WINDOW:
            counter = self._begin_again(key, counter)
        # What was sent while the store failed may or may not be in its count, so that may seem too small.
        counter.others = max(counter.others, shared.count - counter.told)
        counter.shared_end = shared.ends_at
        counter.ends_at = self._clock() + min(seconds, RATE_WINDOW)

    def ends_at(self, key: bytes) -> float:
        """When the open window ends, in the clock's seconds; if none is open, when one begun now would."""
        counter = self._open_window(key)
        return counter.ends_at if counter else self._clock() + RATE_WINDOW

    def __len__(self) -> int:
        return len(self._counters)

    def _open_window(self, key: bytes) -> _Counter | None:
        counter = self._counters.get(key)
        return counter if counter and counter.ends_at > self._clock() else None

    def _begin(self, key: bytes) -> _Counter:
        self._counters.pop(key, None)
        self._make_room()
        # Windows end at about the order in which they began, which is the dict's order of insertion.
        counter = self._counters[key] = _Counter(self._clock() + RATE_WINDOW)
        return counter

    def _begin_again(self, key: bytes, counter: _Counter) -> _Counter:
        """The store's window was over before this node's. What it was told since, it counts with that of the others."""
        following = self._begin(key)
        following.own = counter.own - counter.told
        return following

    def _make_room(self) -> None:
        """Drop up to two ended windows, so that a quiet time shrinks what a busy one filled; and the oldest if full."""
        now = self._clock()
        for _ in range(2):
            oldest = next(iter(self._counters), None)
            if oldest is None or (self._counters[oldest].ends_at > now and len(self) < self._max_counters):
                return
            del self._counters[oldest]
