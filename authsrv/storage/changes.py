"""Everything that can be written, as small frozen facts. Grants collect them; `Storage.apply` writes them.

A change that may happen only once carries its guard in its docstring; a guard that does not hold raises `Conflict`
and undoes every change of the same `apply`. Knows no database.
"""

from dataclasses import dataclass

from authsrv.models import Digest, Grant, IdentityKey, Player, StoredKey


@dataclass(frozen=True, slots=True)
class AddPlayer:
    """A new player."""

    player: Player


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Give an identity to a player. Guard: the identity belongs to nobody."""

    key: IdentityKey
    player_id: int
    now: int


@dataclass(frozen=True, slots=True)
class RecordLogin:
    """Note when a player last came, and the platform's current display name if it gave one (not empty)."""

    key: IdentityKey
    player_id: int
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
class SettleCredential:
    """The reserved credential was accepted and led to this identity and grant. Guard: `holder` still holds it.

    From `pending` (first answer) or `settled` (a repeat inside the window, which replaces `grant_id`). The grant that
    is replaced ends if its code was never redeemed, so that of repeats at the same time one code alone stays alive.
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
    """First keys of the ring. Guard: no key of the same `use` and `alg` exists, so that two starters make one ring."""

    keys: tuple[StoredKey, ...]


@dataclass(frozen=True, slots=True)
class DeclaredClient:
    """A client of the configuration file as the database remembers it."""

    client_id: str
    project: str
    name: str


@dataclass(frozen=True, slots=True)
class SyncClients:
    """Make the database's file clients those of the configuration. One that left is disabled, never deleted."""

    clients: tuple[DeclaredClient, ...]
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
    | SettleCredential
    | RefuseCredential
    | ReleaseCredential
    | AddKeys
    | SyncClients
)
