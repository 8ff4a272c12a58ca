"""Carries bans out: loads, decides by `banning.py`, writes, and makes sure that nothing outlives the ban.

Knows no HTTP framework.
"""

from collections.abc import Callable, Mapping, Sequence

from authsrv.account_models import Account, Ban, EventKind, JournalEvent, Ownership
from authsrv.accounts import banning
from authsrv.accounts.banning import Sentence
from authsrv.accounts.journal import Occasion, Planned
from authsrv.accounts.performing import Order, PlayerChanges
from authsrv.audit import AuditEvent, AuditKind
from authsrv.errors import TemporarilyUnavailable
from authsrv.models import BarKind, IdentityKey, Player, Project
from authsrv.oauth.browser.sessions import BrowserSessions
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.records import dataclass
from authsrv.storage.account_changes import BarPlayer
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, SetNotBefore

_Plan = Callable[[Sequence[Account], Occasion], Planned | None]
_AUDITED: Mapping[EventKind, AuditKind] = {
    "banned": "player.banned",
    "unbanned": "player.unbanned",
    "restricted": "player.restricted",
    "unrestricted": "player.unrestricted",
}
_BARS: frozenset[EventKind] = frozenset({"banned", "restricted"})
_MOST_BANS = 100
"""How many bans of one platform account are lifted by one order."""


@dataclass(frozen=True, slots=True)
class Barred:
    """What keeps a player out after an order, and until when; an `until` of 0 lets them in.

    `event` is None if there was nothing to do. `sub` is that of the account that remains of several; empty for a
    platform account that is nobody's.
    """

    sub: str
    until: int
    kind: BarKind | None
    event: JournalEvent | None


class Bans:
    """Bans players and platform accounts, and lifts bans."""

    def __init__(self, server: TokenServer, changes: PlayerChanges, sessions: BrowserSessions) -> None:
        self._server = server
        self._changes = changes
        self._sessions = sessions
        self._marks = server.proofs.logins.marks

    async def ban(self, sub: str, sentence: Sentence, order: Order) -> Barred:
        """Keep a player out. Raises `UserNotFound`, or `InvalidRequest` for an end in the past."""
        return await self._carry_out(
            sub, lambda accounts, occasion: banning.ban(accounts, sentence, occasion, self._marks), order
        )

    async def unban(self, sub: str, kind: BarKind, order: Order, ban_id: int | None = None) -> Barred:
        """Lift every ban of a kind that is in force, or one of them. Raises `UserNotFound`."""
        return await self._carry_out(
            sub, lambda accounts, occasion: banning.unban(accounts, kind, occasion, ban_id), order
        )

    async def ban_identity(self, key: IdentityKey, sentence: Sentence, order: Order) -> Barred:
        """Keep out whoever comes by a platform account; the player with all they have, if it is a player's.

        Raises `InvalidRequest` for an end in the past.
        """
        for _ in range(ATTEMPTS):
            found = await self._ownership(key)
            if found.player:
                return await self.ban(found.player.sub, sentence, order)
            planned = banning.ban_identity(key, sentence, self._occasion(order), self._marks)
            if await self._written(planned.changes, order):
                self._audit("identity.banned", "", order)
                return Barred("", sentence.until, sentence.kind, planned.event)
        raise _lost()

    async def unban_identity(self, key: IdentityKey, order: Order) -> Barred:
        """Lift every ban that holds for a platform account, also for others, if it was made for a player."""
        lifted = None
        for _ in range(_MOST_BANS):
            found = (await self._ownership(key)).ban
            if found is None:
                break
            lifted = await self._lift(found, order)
            if order.preview:
                break
        return lifted or Barred("", 0, None, None)

    async def _lift(self, found: Ban, order: Order) -> Barred | None:
        """None if others were faster."""
        account = await self._account(found.player_id)
        if account is not None:
            return await self.unban(account.player.sub, found.kind, order, found.id)
        planned = banning.unban_identity(found, self._occasion(order))
        if not await self._written(planned.changes, order):
            return None
        self._audit("identity.unbanned", "", order)
        return Barred("", 0, None, planned.event)

    async def _carry_out(self, sub: str, plan: _Plan, order: Order) -> Barred:
        for _ in range(ATTEMPTS):
            accounts, occasion = await self._accounts(sub, order.project), self._occasion(order)
            player, planned = accounts[0].player, plan(accounts, occasion)
            if planned is None:
                return _as_it_is(player, occasion.now)
            told = await self._notices(accounts, occasion.now)
            if await self._written([*planned.changes, *told], order):
                self._audit(_AUDITED[planned.event.kind], player.sub, order)
                await self._close(planned, order)
                return _barred(player.sub, planned)
        raise _lost()

    async def _accounts(self, sub: str, project: Project) -> Sequence[Account]:
        """The account that a `sub` stands for now, and those that were merged into it."""
        account = await self._changes.account(sub, project)
        merged = [await self._account(alias.id) for alias in account.aliases]
        return [account, *(one for one in merged if one is not None)]

    async def _account(self, player_id: int) -> Account | None:
        with outages_answered():
            return await self._server.storage.load_account(player_id)

    async def _ownership(self, key: IdentityKey) -> Ownership:
        with outages_answered():
            return await self._server.storage.load_ownership(key, self._marks.of(key), self._server.now())

    async def _notices(self, accounts: Sequence[Account], now: int) -> list[Change]:
        """What tells the clients of every session that ends."""
        told: list[Change] = []
        for account in accounts:
            with outages_answered():
                found = await self._server.storage.load_player_sessions(account.player.id)
            for signed_in in found:
                told += await self._sessions.notices(signed_in, now)
        return told

    async def _written(self, changes: Sequence[Change], order: Order) -> bool:
        """Whether it is done, or only looked at; False when an account changed meanwhile."""
        if order.preview:
            return True
        try:
            await self._server.apply([*changes])
        except Conflict:
            return False
        return True

    async def _close(self, planned: Planned, order: Order) -> None:
        """Void once more what was given in the second in which the ban was written, if that is a later one."""
        now = self._server.now()
        again = [
            SetNotBefore(change.kind, change.subject, now + 1)
            for change in planned.changes
            if isinstance(change, SetNotBefore) and planned.event.kind in _BARS and change.not_before <= now
        ]
        await self._written(again, order)

    def _occasion(self, order: Order) -> Occasion:
        return Occasion(order.project, order.doer, self._server.now(), self._server.storage.next_id)

    def _audit(self, kind: AuditKind, sub: str, order: Order) -> None:
        if order.preview:
            return
        doer = order.doer
        event = AuditEvent(kind, project=order.project.key, client_id=doer.client_id, sub=sub, operator=doer.operator)
        self._server.audit.record(order.sender.marked(event) if order.sender else event)


def _as_it_is(player: Player, now: int) -> Barred:
    if not player.is_barred(now):
        return Barred(player.sub, 0, None, None)
    return Barred(player.sub, player.barred_until, player.barred_as or None, None)


def _barred(sub: str, planned: Planned) -> Barred:
    own = next(change for change in planned.changes if isinstance(change, BarPlayer))
    return Barred(sub, own.until, own.kind, planned.event)


def _lost() -> TemporarilyUnavailable:
    return TemporarilyUnavailable(retry_after=1, detail="lost every race")
