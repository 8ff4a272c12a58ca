"""What every login by a platform's credential has in common, silent or in the browser.

Owns what is counted and audited, how the credential is settled, and the race of two first logins for one identity.
Knows no HTTP framework, no platform by name and no request's parameters.
"""

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from authsrv import ages, errors
from authsrv.account_models import GUEST, Doer, Ownership
from authsrv.audit import Audit, AuditEvent, AuditKind
from authsrv.limits import RateLimiter, Rule
from authsrv.models import Digest, IdentityKey, Project
from authsrv.oauth.credentials import CredentialDesk, Presented, Redeemed, for_oauth, replayed
from authsrv.oauth.marks import IdentityMarks
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Attempt
from authsrv.platforms.base import Credential, Platform, PlatformError, PlatformUnavailable
from authsrv.players import NewPlayer, Presence, SignIn, sign_in
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import LinkIdentity, RecordLogin


class PlatformLogins:
    """The steps of a login, for drivers to put in order.

    `boundless` are the kinds of identities of which anybody can have any number, for nothing.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        desk: CredentialDesk,
        limits: RateLimiter,
        audit: Audit,
        marks: IdentityMarks,
        random: Callable[[int], bytes],
        boundless: Collection[str] = (),
    ) -> None:
        self._storage = storage
        self._desk = desk
        self._limits = limits
        self._audit = audit
        self.marks = marks
        self._random = random
        self._boundless = boundless

    def read(self, attempt: Attempt, parse: Callable[[], Credential]) -> Credential:
        """The credential as `parse` finds it, counted. Raises `AuthsrvError`."""
        self._limits.check(Rule.ADDRESS_FAILURES, attempt.sender.address)
        try:
            credential = self._parsed(parse)
        except errors.AuthsrvError as error:
            self.refused(attempt, error)
            raise
        self._limit(attempt, credential)
        return credential

    def _parsed(self, parse: Callable[[], Credential]) -> Credential:
        try:
            return parse()
        except PlatformError as error:
            raise for_oauth(error) from error

    def _limit(self, attempt: Attempt, credential: Credential) -> None:
        limits, client, claimed = self._limits, attempt.client, credential.claimed_subject
        if not claimed and credential.single_use:
            claimed = credential.single_use.digest.hex()
        if claimed:
            # For each address by itself: anybody can claim to be a player, whose SteamID is public, and keep them out.
            player = (client.project.key, attempt.provider, claimed)
            limits.check(Rule.CLAIMED_PLAYER_LOGINS, *player, attempt.sender.address)
        # Last, so that one credential sent over and over does not use up the logins of everybody else.
        limits.check(Rule.CLIENT_LOGINS, client.client_id)

    async def redeem(
        self, attempt: Attempt, platform: Platform[Any], credential: Credential, requester: Digest, now: int
    ) -> Redeemed:
        """The identity behind a credential, counted. Raises `AuthsrvError`."""
        presented = Presented(attempt.client.project.key, platform, credential, requester)
        try:
            require_unasked(attempt.client.project, platform)
            with outages_answered():
                redeemed = await self._desk.redeem(presented, now)
        except errors.AuthsrvError as error:
            self.refused(attempt, error)
            raise
        await self._limit_player(redeemed, now)
        return redeemed

    async def _limit_player(self, redeemed: Redeemed, now: int) -> None:
        key = redeemed.key
        try:
            self._limits.check(Rule.PLAYER_LOGINS, key.project, key.kind, key.environment, key.subject)
        except errors.RateLimited:
            await self.keep(redeemed, now)
            raise

    async def keep(self, redeemed: Redeemed, now: int) -> None:
        """Remember whom a credential proved, although nothing came of it."""
        try:
            with outages_answered():
                await self._storage.apply(list(redeemed.kept(now)))
        except Conflict as conflict:
            raise replayed(f"lost the race for {conflict}") from conflict

    async def refuse(self, redeemed: Redeemed, outcome: str, now: int) -> None:
        """Let nobody present the credential again, not even the same request."""
        try:
            with outages_answered():
                await self._storage.apply(list(redeemed.refused(outcome, now)))
        except Conflict as conflict:
            raise replayed(f"lost the race for {conflict}") from conflict

    async def put_away(self, redeemed: Redeemed, now: int) -> None:
        """Remember whom a credential proved, for a request that will not present it again.

        What only the platform's answer told is not remembered, so a device account must be proved again.
        """
        if redeemed.identity.anonymous:
            await self.refuse(redeemed, "credential_replayed", now)
        else:
            await self.keep(redeemed, now)

    async def player(self, attempt: Attempt, redeemed: Redeemed, now: int, *, may_create: bool) -> SignIn:
        """Who the identity is. To be asked again when the account changed, or another first login was faster."""
        mark = self.marks.of(redeemed.key)
        found, coming = await self._owner(redeemed.key, mark, now), self._presence(attempt, redeemed, mark, now)
        redeemed.require_known(found.player)
        try:
            signed_in = sign_in(coming, found, may_create=may_create, new=self.new_player())
            if signed_in.created:
                self.admit(attempt, redeemed.key)
        except (errors.UserNotFound, errors.RateLimited):
            await self.keep(redeemed, now)
            raise
        except errors.AccessDenied as error:
            self._record(attempt, "login.refused", reason=error.reason or error.error)
            await self._turn_away(redeemed, error, now)
            raise
        return signed_in

    async def _turn_away(self, redeemed: Redeemed, error: errors.AccessDenied, now: int) -> None:
        """The same request may come again. Of whom their age keeps out nothing is remembered."""
        if error.reason == "age_restricted":
            await self.refuse(redeemed, error.reason, now)
        else:
            await self.keep(redeemed, now)

    def admit(self, attempt: Attempt, key: IdentityKey) -> None:
        """Count a player who is to be made of an identity that costs nothing. Raises `RateLimited`."""
        if key.kind in self._boundless:
            self._limits.check(Rule.ADDRESS_NEW_GUESTS, attempt.sender.address)

    async def ownership(self, key: IdentityKey, now: int) -> Ownership:
        """Whose an identity is, and whether it is banned."""
        return await self._owner(key, self.marks.of(key), now)

    async def _owner(self, key: IdentityKey, mark: Digest, now: int) -> Ownership:
        with outages_answered():
            return await self._storage.load_ownership(key, mark, now)

    def _presence(self, attempt: Attempt, redeemed: Redeemed, mark: Digest, now: int) -> Presence:
        identity, key = redeemed.identity, redeemed.key
        doer = Doer("player", "", attempt.client.client_id, attempt.sender.cut_address)
        rules = attempt.client.project.accounts
        return Presence(key, identity.display_name, identity.age_group, doer, now, mark, rules)

    def new_player(self) -> NewPlayer:
        """The ids of a player who may be made."""
        sub = str(UUID(bytes=self._random(16), version=4))
        return NewPlayer(self._storage.next_id(), sub, self._storage.next_id())

    def refused(self, attempt: Attempt, error: errors.AuthsrvError) -> None:
        """Count and audit a login that failed."""
        if error.status < 500 or _is_provoked(error):
            self._limits.record_failure(Rule.ADDRESS_FAILURES, attempt.sender.address)
        kind: AuditKind = "credential.replayed" if error.reason == "credential_replayed" else "login.refused"
        self._record(attempt, kind, reason=error.reason or error.error)

    def succeeded(self, attempt: Attempt, signed_in: SignIn) -> None:
        """Audit a login, and the player it made."""
        if signed_in.created:
            self._record(attempt, "player.created", sub=signed_in.player.sub)
        if signed_in.has_aged:
            self._record(attempt, "player.age_group_changed", sub=signed_in.player.sub)
        self._record(attempt, "login.succeeded", sub=signed_in.player.sub)

    def _record(self, attempt: Attempt, kind: AuditKind, *, sub: str = "", reason: str = "") -> None:
        client, sender = attempt.client, attempt.sender
        event = AuditEvent(
            kind,
            project=client.project.key,
            client_id=client.client_id,
            sub=sub,
            platform=attempt.provider,
            reason=reason,
            request_id=sender.request_id,
            address=sender.cut_address,
        )
        self._audit.record(event)


def require_unasked(project: Project, platform: Platform[Any]) -> None:
    """Refuse a platform that must be asked nothing in this project. Raises `AccessDenied`."""
    ages.require_unasked(project.accounts, tells_ages=platform.tells_ages, guest=GUEST in platform.identity_kinds)


def lost_to_another_login(conflict: Conflict) -> bool:
    """Whether to look again who the identity is: another first login was faster, or the account changed meanwhile."""
    return isinstance(conflict.change, LinkIdentity | RecordLogin)


def _is_provoked(error: errors.AuthsrvError) -> bool:
    """Whether an outage is the doing of a credential that nobody has proved yet."""
    cause = error.__cause__
    return isinstance(cause, PlatformUnavailable) and cause.provoked
