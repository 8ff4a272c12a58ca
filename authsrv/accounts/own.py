"""What players are told of their own account: who they are, their platform accounts, and what was done to it.

Owns which events they see, and the paging. Changes nothing. Knows no HTTP framework.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.account_models import Account, EventKind, JournalEvent
from authsrv.accounts.access import AccountSession
from authsrv.accounts.summaries import Summaries, moment, undo_of
from authsrv.accounts.ways_in import WaysIn
from authsrv.errors import InvalidRequest, InvalidToken
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass
from authsrv.storage.base import LAST_ROW

PAGE = 50
MOST = 100
"""Events on a page, if the request does not say and at most."""

NOT_TOLD: frozenset[EventKind] = frozenset({"restricted", "unrestricted"})
"""Events that players are not shown: nobody shall learn of a restriction."""
_OF_TWO: frozenset[EventKind] = frozenset({"transferred", "merged"})
PLAYERS_UNDO: frozenset[EventKind] = frozenset({"linked", "unlinked"})


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is wanted: what follows `cursor`, which is empty for the first page."""

    cursor: str = ""
    limit: int = PAGE


class OwnAccount:
    """Tells players of their account."""

    def __init__(self, server: TokenServer, summaries: Summaries, ways_in: WaysIn) -> None:
        self._server = server
        self._summaries = summaries
        self._ways_in = ways_in

    async def summary(self, session: AccountSession) -> Mapping[str, Any]:
        """The account."""
        return self._summaries.account(await self.load(session))

    async def identities(self, session: AccountSession) -> Mapping[str, Any]:
        """The platform accounts, those linked longest first, and whether each may be unlinked."""
        account = await self.load(session)
        usable = await self._ways_in.usable(account, session.client.project)
        told = [
            {
                **self._summaries.linked(linked),
                "last_used_at": moment(linked.last_used_at),
                "may_unlink": bool(usable - {linked.key}),
            }
            for linked in account.identities
        ]
        return {"identities": told}

    async def timeline(self, session: AccountSession, paging: Paging) -> Mapping[str, Any]:
        """What was done to the account, the newest first, and the cursor of the next page."""
        player_id, before = session.player.id, self._before(paging.cursor)
        with outages_answered():
            found = await self._server.storage.load_events(player_id, paging.limit, before)
        told = [self._told(event, player_id) for event in found if event.kind not in NOT_TOLD]
        return {"events": told, "next": self._public_id(found[-1]) if len(found) == paging.limit else None}

    async def load(self, session: AccountSession) -> Account:
        """The account with all it has. Raises `InvalidToken` once it is gone."""
        with outages_answered():
            account = await self._server.storage.load_account(session.player.id)
        if account is None:
            raise InvalidToken(detail="the player is gone")
        return account

    def _before(self, cursor: str) -> int:
        row_id = self._server.opaque.row_id("event", cursor) if cursor else LAST_ROW
        if row_id is None:
            raise InvalidRequest("This cursor is not ours.", parameter="cursor")
        return row_id

    def _told(self, event: JournalEvent, player_id: int) -> dict[str, Any]:
        client = self._server.registry.get(event.client_id)
        told: dict[str, Any] = {
            "event": self._public_id(event),
            "kind": event.kind,
            "at": moment(event.at),
            "identity": self._summaries.identity(event.identity) if event.identity else None,
            "client": client.name if client else event.client_id,
            "actor": event.actor,
            "undo": self._undo(event, player_id),
        }
        return told | ({"gained": event.player_id == player_id} if event.kind in _OF_TWO else {})

    def _undo(self, event: JournalEvent, player_id: int) -> dict[str, str] | None:
        if event.kind not in PLAYERS_UNDO or event.player_id != player_id:
            return None
        return undo_of(event, self._public_id(event), self._server.now())

    def _public_id(self, event: JournalEvent) -> str:
        return self._server.opaque.public_id("event", event.id)
