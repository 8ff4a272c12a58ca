"""Unlinking: a platform account is a player's no longer, and what began with it ends.

Owns that nobody loses their last way in, not even by two unlinks at once, and what ends with an identity. Knows no HTTP
framework and no platform by name.
"""

from collections.abc import Iterator
from dataclasses import replace

from authsrv.account_models import Account, LinkedIdentity
from authsrv.accounts.changing import advanced, grants_ended, require_changeable
from authsrv.accounts.effects import Effect, Move, held
from authsrv.accounts.journal import Happening, Occasion, Planned
from authsrv.accounts.naming import Wanted, found
from authsrv.accounts.session_ends import SessionEnds
from authsrv.accounts.ways_in import WaysIn
from authsrv.errors import LastIdentity, TemporarilyUnavailable, UserNotFound
from authsrv.models import IdentityKey
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.records import dataclass
from authsrv.storage.account_changes import EndGrants, RecordEvent, UnlinkIdentity
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, EndSessions

UNLINKED = "unlinked"
"""`revoked_reason` of a grant, and `ended_reason` of a session, that ended because its identity was unlinked."""


@dataclass(frozen=True, slots=True)
class Unlinked:
    """What an unlink comes to: the identity, what is planned, and the account without it."""

    linked: LinkedIdentity
    planned: Planned
    account: Account


def unlink(linked: LinkedIdentity, account: Account, usable: frozenset[IdentityKey], occasion: Occasion) -> Planned:
    """Take an identity from a player. `usable` are the ways in that there are now.

    Raises `LastIdentity` where it would leave none, and what `require_changeable` raises.
    """
    require_changeable(account, occasion)
    if not usable - {linked.key}:
        raise LastIdentity
    player_id, key = account.player.id, linked.key
    effect = Effect((Move(key, held(linked), None),))
    event = occasion.event(Happening("unlinked", player_id, identity=key, facts=effect.facts()))
    changes = (*advanced(account.player), UnlinkIdentity(key, player_id), *_ended(account, key, occasion))
    return Planned(event, (*changes, RecordEvent(event)))


def _ended(account: Account, key: IdentityKey, occasion: Occasion) -> Iterator[Change]:
    """What clients were given by the identity ends in any case, the rest as the project wants. The sessions end first:
    what one of them gives at the same moment is there before its end, and ends too.
    """
    now, ends = occasion.now, occasion.project.accounts.unlink_ends
    owners = (account.player, *account.aliases)
    if ends != "none":
        which = ("", "") if ends == "all" else (key.kind, key.subject)
        yield from (EndSessions(owner.id, now, UNLINKED, *which) for owner in owners)
    yield from grants_ended(account, key, now, UNLINKED)
    if ends == "all":
        yield from (EndGrants(owner.id, "", "", now, UNLINKED) for owner in owners)


class Unlinking:
    """Loads, decides and writes."""

    def __init__(self, server: TokenServer, ends: SessionEnds, ways_in: WaysIn) -> None:
        self._server = server
        self._ends = ends
        self._ways_in = ways_in

    async def plan(self, player_id: int, wanted: Wanted, occasion: Occasion) -> Unlinked:
        """What an unlink would come to now. Raises `AuthsrvError`."""
        account = await self._account(player_id)
        linked = found(account, wanted, self._ways_in.provider_of)
        usable = await self._ways_in.usable(account, occasion.project)
        planned = unlink(linked, account, usable, occasion)
        return Unlinked(linked, planned, _without(linked, account))

    async def unlink(self, player_id: int, wanted: Wanted, occasion: Occasion) -> Unlinked:
        """Unlink. Whoever loses a race against another change of the account is decided again."""
        for _ in range(ATTEMPTS):
            unlinked = await self.plan(player_id, wanted, occasion)
            changes = unlinked.planned.changes
            told = await self._ends.told(changes, occasion.now)
            try:
                await self._server.apply([*changes, *told])
            except Conflict:
                continue
            return unlinked
        raise TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def _account(self, player_id: int) -> Account:
        with outages_answered():
            account = await self._server.storage.load_account(player_id)
        if account is None:
            raise UserNotFound("There is no such player in this project.")
        return account


def _without(linked: LinkedIdentity, account: Account) -> Account:
    return replace(account, identities=tuple(one for one in account.identities if one != linked))
