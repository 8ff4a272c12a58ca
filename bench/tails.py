"""The slowest answers at a rate below what the server can do, and what becomes of them while it sweeps.

Owns the order of these rounds. Each request is timed from when it was due, so a pause of the server is charged to all
that came in it.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.orders import Order
from bench.rounds import Extent, Round, Target
from bench.servers import ServerProcess
from bench.workloads import CLIENT_CREDENTIALS, CODE_EXCHANGE, REFRESH, Workload

WORKLOADS = (CODE_EXCHANGE, REFRESH, CLIENT_CREDENTIALS)
CONNECTIONS = 32
AT_A_RATE = 128
"""Connections at a fixed rate: a request that is due seldom waits for one that is free."""
SHARE = 0.7
MOST = 2000
"""Requests per second at most, for a stock of codes has an end."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Rounds at `SHARE` of the most that the round before each could do."""

    workload: str
    rounds: Sequence[Round]


@dataclass(frozen=True, slots=True)
class Sweeping:
    """Neighbouring rounds at one rate of refreshing, without and with the sweeper at work. `rows` went in `seconds`."""

    without: Sequence[Round]
    during: Sequence[Round]
    rows: int
    seconds: float


class WrongAnswers(Exception):
    """Some requests of a round failed; the text says why."""


def tails(target: Target, repetitions: int, extent: Extent) -> list[Tail]:
    """What `extent` allows at most, and then for as many seconds a share of that, again and again."""
    return [Tail(one.name, [_tail(target, one, extent) for _ in range(repetitions)]) for one in WORKLOADS]


def codes(repetitions: int, extent: Extent) -> int:
    """How many `tails` needs."""
    return repetitions * (extent.requests + extent.warm_up_requests + round(MOST * extent.seconds))


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


def sweeping(target: Target, database: Path, repetitions: int, extent: Extent) -> Sweeping:
    """Rounds by turns without and with the sweeper of `bench.switched_sweeper` at work."""
    rate, server = SHARE * _most(target, REFRESH, extent), target.running.server
    without: list[Round] = []
    during: list[Round] = []
    rows, began = _rows(database), time.perf_counter()
    rested = 0.0
    for _ in range(repetitions):
        since = time.perf_counter()
        without.append(at_rate(target, REFRESH, extent.seconds, rate))
        rested += time.perf_counter() - since
        with _at_work(server):
            during.append(at_rate(target, REFRESH, extent.seconds, rate))
    worked = time.perf_counter() - began - rested
    return Sweeping(without, during, rows - _rows(database), worked)


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
