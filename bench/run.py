"""`make bench`: what every kind of request, a start and an idle server cost, beside a floor and peers of the same run.

Owns the command and the order of the measurements. Works below `var/bench`, which git ignores; only `--record` changes
the repository.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import figures
from bench.findings import Finding
from bench.goals import OURS, fastest_peer
from bench.keeping import record
from bench.machine import machine
from bench.plan import Cell, Plan, plan
from bench.probes import PROBES
from bench.report import text
from bench.rounds import LoadProcess, Round, Target
from bench.servers import ROOT, DidNotStart, cores, running_on
from bench.systems.base import Cores, NotInstalled, Running, System
from bench.systems.registry import SYSTEMS
from bench.table import About, Measured, Results, Row

CACHE = ROOT / "var" / "bench"


def main() -> int:
    """The command."""
    chosen = _arguments()
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as directory:
            results = measure(Path(directory), chosen)
    except DidNotStart as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(text(results))
    if chosen.record:
        print(f"recorded in {record(results)} and beside it, and in the documents")
        figures.write()
    return _complain(results)


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(prog="make bench", description="Measure what authsrv costs, beside its peers.")
    arguments.add_argument("--quick", action="store_true", help="one short round of everything, a few minutes")
    arguments.add_argument(
        "--only", default="", metavar="TEXT", help="only the rows and probes with this in their name"
    )
    arguments.add_argument("--systems", default="", metavar="NAMES", help=f"by commas, of {', '.join(SYSTEMS)}")
    arguments.add_argument(
        "--record",
        action="store_true",
        help="write bench/results/<date>.json, .txt, .svg and the documents' figures; of a full run only",
    )
    chosen = arguments.parse_args()
    if chosen.record and (chosen.quick or chosen.only or chosen.systems):
        arguments.error("--record is for a full run: without --quick, --only and --systems")
    return chosen


def _complain(results: Results) -> int:
    """A wrong answer of ours makes the run a failure, and so does a failed probe; one of a peer is told."""
    wrong = [one for row in results.rows for one in row.measured if one.failures]
    for one in wrong:
        errors = "; ".join(error for each in one.rounds for error in each.errors[:1])
        print(f"bench: {one.system}: {one.failures} wrong answers: {errors}", file=sys.stderr)
    for name, why in results.failed.items():
        print(f"bench: {name} failed: {why}", file=sys.stderr)
    return 1 if results.failed or any(one.system in OURS for one in wrong) else 0


def measure(directory: Path, chosen: argparse.Namespace) -> Results:
    """All of a run."""
    began, date = time.perf_counter(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    on, run = Cores(*cores()), plan(quick=chosen.quick, only=chosen.only)
    with running_on(on.load):
        findings, failed = _findings(directory, on, chosen)
        fleet = _prepared(directory, run, chosen.systems)
        rows, memory = _rounds(fleet, on, run) if run.cells else ([], {})
    abouts = {
        key: About(system.name, fleet.versions[key], system.durability, memory.get(key, 0.0))
        for key, system in fleet.systems.items()
    }
    return Results(
        date=date,
        machine=machine(directory),
        seconds=time.perf_counter() - began,
        systems=abouts,
        rows=rows,
        findings=findings,
        left_out=fleet.left_out,
        failed=failed,
    )


def _findings(directory: Path, on: Cores, chosen: argparse.Namespace) -> tuple[list[Finding], dict[str, str]]:
    """What the probes found, and those that failed: the rest of half an hour is not thrown away for one."""
    found: list[Finding] = []
    failed: dict[str, str] = {}
    for probe in PROBES:
        if chosen.only not in probe.name:
            continue
        _say(f"measuring {probe.name}")
        place = directory / f"probe-{probe.name}"
        place.mkdir()
        try:
            found += probe.find(place, on, quick=chosen.quick)
        except Exception as error:  # each has reasons of its own to fail; all are told, and fail the run in the end
            _say(f"{probe.name} failed: {error!r}")
            failed[probe.name] = repr(error)
    return found, failed


@dataclass(slots=True)
class Fleet:
    """Systems with their databases, their versions, and why others are left out."""

    systems: dict[str, System]
    versions: dict[str, str]
    left_out: dict[str, str]

    def leave_out(self, name: str, error: Exception) -> None:
        """Go on without a peer; without one of ours there is no run."""
        if name in OURS and not isinstance(error, NotInstalled):
            raise error
        _say(f"{name} is left out: {error}")
        self.left_out[name] = str(error) or repr(error)
        self.systems.pop(name, None)


def _prepared(directory: Path, run: Plan, names: str) -> Fleet:
    fleet = Fleet({}, {}, {})
    for name in SYSTEMS if run.cells else ():
        if names and name not in names.split(","):
            continue
        _say(f"preparing {name}")
        system, cache, place = SYSTEMS[name](), CACHE / name, directory / name
        cache.mkdir(exist_ok=True)
        place.mkdir()
        try:
            fleet.versions[name] = system.install(cache)
            system.prepare(place, run.wanted())
        except Exception as error:  # whatever a peer fails by, the run goes on without it
            fleet.leave_out(name, error)
        else:
            fleet.systems[name] = system
    return fleet


def _rounds(fleet: Fleet, on: Cores, run: Plan) -> tuple[list[Row], dict[str, float]]:
    """Repetition after repetition, cell after cell, all systems one right after the other; rows and memory in MB."""
    with ExitStack() as stack:
        load = LoadProcess(on.load)
        stack.callback(load.close)
        targets = {key: Target(fleet.systems[key], running, load) for key, running in _started(fleet, on, stack)}
        found: dict[Cell, dict[str, list[Round]]] = {cell: {key: [] for key in targets} for cell in run.cells}
        began = time.perf_counter()
        for repetition in range(run.repetitions):
            if not run.has_time(repetition, time.perf_counter() - began):
                _say(f"no time for more than {repetition} repetitions")
                break
            for cell, rounds in found.items():
                _say(f"{repetition + 1} of {run.repetitions}: {cell.name}, {cell.connections} connections")
                for key in _asked(cell, found):
                    one = _round(key, targets[key], cell, run)
                    if one is not None:
                        rounds[key].append(one)
        return _as_rows(found), {key: target.running.server.rss() for key, target in targets.items()}


def _started(fleet: Fleet, on: Cores, stack: ExitStack) -> Iterator[tuple[str, Running]]:
    for key, system in [*fleet.systems.items()]:
        try:
            yield key, stack.enter_context(system.serve(on))
        except Exception as error:  # as above
            fleet.leave_out(key, error)


def _round(key: str, target: Target, cell: Cell, run: Plan) -> Round | None:
    try:
        return target.round(cell.workload, cell.algorithm, cell.connections, run.extent_of(cell))
    except Exception as error:  # as above
        if key in OURS:
            raise
        _say(f"{key} cannot do this: {error}")
        return None


def _asked(cell: Cell, found: Mapping[Cell, Mapping[str, Sequence[Round]]]) -> list[str]:
    """Every system for most cells; for the others ours and the peer that was fastest at the first of all cells."""
    everyone = list(found[cell])
    if cell.widely:
        return everyone
    fastest = fastest_peer(_as_rows(found)[0])
    return [key for key in everyone if key in OURS or (fastest and key == fastest.system)]


def _as_rows(found: Mapping[Cell, Mapping[str, Sequence[Round]]]) -> list[Row]:
    return [
        Row(cell.name, cell.connections, [Measured(key, rounds) for key, rounds in systems.items() if rounds])
        for cell, systems in found.items()
    ]


def _say(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
