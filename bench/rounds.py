"""Rounds of load: one system, one workload, so many connections, and what it cost.

Owns the load generator's process and the sums of a round. Knows nothing of which rounds a run has.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from bench.orders import Order, Outcome
from bench.servers import ROOT, running_on
from bench.systems.base import Running, System
from bench.workloads import Algorithm, Workload


class LoadProcess:
    """The load generator on its own core."""

    def __init__(self, core: set[int]) -> None:
        with running_on(core):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.load"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )

    def carry_out(self, order: Order) -> Outcome:
        """Do it and wait."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a round is at most."""

    requests: int
    seconds: float
    warm_up_requests: int = 300
    warm_up_seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to. CPU is microseconds per request; latency milliseconds by `bench.orders.LATENCIES`."""

    requests: int
    rate: float
    cpu_us: float
    latency: Mapping[str, float]
    failures: int
    errors: tuple[str, ...]
    load_cpu_us: float
    beside_cpu_us: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A running system under load."""

    system: System
    running: Running
    load: LoadProcess

    def round(self, workload: Workload, algorithm: Algorithm, connections: int, extent: Extent) -> Round | None:
        """Warm up, then measure; None where the system has no such request."""
        warm_up = self._order(workload, algorithm, connections, extent.warm_up_requests, extent.warm_up_seconds)
        if warm_up is None:
            return None
        self.load.carry_out(warm_up)
        order = self._order(workload, algorithm, connections, extent.requests, extent.seconds)
        return self.measure(order) if order else None

    def _order(
        self, workload: Workload, algorithm: Algorithm, connections: int, count: int, seconds: float
    ) -> Order | None:
        wanted = connections if workload.chained else count
        requests = self.system.requests(workload, algorithm, wanted)
        if requests is None:
            return None
        return Order(self.running.port, self.running.host, requests, connections, count, seconds)

    def measure(self, order: Order) -> Round:
        """Carry out an order and see what it cost whom."""
        trees = {"": self.running.server.tree, **self.running.beside}
        before = {name: tree.cpu_seconds() for name, tree in trees.items()}
        outcome = self.load.carry_out(order)
        answered = max(1, outcome.requests)
        spent = {name: (tree.cpu_seconds() - before[name]) / answered * 1e6 for name, tree in trees.items()}
        if not outcome.requests and not outcome.failures:
            outcome.failures, outcome.errors = 1, ["there was nothing to send"]
        return Round(
            requests=outcome.requests,
            rate=outcome.rate,
            cpu_us=spent.pop(""),
            latency=outcome.latency,
            failures=outcome.failures,
            errors=tuple(outcome.errors),
            load_cpu_us=outcome.cpu_us,
            beside_cpu_us=spent,
        )
