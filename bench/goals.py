"""The goals of a run: what each compares, and whether it is met.

Owns the goals that are ratios between systems; those of single figures come with their findings.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.findings import Finding
from bench.plan import CONNECTIONS
from bench.table import Measured, Results, Row, ratios

AUTHSRV, FLOOR = "authsrv", "floor"
OURS = frozenset({AUTHSRV, "authsrv-postgres", FLOOR})
NOBODYS = frozenset({"oidc_provider_grouped"})
"""A peer with a storage adapter of ours that nobody can install: its rows are shown, and held against no goal."""
CPU_TO_FLOOR = 1.25
"""At most, for code exchange, refresh and client_credentials."""
TIMES_A_PEER = {
    "code exchange, ES256": 4.0,
    "refresh, ES256": 4.0,
    "client_credentials, ES256": 1.2,
    "userinfo": 2.0,
    "introspection": 2.0,
}
"""Requests per second of one core against the fastest peer, at least."""
LOGIN_BESIDE_CALL_US = 500.0
"""CPU of a silent login beyond that of the HTTP client's own call, at most."""
CLIENT_CALL = "the HTTP client's own call"


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and what was measured. `at_least` or at most `limit`; the spread are all repetitions."""

    name: str
    values: Sequence[float]
    limit: float
    unit: str
    at_least: bool = False

    @property
    def measured(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median is on the right side."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def goals(results: Results) -> list[Goal]:
    """Every goal for which this run has figures."""
    main = [row for row in results.rows if row.connections == CONNECTIONS]
    found = (_to_floor(main), _to_peers(main), _silent_login(main, results.findings), _found(results.findings))
    return [goal for kind in found for goal in kind if goal.values]


def _to_floor(rows: Sequence[Row]) -> Iterator[Goal]:
    for row in rows:
        ours, floor = row.of(AUTHSRV), row.of(FLOOR)
        if ours and floor:
            yield Goal(f"{row.name}: CPU beside the floor", ratios(ours, floor), CPU_TO_FLOOR, "x")


def _to_peers(rows: Sequence[Row]) -> Iterator[Goal]:
    for row in rows:
        ours, peer = row.of(AUTHSRV), fastest_peer(row)
        if ours and peer and row.name in TIMES_A_PEER:
            times = [
                mine.rate / theirs.rate for mine, theirs in zip(ours.rounds, peer.rounds, strict=False) if theirs.rate
            ]
            name = f"{row.name}: requests/s beside {peer.system}, the fastest peer{wrong_answers(peer)}"
            yield Goal(name, times, TIMES_A_PEER[row.name], "x", at_least=True)


def fastest_peer(row: Row) -> Measured | None:
    """By right answers. A few wrong ones beside them are no reason to compare with a slower peer instead."""
    peers = [one for one in row.measured if one.system not in OURS | NOBODYS and one.rate]
    return max(peers, key=lambda peer: peer.rate, default=None)


def wrong_answers(peer: Measured) -> str:
    """What must be said behind its name."""
    return f" ({peer.failures} wrong answers)" if peer.failures else ""


def _silent_login(rows: Sequence[Row], findings: Sequence[Finding]) -> Iterator[Goal]:
    call = next((finding.median for finding in findings if finding.name == CLIENT_CALL), None)
    login = next((row.of(AUTHSRV) for row in rows if row.name == "silent login"), None)
    if call is not None and login is not None:
        beyond = [one.cpu_us - call for one in login.rounds]
        yield Goal(f"silent login: CPU beyond {CLIENT_CALL}", beyond, LOGIN_BESIDE_CALL_US, "us")


def _found(findings: Sequence[Finding]) -> Iterator[Goal]:
    for finding in findings:
        if finding.at_most is not None:
            yield Goal(finding.name, finding.values, finding.at_most, finding.unit)
