"""Sums, goals, text, chart and files of a run, from figures that are easy to follow."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.chart import chart
from bench.findings import Finding
from bench.goals import CLIENT_CALL, Goal, fastest_peer, goals
from bench.keeping import load, newest, record
from bench.orders import percentiles
from bench.report import text
from bench.rounds import Round
from bench.table import About, Measured, Results, Row, ratios


def rounds(*cpu_us: float, rate: float = 1000.0, failures: int = 0) -> list[Round]:
    latency = {"p50": 1.0, "p90": 2.0, "p99": 3.0, "max": 4.0}
    errors = ("500: oh",) if failures else ()
    return [Round(100, rate, cost, latency, failures, errors, 40.0, {"emulator": 7.0}) for cost in cpu_us]


def results() -> Results:
    about = About("A <system>", "1.0", "on & on", 70.0)
    measured = [
        Measured("authsrv", rounds(120, 130, 110)),
        Measured("floor", rounds(100, 100, 100, rate=1300)),
        Measured("slow", rounds(900, 900, 900, rate=90)),
        Measured("slower", rounds(2000, 2000, 2000, rate=50)),
        Measured("wrong", rounds(10, 10, 10, rate=9000, failures=3)),
    ]
    return Results(
        date="2026-11-22 03:00 UTC",
        machine={"processor": "one <quick> core"},
        seconds=1800,
        systems={one.system: about for one in measured},
        rows=[
            Row("code exchange, ES256", 32, measured),
            Row("code exchange, ES256", 256, measured[:2]),
            Row("silent login", 32, [Measured("authsrv", rounds(1100, 1300, 1200))]),
        ],
        findings=[
            Finding("cold start", [0.5, 0.7, 0.65], "s", at_most=0.6),
            Finding(CLIENT_CALL, [800, 600, 700], "us", remark="by httpx"),
        ],
        left_out={"absent": "no such thing here"},
    )


def test_percentiles_are_of_what_was_measured() -> None:
    assert percentiles([n / 1000 for n in range(100, 0, -1)]) == {"p50": 51, "p90": 91, "p99": 100, "max": 100}
    assert percentiles([0.002]) == {"p50": 2, "p90": 2, "p99": 2, "max": 2}
    assert percentiles([]) == {}


def test_ratios_are_those_of_neighbouring_rounds() -> None:
    assert ratios(Measured("a", rounds(10, 30)), Measured("b", rounds(5, 10, 1))) == [2, 3]


def test_the_fastest_peer_is_not_ours_and_has_answered() -> None:
    silent = [Measured("silent", rounds(0, rate=0, failures=1)), Measured("floor", rounds(1))]
    assert fastest_peer(Row("userinfo", 32, silent)) is None
    fastest = fastest_peer(Row("userinfo", 32, [*silent, Measured("slow", rounds(900, rate=90))]))
    assert fastest is not None
    assert fastest.system == "slow"


def test_wrong_answers_do_not_spare_us_the_fastest_peer_but_are_told() -> None:
    found = {goal.name: goal for goal in goals(results())}
    beside = found["code exchange, ES256: requests/s beside wrong, the fastest peer (9 wrong answers)"]
    assert beside.measured == pytest.approx(1 / 9)


def test_goals_are_computed_from_the_figures() -> None:
    found = {goal.name: goal for goal in goals(results())}
    assert found["code exchange, ES256: CPU beside the floor"].measured == pytest.approx(1.2)
    assert found["code exchange, ES256: CPU beside the floor"].met
    assert not found["cold start"].met
    assert found[f"silent login: CPU beyond {CLIENT_CALL}"].measured == 500
    assert found[f"silent login: CPU beyond {CLIENT_CALL}"].met


def test_a_floor_that_took_no_time_gives_no_goal_and_no_error() -> None:
    ours, floor = Measured("authsrv", rounds(100)), Measured("floor", rounds(0, failures=1))
    assert goals(replace(results(), rows=[Row("refresh, ES256", 32, [ours, floor])], findings=[])) == []


def test_a_goal_of_at_least_is_missed_below_it() -> None:
    goal = Goal("times", [3.9, 4.2, 3.8], 4.0, "x", at_least=True)
    assert not goal.met
    assert replace(goal, limit=3.9).met


def test_the_text_says_what_was_met_and_what_was_missed_and_shows_dashes_and_errors() -> None:
    lines = text(results()).splitlines()
    assert any("cold start" in line and line.endswith("at most 0.6: MISSED") for line in lines)
    assert any("beside the floor" in line and line.endswith("at most 1.25: met") for line in lines)
    assert any(line.split()[:3] == ["floor", "32", "-"] for line in lines)
    assert not any(line.split()[:3] == ["slow", "256", "-"] for line in lines), "it was not asked"
    assert any(line.split()[0] == "wrong" and " 9 " in line for line in lines if line.strip())
    assert any("absent: left out, no such thing here" in line for line in lines)


def test_the_chart_is_xml_and_has_a_bar_for_every_system_of_the_main_rows() -> None:
    drawn = ET.fromstring(chart(results()))  # noqa: S314 - our own text
    bars = [each for each in drawn.iter("{http://www.w3.org/2000/svg}rect") if len(each)]
    assert len(bars) == 6
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert max(widths[:5]) == widths[4], "the longest bar is the highest rate"


def test_a_recorded_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        newest(tmp_path)
    document = record(results(), tmp_path)
    assert text(load(newest(tmp_path))) == text(results())
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["2026-11-22.json", "2026-11-22.svg", "2026-11-22.txt"]
    assert document.read_text().endswith("\n")
