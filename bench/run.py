"""`make bench`: what every kind of request, a start and an idle server cost, beside a floor and peers of the same run.

Owns the order of the measurements. Works in a temporary directory; only `--record` changes the repository.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench.plan import Cell, Plan, plan
from bench.report import text
from bench.results import About, Measured, Results, Row
from bench.rounds import LoadProcess, Round, Target
from bench.servers import ROOT, DidNotStart, cores, running_on
from bench.starts import Starts, measure_starts
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, NotInstalled, System
from bench.systems.registry import SYSTEMS

CACHE = ROOT / "var" / "bench"


def main() -> int:
    """The command."""
    chosen = _arguments()
    names = [name for name in SYSTEMS if not chosen.systems or name in chosen.systems.split(",")]
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as directory:
            results = measure(Path(directory), plan(quick=chosen.quick, only=chosen.only), names)
    except DidNotStart as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(text(results))
    wrong = [one for row in results.rows for one in row.measured if one.failures]
    for one in wrong:
        print(f"bench: {one.system}: {one.failures} wrong answers: {_errors(one)}", file=sys.stderr)
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(prog="make bench", description="Measure what authsrv costs, beside its peers.")
    arguments.add_argument("--quick", action="store_true", help="one short round of everything, a few minutes")
    arguments.add_argument("--only", default="", metavar="TEXT", help="only the rows whose name has this in it")
    arguments.add_argument("--systems", default="", metavar="NAMES", help=f"by commas, of {', '.join(SYSTEMS)}")
    return arguments.parse_args()


def _errors(measured: Measured) -> str:
    return "; ".join(error for one in measured.rounds for error in one.errors[:1])


def measure(directory: Path, run: Plan, names: Sequence[str]) -> Results:
    """All of a run."""
    began, date = time.perf_counter(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    on = Cores(*cores())
    with running_on(on.load):
        systems, versions, left_out = _prepared(directory, run, names)
        starts = _starts(systems, on, run)
        rows, memory = _rounds(systems, on, run)
    abouts = {key: About(system.name, versions[key], system.durability, memory[key]) for key, system in systems.items()}
    return Results(
        date=date,
        machine={"Python": platform.python_version()},
        seconds=time.perf_counter() - began,
        systems=abouts,
        rows=rows,
        starts=starts.servers,
        help_seconds=starts.help_seconds,
        left_out=left_out,
    )


def _prepared(
    directory: Path, run: Plan, names: Sequence[str]
) -> tuple[dict[str, System], dict[str, str], dict[str, str]]:
    """Systems with their databases, their versions, and why others are left out."""
    systems: dict[str, System] = {}
    versions: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name in names:
        system, cache, place = SYSTEMS[name](), CACHE / name, directory / name
        cache.mkdir(exist_ok=True)
        place.mkdir()
        try:
            versions[name] = system.install(cache)
        except NotInstalled as error:
            left_out[name] = str(error)
            continue
        _say(f"preparing {name}")
        system.prepare(place, run.wanted())
        systems[name] = system
    return systems, versions, left_out


def _starts(systems: Mapping[str, System], on: Cores, run: Plan) -> Starts:
    authsrv = systems.get("authsrv")
    if not run.starts or not isinstance(authsrv, Authsrv):
        return Starts((), ())
    _say("starting authsrv over and over")
    return measure_starts(authsrv, on, run.starts)


def _rounds(systems: Mapping[str, System], on: Cores, run: Plan) -> tuple[list[Row], dict[str, float]]:
    """Repetition after repetition, cell after cell, all systems one right after the other."""
    with ExitStack() as stack:
        load = LoadProcess(on.load)
        stack.callback(load.close)
        targets = {key: Target(one, stack.enter_context(one.serve(on)), load) for key, one in systems.items()}
        found: dict[Cell, dict[str, list[Round]]] = {cell: {key: [] for key in systems} for cell in run.cells}
        for repetition in range(run.repetitions):
            for cell, rounds in found.items():
                _say(f"{repetition + 1} of {run.repetitions}: {cell.name}, {cell.connections} connections")
                for key, target in targets.items():
                    one = target.round(cell.workload, cell.algorithm, cell.connections, run.extent)
                    if one is not None:
                        rounds[key].append(one)
        return _as_rows(found), {key: target.running.server.rss() for key, target in targets.items()}


def _as_rows(found: Mapping[Cell, Mapping[str, Sequence[Round]]]) -> list[Row]:
    return [
        Row(cell.name, cell.connections, [Measured(key, rounds) for key, rounds in systems.items() if rounds])
        for cell, systems in found.items()
    ]


def _say(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
