"""A private Redis for tests, on a port of its own, which ends with the test that started it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import free_port, listens


@dataclass(slots=True)
class Redis:
    """A server that can be stopped and started, and forgets everything then. `options` are lines of its settings."""

    directory: Path
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns once it listens."""
        lines = ["bind 127.0.0.1", f"dir {self.directory}", 'save ""', *self.options]
        if not any(line.startswith("tls-port") for line in self.options):
            lines.append(f"port {self.port}")
        file = self.directory / "redis.conf"
        file.write_text("\n".join(lines))
        binary = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
        with (self.directory / "redis.log").open("wb") as output:
            self._process = subprocess.Popen([binary, str(file)], stdout=output, stderr=output)
        for _ in range(500):
            assert self._process.poll() is None, (self.directory / "redis.log").read_text()
            if listens(self.port):
                return
            time.sleep(0.01)
        raise AssertionError("the server does not listen")

    def freeze(self) -> None:
        """It keeps its connections, and answers nobody."""
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)

    def stop(self) -> None:
        """Killed: whoever is connected to it learns of it at once."""
        if self._process:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def running_redis(directory: Path, *options: str, port: int | None = None) -> Iterator[Redis]:
    """A server that listens, for as long as the block lasts."""
    server = Redis(directory, options, port or free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
