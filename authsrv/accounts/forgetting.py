"""Carries out what players may ask for their data: to be told all of it, and to be forgotten.

Owns the races: an erasure is decided again when the account changes meanwhile, and whoever asks for the same once more
learns that it is done. Knows no HTTP framework.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from typing import Any

from authsrv.account_models import Account, Doer
from authsrv.accounts import erasing
from authsrv.accounts.exporting import Names, Setting, exported
from authsrv.accounts.journal import Occasion, Planned
from authsrv.accounts.retention import kept_for
from authsrv.audit import AuditEvent, AuditKind
from authsrv.errors import TemporarilyUnavailable, UserNotFound
from authsrv.models import Player, Project, Retention
from authsrv.oauth.browser.sessions import BrowserSessions
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Sender
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.records import dataclass
from authsrv.storage.base import Conflict, StorageError
from authsrv.storage.changes import AddNotice, Change, SetNotBefore
from authsrv.storage.privacy_changes import ErasePlayer

_MOST_EVENTS = 10_000
_TOMBSTONE_BYTES = 7


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks, and why, for the audit trail. `sender` is None for what came by no request. With `preview` nothing is
    written.
    """

    doer: Doer
    reason: str = ""
    sender: Sender | None = None
    preview: bool = False


@dataclass(frozen=True, slots=True)
class Erased:
    """Whom an erasure forgot: their `sub` first, then those of accounts that went with it. `was_done` tells that it was
    done before, at `erased_at`.
    """

    subs: tuple[str, ...]
    erased_at: int
    was_done: bool = False


