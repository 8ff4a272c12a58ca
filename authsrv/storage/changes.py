"""Everything that can be written, as small frozen facts. Grants collect them; `Storage.apply` writes them.

A change that may happen only once carries its guard in its docstring; a guard that does not hold raises `Conflict`
and undoes every change of the same `apply`. Knows no database.
"""

from collections.abc import Mapping
from typing import Literal

from authsrv.models import (
    Browser,
    Digest,
    Grant,
    IdentityKey,
    LogoutNotice,
    NotBeforeKind,
    PendingRequest,
    Player,
    RegisteredClient,
    Session,
    StoredKey,
    Trip,
)
from authsrv.records import dataclass
from authsrv.storage.account_changes import AccountChange
from authsrv.storage.node_changes import NodeChange
from authsrv.storage.privacy_changes import PrivacyChange

MOST_PENDING = 8
"""Requests that wait in one browser, and trips under way for one request; a newer one removes the oldest."""

VersionName = Literal["keys", "clients"]
"""What every node keeps in memory of the database: the keys of the ring, and the clients that registered themselves."""


@dataclass(frozen=True, slots=True)
class AddPlayer:
    """A new player."""

    player: Player


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Give an identity to a player. Guard: the identity belongs to nobody, and no ban in force holds for its `mark`;
    the player is not merged into another.

    Without a `mark` it is linked whether banned or not.
    """

    key: IdentityKey
    player_id: int
    now: int
    mark: Digest | None = None


@dataclass(frozen=True, slots=True)
class RecordLogin:
    """Note when a player last came, and the platform's current display name if it gave one (not empty).

    The name is taken if the player's follows this kind of identity, or any. Guard: the identity is the player's, and
    the account's version is still `version`.
    """

    key: IdentityKey
    player_id: int
    version: int
    display_name: str
    now: int


@dataclass(frozen=True, slots=True)
class AddGrant:
    """A new grant, with or without a code."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class RedeemCode:
    """Use the authorization code of a grant. Guard: it is unused and unrevoked.

    `refresh_hash` is that of the first refresh token (generation 1), or None when none is issued.
    """

    grant_id: int
    now: int
    refresh_hash: Digest | None
    expires_at: int


@dataclass(frozen=True, slots=True)
class CountCodeFailure:
    """A wrong PKCE verifier was tried against the code of a grant."""

    grant_id: int


@dataclass(frozen=True, slots=True)
class RotateRefreshToken:
    """Replace a grant's refresh token. Guard: `current` is still the one stored, and the grant is unrevoked.

    Sets refresh_hash=successor, refresh_generation+1, refresh_previous_hash=current, refresh_rotated_at=now.
    """

    grant_id: int
    current: Digest
    successor: Digest
    sealed_successor: bytes
    now: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class RevokeGrant:
    """End a grant: its code and its refresh tokens are dead for good. Idempotent; the first reason is kept."""

    grant_id: int
    now: int
    reason: str


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """End one access token before its time. Idempotent; it is forgotten after `expires_at`."""

    jti: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class SetNotBefore:
    """Whatever was issued before `not_before` is void. Only ever rises: an earlier time changes nothing."""

    kind: NotBeforeKind
    subject: str
    not_before: int


@dataclass(frozen=True, slots=True)
class SettleCredential:
    """The reserved credential was accepted and led to this identity and grant. Guard: `holder` still holds it.

    From `pending` (first answer) or `settled` (a repeat inside the window, which replaces `grant_id`). The grant that
    is replaced ends if its code was never redeemed, or without a code if its refresh token was never used, so that of
    repeats at the same time one answer alone stays alive.
    """

    digest: Digest
    holder: bytes
    identity: IdentityKey
    grant_id: int
    now: int


@dataclass(frozen=True, slots=True)
class RefuseCredential:
    """The platform, or our check of its proof, refused the reserved credential. Guard: `holder` still holds it."""

    digest: Digest
    holder: bytes
    outcome: str
    now: int


@dataclass(frozen=True, slots=True)
class ReleaseCredential:
    """Nobody decided about the reserved credential: it may be presented again. A foreign `holder` changes nothing."""

    digest: Digest
    holder: bytes


