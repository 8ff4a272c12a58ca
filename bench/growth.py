"""What a request costs as tokens accumulate: a thousand, a hundred thousand and five million stored grants.

Owns the sizes and the order of the rounds. What the databases hold, `bench.filling` says.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from bench.filling import Grown
from bench.findings import Finding
from bench.rounds import Extent, LoadProcess, Round, Target
from bench.servers import ServerProcess
from bench.systems.base import Cores, Wanted
from bench.systems.grown import REFRESH_ANYWHERE, prepared
from bench.tails import CONNECTIONS, right
from bench.workloads import CLIENT_CREDENTIALS, CODE_EXCHANGE, INTROSPECTION, USERINFO, Workload

WORKLOADS = (CODE_EXCHANGE, REFRESH_ANYWHERE, CLIENT_CREDENTIALS, USERINFO, INTROSPECTION)
SIZES = (10**3, 10**5, 5 * 10**6)
AT_MOST = 1.1
"""Times the cost with the fewest tokens, with the most."""

Rounds = Mapping[int, Sequence[tuple[Round, float]]]
"""By the number of tokens: each round, and the bytes that the server read for each of its requests."""


class Growth:
    """One server for each size, all on the server's core, asked one right after the other."""

    name = "growth"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`. The first run for a schema fills the databases, which takes some minutes."""
        sizes, repetitions, extent = (SIZES[:2], 2, Extent(600, 4.0)) if quick else (SIZES, 7, Extent(2000, 5.0))
        stock = repetitions * (extent.requests + extent.warm_up_requests)
        systems = {
            tokens: prepared(directory / str(tokens), Grown(tokens, expired=tokens // 10), Wanted(stock, stock))
            for tokens in sizes
        }
        with ExitStack() as stack:
            load = stack.enter_context(closing(LoadProcess(cores.load)))
            targets = {
                tokens: Target(system, stack.enter_context(system.serve(cores)), load)
                for tokens, system in systems.items()
            }
            found = {one: _rounds(one, targets, repetitions, extent) for one in WORKLOADS}
            memory = {tokens: target.running.server.rss() for tokens, target in targets.items()}
        costs = [finding for workload, rounds in found.items() for finding in _costs(workload, rounds)]
        return [*costs, *(Finding(f"{tokens:,} tokens: memory", [mb], "MB") for tokens, mb in memory.items())]


def _rounds(workload: Workload, targets: Mapping[int, Target], repetitions: int, extent: Extent) -> Rounds:
    """From the smallest to the largest, and back next time."""
    found: dict[int, list[tuple[Round, float]]] = {tokens: [] for tokens in targets}
    for repetition in range(repetitions):
        for tokens in sorted(targets, reverse=bool(repetition % 2)):
            found[tokens].append(_round(targets[tokens], workload, extent))
    return found


def _round(target: Target, workload: Workload, extent: Extent) -> tuple[Round, float]:
    target.system.requests(workload, "ES256", 0)  # what it has to get first is not counted
    before = _read(target.running.server)
    one = target.round(workload, "ES256", CONNECTIONS, extent)
    assert one is not None
    return right(one), (_read(target.running.server) - before) / (one.requests + extent.warm_up_requests)


def _read(server: ServerProcess) -> int:
    """Bytes that it has read so far, from whatever it has open."""
    return int(Path(f"/proc/{server.tree.pid}/io").read_text().split()[1])


def _costs(workload: Workload, rounds: Rounds) -> Iterator[Finding]:
    """The cost at each size, and its ratio to the neighbouring rounds with the fewest tokens."""
    fewest, most = min(rounds), max(rounds)
    for tokens, found in rounds.items():
        remark = f"{statistics.median(read for _, read in found):,.0f} bytes read per request"
        yield Finding(f"{workload.name}, {tokens:,} tokens", [one.cpu_us for one, _ in found], "us", remark=remark)
    for tokens in sorted(rounds)[1:]:
        pairs = zip(rounds[tokens], rounds[fewest], strict=True)
        yield Finding(
            f"{workload.name}: CPU with {tokens:,} tokens beside {fewest:,}",
            [one.cpu_us / other.cpu_us for (one, _), (other, _) in pairs],
            "x",
            AT_MOST if tokens == most else None,
        )
