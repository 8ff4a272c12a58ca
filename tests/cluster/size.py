"""How much a run of these tests does: little in every test run, everything with AUTHSRV_CLUSTER=full."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """`rounds` of each race by `racers`; `players` under load, and how often something breaks meanwhile.

    The database ends `stops` times, `stalls` times a table is locked by others, and as often a node stands still; each
    node is restarted `restarts` times.
    `limit` are the seconds that one test may take.
    """

    rounds: int
    racers: int
    players: int
    kills: int
    stops: int
    stalls: int
    restarts: int
    requests: int
    limit: int


_SIZES = {
    "": Size(rounds=10, racers=8, players=12, kills=2, stops=1, stalls=1, restarts=1, requests=120, limit=300),
    "full": Size(
        rounds=1000, racers=8, players=24, kills=100, stops=10, stalls=5, restarts=20, requests=3000, limit=3600
    ),
}
SIZE = _SIZES[os.environ.get("AUTHSRV_CLUSTER", "")]
