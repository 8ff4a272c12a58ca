"""What a start, an idle server and `authsrv --help` cost.

Owns these three measurements of authsrv; its peers are not started over and over.
"""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.servers import AUTHSRV, Start, running_on
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores


@dataclass(frozen=True, slots=True)
class Starts:
    """One entry for each start: a server's seconds to the first 200, CPU and memory, and the seconds of `--help`."""

    servers: Sequence[Start]
    help_seconds: Sequence[float]


def measure_starts(system: Authsrv, cores: Cores, count: int) -> Starts:
    """Start it so many times, and once before that is not counted."""
    with system.emulator(cores.load):
        servers = [_start(system, cores.server) for _ in range(count + 1)]
    return Starts(servers[1:], [_help(cores.server) for _ in range(count + 1)][1:])


def _start(system: Authsrv, core: set[int]) -> Start:
    with system.server(core) as process:
        return process.start


def _help(core: set[int]) -> float:
    with running_on(core):
        began = time.perf_counter()
        subprocess.run([AUTHSRV, "--help"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began
