"""What a round comes to, from what the load generator reports."""

import os
from typing import cast

from bench.orders import Expected, Order, Outcome, Requests
from bench.rounds import LoadProcess, Target
from bench.servers import ProcessTree, ServerProcess
from bench.systems.base import Running, System


class Reporting:
    """A load process that reports what it is told to, and a server that is this process."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.tree = ProcessTree(os.getpid())

    def carry_out(self, _: Order) -> Outcome:
        return self._outcome


def target(outcome: Outcome) -> Target:
    reporting = Reporting(outcome)
    running = Running(cast("ServerProcess", reporting), 0)
    return Target(cast("System", None), running, cast("LoadProcess", reporting))


ORDER = Order(0, "127.0.0.1", Requests((), Expected()), 1, 1, 1)


def test_a_round_in_which_nothing_was_sent_is_no_good_round() -> None:
    found = target(Outcome()).measure(ORDER)
    assert (found.failures, found.errors) == (1, ("there was nothing to send",))


def test_a_round_with_answers_is_what_was_reported() -> None:
    found = target(Outcome(requests=10, seconds=2.0)).measure(ORDER)
    assert (found.rate, found.failures, found.errors) == (5.0, 0, ())