@dataclass(frozen=True, slots=True)
class AddKeys:
    """New keys of the ring. Guard: what each of them `follows` is followed by no other, so that of two who make a key
    at the same moment one is first.
    """

    keys: tuple[StoredKey, ...]


@dataclass(frozen=True, slots=True)
class ScheduleKey:
    """Set the times of a key. Guard: they are still those of `key`, and it was neither erased nor revoked."""

    key: StoredKey
    signs_from: int
    signs_until: int
    retires_at: int


@dataclass(frozen=True, slots=True)
class SealKey:
    """Keep a key's private part sealed. Guard: it is there in clear."""

    kid: str
    material: bytes


@dataclass(frozen=True, slots=True)
class EraseKey:
    """Keep nothing but the public part of a key. Guard: the private part is there."""

    kid: str
    public: bytes
    now: int


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Give a key up in an emergency, and erase its private part. Guard: it is there, and was not revoked before."""

    kid: str
    public: bytes
    now: int


@dataclass(frozen=True, slots=True)
class DeclaredClient:
    """A client of the configuration file as the database remembers it."""

    client_id: str
    project: str
    name: str


@dataclass(frozen=True, slots=True)
class SyncClients:
    """Make the database's file clients those of the configuration. One that left is disabled, never deleted.

    One that is in another project now takes nothing along: whatever it was given until `now` is void.

    Unless `all_agree`, other nodes have another file, which may be the newer one: then clients are only added, and
    taken up again in the project they were in. Nothing is disabled or moved before all nodes have one file.
    """

    clients: tuple[DeclaredClient, ...]
    now: int
    all_agree: bool = True


@dataclass(frozen=True, slots=True)
class SetProfile:
    """What is told of a player: a JSON object of standard claims, or nothing to forget it. Guard: the player exists.

    Forgetting what nobody told is no conflict.
    """

    player_id: int
    profile: str


@dataclass(frozen=True, slots=True)
class AddBrowser:
    """A browser that came for the first time."""

    browser: Browser


@dataclass(frozen=True, slots=True)
class RotateBrowser:
    """Give a browser's cookie another value. Guard: `current` is still the one stored."""

    browser_id: int
    current: Digest
    successor: Digest
    expires_at: int


@dataclass(frozen=True, slots=True)
class AddRequest:
    """A request that waits for its player. Of one browser only the `MOST_PENDING` newest stay."""

    request: PendingRequest


@dataclass(frozen=True, slots=True)
class BindRequest:
    """A request that came without a cookie is the browser's that came for it. Guard: it is nobody's yet.

    As with `AddRequest`, only the `MOST_PENDING` newest of the browser stay.
    """

    request_id: int
    browser_id: int


@dataclass(frozen=True, slots=True)
class AdvanceRequest:
    """Note which steps of a request are done. Guard: it is not completed."""

    request_id: int
    progress: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AmendRequest:
    """Replace the parameters of a request. Guard: it is not completed."""

    request_id: int
    parameters: str


@dataclass(frozen=True, slots=True)
class CompleteRequest:
    """The request was answered. Guard: it was not before."""

    request_id: int
    now: int


@dataclass(frozen=True, slots=True)
class AddTrip:
    """A browser leaves for a platform. Of one request only the `MOST_PENDING` newest trips stay."""

    trip: Trip


@dataclass(frozen=True, slots=True)
class UseTrip:
    """A browser is back. Guard: this trip has not ended before."""

    trip_id: int
    now: int


@dataclass(frozen=True, slots=True)
class StartSession:
    """A player signed in. Guard: no session of this browser and project is left that has not ended.

    The session that starts has not ended either; another is no fact to be stored (`StorageError`).
    """

    session: Session


@dataclass(frozen=True, slots=True)
class RenewSession:
    """The same player signed in again. Guard: the session has not ended."""

    session_id: int
    platform: str
    idp: str
    idp_subject: str
    now: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class UseSession:
    """A client gets a code by this session and takes part in it from now on. Guard: the session has not ended."""

    session_id: int
    client_id: str
    now: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class EndSession:
    """End a session for good; idempotent, and the first reason is kept.

    Its grants without a refresh token end with it, and those of the `bound` clients in any case. Those of the client
    `spared`, if one is named, stay.
    """

    session_id: int
    now: int
    reason: str
    bound: tuple[str, ...] = ()
    spared: str = ""


