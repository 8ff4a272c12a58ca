"""The figures of the documents, written from a recorded run, so that nobody types one.

Owns the blocks between `<!-- bench: NAME -->` and `<!-- /bench -->` in `DOCUMENTS`. Run as
`python -m bench.figures`, which `--record` does too.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench import profiles
from bench.goals import AUTHSRV, FLOOR, fastest_peer, goals, wrong_answers
from bench.imports import IMPORTS, WHOLE
from bench.keeping import RESULTS, load, newest
from bench.plan import CONNECTIONS
from bench.profiles import PROFILE
from bench.servers import ROOT
from bench.table import Measured, Results, Row, ratios

DOCUMENTS = ("README.md", "docs/performance.md", "bench/README.md")
HEADLINES = ("code exchange, ES256", "refresh, ES256", "client_credentials, ES256")
_BLOCK = re.compile(r"(<!-- bench: (\w+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def write() -> None:
    """Write all blocks of all documents from the newest run."""
    for name in DOCUMENTS:
        document = ROOT / name
        document.write_text(filled(document.read_text(encoding="utf-8"), newest()), encoding="utf-8")


def filled(document: str, recorded: Path) -> str:
    """The document with the figures of a run in its blocks. Raises `KeyError` for a block that nobody knows."""
    results = load(recorded)
    return _BLOCK.sub(lambda found: found[1] + _block(found[2], results, recorded) + found[3], document)


def _block(name: str, results: Results, recorded: Path) -> str:
    return "\n".join(["", *BLOCKS[name](results, recorded.stem), "", ""])


def _headlines(results: Results, _: str) -> Iterator[str]:
    yield from _table("one worker on one core", "requests/s", "p99", "CPU", "beside the bare endpoint", "fastest peer")
    for row in _main(results):
        ours = row.of(AUTHSRV)
        if row.name in HEADLINES and ours:
            yield _line(row.name, *_cost(ours), _beside_floor(row, ours), _beside_peer(row, ours))


def _machine(results: Results, recorded: str) -> Iterator[str]:
    yield f"Measured on {recorded} by `make bench`, {CONNECTIONS} connections unless it says otherwise:"
    yield ""
    yield from (f"* {name}: {words}" for name, words in results.machine.items())
    for key, about in results.systems.items():
        memory = f"{about.memory:.0f} MB after all requests"
        yield f"* `{key}`: {about.name} ({about.versions}; {about.durability}), {memory}"
    yield ""
    yield f"![Requests per second of one core](../{RESULTS.relative_to(ROOT)}/{recorded}.svg)"


def _requests(results: Results, _: str) -> Iterator[str]:
    yield from _table("request", "connections", "requests/s", "p99", "CPU", "beside the bare endpoint", "fastest peer")
    for row in results.rows:
        if ours := row.of(AUTHSRV):
            cells = (*_cost(ours), _beside_floor(row, ours), _beside_peer(row, ours))
            yield _line(row.name, str(row.connections), *cells)


def _postgres(results: Results, _: str) -> Iterator[str]:
    yield from _table("request", "connections", "requests/s", "p99", "CPU of authsrv", "CPU of PostgreSQL")
    for row in results.rows:
        if ours := row.of("authsrv-postgres"):
            beside = sum(one.beside_cpu_us.get("PostgreSQL", 0.0) for one in ours.rounds) / len(ours.rounds)
            yield _line(row.name, str(row.connections), *_cost(ours), f"{beside:.0f} us")


def _systems(results: Results, _: str) -> Iterator[str]:
    yield from _table("requests/s", *(f"`{key}`" for key in results.systems))
    for row in _main(results):
        yield _line(row.name, *(_rate(row.of(key)) for key in results.systems))


def _findings(results: Results, _: str) -> Iterator[str]:
    yield from _table("", "median", "spread", "goal")
    for one in results.findings:
        if one.name.startswith((PROFILE, IMPORTS)):
            continue
        digits = 0 if one.unit == "us" else 1 if one.unit == "MB" else 2
        goal = "" if one.at_most is None else f"{one.at_most:g} {one.unit}"
        spread = f"{min(one.values):,.{digits}f} to {max(one.values):,.{digits}f}" if len(one.values) > 1 else ""
        yield _line(one.name, f"{one.median:,.{digits}f} {one.unit}", spread, goal)


def _profile(results: Results, _: str) -> Iterator[str]:
    found = {one.name: one.median for one in results.findings}
    yield from _table("microseconds of CPU for each request", *(workload.name for workload in profiles.WORKLOADS))
    for line in profiles.LINES:
        cells = (found.get(f"{PROFILE}{workload.name}: {line}", 0.0) for workload in profiles.WORKLOADS)
        yield _line(line, *(f"{cell:,.0f}" for cell in cells))


def _imports(results: Results, _: str) -> Iterator[str]:
    found = {one.name.removeprefix(IMPORTS): one.median for one in results.findings if one.name.startswith(IMPORTS)}
    if not found:
        yield "The run before this probe was there has no such figures."
        return
    yield from _table("part of a start", "milliseconds", "share")
    for name, took in found.items():
        yield _line(name, f"{took:,.1f}", f"{took / found[WHOLE]:.0%}")


def _goals(results: Results, _: str) -> Iterator[str]:
    yield from _table("goal", "measured", "wanted", "")
    for goal in goals(results):
        wanted = f"at {'least' if goal.at_least else 'most'} {goal.limit:g} {goal.unit}"
        yield _line(goal.name, f"{goal.measured:,.2f} {goal.unit}", wanted, "met" if goal.met else "**missed**")


BLOCKS: Mapping[str, Callable[[Results, str], Iterator[str]]] = {
    "headlines": _headlines,
    "machine": _machine,
    "requests": _requests,
    "postgres": _postgres,
    "systems": _systems,
    "findings": _findings,
    "goals": _goals,
    "profile": _profile,
    "imports": _imports,
}


def _main(results: Results) -> Sequence[Row]:
    return [row for row in results.rows if row.connections == CONNECTIONS]


def _table(*heads: str) -> Iterator[str]:
    yield _line(*heads)
    yield "|" + "---|" * len(heads)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _cost(measured: Measured) -> tuple[str, str, str]:
    return f"{measured.rate:,.0f}", f"{measured.latency('p99'):.1f} ms", f"{measured.cpu_us:.0f} us"


def _rate(measured: Measured | None) -> str:
    if measured is None:
        return "-"
    return f"{measured.rate:,.0f}" + (" (some wrong)" if measured.failures else "")


def _beside_floor(row: Row, ours: Measured) -> str:
    floor = row.of(FLOOR)
    found = sorted(ratios(ours, floor)) if floor else []
    return f"{found[len(found) // 2]:.2f} times its CPU" if found else ""


def _beside_peer(row: Row, ours: Measured) -> str:
    peer = fastest_peer(row)
    if peer is None:
        return ""
    return f"{ours.rate / peer.rate:.1f} times `{peer.system}`{wrong_answers(peer)}"


if __name__ == "__main__":
    write()
