"""The contract of a system: something that is measured, authsrv, the floor or a peer.

Owns the shapes. Knows neither the run nor the load generator, and no system knows another.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.orders import Requests
from bench.servers import ProcessTree, ServerProcess
from bench.workloads import Algorithm, Workload


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much every system's database holds before its server starts: the same numbers for all.

    `codes` and `refresh_tokens` are per algorithm: codes that nobody has redeemed, with PKCE (`bench.site.CHALLENGE`)
    and the scope `openid profile offline_access` or its nearest, each in a row of its own; and refresh tokens of as
    many grants. `players` own them in turn. Clients: one public game per algorithm and one confidential backend.
    """

    codes: int
    refresh_tokens: int
    players: int = 200


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: the measured server alone on one, everything else on the other."""

    server: set[int]
    load: set[int]


@dataclass(frozen=True, slots=True)
class Running:
    """A started system. `beside` are processes on the load generator's core whose CPU is reported apart, by name."""

    server: ServerProcess
    port: int
    host: str = "127.0.0.1"
    """The Host header that every request has."""
    beside: Mapping[str, ProcessTree] = field(default_factory=dict)


class System(Protocol):
    """One per module. The methods are called once each and in this order, except `requests`."""

    name: str
    """As the table shows it, for example `npm oidc-provider`."""

    durability: str
    """What its database does before an answer, for example `SQLite, WAL, synchronous=FULL`."""

    def install(self, cache: Path) -> str:
        """Install what it needs by name from its registry into `cache`, a directory that outlives runs, unless it is
        there. Gives the versions in words. Raises `NotInstalled` with a reason for people: the run goes on without.
        """

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Make configuration and database in `directory`, which is empty, its own, on a disk, and gone after the run.

        Rows may be written without the server, in one go.
        """

    def serve(self, cores: Cores) -> AbstractContextManager[Running]:
        """One worker on `cores.server` that has answered already; leaving the block ends it.

        `ServerProcess` counts the CPU of a whole process tree, so a master beside its worker is counted too.
        """

    def requests(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """What to send, or None where the system cannot do this. Called once per round, while the server runs (it may
        be asked for access tokens then, before the round).

        For what is used once, `count` requests that no call has given before, fewer when the stock of `prepare` ends.
        For a chained workload `count` is the number of chains, each from a refresh token that no call has given before.
        For the rest `count` means nothing: one request, or some two hundred that differ by player.
        """


class NotInstalled(Exception):
    """A peer that this machine cannot have, with the reason."""
