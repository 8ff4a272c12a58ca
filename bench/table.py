"""Everything that a run found, as one document: what the text, the chart and the figures of the documents come from.

Owns its shape and its sums (medians, ratios of neighbouring rounds). Measures nothing and prints nothing.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.findings import Finding
from bench.rounds import Round


@dataclass(frozen=True, slots=True)
class Measured:
    """All rounds of one system in one row. The rounds of a row are neighbours by their index, system by system."""

    system: str
    rounds: Sequence[Round]

    @property
    def rate(self) -> float:
        """Requests per second, the median."""
        return statistics.median(one.rate for one in self.rounds)

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU per request, the median."""
        return statistics.median(one.cpu_us for one in self.rounds)

    def latency(self, name: str) -> float:
        """Milliseconds by the name of a percentile, the median of the rounds."""
        return statistics.median(one.latency.get(name, 0.0) for one in self.rounds)

    @property
    def failures(self) -> int:
        """Answers that were wrong or did not come, in all rounds."""
        return sum(one.failures for one in self.rounds)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of request at one number of connections, by every system that can do it."""

    name: str
    connections: int
    measured: Sequence[Measured]

    def of(self, system: str) -> Measured | None:
        """The rounds of a system, None for a dash."""
        return next((one for one in self.measured if one.system == system), None)


@dataclass(frozen=True, slots=True)
class About:
    """A system in words."""

    name: str
    versions: str
    durability: str
    memory: float
    """Resident MB after all rounds."""


@dataclass(frozen=True, slots=True)
class Results:
    """A run."""

    date: str
    machine: Mapping[str, str]
    seconds: float
    systems: Mapping[str, About]
    rows: Sequence[Row]
    findings: Sequence[Finding] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Systems that this machine could not have, and why."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Probes that found nothing, and why."""


def ratios(one: Measured, other: Measured) -> list[float]:
    """CPU per request of one over the other, round by round."""
    pairs = zip(one.rounds, other.rounds, strict=False)
    return [mine.cpu_us / theirs.cpu_us for mine, theirs in pairs if theirs.cpu_us]
