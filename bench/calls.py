"""What the HTTP client costs for one call to a platform, to hold a silent login against.

Owns the emulator and the process for it; the loop of calls is `bench.outbound_call`.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.findings import Finding
from bench.goals import CLIENT_CALL
from bench.plan import CONNECTIONS
from bench.servers import ROOT, running_on
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, Wanted


class Calls:
    """The call that every silent login of the run makes, from a bare process on the server's core."""

    name = "calls"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        system = Authsrv()
        system.prepare(directory, Wanted(0, 0, players=1))
        with system.emulator(cores.load):
            costs = [_cost(system, cores.server, 500 if quick else 1500) for _ in range(2 if quick else 5)]
        return [Finding(CLIENT_CALL, costs, "us", remark=f"httpcore, {CONNECTIONS} at once")]


def _cost(system: Authsrv, core: set[int], count: int) -> float:
    site = system.site
    options = [str(site.emulator_port), str(site.emulator_keys), str(count), str(CONNECTIONS)]
    with running_on(core):
        ended = subprocess.run(
            [sys.executable, "-m", "bench.outbound_call", *options],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    return float(ended.stdout)