@dataclass(frozen=True, slots=True)
class EndSessions:
    """End every session of a player, those too that began a moment ago. Idempotent, and first reasons are kept.

    With `idp` and `idp_subject` only those whose player signed in last by this platform account. What the sessions gave
    is left as it is.
    """

    player_id: int
    now: int
    reason: str
    idp: str = ""
    idp_subject: str = ""


@dataclass(frozen=True, slots=True)
class GiveConsent:
    """Remember that a player lets a client have these scopes, in place of what was remembered before.

    Guard: the player exists.
    """

    player_id: int
    client_id: str
    scope: tuple[str, ...]
    now: int


@dataclass(frozen=True, slots=True)
class UseConsent:
    """A client gets something by a consent that was given before. Guard: it was not withdrawn or forgotten since."""

    player_id: int
    client_id: str


@dataclass(frozen=True, slots=True)
class WithdrawConsent:
    """Forget a consent, and end every grant that this player gave to the client; also what those gave who were merged
    into the player.
    """

    player_id: int
    client_id: str
    now: int


@dataclass(frozen=True, slots=True)
class AddNotice:
    """A logout to be told to a client."""

    notice: LogoutNotice


@dataclass(frozen=True, slots=True)
class PostponeNotice:
    """Somebody tries to deliver a notice now, and nobody else before `next_attempt_at`. Guard: it is there, and was
    tried `attempts` times so far.
    """

    notice_id: int
    attempts: int
    next_attempt_at: int


@dataclass(frozen=True, slots=True)
class RemoveNotice:
    """The client took the notice, or will not be asked again."""

    notice_id: int


@dataclass(frozen=True, slots=True)
class RegisterClient:
    """A client registered itself. Guard: its project has fewer than `most` such clients, and nobody has its id."""

    client: RegisteredClient
    most: int


@dataclass(frozen=True, slots=True)
class UpdateClient:
    """Replace what a registered client registered. Guard: it is still there, and `version` is still its version.

    Its version becomes the next one. With `ask_again` the consents it was given are forgotten.
    """

    client_id: str
    version: int
    metadata: str
    secret_hash: Digest | None
    ask_again: bool = False


@dataclass(frozen=True, slots=True)
class UseClient:
    """A player signs in to a registered client, which therefore no longer expires. Guard: it is still there.

    That it does not expire need not be known to other nodes, whose `ExpireClient` will not hold.
    """

    client_id: str


@dataclass(frozen=True, slots=True)
class RemoveClient:
    """Forget a registered client and the consents it was given, and end its grants. Guard: it is still there."""

    client_id: str
    now: int


@dataclass(frozen=True, slots=True)
class ExpireClient:
    """Forget a registered client to which nobody has signed in. Guard: it is still there, unused and out of time."""

    client_id: str
    now: int


Change = (
    AddPlayer
    | LinkIdentity
    | RecordLogin
    | AddGrant
    | RedeemCode
    | CountCodeFailure
    | RotateRefreshToken
    | RevokeGrant
    | RevokeToken
    | SetNotBefore
    | SettleCredential
    | RefuseCredential
    | ReleaseCredential
    | AddKeys
    | ScheduleKey
    | SealKey
    | EraseKey
    | RevokeKey
    | SyncClients
    | SetProfile
    | AddBrowser
    | RotateBrowser
    | AddRequest
    | BindRequest
    | AdvanceRequest
    | AmendRequest
    | CompleteRequest
    | AddTrip
    | UseTrip
    | StartSession
    | RenewSession
    | UseSession
    | EndSession
    | EndSessions
    | GiveConsent
    | UseConsent
    | WithdrawConsent
    | AddNotice
    | PostponeNotice
    | RemoveNotice
    | RegisterClient
    | UpdateClient
    | UseClient
    | RemoveClient
    | ExpireClient
    | AccountChange
    | PrivacyChange
    | NodeChange
)

MOVES: Mapping[type[Change], VersionName] = {
    AddKeys: "keys",
    ScheduleKey: "keys",
    SealKey: "keys",
    EraseKey: "keys",
    RevokeKey: "keys",
    RegisterClient: "clients",
    UpdateClient: "clients",
    RemoveClient: "clients",
    ExpireClient: "clients",
}
"""Which version each change raises, in its own transaction, so that every node hears of it."""
