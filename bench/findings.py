"""What is found beside the rows of requests: starts, memory, sizes, growth; each with its goal, if it has one.

Owns the shape of a finding and of what finds some. Knows none of them.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.systems.base import Cores


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure of this run. `values` are its repetitions, in `unit` (`s`, `MB`, `us`, a bare ratio `x`, ...)."""

    name: str
    values: Sequence[float]
    unit: str
    at_most: float | None = None
    """The goal, for the median."""
    remark: str = ""
    """How it was found, in half a sentence."""

    @property
    def median(self) -> float:
        """The figure."""
        return statistics.median(self.values)


class Probe(Protocol):
    """Something that finds figures with servers of its own. Registered in `bench.probes`."""

    name: str
    """For `--only`."""

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Measure. `directory` is empty, on a disk, and gone afterwards; the caller runs on the load core."""
