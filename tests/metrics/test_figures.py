"""What counts: exact, and bounded whatever it is given."""

import pytest

from authsrv.metrics.figures import OTHER, Counts, Spread, Spreads


def test_known_labels_begin_at_nothing_so_that_the_first_event_is_a_rise() -> None:
    counts = Counts([("steam",), ("xbox",)])
    counts.add("xbox")
    assert dict(counts.items()) == {("steam",): 0, ("xbox",): 1}


def test_labels_beyond_the_bound_are_counted_together() -> None:
    counts = Counts(most=3)
    for number in range(10):
        counts.add(f"player {number}", "x")
    counts.add("player 0", "x")
    assert dict(counts.items()) == {
        ("player 0", "x"): 2,
        ("player 1", "x"): 1,
        ("player 2", "x"): 1,
        (OTHER, OTHER): 7,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.0, [1, 1, 1], id="below all"),
        pytest.param(1.0, [1, 1, 1], id="at the first bound"),
        pytest.param(1.5, [0, 1, 1], id="between"),
        pytest.param(2.0, [0, 1, 1], id="at the last bound"),
        pytest.param(9.0, [0, 0, 1], id="above all"),
    ],
)
def test_a_number_is_counted_in_its_range_and_in_all_above(value: float, expected: list[int]) -> None:
    spread = Spread((1, 2))
    spread.observe(value)
    assert [count for _, count in spread.cumulated()] == expected
    assert [bound for bound, _ in spread.cumulated()] == [1, 2, float("inf")]
    assert spread.total == value


def test_spreads_beyond_the_bound_are_one() -> None:
    spreads = Spreads((1,), most=2)
    for number in range(5):
        spreads.observe(0.5, f"path {number}")
    assert {labels: spread.cumulated()[-1][1] for labels, spread in spreads.items()} == {
        ("path 0",): 1,
        ("path 1",): 1,
        (OTHER,): 3,
    }
