"""Presenting a platform credential once: reserve, verify, and what to write when it is settled.

Owns single use, the repeat of a request whose answer was lost, and the meaning of a platform's errors for OAuth.
Knows no platform by name.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, get_args

from authsrv import errors
from authsrv.models import Digest, IdentityKey, Player, Reservation
from authsrv.platforms.base import (
    Credential,
    CredentialRejected,
    Platform,
    PlatformError,
    PlatformIdentity,
    PlatformUnavailable,
    RejectionReason,
    SignInCancelled,
    SingleUse,
    UserActionReason,
    UserActionRequired,
)
from authsrv.records import dataclass
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import Change, RefuseCredential, ReleaseCredential, SettleCredential

_LOG = logging.getLogger("authsrv.oauth.credentials")

LEASE = 15
VERIFY_SECONDS = 12
"""How long a platform may take, retries included: less than the lease, which others may take over when it ends."""
REPEAT_WINDOW = 30
RESTORE_LEEWAY = 60
"""Seconds by which a platform's or a player's clock may be ahead of ours when the database is restored."""
MOST_WAITING = 8
"""Repeats of one request that wait for it at a time; a client that lost its answer sends one or two."""
_WAIT_STEPS, _WAIT_STEP = 30, 0.1

_MALFORMED = {"credential_malformed", "credential_unsupported"}
_REPLAYED = "This credential was presented before; get a new one from the platform."
_REFUSED_BEFORE = "This credential was presented before and refused; get a new one from the platform."
_FORGOTTEN = "Whether this credential was used before is not known any more; get a new one from the platform."
_IN_PROGRESS = "The same request is still being worked on; repeat it in a moment."


@dataclass(frozen=True, slots=True)
class Presented:
    """A credential on its way through a platform, for one project and one requester.

    `requester` tells a client that repeats its own request from anybody else who got hold of the credential.
    """

    project: str
    platform: Platform[Any]
    credential: Credential
    requester: Digest


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A verified identity, and how to write down what it led to."""

    identity: PlatformIdentity
    key: IdentityKey
    reservation: Reservation | None
    forgets_age: bool = False
    """Whether the platform told an age group the first time, which nobody has kept for this repeat."""

    @property
    def is_repeat(self) -> bool:
        """Whether an earlier request settled the credential already."""
        return self.reservation is not None and self.reservation.state == "settled"

    def require_known(self, owner: Player | None) -> None:
        """Refuse a repeat that would make a player of an age that is not known any more. Raises `InvalidGrant`."""
        if self.forgets_age and owner is None:
            raise replayed("nobody has kept the age group that the platform told")

    def settled(self, grant_id: int, now: int) -> Sequence[Change]:
        """The changes that settle the credential on a grant; what an earlier answer carried and nobody used goes."""
        if self.reservation is None:
            return ()
        held = self.reservation
        return (SettleCredential(held.digest, held.holder, self.key, grant_id, now),)

    def kept(self, now: int) -> Sequence[Change]:
        """The changes that remember whom a new credential proved although nothing came of it.

        The same request may then come again, and nobody else's.
        """
        return () if self.is_repeat else self.settled(0, now)

    def refused(self, outcome: str, now: int) -> Sequence[Change]:
        """The changes that refuse a new credential for good, whoever presents it again."""
        held = self.reservation
        return () if held is None or self.is_repeat else (RefuseCredential(held.digest, held.holder, outcome, now),)


