"""Server processes pinned to one core, and what the kernel knows about them.

Owns starting, the first answer, CPU time, memory and stopping. Knows nothing of what is asked of a server.
"""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

AUTHSRV = str(Path(sys.executable).with_name("authsrv"))
DISCOVERY = "/.well-known/openid-configuration"
START_SECONDS = 20.0
POLL_SECONDS = 0.002
TICKS = os.sysconf("SC_CLK_TCK")


class DidNotStart(Exception):
    """A server did not answer; the text ends with what it said."""


def cores() -> tuple[set[int], set[int]]:
    """The server's core and the load generator's; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, {usable[-1]}


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


class ServerProcess:
    """A server that is running; leaving the block stops it and waits."""

    def __init__(self, command: Sequence[str], port: int, log: Path, core: set[int], path: str = DISCOVERY) -> None:
        self._command = command
        self._port = port
        self._log = log
        self._core = core
        self._path = path

    def __enter__(self) -> "ServerProcess":
        with self._log.open("wb") as output, running_on(self._core):
            began = time.perf_counter()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=installed_environment(),
            )
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
        """CPU time of all threads, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss(self) -> float:
        """Resident memory in MB (10^6 bytes)."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS:"))

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
            self._process.kill()
            self._process.wait()
