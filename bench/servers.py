"""Server processes pinned to one core, and what the kernel knows about them.

Owns starting, the first answer, CPU time, memory and stopping. Knows nothing of what is asked of a server.
"""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

AUTHSRV = str(Path(sys.executable).with_name("authsrv"))
DISCOVERY = "/.well-known/openid-configuration"
START_SECONDS = 60.0
POLL_SECONDS = 0.002
TICKS = os.sysconf("SC_CLK_TCK")
_PORTS = set(range(20_000, 32_000))
ROOT = Path(__file__).parents[1]
"""Where servers run, so that `python -m bench...` finds its module."""


class DidNotStart(Exception):
    """A server did not answer; the text ends with what it said."""


def cores() -> tuple[set[int], set[int]]:
    """The server's core and the load generator's; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, {usable[-1]}


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, and that nobody gets meanwhile: a system may start long after it was
    prepared, so they lie below those that the kernel gives to connections, and none is given twice.
    """
    tried = random.sample(sorted(_PORTS), len(_PORTS))
    found = list(islice((port for port in tried if _is_free(port)), count))
    _PORTS.difference_update(found)
    return found


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


@contextmanager
def running_on(core: set[int]) -> Iterator[None]:
    """What is started inside inherits the core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Start:
    """How a server came up: seconds until its first 200, CPU seconds spent by then, and its memory after it in MB."""

    seconds: float
    cpu: float
    rss: float


def installed_environment() -> dict[str, str]:
    """The environment of an installed program: Python may keep bytecode, so no start compiles the sources anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """A process with all that it started and that still runs: a master has workers, a database one process each."""

    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of all threads of all of them, and of those that ended and were waited for; user and system."""
        return sum(_ticks(pid) for pid in self._pids()) / TICKS

    def rss(self) -> float:
        """Resident memory in MB (10^6 bytes), summed; what several processes share counts in each."""
        return sum(_rss(pid) for pid in self._pids())

    def _pids(self) -> Iterator[int]:
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
        found = [self.pid]
        while found:
            yield (pid := found.pop())
            found += children.get(pid, [])


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _ticks(pid: int) -> int:
    """Nothing for one that has just ended: its parent has it."""
    with suppress(OSError):
        return sum(int(field) for field in _stat(pid)[11:15])
    return 0


def _rss(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS:")), 0.0)


class ServerProcess:
    """A server that is running; leaving the block stops it and waits. It is up when `path` is answered with 200."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        core: set[int],
        *,
        path: str = DISCOVERY,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._port = port
        self._log = log
        self._core = core
        self._path = path
        self._environment = installed_environment() | dict(environment or {})

    def __enter__(self) -> "ServerProcess":
        with self._log.open("wb") as output, running_on(self._core):
            began = time.perf_counter()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=ROOT,
                env=self._environment,
            )
        self.tree = ProcessTree(self._process.pid)
        try:
            self._await_answer(began + START_SECONDS)
        except DidNotStart:
            self._end()
            raise
        self.start = Start(time.perf_counter() - began, self.cpu_seconds(), self.rss())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end()

    def cpu_seconds(self) -> float:
        """CPU time of the whole tree."""
        return self.tree.cpu_seconds()

    def rss(self) -> float:
        """Resident memory of the whole tree in MB."""
        return self.tree.rss()

    def _await_answer(self, deadline: float) -> None:
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() > deadline:
                raise DidNotStart(f"{' '.join(self._command[:3])}: {self._log.read_text()[-2000:]}")
            time.sleep(POLL_SECONDS)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", self._path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _end(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # a master that does not listen has workers
            self._process.wait()
