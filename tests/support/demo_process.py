"""`authsrv demo` as a process, and what it prints once it serves."""

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.processes import running


def demo(port: int, emulator_port: int, state: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """The demo on these ports, with its files below `state`; killed if it still runs at the end."""
    return running("demo", "--port", str(port), "--emulator-port", str(emulator_port), "--state", str(state / "demo"))


def announcement_of(process: subprocess.Popen[str]) -> str:
    """What the demo prints, up to its last line."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Page: "):
            return "".join(lines)
    pytest.fail("the demo ended:\n" + "".join(lines))
