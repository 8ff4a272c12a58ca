"""The slowest answers at a rate below what the server can do, and what becomes of them while a million rows are swept.

Owns the order of these rounds. Each request is timed from when it was due, so a pause of the server is charged to all
that came in it.
"""

import os
import signal
import sqlite3
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from bench.filling import Grown
from bench.findings import Finding
from bench.orders import Order
from bench.rounds import Extent, LoadProcess, Round, Target
from bench.servers import ServerProcess
from bench.systems.base import Cores, Wanted
from bench.systems.grown import prepared
from bench.workloads import CLIENT_CREDENTIALS, CODE_EXCHANGE, REFRESH, Workload

WORKLOADS = (CODE_EXCHANGE, REFRESH, CLIENT_CREDENTIALS)
CONNECTIONS = 32
AT_A_RATE = 128
"""Connections at a fixed rate: a request that is due seldom waits for one that is free."""
SHARE = 0.7
"""Of the most that `CONNECTIONS` got in the round before."""
MOST = 2000
"""Requests per second at most, for a stock of codes has an end."""
TAIL_AT_MOST, SWEEPING_AT_MOST = 10.0, 2.0


class WrongAnswers(Exception):
    """Some requests of a round failed; the text says why."""


class Tails:
    """Token requests at a share of what is possible, on a hundred thousand grants."""

    name = "tails"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        repetitions, extent = _size(quick=quick)
        a_repetition = extent.requests + extent.warm_up_requests + round(MOST * extent.seconds)
        wanted = Wanted(codes=repetitions * a_repetition, refresh_tokens=repetitions * (CONNECTIONS * 2 + AT_A_RATE))
        system = prepared(directory / "tails", Grown(10**5, expired=10**4), wanted)
        with closing(LoadProcess(cores.load)) as load, system.serve(cores) as running:
            target = Target(system, running, load)
            return [
                _tail_of(workload, [_tail(target, workload, extent) for _ in range(repetitions)])
                for workload in WORKLOADS
            ]


class Sweeping:
    """Refreshing at a share of what is possible, by turns without and with the sweeper at work."""

    name = "sweeping"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        repetitions, extent = _size(quick=quick)
        grown = Grown(130_000, 90_000, 10_000) if quick else Grown(1_200_000, 900_000, 100_000)
        wanted = Wanted(codes=0, refresh_tokens=CONNECTIONS * 2 + repetitions * 2 * AT_A_RATE)
        system = prepared(directory / "sweeping", grown, wanted)
        with closing(LoadProcess(cores.load)) as load, system.serve(cores) as running:
            return _sweep(Target(system, running, load), system.file, repetitions, extent)


def _size(*, quick: bool) -> tuple[int, Extent]:
    return (2, Extent(800, 2.0)) if quick else (5, Extent(1600, 4.0))


def _tail_of(workload: Workload, rounds: Sequence[Round]) -> Finding:
    return Finding(
        f"{workload.name} at {SHARE:.0%} of the most: p99 beside p50",
        [one.latency["p99"] / one.latency["p50"] for one in rounds],
        "x",
        TAIL_AT_MOST,
        _words(rounds),
    )


def _words(rounds: Sequence[Round]) -> str:
    rate, p50, p99 = (
        statistics.median(values)
        for values in zip(*((one.rate, one.latency["p50"], one.latency["p99"]) for one in rounds), strict=True)
    )
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms at {rate:.0f} requests/s"


def _tail(target: Target, workload: Workload, extent: Extent) -> Round:
    return at_rate(target, workload, extent.seconds, SHARE * _most(target, workload, extent))


def _most(target: Target, workload: Workload, extent: Extent) -> float:
    one = target.round(workload, "ES256", CONNECTIONS, extent)
    assert one is not None
    return right(one).rate


def at_rate(target: Target, workload: Workload, seconds: float, rate: float) -> Round:
    """One round. Raises `WrongAnswers`."""
    count = round(min(rate, MOST) * seconds)
    requests = target.system.requests(workload, "ES256", AT_A_RATE if workload.chained else count)
    assert requests is not None
    order = Order(target.running.port, target.running.host, requests, AT_A_RATE, count, seconds, rate)
    return right(target.measure(order))


def right(one: Round) -> Round:
    """The round. Raises `WrongAnswers`."""
    if one.failures:
        raise WrongAnswers(f"{one.failures} requests failed: {one.errors}")
    return one


def _sweep(target: Target, database: Path, repetitions: int, extent: Extent) -> list[Finding]:
    rate, server = SHARE * _most(target, REFRESH, extent), target.running.server
    without: list[Round] = []
    during: list[Round] = []
    paces: list[float] = []
    for _ in range(repetitions):
        without.append(at_rate(target, REFRESH, extent.seconds, rate))
        rows, began = _rows(database), time.perf_counter()
        with _at_work(server):
            during.append(at_rate(target, REFRESH, extent.seconds, rate))
        seconds = time.perf_counter() - began
        paces.append((rows - _rows(database)) / seconds)
    ratios = [one.latency["p99"] / other.latency["p99"] for one, other in zip(during, without, strict=True)]
    remark = f"without: {_words(without)}; while sweeping: {_words(during)}"
    return [
        Finding("refresh while expired rows are swept: p99 beside that without", ratios, "x", SWEEPING_AT_MOST, remark),
        Finding("rows that are swept meanwhile", paces, "rows/s"),
    ]


@contextmanager
def _at_work(server: ServerProcess) -> Iterator[None]:
    os.kill(server.tree.pid, signal.SIGUSR1)
    try:
        yield
    finally:
        os.kill(server.tree.pid, signal.SIGUSR2)


def _rows(database: Path) -> int:
    """How many rows there are of what is swept."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        ((rows,),) = reader.execute("SELECT (SELECT count(*) FROM grants) + (SELECT count(*) FROM credentials)")
        return int(rows)
