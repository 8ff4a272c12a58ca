"""The results as text.

Owns the tables that a run prints and keeps. Computes nothing but what stands in a line.
"""

import statistics
from collections.abc import Iterator, Sequence

from bench.goals import FLOOR, Goal, goals
from bench.plan import CONNECTIONS
from bench.table import Measured, Results, Row, ratios


def text(results: Results) -> str:
    """All of it."""
    parts = [_head(results), _rows(results), _findings(results), _goals(goals(results))]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(results: Results) -> Iterator[str]:
    yield f"authsrv, measured on {results.date} in {results.seconds / 60:.0f} minutes"
    for name, words in results.machine.items():
        yield f"  {name}: {words}"
    for key, about in results.systems.items():
        yield f"  {key}: {about.name} ({about.versions}; {about.durability}), {about.memory:.0f} MB after the run"
    for key, why in results.left_out.items():
        yield f"  {key}: left out, {why}"
    for name, why in results.failed.items():
        yield f"  {name}: FAILED, {why}"
    yield "  Each system is one worker on one core. The load generator, the platforms and PostgreSQL share the other."


def _rows(results: Results) -> Iterator[str]:
    yield (
        f"{'':<26}{'conn':>5}{'requests/s':>12}{'CPU us':>9}{'to floor':>10}{'spread':>15}"
        f"{'p50 ms':>9}{'p90':>8}{'p99':>8}{'errors':>8}  on the other core, us"
    )
    for row in results.rows:
        yield row.name
        for key in results.systems:
            measured = row.of(key)
            if measured:
                yield _line(row, measured)
            elif row.connections == CONNECTIONS:  # others were not asked
                yield f"  {key:<24}{row.connections:>5}{'-':>12}"


def _line(row: Row, measured: Measured) -> str:
    latency = [measured.latency(name) for name in ("p50", "p90", "p99")]
    return (
        f"  {measured.system:<24}{row.connections:>5}{measured.rate:>12.0f}{measured.cpu_us:>9.0f}"
        f"{_to_floor(row, measured)}{latency[0]:>9.1f}{latency[1]:>8.1f}{latency[2]:>8.1f}{measured.failures:>8}"
        f"  {_beside(measured)}"
    )


def _beside(measured: Measured) -> str:
    names = {name for one in measured.rounds for name in one.beside_cpu_us}
    costs = {name: statistics.median(one.beside_cpu_us[name] for one in measured.rounds) for name in sorted(names)}
    costs["load"] = statistics.median(one.load_cpu_us for one in measured.rounds)
    return ", ".join(f"{name} {cost:.0f}" for name, cost in costs.items())


def _to_floor(row: Row, measured: Measured) -> str:
    floor = row.of(FLOOR)
    found = ratios(measured, floor) if floor and measured is not floor else []
    return f"{statistics.median(found):>10.2f}{_spread(found, 2):>15}" if found else f"{'':>25}"


def _findings(results: Results) -> Iterator[str]:
    width = max((len(finding.name) for finding in results.findings), default=0) + 2
    for finding in results.findings:
        digits = 0 if finding.unit == "us" else 1 if finding.unit == "MB" else 2
        remark = f"   {finding.remark}" if finding.remark else ""
        middle, spread = f"{finding.median:,.{digits}f}", _spread(finding.values, digits)
        yield f"{finding.name:<{width}}{middle:>12} {finding.unit:<6} {spread:<22}{remark}"


def _goals(found: Sequence[Goal]) -> Iterator[str]:
    width = max((len(goal.name) for goal in found), default=0) + 2
    for goal in found:
        side = "at least" if goal.at_least else "at most"
        verdict = "met" if goal.met else "MISSED"
        measured = f"{goal.measured:,.2f} {goal.unit}"
        yield f"{goal.name:<{width}}{measured:>14} {_spread(goal.values, 2):<22}{side} {goal.limit:g}: {verdict}"


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{min(values):,.{digits}f} to {max(values):,.{digits}f}"
