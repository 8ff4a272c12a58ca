"""A proven platform account in front of the player who is signed in: everything that must be known to decide about it.

Owns what is read for that, and in which order. Decides nothing but the row of the table. Knows no HTTP framework.
"""

from dataclasses import field

from authsrv.account_models import Account, JournalEvent, Ownership
from authsrv.accounts.access import AccountSession
from authsrv.accounts.journal import Occasion
from authsrv.accounts.linking import is_full
from authsrv.errors import InvalidToken
from authsrv.models import ConnectFlags, Digest, IdentityKey
from authsrv.oauth.credentials import Redeemed
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import TokenServer
from authsrv.players import Decision, NewPlayer, Presence, decide
from authsrv.records import dataclass
from authsrv.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Proof:
    """A platform account that was verified: by which platform, and when. `anonymous` as in `PlatformIdentity`."""

    platform: str
    key: IdentityKey
    checked_at: int
    display_name: str = ""
    age_group: str = ""
    anonymous: bool = False


def proof_of(redeemed: Redeemed, now: int) -> Proof:
    """What a credential proved at this moment."""
    identity = redeemed.identity
    return Proof(identity.platform, redeemed.key, now, identity.display_name, identity.age_group, identity.anonymous)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How it shall be connected. `segments` is a JSON object of texts, empty to forget them; None leaves them alone.

    `request` tells a repeat of the same request from every other one; empty if nobody may repeat it.
    """

    flags: ConnectFlags
    segments: str | None = None
    request: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """Who meets whom. `current` is the account of the session, `owner` the one that has the platform account now.

    `last_unlink` is the newest event by which somebody lost it, where that matters. `new` are the ids of a player who
    may be made, `mark` is by what bans know the platform account.
    """

    occasion: Occasion
    proof: Proof
    wishes: Wishes
    session: AccountSession | None
    current: Account | None
    owner: Account | None
    found: Ownership
    new: NewPlayer = field(repr=False)
    mark: Digest = field(repr=False)
    last_unlink: JournalEvent | None = None

    @property
    def decision(self) -> Decision:
        """The row of the decision table."""
        rules = self.occasion.project.accounts
        return decide(
            self.current.player.id if self.current else None,
            self.owner.player.id if self.owner else None,
            has_other=self.current is not None and is_full(self.current, self.proof.key, rules),
            flags=self.wishes.flags,
        )

    @property
    def other(self) -> Account | None:
        """The account that has it, if that is not the session's."""
        if self.owner is None or self.current is None:
            return self.owner
        return None if self.owner.player.id == self.current.player.id else self.owner

    @property
    def presence(self) -> Presence:
        """The platform account as it comes now."""
        proof, occasion = self.proof, self.occasion
        rules = occasion.project.accounts
        return Presence(proof.key, proof.display_name, proof.age_group, occasion.doer, occasion.now, self.mark, rules)


class Cases:
    """Reads what a decision needs."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server
        self._logins = server.proofs.logins

    @property
    def _storage(self) -> Storage:
        return self._server.storage

    async def load(self, proof: Proof, wishes: Wishes, session: AccountSession | None, occasion: Occasion) -> Case:
        """The case as it stands now. Raises `InvalidToken` when the session's player is gone."""
        with outages_answered():
            found = await self._logins.ownership(proof.key, occasion.now)
            current = await self._current(session)
            owner = await self._account(found.player.id) if found.player else None
            last_unlink = None if owner else await self._last_unlink(proof.key, occasion)
        new, mark = self._logins.new_player(), self._logins.marks.of(proof.key)
        return Case(occasion, proof, wishes, session, current, owner, found, new, mark, last_unlink)

    async def _current(self, session: AccountSession | None) -> Account | None:
        if session is None:
            return None
        account = await self._account(session.player.id)
        if account and account.player.merged_into:
            account = await self._account(account.player.merged_into)
        if account is None:
            raise InvalidToken(detail="the player is gone")
        return account

    async def _account(self, player_id: int) -> Account | None:
        return await self._storage.load_account(player_id)

    async def _last_unlink(self, key: IdentityKey, occasion: Occasion) -> JournalEvent | None:
        if not occasion.project.accounts.relink_cooldown:
            return None
        events = await self._storage.load_identity_events(key, 1, "unlinked")
        return events[0] if events else None
