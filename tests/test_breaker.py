from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.outbound.breaker import Breaker, Permit, Verdict

GOOD: list[Verdict] = ["success"]
BAD: list[Verdict] = ["failure"]


@dataclass
class FakeClock:
    now: float = 5_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker(clock)


def admitted(breaker: Breaker) -> Permit:
    permit = breaker.admit()
    assert permit is not None
    return permit


def state(breaker: Breaker) -> str:
    return breaker.state


def run(breaker: Breaker, *verdicts: Verdict) -> None:
    for verdict in verdicts:
        breaker.record(admitted(breaker), verdict)


def open_it(breaker: Breaker) -> None:
    run(breaker, *BAD * 5)


def test_R13_five_failures_in_a_row_open_the_circuit(breaker: Breaker) -> None:
    run(breaker, "failure", "failure", "failure", "failure")
    assert state(breaker) == "closed"
    run(breaker, "failure")
    assert (state(breaker), breaker.admit(), breaker.retry_after) == ("open", None, 10)


def test_an_answer_between_failures_begins_the_row_anew(breaker: Breaker) -> None:
    run(breaker, *BAD * 4, "success", *BAD * 4)
    assert state(breaker) == "closed"


def test_half_of_twenty_calls_within_ten_seconds_open_the_circuit(breaker: Breaker, clock: FakeClock) -> None:
    for _ in range(9):
        run(breaker, "success", "failure")
        clock.now += 1
    run(breaker, "success")
    assert state(breaker) == "closed"
    run(breaker, "failure")
    assert state(breaker) == "open"


def test_less_than_half_failing_keeps_the_circuit_closed(breaker: Breaker) -> None:
    run(breaker, *GOOD, *(GOOD + GOOD + BAD) * 30)
    assert state(breaker) == "closed"


def test_failures_older_than_ten_seconds_do_not_count(breaker: Breaker, clock: FakeClock) -> None:
    for _ in range(100):
        run(breaker, "success", "failure")
        clock.now += 1.5
    assert state(breaker) == "closed"


def test_R13_after_the_pause_exactly_one_probe_goes_out(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    clock.now += 9.9
    assert (breaker.admit(), breaker.retry_after) == (None, 1)
    clock.now += 0.1
    assert state(breaker) == "half_open"
    admitted(breaker)
    assert (breaker.admit(), state(breaker), breaker.retry_after) == (None, "half_open", 1)


def test_R13_a_good_probe_closes_the_circuit(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    clock.now += 10
    run(breaker, "success")
    assert state(breaker) == "closed"
    run(breaker, *BAD * 4)
    assert state(breaker) == "closed"


def test_R13_each_failed_probe_doubles_the_pause_up_to_a_minute(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    pauses = []
    for _ in range(5):
        pauses.append(breaker.retry_after)
        clock.now += breaker.retry_after
        run(breaker, "failure")
    assert pauses == [10, 20, 40, 60, 60]


def test_a_closed_circuit_forgets_the_long_pauses(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    clock.now += 10
    run(breaker, "failure")
    clock.now += 20
    run(breaker, "success")
    open_it(breaker)
    assert breaker.retry_after == 10


def test_a_probe_that_taught_nothing_makes_room_for_the_next(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    clock.now += 10
    breaker.abandon(admitted(breaker))
    assert state(breaker) == "half_open"
    admitted(breaker)


def test_an_old_call_neither_closes_an_open_circuit_nor_frees_its_probe(breaker: Breaker, clock: FakeClock) -> None:
    slow = admitted(breaker)
    open_it(breaker)
    breaker.record(slow, "success")
    assert state(breaker) == "open"
    clock.now += 10
    admitted(breaker)
    breaker.abandon(slow)
    breaker.record(slow, "failure")
    assert (breaker.admit(), state(breaker)) == (None, "half_open")


def test_abandoning_after_recording_changes_nothing(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    clock.now += 10
    probe = admitted(breaker)
    breaker.record(probe, "failure")
    clock.now += 20
    admitted(breaker)
    breaker.abandon(probe)
    assert breaker.admit() is None


def test_one_throttled_call_opens_the_circuit_for_a_minute(breaker: Breaker) -> None:
    run(breaker, "throttled")
    assert (state(breaker), breaker.retry_after) == ("open", 60)


def test_three_denials_in_a_row_open_the_circuit_for_a_minute(breaker: Breaker, clock: FakeClock) -> None:
    run(breaker, "denied", "denied", "success", "denied", "denied")
    assert state(breaker) == "closed"
    run(breaker, "denied")
    assert (state(breaker), breaker.retry_after) == ("open", 60)
    clock.now += 60
    run(breaker, "denied")
    assert (state(breaker), breaker.retry_after) == ("open", 60)


def test_a_lost_call_between_denials_does_not_hide_them(breaker: Breaker) -> None:
    run(breaker, "denied", "denied", "failure", "denied")
    assert state(breaker) == "open"


def test_a_single_denial_is_an_answer_and_closes_a_half_open_circuit(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    clock.now += 10
    run(breaker, "denied")
    assert state(breaker) == "closed"


def test_a_clock_set_back_does_not_stretch_the_pause(breaker: Breaker, clock: FakeClock) -> None:
    open_it(breaker)
    clock.now -= 7200
    assert state(breaker) == "open"
    clock.now += 10
    assert state(breaker) == "half_open"


STEPS = st.lists(
    st.tuples(st.floats(min_value=-5, max_value=70), st.sampled_from(["success", "failure", "denied", "throttled", ""]))
)


@given(STEPS)
def test_whatever_happens_the_circuit_lets_a_call_through_within_a_minute(steps: list[tuple[float, Verdict]]) -> None:
    clock = FakeClock()
    breaker = Breaker(clock)
    for seconds, verdict in steps:
        clock.now += seconds
        permit = breaker.admit()
        assert (permit is None) == (state(breaker) == "open")
        if permit is not None and verdict:
            breaker.record(permit, verdict)
        if permit is not None:
            breaker.abandon(permit)
        assert 1 <= breaker.retry_after <= 60
    clock.now += 60
    admitted(breaker)
