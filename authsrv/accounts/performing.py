"""Carries out what others than the player do to accounts: loads, decides by the plans, writes; again if an account
changed meanwhile. Undos of the player's own too.

Owns who may undo what. Knows no HTTP framework.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from authsrv.account_models import Account, Doer, EventKind, JournalEvent
from authsrv.accounts.effects import Effect
from authsrv.accounts.journal import Occasion, Planned, cause
from authsrv.accounts.linking import link
from authsrv.accounts.merging import merge
from authsrv.accounts.naming import Wanted, found
from authsrv.accounts.session_ends import SessionEnds
from authsrv.accounts.transferring import transfer
from authsrv.accounts.undoing import Scene, reversible_effect, undo
from authsrv.accounts.unlinking import unlink
from authsrv.accounts.ways_in import WaysIn
from authsrv.audit import AuditEvent, AuditKind
from authsrv.errors import AccessDenied, AccountConflict, NotFound, TemporarilyUnavailable, UserNotFound
from authsrv.models import IdentityKey, Player, Project
from authsrv.oauth.marks import IdentityMarks
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Sender
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.records import dataclass
from authsrv.storage.base import Conflict

_MOST_EVENTS = 100
"""How many events are looked at for what stands in the way of an undo, of each account and identity."""
_PLAYERS_OWN: frozenset[EventKind] = frozenset({"linked", "unlinked"})
_AUDITED: Mapping[EventKind, AuditKind] = {
    "linked": "identity.linked",
    "unlinked": "identity.unlinked",
    "transferred": "player.transferred",
    "merged": "player.merged",
    "undone": "player.undone",
}


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants what is done to players, in which project and why. With `preview` nothing is written.

    `sender` is None for an order that came by no request.
    """

    project: Project
    doer: Doer
    sender: Sender | None = None
    reason: str = ""
    preview: bool = False


@dataclass(frozen=True, slots=True)
class Performed:
    """What came of an order: its event, and the two accounts as they are now, or were found by a preview.

    `about` is the account that the event is about; `other` the other one of two. `event` is None if there was nothing
    to do.
    """

    event: JournalEvent | None
    about: Account
    other: Account | None = None


