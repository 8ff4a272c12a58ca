"""What a start, an idle server and `authsrv --help` cost.

Owns these measurements of authsrv; its peers are not started over and over.
"""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.findings import Finding
from bench.servers import AUTHSRV, Start, running_on
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, Wanted

START_SECONDS, IDLE_MB, HELP_SECONDS = 0.6, 80.0, 0.3


class Starts:
    """Cold starts to the first 200 on discovery; memory after it; `--help`. One start before is not counted."""

    name = "starts"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        system, count = Authsrv(), 2 if quick else 5
        system.prepare(directory, Wanted(0, 0, players=1))
        with system.emulator(cores.load):
            servers = [_start(system, cores.server) for _ in range(count + 1)][1:]
        helps = [_help(cores.server) for _ in range(count + 1)][1:]
        return [
            Finding("cold start to the first 200", [one.seconds for one in servers], "s", START_SECONDS),
            Finding("CPU of a cold start", [one.cpu for one in servers], "s"),
            Finding("idle memory after the first request", [one.rss for one in servers], "MB", IDLE_MB),
            Finding("authsrv --help", helps, "s", HELP_SECONDS),
        ]


def _start(system: Authsrv, core: set[int]) -> Start:
    with system.server(core) as process:
        return process.start


def _help(core: set[int]) -> float:
    with running_on(core):
        began = time.perf_counter()
        subprocess.run([AUTHSRV, "--help"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began
