"""Where the CPU of a request goes, part by part, seen by sampling a server under load.

Owns the rounds and the sums. The parts stand in `areas.py`; the server looks at itself in `sampled_server.py`.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bench.areas import AREAS
from bench.findings import Finding
from bench.rounds import Extent, LoadProcess, Target
from bench.servers import TICKS, ServerProcess
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, Wanted
from bench.workloads import (
    CLIENT_CREDENTIALS,
    CODE_EXCHANGE,
    INTROSPECTION,
    REFRESH,
    SILENT_LOGIN,
    USERINFO,
    Workload,
)

WORKLOADS = (CODE_EXCHANGE, REFRESH, CLIENT_CREDENTIALS, SILENT_LOGIN, INTROSPECTION, USERINFO)
CONNECTIONS = 32
PROFILE = "profile, "
"""What the names of these findings begin with."""
THREADS = "threads of the database and the log"
WHOLE = "in all, while sampled"
LINES = (*AREAS, THREADS, WHOLE)
WRITTEN_WITHIN = 10.0


class Profiles:
    """Each in one long round, with ES256 where an answer is signed."""

    name = "profiles"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        extent = Extent(1500, 3.0) if quick else Extent(6000, 6.0)
        system, seen = _Sampled(), directory / "seen.json"
        system.seen = seen
        count = extent.requests + 3 * extent.warm_up_requests
        system.prepare(directory, Wanted(codes=count, refresh_tokens=4 * CONNECTIONS))
        with closing(LoadProcess(cores.load)) as load, system.serve(cores) as running:
            target = Target(system, running, load)
            return [finding for one in WORKLOADS for finding in _profile(target, one, extent, seen)]


class _Sampled(Authsrv):
    """authsrv that looks at itself."""

    seen: Path

    def server(self, core: set[int]) -> ServerProcess:
        """Of `Authsrv`."""
        command = [sys.executable, "-m", "bench.sampled_server", str(self.seen), str(self.site.config)]
        return ServerProcess(command, self.site.port, self.site.directory / "authsrv.log", core)


def _profile(target: Target, workload: Workload, extent: Extent, seen: Path) -> list[Finding]:
    pid = target.running.server.tree.pid
    target.round(workload, "ES256", CONNECTIONS, replace(extent, requests=extent.warm_up_requests))
    os.kill(pid, signal.SIGUSR1)
    before = _loop_seconds(pid)
    one = target.round(workload, "ES256", CONNECTIONS, replace(extent, warm_up_requests=1))
    assert one is not None
    loop_us = (_loop_seconds(pid) - before) / one.requests * 1e6
    os.kill(pid, signal.SIGUSR2)
    return list(_findings(workload.name, _written(seen), loop_us, one.cpu_us))


def _findings(name: str, seen: Mapping[str, int], loop_us: float, whole_us: float) -> list[Finding]:
    """The loop's CPU shared out by what was seen; the rest is that of the other threads. Microseconds per request."""
    whole_seen = sum(seen.values())
    parts = {area: loop_us * seen.get(area, 0) / whole_seen for area in AREAS}
    parts |= {THREADS: whole_us - loop_us, WHOLE: whole_us}
    return [Finding(f"{PROFILE}{name}: {part}", [value], "us") for part, value in parts.items()]


def _loop_seconds(pid: int) -> float:
    """CPU time of the thread that runs the event loop."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _written(file: Path) -> Mapping[str, int]:
    deadline = time.monotonic() + WRITTEN_WITHIN
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the sampled server did not write what it saw")
        time.sleep(0.01)
    seen: dict[str, int] = json.loads(file.read_text())
    file.unlink()
    return seen
