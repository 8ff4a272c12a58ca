"""A second opinion on the load generator: the same request sent by wrk, where it is installed.

Owns running wrk and reading what it says. wrk checks statuses only, so nothing else of a run is its.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from bench.findings import Finding
from bench.forms import client_credentials
from bench.plan import CONNECTIONS
from bench.rounds import Extent, LoadProcess, Target
from bench.seed import HOST
from bench.site import BACKENDS
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, Wanted
from bench.systems.token_requests import TOKEN
from bench.workloads import CLIENT_CREDENTIALS

_RATE = re.compile(r"^Requests/sec:\s*([\d.]+)", re.MULTILINE)
_WRONG = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)


class SecondOpinion:
    """Requests per second of client_credentials as wrk counts them, over what the load generator counts next to it."""

    name = "wrk"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        if shutil.which("wrk") is None:
            return []
        system, seconds, script = Authsrv(), 1 if quick else 3, directory / "request.lua"
        system.prepare(directory, Wanted(0, 0, players=1))
        script.write_text(_script())
        load, extent = LoadProcess(cores.load), Extent(10**6, seconds)
        with system.serve(cores) as running:
            target = Target(system, running, load)
            target.round(CLIENT_CREDENTIALS, "ES256", CONNECTIONS, extent)  # wrk does not warm up by itself
            pairs = [
                (_by_wrk(script, running.port, seconds), target.round(CLIENT_CREDENTIALS, "ES256", CONNECTIONS, extent))
                for _ in range(2 if quick else 5)
            ]
        load.close()
        times = [rate / ours.rate for rate, ours in pairs if ours]
        return [Finding("client_credentials, requests/s by wrk over those by the load generator", times, "x")]


def _script() -> str:
    body = urlencode(client_credentials(BACKENDS["ES256"]))
    kind = "application/x-www-form-urlencoded"
    return (
        f'wrk.method = "POST"\nwrk.body = "{body}"\n'
        f'wrk.headers["Content-Type"] = "{kind}"\nwrk.headers["Host"] = "{HOST}"\n'
    )


def _by_wrk(script: Path, port: int, seconds: int) -> float:
    options = [
        "--threads",
        "1",
        "--connections",
        str(CONNECTIONS),
        "--duration",
        f"{seconds}s",
        "--script",
        str(script),
    ]
    address = f"http://127.0.0.1:{port}{TOKEN}"
    said = subprocess.run(["wrk", *options, address], check=True, stdout=subprocess.PIPE, text=True).stdout
    return read_rate(said)


def read_rate(said: str) -> float:
    """Requests per second out of wrk's text. Raises `ValueError` when answers were wrong, or there is none."""
    rate, wrong = _RATE.search(said), _WRONG.search(said)
    if rate is None or wrong is not None:
        raise ValueError(f"wrk: {said[-500:]}")
    return float(rate[1])
