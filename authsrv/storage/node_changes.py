"""What nodes write about themselves: leases on work that one of them does, and that one is there.

Part of `changes.py`. Knows no database.
"""

from authsrv.records import dataclass

WORK = "work"
"""The lease on what one node does for all: sweeping, rounds through keys and players, logout notices."""
_PRESENCE = "node"
TOKEN_LIVES = "tokens"
"""What the names of leases begin with by which nodes remember how long tokens live. They outlive the nodes."""


def presence(node: str, configuration: str) -> str:
    """The name of the lease by which a node says that it is there, and with which configuration."""
    return f"{_PRESENCE}/{node}/{configuration}"


def presence_of(lease: str) -> str:
    """The configuration in such a name; empty for that of another lease."""
    kind, _, rest = lease.partition("/")
    return rest.rpartition("/")[2] if kind == _PRESENCE else ""


def token_life(seconds: int) -> str:
    """The name of the lease that lasts as long as a token of such a life may be about."""
    return f"{TOKEN_LIVES}/{seconds}"


def token_life_of(lease: str) -> int:
    """The seconds in such a name; 0 for that of another lease."""
    kind, _, seconds = lease.partition("/")
    return int(seconds) if kind == TOKEN_LIVES else 0


@dataclass(frozen=True, slots=True)
class TakeLease:
    """Take a lease, or hold it for longer. Guard: nobody else holds it at `now`. All times are the database's."""

    name: str
    holder: str
    now: int
    until: int


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Let go of a lease before its time. That of another holder stays."""

    name: str
    holder: str


NodeChange = TakeLease | ReleaseLease
