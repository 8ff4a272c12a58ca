"""`make bench`: one table of what a token request, a start and an idle server cost, beside a floor of the same run.

Owns the order of the measurements and the table. Runs in a temporary directory and leaves nothing behind.
"""

import argparse
import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from forms import CLIENT_CREDENTIALS, exchange, refresh
from load import Order, Outcome
from seed import HOST, ISSUER, Seeds, Site, Wanted, fill, migrate, write_config
from servers import AUTHSRV, DidNotStart, ServerProcess, Start, cores, running_on

HERE = Path(__file__).parent
CONNECTIONS = 16
WARM_UP = 100
RATIO_GOAL, RSS_GOAL, START_GOAL, HELP_GOAL = 1.25, 80.0, 0.6, 0.3


class Failed(Exception):
    """A measurement that must not be printed: something was answered wrongly."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured: `requests` and `seconds` bound one round of one server."""

    rounds: int
    requests: int
    seconds: float
    starts: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of token request and what its answer must hold."""

    name: str
    tokens: dict[str, str]
    game: str = ""
    refreshes: bool = False
    chained: bool = False
    times: int = 1
    """How many times the usual number of requests; the kernel counts CPU in hundredths of a second."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one server."""

    rate: float
    cpu_us: float


@dataclass(slots=True)
class Row:
    """All rounds of a scenario."""

    scenario: Scenario
    ours: list[Round] = field(default_factory=list)
    floor: list[Round] = field(default_factory=list)

    def ratios(self) -> list[float]:
        return [one.cpu_us / other.cpu_us for one, other in zip(self.ours, self.floor, strict=True)]


SCENARIOS = (
    Scenario("code exchange, RS256 id_token", {"access_token": "ES256", "id_token": "RS256"}, "game", refreshes=True),
    Scenario(
        "code exchange, ES256 id_token", {"access_token": "ES256", "id_token": "ES256"}, "game-es256", refreshes=True
    ),
    Scenario(
        "refresh, RS256 id_token",
        {"access_token": "ES256", "id_token": "RS256"},
        "game",
        refreshes=True,
        chained=True,
    ),
    Scenario("client_credentials", {"access_token": "ES256"}, times=4),
)


class LoadProcess:
    """The load generator on its own core."""

    def __init__(self, core: set[int]) -> None:
        with running_on(core):
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "load.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )

    def carry_out(self, order: Order) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        outcome = Outcome(**json.loads(self._process.stdout.readline()))
        if outcome.failures or not outcome.requests:
            raise Failed(f"{outcome.failures} of {outcome.requests + outcome.failures} requests: {outcome.errors}")
        return outcome

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Target:
    """A server under load with the codes and refresh tokens that it has not seen yet."""

    def __init__(self, process: ServerProcess, port: int, seeds: Seeds) -> None:
        self._process = process
        self._port = port
        self._codes = {game: [code.text for code in codes] for game, codes in seeds.codes.items()}
        self._refresh = [token.text for token in seeds.refresh_tokens]

    def round(self, load: LoadProcess, scenario: Scenario, count: int, seconds: float) -> Round:
        order = Order(
            port=self._port,
            host=HOST,
            forms=self._forms(scenario, count),
            tokens=scenario.tokens,
            refreshes=scenario.refreshes,
            connections=CONNECTIONS,
            count=count,
            seconds=seconds,
            chained=scenario.chained,
        )
        before = self._process.cpu_seconds()
        outcome = load.carry_out(order)
        spent = self._process.cpu_seconds() - before
        if scenario.chained:
            self._refresh = outcome.last
        return Round(outcome.requests / outcome.seconds, spent / outcome.requests * 1e6)

    def _forms(self, scenario: Scenario, count: int) -> list[dict[str, str]]:
        if scenario.chained:
            return [refresh(scenario.game, token) for token in self._refresh]
        if scenario.game:
            codes = self._codes[scenario.game]
            taken, self._codes[scenario.game] = codes[:count], codes[count:]
            return [exchange(scenario.game, code) for code in taken]
        return [CLIENT_CREDENTIALS] * count


def main() -> int:
    arguments = argparse.ArgumentParser(description="Measure what authsrv costs.")
    arguments.add_argument("--quick", action="store_true", help="one short round of everything")
    arguments.add_argument(
        "--only", default="", metavar="TEXT", help="only the token requests whose name has this in it"
    )
    chosen = arguments.parse_args()
    quick, scenarios = chosen.quick, [one for one in SCENARIOS if chosen.only in one.name]
    extent = Extent(1, 600, 3.0, 2) if quick else Extent(3, 1200, 4.0, 5)
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="authsrv-bench-") as directory:
            measure(Path(directory), extent, scenarios, starts=not chosen.only)
    except (Failed, DidNotStart) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{time.perf_counter() - began:.0f} s in all")
    return 0


