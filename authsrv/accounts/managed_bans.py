"""Bans and restrictions by servers of the studio: what they ask for, and what they are told.

Owns the answers. Knows no HTTP framework.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.accounts.banning import Sentence
from authsrv.accounts.bans import Bans, Barred
from authsrv.accounts.managed import ManagedPlayers
from authsrv.accounts.performing import Order
from authsrv.accounts.summaries import moment
from authsrv.accounts.terms import end_of
from authsrv.errors import InvalidRequest
from authsrv.models import NEVER, BarKind
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass

_VERBS: Mapping[BarKind, tuple[str, str]] = {"banned": ("ban", "unban"), "restricted": ("restrict", "unrestrict")}


@dataclass(frozen=True, slots=True)
class Term:
    """How long a request wants somebody kept out, as it wrote it: until a time, for so many seconds, or for good."""

    until: str = ""
    seconds: str = ""


class ManagedBans:
    """Bans players, and lifts bans."""

    def __init__(self, server: TokenServer, bans: Bans, players: ManagedPlayers) -> None:
        self._server = server
        self._bans = bans
        self._players = players

    async def ban(self, sub: str, kind: BarKind, term: Term, order: Order) -> Mapping[str, Any]:
        """Keep a player out. Raises `UserNotFound`, or `InvalidRequest` for an end that is none."""
        until = end_of(term.until, term.seconds, self._server.now())
        barred = await self._bans.ban(sub, Sentence(kind, until, order.reason), order)
        would, _ = _VERBS[kind]
        return await self._told(barred, would, order)

    async def lift(self, sub: str, kind: BarKind, ban: str, order: Order) -> Mapping[str, Any]:
        """Lift every ban of a kind that is in force, or the one of a public id. Raises `UserNotFound`."""
        ban_id = self._server.opaque.row_id("ban", ban) if ban else None
        if ban and ban_id is None:
            raise InvalidRequest("No ban has this id.", parameter="ban")
        barred = await self._bans.unban(sub, kind, order, ban_id)
        _, would = _VERBS[kind]
        return await self._told(barred, would, order)

    async def _told(self, barred: Barred, would: str, order: Order) -> Mapping[str, Any]:
        done = barred.event.kind if barred.event else "unchanged"
        return {
            "outcome": f"would_{would}" if order.preview and barred.event else done,
            "user": await self._players.show(barred.sub, order.project),
            "barred": _barred(barred),
        }


def _barred(barred: Barred) -> Mapping[str, Any] | None:
    if barred.kind is None or not barred.until:
        return None
    return {"kind": barred.kind, "until": None if barred.until >= NEVER else moment(barred.until)}
