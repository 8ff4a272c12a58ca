"""How long the disk of the databases takes to keep what it was given, on which every durable answer waits."""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from bench.findings import Finding
from bench.systems.base import Cores

PAGE = bytes(4096)
TIMES = 100


class Disk:
    """Appending a page and `fdatasync`, one after the other by one process."""

    name = "disk"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        rounds = [_milliseconds(directory / "pages") for _ in range(2 if quick else 5)]
        return [Finding("disk: one page written and synced", rounds, "ms", remark=f"medians of {TIMES}")]


def _milliseconds(file: Path) -> float:
    taken = []
    with file.open("ab", buffering=0) as pages:
        for _ in range(TIMES):
            began = time.perf_counter()
            pages.write(PAGE)
            os.fdatasync(pages.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000
