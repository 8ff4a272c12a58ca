"""The real program on a real port: an emulator, a configuration, and a server that can be killed and started again."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from authsrv.demo import configuration
from authsrv.emulator import client, host
from authsrv.emulator.toml import to_toml
from tests.support.processes import free_port

WAIT = 60.0
_LISTENING = "Uvicorn running on"


class Program:
    """`authsrv <arguments>` as a process. A thread reads its lines, so that it never waits for us."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "authsrv", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._silent = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._silent = True
            self._news.notify_all()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Until so many lines have held the text; fails when the program ends before."""

        def said() -> bool:
            return sum(text in line for line in self._lines) >= times

        with self._news:
            self._news.wait_for(lambda: self._silent or said(), WAIT)
        assert said(), self.output

    def wait_until_it_listens(self) -> None:
        self.wait_for(_LISTENING)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self._process.kill()
        self.ended()

    def ended(self) -> int:
        """The exit status, once it has ended by itself."""
        status = self._process.wait(WAIT)
        self._reader.join(WAIT)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        return status


class Place:
    """A directory with a configuration file, the port it names, and the emulated platforms it points at."""

    def __init__(self, directory: Path, emulator_port: int, keys: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.emulator = f"http://127.0.0.1:{emulator_port}"
        self.config = directory / "authsrv.toml"
        self.database = directory / "authsrv.db"
        platforms = host.platform_settings(host.load_or_generate(keys), self.emulator)
        services = host.service_settings(host.services(), self.emulator)
        self.block = configuration.configuration(self.port, directory, platforms, services)
        self.block["log"] = {"level": "info", "format": "json"}
        self.write(self.block)

    def write(self, block: Mapping[str, Any]) -> None:
        """Put this configuration into the file."""
        self.config.write_text(to_toml(block), encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        return subprocess.run(
            [sys.executable, "-m", "authsrv", *arguments, "--config", str(self.config)],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
            env={**os.environ, "NO_COLOR": "1"},
        )

    def start(self) -> Program:
        """`authsrv serve`, whether or not it will succeed."""
        return Program("serve", "--config", str(self.config), cwd=self.directory)

    @contextmanager
    def serving(self) -> Iterator[Program]:
        """`authsrv serve` from when it listens to the end of the block."""
        program = self.start()
        try:
            program.wait_until_it_listens()
            yield program
        finally:
            program.kill()


@contextmanager
def emulator_running(keys: Path) -> Iterator[int]:
    """The emulator as a process; its port."""
    port = free_port()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "authsrv", "emulator", "run", "--until-stdin-closes"),
            *("--port", str(port), "--keys", str(keys)),
        ],
        stdin=subprocess.PIPE,
    ) as process:
        try:
            while not client.healthy(port):
                assert process.poll() is None, "the emulator ended"
            yield port
        finally:
            process.kill()
