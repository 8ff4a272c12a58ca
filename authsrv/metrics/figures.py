"""What counts: plain numbers behind labels, cheap enough for every request.

Owns that labels stay few: a caller passes words of ours, and what goes beyond the bound is counted together. Knows
neither what is counted nor who reads it. Used by one thread; another one that reads sees numbers of about one moment.
"""

from bisect import bisect_left
from collections.abc import Sequence

Labels = tuple[str, ...]

OTHER = "other"
"""The label of everything that has none of its own."""
MOST_LABELS = 1_000
"""Different labels of one figure at most. A bug must not make a series for every player."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for durations."""


class Counts:
    """How often something happened, by labels. `known` labels begin at 0, so that the first event is seen as a rise."""

    __slots__ = ("_counted", "_most")

    def __init__(self, known: Sequence[Labels] = (), most: int = MOST_LABELS) -> None:
        self._counted: dict[Labels, int] = dict.fromkeys(known, 0)
        self._most = most

    def add(self, *labels: str) -> None:
        """Count one."""
        counted = self._counted
        if labels not in counted and len(counted) >= self._most:
            labels = (OTHER,) * len(labels)
        counted[labels] = counted.get(labels, 0) + 1

    def items(self) -> list[tuple[Labels, int]]:
        """Every count and its labels."""
        return list(self._counted.items())


class Spread:
    """How numbers are spread over ranges; `bounds` are their upper ends, inclusive."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one number."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    @property
    def total(self) -> float:
        """The sum of all numbers."""
        return self._total

    def cumulated(self) -> list[tuple[float, int]]:
        """Of each range the upper end, and how many numbers were not above it; infinity last."""
        found, reached = [], 0
        for bound, count in zip((*self._bounds, float("inf")), tuple(self._counts), strict=True):
            reached += count
            found.append((bound, reached))
        return found


class Spreads:
    """A spread for each set of labels."""

    __slots__ = ("_bounds", "_most", "_spreads")

    def __init__(self, bounds: Sequence[float] = SECONDS, most: int = MOST_LABELS) -> None:
        self._bounds = bounds
        self._most = most
        self._spreads: dict[Labels, Spread] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count one number."""
        found = self._spreads.get(labels)
        if found is None:
            found = self._new(labels)
        found.observe(value)

    def _new(self, labels: Labels) -> Spread:
        if len(self._spreads) >= self._most:
            labels = (OTHER,) * len(labels)
        return self._spreads.setdefault(labels, Spread(self._bounds))

    def items(self) -> list[tuple[Labels, Spread]]:
        """Every spread and its labels."""
        return list(self._spreads.items())
