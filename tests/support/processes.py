"""Programs of ours as processes of their own: free ports, start, and an end that leaves nothing behind."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(*arguments: str, cwd: Path | None = None, python: str = sys.executable) -> Iterator[subprocess.Popen[str]]:
    """`authsrv <arguments>` with its standard input and output as pipes; killed if it still runs at the end."""
    with subprocess.Popen(
        [python, "-m", "authsrv", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(url: str, process: subprocess.Popen[str], *, attempts: int = 300) -> bytes:
    """The body at `url`, as soon as the server that `process` runs gives one; AssertionError if it ends before."""
    for _ in range(attempts):
        assert process.poll() is None, process.communicate()[0]
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a loopback address of the test
                return bytes(answer.read())
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nobody answered at {url}")
