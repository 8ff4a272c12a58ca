"""The load generator: a process of its own that keeps connections busy, or to a fixed rate, and times every answer.

Owns pace and sums. Reads one order per line from standard input as JSON and answers each with one line; knows nothing
of what serves.
"""

import asyncio
import json
import sys
import time
from collections import deque
from dataclasses import asdict
from itertools import cycle

import uvloop

from bench.answers import Checks
from bench.connections import Chain, Connection, encode
from bench.orders import Order, Outcome, percentiles

MOST_ERRORS_KEPT = 3
MOST_FAILURES = 100
LAST_ANSWERS = 30.0
"""Seconds after the end of the round that the last answers may take."""


class Load:
    """One order being carried out."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._left = order.count
        self._idle = self._connections()
        self._late: deque[float] = deque()
        """When requests were due for which no connection was free."""
        self._due = 0
        """How many requests of a fixed rate have been due."""
        self._busy = 0
        self._began = self._last = 0.0
        self._latencies: list[float] = []
        self._outcome = Outcome()
        self._done = asyncio.Event()

    def _connections(self) -> list[Connection]:
        order, checks = self._order, Checks(self._order.requests.expected)
        if order.requests.chained:
            chains = [Chain(order.host, first) for first in order.requests.each[: order.connections]]
            return [Connection(self, order.port, checks, chain) for chain in chains]
        encoded = [encode(order.host, request) for request in order.requests.each]
        shared = iter(encoded) if order.requests.once else cycle(encoded)
        return [Connection(self, order.port, checks, shared) for _ in range(order.connections)]

    async def carry_out(self) -> Outcome:
        """All of it. Ends when nothing is left to send and every answer has come."""
        connections = [*self._idle]
        try:
            await asyncio.gather(*(connection.open() for connection in connections))
        except OSError as error:
            return Outcome(failures=1, errors=[str(error)])
        cpu, self._began = time.process_time(), time.perf_counter()
        self._last = self._began
        self._start()
        try:
            await asyncio.wait_for(self._done.wait(), self._order.seconds + LAST_ANSWERS)
        except TimeoutError:
            self._count_failure("no answer within time")
        cpu = time.process_time() - cpu
        for connection in connections:
            connection.close()
        return self._report(cpu)

    def _report(self, cpu: float) -> Outcome:
        outcome = self._outcome
        outcome.requests = len(self._latencies)
        outcome.seconds = self._last - self._began
        outcome.latency = percentiles(self._latencies)
        outcome.cpu_us = cpu / max(1, outcome.requests) * 1e6
        return outcome

    # --- what is sent when ---

    def _start(self) -> None:
        if self._order.rate:
            self._tick()
            return
        connections, self._idle = self._idle, []
        for connection in connections:
            self._send(connection, self._began)
        self._end_if_idle()

    def _tick(self) -> None:
        """Send what is due by now, and come again when the next is."""
        passed = time.perf_counter() - self._began
        while self._due / self._order.rate <= min(passed, self._order.seconds):
            due = self._began + self._due / self._order.rate
            self._due += 1
            if self._idle:
                self._send(self._idle.pop(), time.perf_counter())  # that this timer is late is not the server's fault
            else:
                self._late.append(due)
        if passed < self._order.seconds and self._left:
            asyncio.get_running_loop().call_later(self._due / self._order.rate - passed, self._tick)
        else:
            self._end_if_idle()

    def _send(self, connection: Connection, due: float) -> None:
        request = next(connection.requests, None) if self._may_send() else None
        if request is None:
            return
        self._left -= 1
        self._busy += 1
        connection.send(request, due)

    def _may_send(self) -> bool:
        in_time = bool(self._order.rate) or time.perf_counter() - self._began < self._order.seconds
        return in_time and self._left > 0 and self._outcome.failures < MOST_FAILURES

    # --- what the connections tell ---

    def answered(self, connection: Connection, due: float) -> None:
        """Time it and go on."""
        self._last = time.perf_counter()
        self._latencies.append(self._last - due)
        self._go_on(connection)

    def failed(self, connection: Connection, why: str) -> None:
        """Count it and go on."""
        self._count_failure(why)
        self._go_on(connection)

    def _count_failure(self, why: str) -> None:
        self._outcome.failures += 1
        if len(self._outcome.errors) < MOST_ERRORS_KEPT:
            self._outcome.errors.append(why)

    def _go_on(self, connection: Connection) -> None:
        self._busy -= 1
        if not self._order.rate:
            self._send(connection, time.perf_counter())
        elif self._late:
            self._send(connection, self._late.popleft())
        else:
            self._idle.append(connection)
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._busy:
            return
        if not self._order.rate or self._due >= self._order.rate * self._order.seconds or not self._may_send():
            self._done.set()


def main() -> None:
    """Carry out orders until standard input ends."""
    for line in sys.stdin:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(Load(Order.from_json(json.loads(line))).carry_out())
        print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
