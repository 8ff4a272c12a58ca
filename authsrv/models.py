"""The nouns: Client, Project, Player, Identity, Grant, Reservation. Frozen facts without behaviour that does I/O.

Times are Unix seconds, secrets are SHA-256 digests, absent texts are empty. Knows neither HTTP, OAuth nor SQL.
"""

from dataclasses import dataclass
from typing import Literal, NewType

Digest = NewType("Digest", bytes)
"""SHA-256 of a secret or a credential; never the thing itself."""

TokenProfile = Literal["standard", "xsolla"]
SigningAlgorithm = Literal["ES256", "RS256"]
GrantType = Literal["authorization_code", "refresh_token", "client_credentials"]
AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long the things of a client live, in seconds."""

    code: int = 60
    access_token: int = 900
    id_token: int = 900
    refresh_idle: int = 30 * 86400
    refresh_absolute: int = 180 * 86400
    refresh_grace: int = 30


@dataclass(frozen=True, slots=True)
class Project:
    """A pool of players with its clients. `key` is its name in the configuration, `id` the UUID that clients see.

    `platforms` names those that players may come from now; what another one proved before gives no more tokens.
    """

    key: str
    id: str
    name: str
    default_audience: tuple[str, ...] = ()
    platform_claims: bool = True
    platforms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client: a game, launcher, web site or server.

    Without secrets it is public (RFC 6749 section 2.1). `extra_scopes` of None means any scope value is accepted.
    """

    client_id: str
    project: Project
    name: str
    secrets: tuple[Digest, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    grant_types: frozenset[GrantType] = frozenset({"authorization_code", "refresh_token"})
    scopes: frozenset[str] = frozenset()
    extra_scopes: frozenset[str] | None = frozenset()
    audiences: frozenset[str] = frozenset()
    native: bool = False
    first_party: bool = True
    pkce_required: bool = True
    profile: TokenProfile = "standard"
    access_token_alg: SigningAlgorithm = "ES256"
    id_token_alg: SigningAlgorithm = "RS256"
    cors_origins: frozenset[str] = frozenset()
    error_redirect_uri: str = ""
    lifetimes: Lifetimes = Lifetimes()

    @property
    def public(self) -> bool:
        """Whether the client holds no secret and so cannot authenticate."""
        return not self.secrets


@dataclass(frozen=True, slots=True)
class IdentityKey:
    """What a platform account is found by. The same text in another kind or environment is another account."""

    project: str
    kind: str
    environment: str
    subject: str


@dataclass(frozen=True, slots=True)
class Player:
    """A person in one project. `sub` is a random UUID, never reused; `id` is the row, never shown."""

    id: int
    sub: str
    project: str
    display_name: str
    created_at: int
    last_login_at: int


@dataclass(frozen=True, slots=True)
class Grant:
    """One authorization of one client by one player, from its code to the last refresh token of its family.

    The row is born with the authorization code, updated when the code is redeemed and at each refresh.
    `refresh_generation` counts the refresh tokens issued; 0 means none. `refresh_successor` is the current refresh
    token, sealed under a key that only the previous token yields, kept for the grace window.
    `platform` is the verifier's name, `idp` the identity's kind, `idp_subject` its subject (Xsolla: `provider`, `id`).
    `expires_at` is when the row is of no further use to anybody but reuse detection.
    """

    id: int
    project: str
    client_id: str
    player_id: int
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    platform: str
    idp: str
    idp_subject: str
    auth_time: int
    created_at: int
    expires_at: int
    absolute_expires_at: int
    nonce: str = ""
    redirect_uri: str = ""
    delivered_as_json: bool = False
    code_hash: Digest | None = None
    code_expires_at: int = 0
    code_used_at: int | None = None
    code_challenge: str = ""
    code_failures: int = 0
    refresh_hash: Digest | None = None
    refresh_generation: int = 0
    refresh_previous_hash: Digest | None = None
    refresh_rotated_at: int = 0
    refresh_successor: bytes | None = None
    revoked_at: int | None = None
    revoked_reason: str = ""


@dataclass(frozen=True, slots=True)
class LoadedGrant:
    """A grant with the player it belongs to, read by one SELECT."""

    grant: Grant
    player: Player


ReservationState = Literal["pending", "settled", "refused"]


@dataclass(frozen=True, slots=True)
class Reservation:
    """A single-use platform credential that was presented.

    `digest` identifies the credential, `requester` the client together with its PKCE challenge or `state`, `holder` the
    request that works on it. `lease_until` limits `pending`. `outcome` holds the refusal's reason once `refused`;
    `identity` and `grant_id` what the credential led to once `settled`. The row goes after `expires_at`.
    """

    digest: Digest
    requester: Digest
    holder: bytes
    state: ReservationState
    lease_until: int
    created_at: int
    expires_at: int
    settled_at: int = 0
    outcome: str = ""
    identity: IdentityKey | None = None
    grant_id: int = 0


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key of the server's ring as the database holds it. `material` is PKCS#8 DER or raw bytes, sealed if `sealed`.

    `use` is "sig" for signing keys and "seal" for the secret from which internal keys are derived.
    """

    kid: str
    use: Literal["sig", "seal"]
    alg: str
    material: bytes
    sealed: bool
    created_at: int
    signs_from: int
    retires_at: int
