"""The surfaces at which platform accounts are connected, and the parts that they share.

Owns what one surface does otherwise than another. Knows no HTTP framework.
"""

from collections.abc import Callable, Mapping

from authsrv.accounts.arrivals import Arrivals
from authsrv.accounts.callers import Callers
from authsrv.accounts.cases import Cases
from authsrv.accounts.conflicts import Conflicts
from authsrv.accounts.continuation import ContinuationTokens
from authsrv.accounts.entries import CodeEntry, Entry, TokenEntry
from authsrv.models import Client, ConnectFlags
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass

_GAMESPARKS_FLAGS = ConnectFlags(error_on_switch=False)
"""As its requests had them, whatever the client's entry says."""


@dataclass(frozen=True, slots=True)
class ConnectParts:
    """What is behind every surface."""

    server: TokenServer
    callers: Callers
    cases: Cases
    arrivals: Arrivals
    conflicts: Conflicts
    tokens: ContinuationTokens


@dataclass(frozen=True, slots=True)
class Door:
    """One surface: the flags of a request that names none, and what its clients get.

    `entry` is given the client, what the request says about its code, and the time; it raises `AuthsrvError`.
    """

    flags: Callable[[Client], ConnectFlags]
    entry: Callable[[Client, Mapping[str, str], int], Entry]


def identity_door(server: TokenServer) -> Door:
    """Our own API: the client's flags, and a code where the session changes."""
    return Door(lambda client: client.connect, lambda client, said, now: CodeEntry(server, client, said, now))


def gamesparks_door(server: TokenServer) -> Door:
    """The API of GameSparks: its flags, and an access token with every answer."""
    return Door(lambda _: _GAMESPARKS_FLAGS, lambda client, _, now: TokenEntry(server, client, now))
