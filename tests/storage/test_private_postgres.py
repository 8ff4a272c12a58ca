"""The servers that tests start: nothing of them outlives the process that started them, whatever ends it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.processes import listens

pytestmark = pytest.mark.postgres

HOLDS_A_SERVER = """
import sys
from tests.support.postgres import private_server
with private_server() as server:
    print(server.directory, server.port, flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("ends", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_whoever_started_it(ends: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_SERVER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        directory, port = process.stdout.readline().split()
        assert listens(int(port))
        process.send_signal(ends)
    for _ in range(300):
        if not Path(directory).exists():
            break
        time.sleep(0.02)
    assert not Path(directory).exists()
    assert not listens(int(port))