class Forgetting:
    """Tells players everything, and forgets them. `random` gives that many unpredictable bytes."""

    def __init__(
        self,
        *,
        server: TokenServer,
        sessions: BrowserSessions,
        names: Names,
        projects: Callable[[], Mapping[str, Project]],
        retention: Callable[[], Retention],
        random: Callable[[int], bytes],
    ) -> None:
        self._server = server
        self._sessions = sessions
        self._names = names
        self._projects = projects
        self._retention = retention
        self._random = random

    async def export(self, sub: str, order: Order) -> Mapping[str, Any]:
        """Everything that is stored about the player whom a `sub` stands for. Raises `UserNotFound`."""
        player = await self._player(sub)
        with outages_answered():
            dossier = await self._server.storage.load_dossier(player.merged_into or player.id)
        if dossier is None:
            raise _unknown()
        told = dossier.own.account.player
        issuer, project = self._server.tokens.issuer, self._project(told)
        setting = Setting(issuer, project, kept_for(told, project.accounts, self._retention()), self._server.now())
        self._audit("player.exported", told, order)
        return exported(dossier, setting, self._names)

    async def erase(self, sub: str, order: Order) -> Erased:
        """Forget the player whom a `sub` stands for. Once they are, there is nothing to do. Raises `UserNotFound`."""
        for _ in range(ATTEMPTS):
            done = await self._done_before(sub)
            if done is not None:
                return done
            player = await self._player(sub)
            account = await self._account(player.merged_into or player.id)
            planned = erasing.erase(
                account, await self._ghosts(account), self._tombstone(), self._occasion(account.player, order)
            )
            if await self._written(planned, order):
                return self._noted(account.player, planned, order)
        raise TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def erase_again(self) -> int:
        """Forget everybody whom a restored backup brought back; how many accounts that were. Before anybody is served.

        Raises `StorageError`.
        """
        met = 0
        for _ in range(ATTEMPTS):
            found = await self._server.storage.load_resurrected()
            if not found:
                return met
            met = max(met, len(found))
            rows = {player.id for player in found}
            for player in found:
                if player.merged_into not in rows:
                    with suppress(Conflict, UserNotFound):  # another node, which starts too, was first
                        await self._erase_again(player, rows)
        raise StorageError("players whom a restored backup brought back could not be erased; start again")

    async def _erase_again(self, player: Player, rows: Container[int]) -> None:
        order = Order(Doer("system"), "restored_from_a_backup")
        account, occasion = await self._account(player.id), self._occasion(player, order)
        if player.merged_into is None:
            planned = erasing.erase_again(account, rows, self._tombstone(), occasion)
        else:
            planned = erasing.erase_alias(account, player.merged_into, self._tombstone(), occasion)
        await self._server.storage.apply(planned.changes)
        self._noted(player, planned, order)

    async def _written(self, planned: Planned, order: Order) -> bool:
        """Whether it is done, or only looked at; False when an account changed meanwhile."""
        if order.preview:
            return True
        erased = [change for change in planned.changes if isinstance(change, ErasePlayer)]
        try:
            await self._server.apply([*await self._notices(erased, planned.event.at), *planned.changes])
        except Conflict:
            return False
        await self._close(erased)
        return True

    async def _close(self, erased: Sequence[ErasePlayer]) -> None:
        """Void once more what was given in the second in which it was written, if that is a later one."""
        now = self._server.now()
        late = [change for change in erased if change.now < now]
        await self._server.apply([SetNotBefore("player", sub, now + 1) for change in late for sub in change.subs])

    async def _notices(self, erased: Sequence[ErasePlayer], now: int) -> list[Change]:
        """What tells the clients of every session that ends."""
        told: list[Change] = []
        for change in erased:
            with outages_answered():
                found = await self._server.storage.load_player_sessions(change.player_id)
            for signed_in in found:
                ending = await self._sessions.ended(signed_in, "erased", now)
                told += [one for one in ending.changes if isinstance(one, AddNotice)]
        return told

    async def _ghosts(self, account: Account) -> list[Account]:
        storage = self._server.storage
        with outages_answered():
            events = await storage.load_events(account.player.id, _MOST_EVENTS)
        found = []
        for player_id in erasing.ghosts_made(account, events):
            ghost = await self._found(player_id)
            with outages_answered():
                lost = await storage.load_events(player_id, _MOST_EVENTS)
            if ghost is not None and erasing.is_ghost_of(account, ghost, lost):
                found.append(ghost)
        return found

    async def _done_before(self, sub: str) -> Erased | None:
        with outages_answered():
            is_there = await self._server.storage.load_subject(sub)
            erasure = await self._server.storage.load_erasure(sub)
        if is_there is not None or erasure is None:
            return None
        return Erased((sub,), erasure.erased_at, was_done=True)

    async def _player(self, sub: str) -> Player:
        with outages_answered():
            player = await self._server.storage.load_subject(sub)
        if player is None:
            raise _unknown()
        return player

    async def _account(self, player_id: int) -> Account:
        account = await self._found(player_id)
        if account is None:
            raise _unknown()
        return account

    async def _found(self, player_id: int) -> Account | None:
        with outages_answered():
            return await self._server.storage.load_account(player_id)

    def _project(self, player: Player) -> Project:
        """The player's project; one that left the configuration goes on with what is usual."""
        return self._projects().get(player.project) or Project(player.project, "", player.project)

    def _occasion(self, player: Player, order: Order) -> Occasion:
        server = self._server
        return Occasion(self._project(player), order.doer, server.now(), server.storage.next_id, order.reason)

    def _tombstone(self) -> int:
        return -1 - int.from_bytes(self._random(_TOMBSTONE_BYTES))

    def _noted(self, player: Player, planned: Planned, order: Order) -> Erased:
        if not order.preview:
            self._audit("player.erased", player, order)
        subs = [sub for change in planned.changes if isinstance(change, ErasePlayer) for sub in change.subs]
        return Erased(tuple(subs), planned.event.at)

    def _audit(self, kind: AuditKind, player: Player, order: Order) -> None:
        event = AuditEvent(
            kind,
            project=player.project,
            client_id=order.doer.client_id,
            sub=player.sub,
            operator=order.doer.operator,
            reason=order.reason,
        )
        self._server.audit.record(order.sender.marked(event) if order.sender else event)


def _unknown() -> UserNotFound:
    return UserNotFound("There is no such player.")
