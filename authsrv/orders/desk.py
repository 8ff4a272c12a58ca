"""What an order works with, and how it refuses. Knows no order by name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from authsrv.accounts.bans import Bans
from authsrv.accounts.forgetting import Forgetting
from authsrv.accounts.performing import PlayerChanges
from authsrv.models import Project
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass

Order = Callable[["Desk", Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes its arguments and returns the members of its answer, both as JSON has them; raises `OrderRefused`."""


RefusalCode = Literal["", "unknown_player", "not_possible"]
"""Refusals that a program has to tell from the others: there is no such player; or it cannot be done to this one, while
it may be to the next. All others concern the server or the order itself."""


class OrderRefused(Exception):
    """The order was not carried out. The text says why, and what to do."""

    def __init__(self, text: str, code: RefusalCode = "") -> None:
        self.code = code
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Desk:
    """The open storage with what stands upon it: in the running server its own parts, so that an order acts at once.

    `server` has storage, clients, audit and clock; `projects` gives those of the configuration, by key. `platforms`
    knows all that there are, but runs none unless this is the running server. `bans`, `changes` and `forgetting` carry
    out what is done to players.
    """

    server: TokenServer
    keys: KeyKeeper
    bans: Bans
    changes: PlayerChanges
    forgetting: Forgetting
    platforms: PlatformDirectory
    projects: Callable[[], Mapping[str, Project]]
