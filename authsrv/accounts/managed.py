"""What servers of the studio are told of players and do to them, and undos, which players ask for too.

Owns who counts as such a server, and the answers. Knows no HTTP framework.
"""

from collections.abc import Awaitable, Mapping
from typing import Any

from authsrv.account_models import Account, Ban, Doer, JournalEvent
from authsrv.accounts.access import AccountSession
from authsrv.accounts.effects import Move, effect_of_event
from authsrv.accounts.journal import cause
from authsrv.accounts.naming import Wanted
from authsrv.accounts.performing import Order, Performed, PlayerChanges
from authsrv.accounts.summaries import Summaries, blocked, moment, undo_of
from authsrv.errors import (
    AccessDenied,
    AccountConflict,
    InvalidClient,
    LastIdentity,
    LaterChanges,
    LinkLimit,
    NotFound,
    NotLinked,
    StateChanged,
    UnauthorizedClient,
)
from authsrv.models import NEVER, Client, Project
from authsrv.oauth.request import TokenRequest
from authsrv.oauth.server import TokenServer

_RULES = (AccessDenied, AccountConflict, LastIdentity, LaterChanges, LinkLimit, NotLinked, StateChanged)
"""What a preview tells as an outcome: what stands in the way lies in the accounts, not in the request."""


class Managers:
    """Knows which clients may manage the players of their project."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server

    def client(self, request: TokenRequest) -> Client:
        """The client that a request proves. Raises `InvalidClient`, or `UnauthorizedClient` for others."""
        client = self._server.authenticate(request).client
        if client.public:
            raise InvalidClient
        if not client.manage_players:
            raise UnauthorizedClient("This client may not manage players; its entry needs manage_players = true.")
        return client


class ManagedPlayers:
    """Answers about players, and about what was done to them."""

    def __init__(self, server: TokenServer, changes: PlayerChanges, summaries: Summaries) -> None:
        self._server = server
        self._changes = changes
        self._summaries = summaries

    async def show(self, sub: str, project: Project) -> Mapping[str, Any]:
        """The account that a `sub` stands for now, with its bans. Raises `UserNotFound`."""
        return self._told(await self._changes.account(sub, project))

    async def transfer(self, giver: str, wanted: Wanted, taker: str, order: Order) -> Mapping[str, Any]:
        """Give a platform account to another player."""
        return await self._answered(self._changes.transfer(giver, wanted, taker, order), order)

    async def merge(self, loser: str, survivor: str, order: Order, *, drop_duplicates: bool) -> Mapping[str, Any]:
        """Make one player of two."""
        return await self._answered(self._changes.merge(loser, survivor, order, drop_duplicates=drop_duplicates), order)

    async def undo(self, event: str, order: Order) -> Mapping[str, Any]:
        """Take an event back, by its public id."""
        return await self._answered(self._changes.undo(self._row_of(event), order), order)

    async def undo_own(self, event: str, session: AccountSession, *, preview: bool) -> Mapping[str, Any]:
        """The same for the player, whose sign-in must be recent."""
        session.require_recent(self._server.now())
        order = Order(session.client.project, session.doer, session.sender, preview=preview)
        return await self._answered(self._changes.undo(self._row_of(event), order, session.player), order)

    async def _answered(self, doing: Awaitable[Performed], order: Order) -> Mapping[str, Any]:
        if not order.preview:
            return self._outcome(await doing, preview=False)
        try:
            return self._outcome(await doing, preview=True)
        except _RULES as error:
            return blocked(error)

    def _outcome(self, performed: Performed, *, preview: bool) -> Mapping[str, Any]:
        event = performed.event
        if event is None:
            return {"outcome": "unchanged", "user": self._told(performed.about)}
        return {
            "outcome": f"would_{_VERBS[event.kind]}" if preview else event.kind,
            "user": self._told(performed.about),
            "other": self._told(performed.other) if performed.other else None,
            **self._details(event),
            "undo": None if preview else undo_of(event, self._public_id(event.id), event.at),
        }

    def _details(self, event: JournalEvent) -> Mapping[str, Any]:
        moves = effect_of_event(event).moves
        if event.kind == "undone":
            return {"undid": cause(event), "moved": [self._identity(move) for move in moves]}
        detached = [self._identity(move) for move in moves if move.after is None]
        return {"moved": [self._identity(move) for move in moves if move.after], "detached": detached}

    def _identity(self, move: Move) -> Mapping[str, Any]:
        return self._summaries.identity(move.key)

    def _told(self, account: Account) -> Mapping[str, Any]:
        return {**self._summaries.account(account), "bans": [self._ban(ban) for ban in account.bans]}

    def _ban(self, ban: Ban) -> Mapping[str, Any]:
        return {"ban": self._server.opaque.public_id("ban", ban.id), **_decided(ban)}

    def _row_of(self, event: str) -> int:
        row_id = self._server.opaque.row_id("event", event)
        if row_id is None:
            raise NotFound("There is no such event.")
        return row_id

    def _public_id(self, event_id: int) -> str:
        return self._server.opaque.public_id("event", event_id)


_VERBS: Mapping[str, str] = {"transferred": "transfer", "merged": "merge", "undone": "undo"}


def server_as(client: Client, address: str) -> Doer:
    """A server of the studio's, for the journal."""
    return Doer("client", client.client_id, client.client_id, address)


def _decided(ban: Ban) -> Mapping[str, Any]:
    return {
        "kind": ban.kind,
        "reason": ban.reason,
        "decided_by": ban.decided_by,
        "created_at": moment(ban.created_at),
        "until": None if ban.until >= NEVER else moment(ban.until),
        "lifted_at": moment(ban.lifted_at) if ban.lifted_at is not None else None,
    }
