"""A cluster on loopback: nodes on one database and nginx in front, each a process that can be killed and started again.

Owns configuration, processes and ports; nginx has the file that docs/deploy/ shows. Knows neither the load nor what is
checked.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from authsrv.demo import configuration
from authsrv.emulator.toml import to_toml
from tests.cluster.people import platform_blocks
from tests.support.processes import free_port, listens
from tests.support.proxies import Nginx, Place
from tests.support.serving import emulator_running

WAIT = 120.0
"""Seconds; a start takes one, and many times that on a machine that does much else."""
_POLL = 0.01
Settings = Mapping[str, Mapping[str, Any]]
"""What is added to the blocks of a configuration, by their names."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Database(Protocol):
    """Where the nodes keep everything."""

    @property
    def url(self) -> str:
        """As a configuration names it."""

    def stop(self) -> None:
        """End it as a power cut would."""

    def start(self) -> None:
        """Start it, and wait until it answers."""


@dataclass
class SqliteFile:
    """A file, for a single node."""

    url: str

    def stop(self) -> None:
        """A file does not run."""

    def start(self) -> None:
        """A file does not run."""


def until(happened: Callable[[], object], what: str, seconds: float = WAIT) -> None:
    """Look again and again. AssertionError when it does not happen in that time."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(_POLL)


class Process:
    """A command, what it said, and the signals that it gets."""

    def __init__(self, command: Sequence[str], log: Path, port: int) -> None:
        self.port = port
        self.log = log
        self._command = command
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the process, which must run."""
        assert self._running
        return self._running.pid

    def begin(self) -> None:
        """Start it, without waiting for anything."""
        with self.log.open("ab") as output:
            self._running = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.log.parent
            )

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        self.begin()
        self.wait_until_it_listens()

    def wait_until_it_listens(self) -> None:
        """AssertionError, with what it said, if it ends before."""
        assert self._running
        running, deadline = self._running, time.monotonic() + WAIT
        while running.poll() is None and time.monotonic() < deadline:
            if listens(self.port):
                return
            time.sleep(_POLL)
        raise AssertionError(f"nobody listens on {self.port}, status {running.poll()}: {self.log.read_text()[-3000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send it one."""
        assert self._running
        self._running.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would. One that ended before is no mistake."""
        if self._running:
            self._running.kill()
            self._running.wait(WAIT)

    def stop(self) -> None:
        """End it in good order, nginx with its workers."""
        if self._running and self._running.poll() is None:
            self._running.terminate()
            self._running.wait(WAIT)

    def ended(self) -> int:
        """The exit status, once it has ended by itself."""
        assert self._running
        return self._running.wait(WAIT)

    def cpu_seconds(self) -> float:
        """CPU time of all its threads, user and system, since it was started."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass
class Cluster:
    """What runs. `port` is where clients ask: the balancer's, or that of a node which is alone."""

    directory: Path
    port: int
    database: Database
    nodes: list[Process]
    keys: Path

    @property
    def host(self) -> str:
        """As it stands in a Host header."""
        return f"127.0.0.1:{self.port}"

    def said(self) -> str:
        """The end of what all nodes wrote, for a failed test."""
        return "\n".join(f"--- {node.log.name}\n{node.log.read_text()[-2000:]}" for node in self.nodes)


@dataclass(frozen=True)
class _Site:
    """What all nodes of a cluster have in common."""

    directory: Path
    port: int
    url: str
    platforms: Mapping[str, Any]
    settings: Settings

    def node(self, port: int) -> Process:
        """A node on a port of its own, not yet started."""
        config = self.directory / f"{port}.toml"
        config.write_text(to_toml(self._block(port)), encoding="utf-8")
        command = (sys.executable, "-m", "authsrv", "serve", "--config", str(config))
        return Process(command, self.directory / f"{port}.log", port)

    def _block(self, port: int) -> dict[str, Any]:
        block = configuration.configuration(self.port, self.directory, self.platforms, {})
        project = block["projects"][configuration.PROJECT]
        project["clients"]["backend"] |= {"manage_players": True}
        project["accounts"] = {"identities": 10, "reauthentication": 86400}
        own = {"port": port, "trusted_proxies": ["127.0.0.1"], "control_socket": str(self.directory / f"{port}.sock")}
        ours: dict[str, Any] = {
            "server": own,
            "database": {"url": self.url},
            "limits": {"multiplier": 1000},
            "log": {"level": "warning", "format": "json"},
        }
        for settings in (ours, self.settings):
            block |= {name: {**block.get(name, {}), **changes} for name, changes in settings.items()}
        return block


@contextmanager
def cluster(
    directory: Path, database: Database, *, nodes: int = 3, settings: Settings | None = None
) -> Iterator[Cluster]:
    """Three nodes behind nginx, or one alone. `settings` are added to the configuration's blocks of those names."""
    keys, ports = directory / "emulator", [free_port() for _ in range(nodes)]
    port = free_port() if nodes > 1 else ports[0]
    with ExitStack() as stack:
        emulator = stack.enter_context(emulator_running(keys))
        platforms = platform_blocks(keys, f"http://127.0.0.1:{emulator}")
        site = _Site(directory, port, database.url, platforms, settings or {})
        made = [site.node(each) for each in ports]
        _migrate(directory / f"{ports[0]}.toml")
        for process in made if nodes == 1 else [*made, _balancer(directory, port, ports)]:
            stack.callback(process.kill)
            stack.callback(process.stop)
            process.start()
        yield Cluster(directory, port, database, made, keys)


def _migrate(config: Path) -> None:
    command = (sys.executable, "-m", "authsrv", "migrate", "--config", str(config))
    done = subprocess.run(command, cwd=config.parent, capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _balancer(directory: Path, port: int, nodes: Sequence[int]) -> Process:
    """nginx as it is deployed, but without TLS."""
    place = Place(directory / "nginx", port, directory / "no certificate")
    place.directory.mkdir()
    proxy = Nginx()
    proxy.prepare(place, nodes)
    site = place.directory / "authsrv.conf"
    plain = re.sub(r"(?m)^ *ssl_.*\n", "", site.read_text("utf-8").replace(" ssl http2;", ";"))
    site.write_text(plain, "utf-8")
    return Process(proxy.run(place), directory / "nginx.log", port)
