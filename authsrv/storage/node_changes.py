"""What nodes write about themselves: leases on work that one of them does, and that one is there.

Part of `changes.py`. Knows no database.
"""

from dataclasses import dataclass


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
