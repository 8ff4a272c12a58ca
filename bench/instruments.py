"""What metrics and the audit trail cost of a request: a share that must stay small.

Owns the process for it; the two applications and their rounds are `bench.overhead`.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.findings import Finding
from bench.servers import ROOT, running_on
from bench.systems.base import Cores

AT_MOST = 1.05


class Instruments:
    """Both together, for each kind of request on the hot path."""

    name = "instruments"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        extent = ["5", "320"] if quick else ["31", "320"]
        with running_on(cores.server):
            ended = subprocess.run(
                [sys.executable, "-m", "bench.overhead", str(directory), *extent],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        found: dict[str, list[float]] = json.loads(ended.stdout)
        remark = "CPU beside the same without both, in one process"
        return [Finding(f"metrics and audit, {kind}", each, "x", AT_MOST, remark) for kind, each in found.items()]