def measure(directory: Path, extent: Extent, scenarios: Sequence[Scenario], *, starts: bool) -> None:
    site = Site(directory, *_free_ports(3))
    write_config(site)
    migrate(site)
    seeds = asyncio.run(fill(site, Wanted(extent.rounds * (extent.requests + WARM_UP), CONNECTIONS)))
    shutil.copy(site.database, site.floor_database)
    server_core, load_core = cores()
    print(f"server on core {server_core}, load generator on core {load_core}, {CONNECTIONS} connections\n")
    with running_on(load_core), _emulator(site, load_core):
        if starts:
            _print_starts([_start(site, server_core) for _ in range(extent.starts + 1)][1:])
            _print_help([_help(server_core) for _ in range(extent.starts + 1)][1:])
        rows = [Row(scenario) for scenario in scenarios]
        _ask_for_tokens(rows, site, seeds, (server_core, load_core), extent)
        _print_rows(rows)


def _ask_for_tokens(
    rows: Sequence[Row], site: Site, seeds: Seeds, on: tuple[set[int], set[int]], extent: Extent
) -> None:
    """Round after round, every row's request from both servers, one right after the other."""
    server_core, load_core = on
    with ExitStack() as stack:
        ours = stack.enter_context(_authsrv(site, server_core))
        floor = stack.enter_context(_floor(site, server_core))
        load = LoadProcess(load_core)
        stack.callback(load.close)
        targets = Target(ours, site.port, seeds), Target(floor, site.floor_port, seeds.in_clear())
        for _ in range(extent.rounds):
            for row in rows:
                for target, rounds in zip(targets, (row.ours, row.floor), strict=True):
                    target.round(load, row.scenario, WARM_UP, extent.seconds)
                    rounds.append(
                        target.round(load, row.scenario, extent.requests * row.scenario.times, extent.seconds)
                    )
        print(f"{'memory after the load':<32}{ours.rss():8.1f} MB   floor {floor.rss():.1f} MB\n")


def _authsrv(site: Site, core: set[int]) -> ServerProcess:
    command = [AUTHSRV, "serve", "--config", str(site.config)]
    return ServerProcess(command, site.port, site.directory / "authsrv.log", core)


def _floor(site: Site, core: set[int]) -> ServerProcess:
    command = [sys.executable, str(HERE / "floor.py"), str(site.floor_database), str(site.floor_port), ISSUER]
    return ServerProcess(command, site.floor_port, site.directory / "floor.log", core)


@contextmanager
def _emulator(site: Site, core: set[int]) -> Iterator[None]:
    """The platforms, from which a starting server fetches keys."""
    port = str(site.emulator_port)
    command = [AUTHSRV, "emulator", "run", "--port", port, "--keys", str(site.emulator_keys), "--until-stdin-closes"]
    health = "/emulator/health"
    with ServerProcess(command, site.emulator_port, site.directory / "emulator.log", core, health):
        yield


def _start(site: Site, core: set[int]) -> Start:
    with _authsrv(site, core) as process:
        return process.start


def _help(core: set[int]) -> float:
    with running_on(core):
        began = time.perf_counter()
        subprocess.run([AUTHSRV, "--help"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


def _print_starts(starts: Sequence[Start]) -> None:
    _print_goal("cold start, first 200", [one.seconds for one in starts], "s", START_GOAL)
    _print_goal("  of it CPU", [one.cpu for one in starts], "s", None)
    _print_goal("idle memory after one request", [one.rss for one in starts], "MB", RSS_GOAL)


def _print_help(times: Sequence[float]) -> None:
    _print_goal("authsrv --help", times, "s", HELP_GOAL)


def _print_goal(name: str, values: Sequence[float], unit: str, goal: float | None) -> None:
    middle, digits = statistics.median(values), 1 if unit == "MB" else 2
    spread = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    verdict = "" if goal is None else f"   goal {goal:g}: {'met' if middle <= goal else 'MISSED'}"
    print(f"{name:<32}{middle:8.{digits}f} {unit:<2}   {spread:<14}{verdict}")


def _print_rows(rows: Sequence[Row]) -> None:
    print(f"{'':<32}{'requests/s':>17}{'CPU us/request':>20}{'CPU, authsrv / floor':>32}")
    print(f"{'':<32}{'authsrv':>9}{'floor':>8}{'authsrv':>12}{'floor':>8}{'median':>10}{'spread':>16}{'goal':>14}")
    for row in rows:
        ratios = row.ratios()
        middle = statistics.median(ratios)
        rates, costs = _medians(row, "rate"), _medians(row, "cpu_us")
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        verdict = f"{RATIO_GOAL}: {'met' if middle <= RATIO_GOAL else 'MISSED'}"
        print(
            f"{row.scenario.name:<32}{rates[0]:9.0f}{rates[1]:8.0f}{costs[0]:12.0f}{costs[1]:8.0f}"
            f"{middle:10.2f}{spread:>16}{verdict:>14}"
        )


def _medians(row: Row, what: str) -> tuple[float, float]:
    return (
        statistics.median(getattr(one, what) for one in row.ours),
        statistics.median(getattr(one, what) for one in row.floor),
    )


if __name__ == "__main__":
    sys.exit(main())
