"""The demo as a user starts it: `authsrv demo` on free ports, with the clients of a test beside its own."""

import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from authsrv.emulator import client as emulator
from authsrv.emulator.toml import to_toml
from tests.support.processes import free_port
from tests.support.server import CHALLENGE
from tests.support.serving import Program

WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo. `state` is its directory."""

    issuer: str
    emulator_port: int
    state: Path

    @property
    def database(self) -> Path:
        return self.state / "authsrv.db"

    def authorize(self, client_id: str, redirect_uri: str, **changes: str) -> str:
        """The address at which a client begins a sign-in."""
        request = {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": "af0ifjsldkj",
            "nonce": "n-0S6_WzA2Mj",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return f"{self.issuer}/oauth2/authorize?{urlencode(request | changes)}"

    @contextmanager
    def faulty(self, platform: str) -> Iterator[Callable[[str], None]]:
        """Gives what begins a fault of a platform, by its name at the emulator; it ends with the block."""

        def begin(mode: str) -> None:
            emulator.set_fault(self.emulator_port, platform, mode, None)

        try:
            yield begin
        finally:
            begin("none")

    def reload_with(self, clients: Mapping[str, Mapping[str, Any]]) -> None:
        """Add clients to the configuration and let the server take it over."""
        file = self.state / "authsrv.toml"
        block = tomllib.loads(file.read_text(encoding="utf-8"))
        block["projects"]["demo"]["clients"] |= clients
        file.write_text(to_toml(block), encoding="utf-8")
        command = [sys.executable, "-m", "authsrv", "reload", "--config", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def demo_running(directory: Path) -> Iterator[Demo]:
    """The demo from when it can be used to the end of the block."""
    port, emulator_port, state = free_port(), free_port(), directory / "demo"
    ports = ("--port", str(port), "--emulator-port", str(emulator_port))
    program = Program("demo", *ports, "--state", str(state), cwd=directory)
    try:
        program.wait_for("Page: ")
        yield Demo(f"http://127.0.0.1:{port}", emulator_port, state)
    finally:
        program.kill()