class CredentialDesk:
    """Takes credentials to their platforms. `sleep` waits between looks at a reservation that another request holds.

    `restored_at` is when the database was last restored from a backup, 0 if it never was.
    """

    def __init__(
        self,
        storage: Storage,
        random: Callable[[int], bytes],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        restored_at: int = 0,
    ) -> None:
        self._has_told = False
        self._known_from = restored_at + RESTORE_LEEWAY if restored_at else 0
        self._storage = storage
        self._random = random
        self._sleep = sleep
        self._waiting: Counter[Digest] = Counter()

    async def redeem(self, presented: Presented, now: int) -> Redeemed:
        """The identity behind a credential. Raises `AuthsrvError`; a single-use credential is never verified twice."""
        single_use = presented.credential.single_use
        if single_use is None:
            return await self._verify(presented, None, now)
        self._demand_memory(single_use, now)
        wanted = self._reservation(presented, single_use, now)
        found = await self._storage.reserve(wanted, take_over=single_use.take_over)
        if found.holder == wanted.holder:
            return await self._verify(presented, found, now)
        if found.state == "pending" and now >= found.lease_until:
            raise replayed()  # the platform may have used it up; nobody will ever know
        return self._repeat(presented, await self._decided(presented, found), now)

    def _demand_memory(self, single_use: SingleUse, now: int) -> None:
        """Refuse what may have been presented before a restore that forgot it. Raises `InvalidGrant`."""
        if single_use.issued_at is not None and single_use.issued_at < self._known_from:
            raise for_oauth(CredentialRejected("credential_expired", _FORGOTTEN))
        # What the platform uses up by itself comes to nothing the second time.
        may_be_known = single_use.issued_at is None and single_use.take_over
        if may_be_known and now < self._known_from + single_use.keep and not self._has_told:
            self._has_told = True
            _LOG.warning(
                "since the restore of a backup it is not known which credentials were presented before it; "
                "those that do not say when they were made are taken once more"
            )

    def _reservation(self, presented: Presented, single_use: SingleUse, now: int) -> Reservation:
        return Reservation(
            digest=project_digest(presented.project, single_use.digest),
            requester=presented.requester,
            holder=self._random(16),
            state="pending",
            lease_until=now + LEASE,
            created_at=now,
            expires_at=now + single_use.keep,
        )

    async def _verify(self, presented: Presented, held: Reservation | None, now: int) -> Redeemed:
        try:
            identity = await self._in_time(presented)
        except PlatformError as error:
            if held is not None:
                await self._record(_afterwards(error, held, now))
            raise for_oauth(error) from error
        key = IdentityKey(presented.project, identity.kind, identity.environment, identity.subject)
        return Redeemed(identity, key, held)

    async def _in_time(self, presented: Presented) -> PlatformIdentity:
        single_use = presented.credential.single_use
        try:
            async with asyncio.timeout(VERIFY_SECONDS):
                return await presented.platform.verify(presented.credential)
        except TimeoutError:
            maybe_consumed = single_use is not None and not single_use.take_over
            raise PlatformUnavailable("the verification took too long", maybe_consumed=maybe_consumed) from None

    async def _record(self, change: Change) -> None:
        with suppress(Conflict):  # the lease ran out meanwhile, and another request holds the credential now
            await self._storage.apply([change])

    async def _decided(self, presented: Presented, found: Reservation) -> Reservation:
        """Wait a little for the request that holds the credential, if it is a repeat of this one."""
        if found.state != "pending" or found.requester != presented.requester:
            return found
        if self._waiting[found.digest] >= MOST_WAITING:
            raise in_progress()
        self._waiting[found.digest] += 1
        try:
            return await self._wait(presented, found)
        finally:
            self._waiting -= Counter([found.digest])  # forgets what nobody waits for

    async def _wait(self, presented: Presented, found: Reservation) -> Reservation:
        for _ in range(_WAIT_STEPS):
            if found.state != "pending" or found.requester != presented.requester:
                return found
            await self._sleep(_WAIT_STEP)
            decided = await self._storage.load_reservation(found.digest)
            if decided is None:
                raise for_oauth(PlatformUnavailable("the request that was waited for ended without a decision"))
            found = decided
        raise in_progress()

    def _repeat(self, presented: Presented, found: Reservation, now: int) -> Redeemed:
        if found.requester != presented.requester:
            raise replayed()
        if found.state == "refused":
            raise refused_before(found.outcome)
        if found.state != "settled" or found.identity is None or now >= found.settled_at + REPEAT_WINDOW:
            raise replayed()
        key = found.identity
        if presented.credential.claimed_subject not in {"", key.subject}:
            raise replayed()  # another credential with the same nonce; its player is not the one who signed in
        identity = PlatformIdentity(presented.platform.name, key.kind, key.environment, key.subject)
        return Redeemed(identity, key, found, forgets_age=presented.platform.tells_ages)


def project_digest(project: str, digest: Digest) -> Digest:
    """The key under which a project remembers a credential; the same credential elsewhere is another matter."""
    return Digest(sha256(project.encode() + b"\0" + digest).digest())


def in_progress() -> errors.TemporarilyUnavailable:
    """The first request with the credential is not done yet."""
    return errors.TemporarilyUnavailable(_IN_PROGRESS, retry_after=1, reason="in_progress")


def replayed(detail: str = "") -> errors.InvalidGrant:
    """The credential was used by somebody else, or too long ago to be the same request."""
    return errors.InvalidGrant(_REPLAYED, reason="credential_replayed", detail=detail)


def refused_before(outcome: str) -> errors.AuthsrvError:
    """The refusal that was recorded for the credential."""
    if outcome in get_args(UserActionReason):
        return for_oauth(UserActionRequired(outcome))  # type: ignore[arg-type]  # just compared
    if outcome in get_args(RejectionReason):
        return for_oauth(CredentialRejected(outcome, _REFUSED_BEFORE))  # type: ignore[arg-type]  # just compared
    return replayed()


def for_oauth(error: PlatformError) -> errors.AuthsrvError:
    """What a platform's error means to the client."""
    match error:
        case CredentialRejected(reason=reason, hint=hint, detail=detail):
            kind = errors.InvalidRequest if reason in _MALFORMED else errors.InvalidGrant
            return kind(hint, reason=reason, detail=detail)
        case SignInCancelled(detail=detail):
            return errors.AccessDenied("The player did not sign in.", reason="cancelled", detail=detail)
        case UserActionRequired(reason="account_action_required", url=url, detail=detail):
            return errors.InteractionRequired(reason=error.reason, interaction_url=url, detail=detail)
        case UserActionRequired(reason=reason, detail=detail):
            return errors.AccessDenied(reason=reason, detail=detail)
        case PlatformUnavailable(retry_after=retry_after, detail=detail):
            wait = min(retry_after or 5, 60)
            return errors.TemporarilyUnavailable(reason="provider_unavailable", retry_after=wait, detail=detail)
        case _:
            return errors.ServerError(reason="provider_misconfigured", retry_after=60, detail=error.detail)


def _afterwards(error: PlatformError, held: Reservation, now: int) -> Change:
    """What becomes of the reservation: kept when the platform decided, or may have; else released."""
    match error:
        case CredentialRejected(reason="signature_invalid"):
            # The digest is that of what was signed; a forged signature must not use up the true one's request.
            return ReleaseCredential(held.digest, held.holder)
        case CredentialRejected(reason=reason) | UserActionRequired(reason=reason):
            return RefuseCredential(held.digest, held.holder, reason, now)
        case PlatformUnavailable(maybe_consumed=True):
            return RefuseCredential(held.digest, held.holder, "credential_rejected", now)
        case _:
            return ReleaseCredential(held.digest, held.holder)
