"""What becomes of the cost and of the slowest answers when a database grows, and while a million rows are swept.

Owns the order of these measurements and their lines of text. Run by itself as `python -m bench.growth [--quick]`.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.filling import Grown
from bench.rounds import Extent, LoadProcess, Round, Target
from bench.servers import ROOT, ServerProcess, cores, running_on
from bench.systems.base import Cores, Wanted
from bench.systems.grown import REFRESH_ANYWHERE, GrownAuthsrv
from bench.tails import AT_A_RATE, CONNECTIONS, SHARE, Sweeping, Tail, codes, right, sweeping, tails
from bench.workloads import CLIENT_CREDENTIALS, CODE_EXCHANGE, INTROSPECTION, USERINFO, Workload

CACHE = ROOT / "var" / "bench" / "growth"
WORKLOADS = (CODE_EXCHANGE, REFRESH_ANYWHERE, CLIENT_CREDENTIALS, USERINFO, INTROSPECTION)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: the cost at these sizes, tails on the second of them, a sweep of `swept`."""

    sizes: Sequence[Grown]
    swept: Grown
    repetitions: int
    extent: Extent
    at_rate: Extent

    def wanted(self, grown: Grown) -> Wanted:
        """What rounds need beside the rows that are old."""
        rounds = self.repetitions * (self.extent.requests + self.extent.warm_up_requests)
        chains = self.repetitions * AT_A_RATE * 4
        if grown is self.swept:
            return Wanted(codes=0, refresh_tokens=chains)
        tailed = codes(self.repetitions, self.at_rate) if grown is self.sizes[1] else 0
        return Wanted(codes=rounds + tailed, refresh_tokens=rounds + chains)


def plan(*, quick: bool) -> Plan:
    """About five minutes once the databases are there, or one."""
    if quick:
        return Plan(
            [_grown(10**3), _grown(10**5)], Grown(130_000, 90_000, 10_000), 2, Extent(600, 4.0), Extent(800, 2.0)
        )
    sizes = [_grown(10**3), _grown(10**5), _grown(5 * 10**6)]
    return Plan(sizes, Grown(1_200_000, 900_000, 100_000), 5, Extent(1200, 4.0), Extent(1600, 4.0))