class PlayerChanges:
    """Links without a proof, unlinks, transfers, merges and undos."""

    def __init__(self, server: TokenServer, ends: SessionEnds, marks: IdentityMarks, ways_in: WaysIn) -> None:
        self._server = server
        self._ends = ends
        self._marks = marks
        self._ways_in = ways_in

    async def link(self, sub: str, key: IdentityKey, order: Order) -> Performed:
        """Give a player a platform account that is nobody's. If it is theirs, there is nothing to do.

        Nobody proved that it is theirs, and it need not have rested: whoever orders it answers for both. Raises as the
        plan does, `AccountConflict` with the `sub` of the player who has it, and `AccessDenied` if it is banned.
        """

        async def plan(occasion: Occasion) -> Planned | Performed:
            account = await self.account(sub, order.project)
            if any(linked.key == key for linked in account.identities):
                return Performed(None, account)
            await self._require_free(key, occasion)
            return link(key, account, occasion, self._marks)

        return await self._perform(plan, order)

    async def unlink(self, sub: str, wanted: Wanted, order: Order) -> Performed:
        """Take a platform account from a player. Raises as the plan does."""

        async def plan(occasion: Occasion) -> Planned:
            account = await self.account(sub, order.project)
            linked = found(account, wanted, self._ways_in.provider_of)
            return unlink(linked, account, await self._ways_in.usable(account, order.project), occasion)

        return await self._perform(plan, order)

    async def transfer(self, giver: str, wanted: Wanted, taker: str, order: Order) -> Performed:
        """Give a platform account of one player to another, both named by a `sub`. Raises as the plan does."""

        async def plan(occasion: Occasion) -> Planned:
            of, to = await self.account(giver, order.project), await self.account(taker, order.project)
            linked = found(of, wanted, self._ways_in.provider_of)
            return transfer(linked.key, of, to, occasion, self._marks)

        return await self._perform(plan, order)

    async def merge(self, loser: str, survivor: str, order: Order, *, drop_duplicates: bool = False) -> Performed:
        """Make one player of two, both named by a `sub`. Once they are, there is nothing to do.

        Raises as the plan does, and `AccountConflict` with the reason `merged` and the `sub` of the account that
        remains, when the loser was merged into another one before.
        """

        async def plan(occasion: Occasion) -> Planned | Performed:
            first = await self._load((await self._named(loser, order.project)).id)
            second = await self.account(survivor, order.project)
            if first.player.merged_into == second.player.id:
                return Performed(None, second)
            await self._require_two(first, second, survivor)
            return merge(first, second, occasion, self._marks, drop_duplicates=drop_duplicates)

        return await self._perform(plan, order)

    async def undo(self, event_id: int, order: Order, player: Player | None = None) -> Performed:
        """Take an event back. With `player`, it is the player who asks: for links and unlinks of their own alone.

        Raises `NotFound` for no event of the project, `AccessDenied` with the reason `support_only`, and as the plan
        does.
        """

        async def plan(occasion: Occasion) -> Planned:
            event = await self._event(event_id, order.project)
            if player is not None:
                _require_own(event, player)
            effect = reversible_effect(event, occasion.now, self._public_id)
            return undo(event, await self._scene(effect, order.project), occasion, self._marks)

        return await self._perform(plan, order)

    async def account(self, sub: str, project: Project) -> Account:
        """The account that a `sub` stands for now. Raises `UserNotFound`."""
        named = await self._named(sub, project)
        for _ in range(ATTEMPTS):
            account = await self._load(named.merged_into or named.id)
            if account.player.merged_into is None:
                return account
            named = account.player
        raise _lost()

    async def _require_free(self, key: IdentityKey, occasion: Occasion) -> None:
        ownership = await self._server.proofs.logins.ownership(key, occasion.now)
        if ownership.player is not None:
            owner = await self.account(ownership.player.sub, occasion.project)
            raise AccountConflict("Another player has this platform account.", facts={"sub": owner.player.sub})
        if ownership.ban is not None:
            raise AccessDenied("This platform account is banned, whoever has it; lift the ban first.", reason="banned")

    async def _require_two(self, loser: Account, survivor: Account, named: str) -> None:
        """Refuse to merge one who was merged into another before: whoever names an old `sub` may not know whom they
        move. `named` is what the survivor was called.
        """
        remains = loser.player.merged_into or loser.player.id
        if loser.player.merged_into is None and (remains != survivor.player.id or named == survivor.player.sub):
            return
        found = await self._load(remains)
        raise AccountConflict(
            "One of the players was merged into another before.", reason="merged", facts={"sub": found.player.sub}
        )

    async def _perform(self, plan: Callable[[Occasion], Awaitable[Planned | Performed]], order: Order) -> Performed:
        server = self._server
        for _ in range(ATTEMPTS):
            occasion = Occasion(order.project, order.doer, server.now(), server.storage.next_id, order.reason)
            planned = await plan(occasion)
            if isinstance(planned, Performed):
                return planned
            if order.preview:
                return await self._performed(planned)
            told = await self._ends.told(planned.changes, occasion.now)
            try:
                await server.apply([*planned.changes, *told])
            except Conflict:
                continue
            performed = await self._performed(planned)
            self._audit(performed, order)
            return performed
        raise _lost()

    async def _performed(self, planned: Planned) -> Performed:
        event = planned.event
        other = await self._load(event.other_id) if event.other_id else None
        return Performed(event, await self._load(event.player_id), other)

    async def _scene(self, effect: Effect, project: Project) -> Scene:
        concerned = await self._accounts(effect.players)
        aliases = {alias.id for one in concerned.values() for alias in one.aliases if effect.union}
        accounts = {**await self._accounts(aliases), **concerned}
        keys = {move.key for move in effect.moves}
        logins = self._server.proofs.logins
        return Scene(
            accounts,
            {key: await logins.ownership(key, self._server.now()) for key in keys},
            {player_id: await self._ways_in.usable(one, project) for player_id, one in concerned.items()},
            await self._history(concerned, effect),
            self._public_id,
        )

    async def _accounts(self, player_ids: Iterable[int]) -> dict[int, Account]:
        loaded = [await self._found(player_id) for player_id in sorted(player_ids)]
        return {account.player.id: account for account in loaded if account is not None}

    async def _history(self, accounts: Iterable[int], effect: Effect) -> tuple[JournalEvent, ...]:
        storage = self._server.storage
        with outages_answered():
            of_players = [await storage.load_events(player_id, _MOST_EVENTS) for player_id in accounts]
            of_keys = [await storage.load_identity_events(move.key, _MOST_EVENTS) for move in effect.moves]
        return tuple(event for events in (*of_players, *of_keys) for event in events)

    async def _event(self, event_id: int, project: Project) -> JournalEvent:
        with outages_answered():
            event = await self._server.storage.load_event(event_id)
        if event is None or event.project != project.key:
            raise NotFound("There is no such event.")
        return event

    async def _named(self, sub: str, project: Project) -> Player:
        if not sub.isascii() or not sub.isprintable():
            raise _unknown()  # no database takes every text
        with outages_answered():
            named = await self._server.storage.load_subject(sub)
        if named is None or named.project != project.key:
            raise _unknown()
        return named

    async def _load(self, player_id: int) -> Account:
        account = await self._found(player_id)
        if account is None:
            raise _unknown()
        return account

    async def _found(self, player_id: int) -> Account | None:
        with outages_answered():
            return await self._server.storage.load_account(player_id)

    def _public_id(self, event_id: int) -> str:
        return self._server.opaque.public_id("event", event_id)

    def _audit(self, performed: Performed, order: Order) -> None:
        if performed.event is None:
            return
        other = performed.other.player.sub if performed.other else ""
        identity = performed.event.identity
        event = AuditEvent(
            _AUDITED[performed.event.kind],
            project=order.project.key,
            client_id=order.doer.client_id,
            sub=performed.about.player.sub,
            other_sub=other,
            platform=self._ways_in.provider_of(identity.kind) if identity else "",
            operator=order.doer.operator,
        )
        self._server.audit.record(order.sender.marked(event) if order.sender else event)


def _require_own(event: JournalEvent, player: Player) -> None:
    """What somebody else did to the account, and what concerns two players, is for support to undo."""
    if player.id not in {event.player_id, event.other_id}:
        raise NotFound("There is no such event.")
    if cause(event) not in _PLAYERS_OWN or event.actor != "player" or event.other_id:
        raise AccessDenied("The game's support alone can undo this.", reason="support_only")


def _unknown() -> UserNotFound:
    return UserNotFound("There is no such player in this project.")


def _lost() -> TemporarilyUnavailable:
    return TemporarilyUnavailable(retry_after=1, detail="lost every race")
