"""What a run measures: rows of the table, numbers of connections, repetitions, and how much stock that takes.

Owns these choices; measures nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.rounds import Extent
from bench.systems.base import Wanted
from bench.workloads import CLIENT_CREDENTIALS, CODE_EXCHANGE, REFRESH, WORKLOADS, Algorithm, Workload

CONNECTIONS = 32
FEW_AND_MANY = (1, 256)
ALGORITHMS: tuple[Algorithm, ...] = ("ES256", "RS256")
MANY = 20_000
"""Requests of a round that nothing but its seconds limits."""
AT_ALL_CONNECTIONS = (CODE_EXCHANGE, REFRESH, CLIENT_CREDENTIALS)


@dataclass(frozen=True, slots=True)
class Cell:
    """A row of the table at one number of connections. `widely` says that it is for every system, not only for
    authsrv, the floor and the fastest peer.
    """

    workload: Workload
    algorithm: Algorithm
    connections: int = CONNECTIONS
    widely: bool = True

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"{self.workload.name}, {self.algorithm}" if self.workload.signs else self.workload.name


@dataclass(frozen=True, slots=True)
class Plan:
    """All rounds of a run. `extent` is that of requests which are used once. `minutes` bound the rounds: no repetition
    begins that would end after as many.
    """

    cells: Sequence[Cell]
    repetitions: int
    extent: Extent
    minutes: float = 20.0

    def extent_of(self, cell: Cell) -> Extent:
        """How long a round is at most."""
        return self.extent if cell.workload.used_once else replace(self.extent, requests=MANY)

    def has_time(self, repetitions: int, seconds: float) -> bool:
        """Whether another may begin, after so many in so many seconds; the first always may."""
        return not repetitions or seconds / repetitions * (repetitions + 1) <= self.minutes * 60

    def wanted(self) -> Wanted:
        """What every database must hold for it; of each algorithm as much as that which needs most."""
        a_round = self.extent.requests + self.extent.warm_up_requests
        exchanges = max(len(self._of(CODE_EXCHANGE, algorithm)) for algorithm in ALGORITHMS)
        chains = max(sum(cell.connections for cell in self._of(REFRESH, algorithm)) for algorithm in ALGORITHMS)
        return Wanted(codes=exchanges * self.repetitions * a_round, refresh_tokens=chains * self.repetitions * 2)

    def _of(self, workload: Workload, algorithm: Algorithm) -> list[Cell]:
        return [cell for cell in self.cells if cell.workload is workload and cell.algorithm == algorithm]


def plan(*, quick: bool, only: str) -> Plan:
    """A run of about half an hour, or of a few minutes. `only` is a part of the rows' names."""
    chosen = [cell for cell in _cells(quick=quick) if only in cell.name]
    if quick:
        return Plan(chosen, 1, Extent(1500, 1.0))
    return Plan(chosen, 5, Extent(2000, 1.0))


def _cells(*, quick: bool) -> list[Cell]:
    cells = [Cell(workload, algorithm) for workload in WORKLOADS for algorithm in workload.algorithms]
    if quick:
        return cells
    more = [Cell(workload, "ES256", count, widely=False) for workload in AT_ALL_CONNECTIONS for count in FEW_AND_MANY]
    return cells + more