def _grown(grants: int) -> Grown:
    return Grown(grants, expired=grants // 10)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request costs with so many tokens. `cpu_us` are the rounds in order, `ratios` to the neighbouring rounds
    of the smallest database; `read` is what was read per request from files and sockets, in bytes.
    """

    workload: str
    tokens: int
    cpu_us: Sequence[float]
    read: float
    ratios: Sequence[float]


@dataclass(frozen=True, slots=True)
class Growth:
    """All of it. `megabytes` and `memory` are those of the files and of the servers afterwards, by number of tokens."""

    costs: Sequence[Cost]
    megabytes: Mapping[int, float]
    memory: Mapping[int, float]
    tails: Sequence[Tail]
    sweeping: Sweeping


def measure(directory: Path, run: Plan, on: Cores) -> Growth:
    """All of it, in this directory on a disk. Raises `WrongAnswers`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with running_on(on.load), closing(LoadProcess(on.load)) as load:
        systems = {grown.grants: _prepared(directory, run, grown) for grown in run.sizes}
        megabytes = {tokens: system.file.stat().st_size / 1e6 for tokens, system in systems.items()}
        with ExitStack() as stack:
            targets = {
                tokens: Target(system, stack.enter_context(system.serve(on)), load)
                for tokens, system in systems.items()
            }
            costs = [cost for workload in WORKLOADS for cost in _costs(workload, targets, run)]
            _say("tails")
            found = tails(targets[run.sizes[1].grants], run.repetitions, run.at_rate)
            memory = {tokens: target.running.server.rss() for tokens, target in targets.items()}
        return Growth(costs, megabytes, memory, found, _sweeping(directory, run, on, load))


def _prepared(directory: Path, run: Plan, grown: Grown) -> GrownAuthsrv:
    _say(f"preparing {grown.grants:,} tokens, {grown.expired:,} of them expired")
    system, place = GrownAuthsrv(grown, CACHE), directory / str(grown.grants)
    place.mkdir()
    system.prepare(place, run.wanted(grown))
    return system


def _costs(workload: Workload, targets: Mapping[int, Target], run: Plan) -> Iterator[Cost]:
    """Repetition after repetition, all sizes one right after the other, and in the other direction next time."""
    found: dict[int, list[tuple[Round, float]]] = {tokens: [] for tokens in targets}
    for repetition in range(run.repetitions):
        _say(f"{repetition + 1} of {run.repetitions}: {workload.name}")
        for tokens in sorted(targets, reverse=bool(repetition % 2)):
            found[tokens].append(_cost(targets[tokens], workload, run.extent))
    smallest = [one.cpu_us for one, _ in found[min(found)]]
    for tokens, rounds in found.items():
        cpu_us = [one.cpu_us for one, _ in rounds]
        ratios = [mine / theirs for mine, theirs in zip(cpu_us, smallest, strict=True)]
        yield Cost(workload.name, tokens, cpu_us, statistics.median(read for _, read in rounds), ratios)


def _cost(target: Target, workload: Workload, extent: Extent) -> tuple[Round, float]:
    before = _read(target.running.server)
    one = target.round(workload, "ES256", CONNECTIONS, extent)
    assert one is not None
    return right(one), (_read(target.running.server) - before) / (one.requests + extent.warm_up_requests)


def _read(server: ServerProcess) -> int:
    """Bytes that it has read so far, from whatever it has open."""
    return int(Path(f"/proc/{server.tree.pid}/io").read_text().split()[1])


def _sweeping(directory: Path, run: Plan, on: Cores, load: LoadProcess) -> Sweeping:
    system = _prepared(directory, run, run.swept)
    _say("sweeping")
    with system.serve_switched(on) as running:
        return sweeping(Target(system, running, load), system.file, run.repetitions, run.at_rate)


# --- what is printed ---


def text(growth: Growth) -> Iterator[str]:
    """Lines for people."""
    yield f"{'cost as tokens accumulate':<30}{'tokens':>12}{'CPU us':>9}{'to smallest':>13}{'spread':>15}{'read B':>9}"
    for cost in growth.costs:
        spread = f"{min(cost.ratios):.2f} to {max(cost.ratios):.2f}"
        yield (
            f"  {cost.workload:<28}{cost.tokens:>12,}{statistics.median(cost.cpu_us):>9.0f}"
            f"{statistics.median(cost.ratios):>13.2f}{spread:>15}{cost.read:>9.0f}"
        )
    for tokens, size in growth.megabytes.items():
        yield f"  {'file, and memory afterwards':<28}{tokens:>12,}{size:>9.0f} MB{growth.memory[tokens]:>9.0f} MB"
    yield ""
    yield f"{f'at {SHARE:.0%} of the most':<30}{'requests/s':>12}{'p50 ms':>9}{'p99':>8}{'p99/p50':>9}"
    for tail in growth.tails:
        yield _rounds(tail.workload, tail.rounds)
    swept = growth.sweeping
    yield _rounds("refresh, many expired rows", swept.without)
    yield _rounds("refresh, while they are swept", swept.during)
    ratios = [_p99(mine) / _p99(theirs) for mine, theirs in zip(swept.during, swept.without, strict=True)]
    yield (
        f"  {swept.rows / swept.seconds:,.0f} rows/s were swept, {swept.rows:,} in all; p99 while sweeping / without: "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def _rounds(name: str, rounds: Sequence[Round]) -> str:
    rate, p50 = statistics.median(one.rate for one in rounds), statistics.median(one.latency["p50"] for one in rounds)
    p99 = statistics.median(map(_p99, rounds))
    tail = statistics.median(_p99(one) / one.latency["p50"] for one in rounds)
    return f"  {name:<28}{rate:>12.0f}{p50:>9.2f}{p99:>8.2f}{tail:>9.1f}"


def _p99(one: Round) -> float:
    return one.latency["p99"]


def _say(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


def main() -> int:
    """The command."""
    arguments = argparse.ArgumentParser(prog="python -m bench.growth", description="Measure what growth costs.")
    arguments.add_argument("--quick", action="store_true", help="small databases and few rounds")
    arguments.add_argument("--json", type=Path, help="where to write everything that was found")
    chosen = arguments.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as directory:
        growth = measure(Path(directory), plan(quick=chosen.quick), Cores(*cores()))
    print("\n".join(text(growth)))
    if chosen.json:
        chosen.json.write_text(json.dumps(asdict(growth), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
