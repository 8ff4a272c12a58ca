"""The results as text.

Owns the tables that a run prints and keeps. Computes nothing but what stands in a line.
"""

import statistics
from collections.abc import Iterator, Sequence

from bench.results import Measured, Results, Row, ratios

_FLOOR = "floor"


def text(results: Results) -> str:
    """All of it."""
    return "\n".join([*_head(results), "", *_rows(results), "", *_starts(results)]) + "\n"


def _head(results: Results) -> Iterator[str]:
    yield f"{results.date}, {results.seconds:.0f} s"
    for name, words in results.machine.items():
        yield f"{name}: {words}"
    for key, about in results.systems.items():
        yield f"{key}: {about.name} ({about.versions}; {about.durability}), {about.memory:.0f} MB after the run"
    for key, why in results.left_out.items():
        yield f"{key}: left out, {why}"


def _rows(results: Results) -> Iterator[str]:
    yield (
        f"{'':<30}{'conn':>5}{'requests/s':>12}{'CPU us':>9}{'to floor':>10}{'spread':>15}"
        f"{'p50 ms':>9}{'p90':>8}{'p99':>8}{'errors':>8}  beside it, us"
    )
    for row in results.rows:
        yield row.name
        for key in results.systems:
            measured = row.of(key)
            yield _line(key, row, measured) if measured else f"  {key:<28}{row.connections:>5}{'-':>12}"


def _line(key: str, row: Row, measured: Measured) -> str:
    latency = [measured.latency(name) for name in ("p50", "p90", "p99")]
    beside = ", ".join(f"{name} {value:.0f}" for name, value in measured.rounds[0].beside_cpu_us.items())
    return (
        f"  {key:<28}{row.connections:>5}{measured.rate:>12.0f}{measured.cpu_us:>9.0f}{_to_floor(row, measured)}"
        f"{latency[0]:>9.1f}{latency[1]:>8.1f}{latency[2]:>8.1f}{measured.failures:>8}  {beside}"
    )


def _to_floor(row: Row, measured: Measured) -> str:
    floor = row.of(_FLOOR)
    if floor is None or measured is floor:
        return f"{'':>25}"
    found = ratios(measured, floor)
    return f"{statistics.median(found):>10.2f}{f'{min(found):.2f} to {max(found):.2f}':>15}"


def _starts(results: Results) -> Iterator[str]:
    if results.starts:
        yield _spread("cold start, first 200", [one.seconds for one in results.starts], "s")
        yield _spread("  of it CPU", [one.cpu for one in results.starts], "s")
        yield _spread("idle memory after one request", [one.rss for one in results.starts], "MB")
        yield _spread("authsrv --help", results.help_seconds, "s")


def _spread(name: str, values: Sequence[float], unit: str) -> str:
    digits = 1 if unit == "MB" else 2
    spread = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    return f"{name:<32}{statistics.median(values):8.{digits}f} {unit:<2}   {spread}"
