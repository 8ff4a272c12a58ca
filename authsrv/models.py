"""The nouns: Client, Project, Player, Identity, Grant, Session and more. Frozen facts without behaviour that does I/O.

Times are Unix seconds, secrets are SHA-256 digests, absent texts are empty. Knows neither HTTP, OAuth nor SQL.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, NewType

from authsrv.records import dataclass

Digest = NewType("Digest", bytes)
"""SHA-256 of a secret or a credential; never the thing itself."""

NEVER = 2**53
"""A time that no clock reaches, and that JSON holds exactly."""

RATE_WINDOW = 60
"""Seconds over which the rate limits count."""

ACCOUNT_PREFIX = "account."
"""What the id of a project's account page begins with, as a client of ours; the project's key follows."""

TokenProfile = Literal["standard", "xsolla"]
SigningAlgorithm = Literal["ES256", "RS256", "PS256", "EdDSA"]
ResponseMode = Literal["query", "fragment", "form_post"]
GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]
TOKEN_EXCHANGE: GrantType = "urn:ietf:params:oauth:grant-type:token-exchange"
AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]
RegistrationMode = Literal["off", "token", "open"]


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
class SessionRules:
    """How long things last in a browser, in seconds. `request` limits how long a sign-in may take."""

    idle: int = 12 * 3600
    absolute: int = 30 * 86400
    request: int = 3600


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many seconds things are kept that are of no more use than to be looked up.

    `journal` counts from an event, `addresses` too, after which it has no address any more; `bans` from the end of a
    ban, `withdrawn_consents` from the withdrawal, `erasures` from an erasure, which is remembered as long as a backup
    could bring the player back. `inactive_accounts` counts from the last login; with 0 nobody is erased for that.
    """

    journal: int = 365 * 86400
    addresses: int = 7 * 86400
    bans: int = 90 * 86400
    withdrawn_consents: int = 365 * 86400
    erasures: int = 30 * 86400
    inactive_accounts: int = 0


@dataclass(frozen=True, slots=True)
class ProjectLook:
    """What a project's pages show. `logo` is a file's path, colours are `#rrggbb`, the others https addresses."""

    logo: str = ""
    accent: str = ""
    accent_dark: str = ""
    support_url: str = ""
    privacy_url: str = ""
    terms_url: str = ""


@dataclass(frozen=True, slots=True)
class ClientLinks:
    """What players are shown of a client (OpenID Connect Dynamic Client Registration section 2): https addresses."""

    client_uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    initiate_login_uri: str = ""


@dataclass(frozen=True, slots=True)
class LogoutRules:
    """Where a client's players may be sent after a logout, and how the client learns of one.

    The names are those of RP-Initiated, Back-Channel and Front-Channel Logout 1.0. With `session_bound` its refresh
    tokens end with the session they came from.
    """

    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str = ""
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str = ""
    frontchannel_logout_session_required: bool = False
    session_bound: bool = False


AgePolicy = Literal["refuse", "guest_only", "allow_without_pii"]
"""What becomes of guarded players: none comes in; guests alone do; all do, but nothing personal is kept or told."""

UnlinkEnds = Literal["none", "identity", "all"]
"""Which sessions an unlink ends: none, those that began with the identity, or all of the player."""


@dataclass(frozen=True, slots=True)
class AccountRules:
    """What a project lets players do with their accounts. Times are in seconds.

    `identities` is how many of one kind and environment an account may have. `reauthentication` is how old a sign-in
    may be that changes an account; with `xsolla_reauthentication` off, clients of the Xsolla profile need none.
    `relink_cooldown` passes before an identity that was unlinked may be linked elsewhere. With `guests_may_stay` a
    guest's device secret counts as a way in. With `bans_outlive_erasure` a ban holds for the platform accounts of an
    erased player. `segments` are the keys that games may store.
    Of players in the `guarded_age_groups`, which `unknown` can be one of, nothing personal is kept, and with
    `guarded_may_link` off they link nothing; `directed_at_children` makes a child of whoever's age nobody told.
    """

    identities: int = 1
    transfer: bool = False
    merge: bool = False
    merge_across_age_groups: bool = False
    undo_window: int = 14 * 86400
    reauthentication: int = 600
    xsolla_reauthentication: bool = True
    relink_cooldown: int = 0
    guests_may_stay: bool = False
    unlink_ends: UnlinkEnds = "identity"
    bans_outlive_erasure: bool = True
    segments: tuple[str, ...] = ()
    guarded_age_groups: tuple[str, ...] = ("child",)
    age_policy: AgePolicy = "allow_without_pii"
    guarded_may_link: bool = False
    directed_at_children: bool = False


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
    look: ProjectLook = ProjectLook()
    accounts: AccountRules = AccountRules()


@dataclass(frozen=True, slots=True)
class ConnectFlags:
    """How a player's platform account is connected, as GameSparks' requests had it; ours reports a switch by default.

    `do_not_link_to_current_player` makes an account of its own for an unknown identity; `error_on_switch` reports a
    switch instead of doing it; `switch_if_possible` switches even if the player has another identity of the kind;
    `do_not_create_new_player` never makes an account; `sync_display_name` lets the name follow the platform's.
    """

    do_not_link_to_current_player: bool = False
    error_on_switch: bool = True
    switch_if_possible: bool = False
    do_not_create_new_player: bool = False
    sync_display_name: bool = False


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret of a client. From the second `expires_at` on it proves nothing; None means that it does not expire."""

    digest: Digest
    expires_at: int | None = None

    def works(self, now: int) -> bool:
        """Whether it may still prove who the client is."""
        return self.expires_at is None or now < self.expires_at


MOST_SECRETS = 8
"""Secrets that one client may have."""


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client: a game, launcher, web site or server.

    Without secrets it is public (RFC 6749 section 2.1); when all have expired, it is still none, and shut out.
    `extra_scopes` of None means any scope value is accepted. `userinfo_alg` signs UserInfo answers; None leaves them
    plain JSON. `auth_method` is the only way in which it may prove itself; None allows each that its secret does.
    `default_max_age`, in seconds, holds for requests without one. With `introspect` it may ask what tokens of its
    project stand for, with `manage_players` do to any player of it what its operator may. `connect` are the flags of
    its identity requests that name none. `exchange_from` names the clients whose access tokens it may exchange, beside
    its own.
    `id_token_audiences` are whom it may get id_tokens for besides itself, by token exchange alone.
    """

    client_id: str
    project: Project
    name: str
    secrets: tuple[ClientSecret, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    grant_types: frozenset[GrantType] = frozenset({"authorization_code", "refresh_token"})
    scopes: frozenset[str] = frozenset()
    extra_scopes: frozenset[str] | None = frozenset()
    audiences: frozenset[str] = frozenset()
    id_token_audiences: frozenset[str] = frozenset()
    native: bool = False
    first_party: bool = True
    pkce_required: bool = True
    profile: TokenProfile = "standard"
    access_token_alg: SigningAlgorithm = "ES256"
    id_token_alg: SigningAlgorithm = "RS256"
    cors_origins: frozenset[str] = frozenset()
    error_redirect_uri: str = ""
    lifetimes: Lifetimes = Lifetimes()
    response_modes: frozenset[ResponseMode] = frozenset({"query", "form_post"})
    state_required: bool = False
    nonce_required: bool = False
    userinfo_alg: SigningAlgorithm | None = None
    profile_in_id_token: bool = False
    links: ClientLinks = ClientLinks()
    logout: LogoutRules = LogoutRules()
    auth_method: AuthMethod | None = None
    default_max_age: int | None = None
    introspect: bool = False
    manage_players: bool = False
    connect: ConnectFlags = ConnectFlags()
    revoke_grant_with_access_token: bool = True
    exchange_from: frozenset[str] = frozenset()
    registered: bool = False
    """Whether it registered itself at run time, so that it can go at any moment, and not by a reload alone."""
    is_account_page: bool = False
    """Whether it is our own account page: its players are let in by their session, and it gets no code."""

    @property
    def public(self) -> bool:
        """Whether the client holds no secret and so cannot authenticate."""
        return not self.secrets


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client that registered itself at run time (RFC 7591), as the database holds it.

    `metadata` is a JSON object of what it registered. `token_hash` is that of its registration access token, None for
    one that cannot be managed; `registered_with` the name of the initial access token, empty for an open registration.
    `expires_at` is when it goes unless a player signs in to it before; None once one did. `version` counts its updates.
    """

    id: int
    client_id: str
    project: str
    metadata: str
    secret_hash: Digest | None
    token_hash: Digest | None
    registered_with: str
    created_at: int
    expires_at: int | None
    version: int = 1


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """What a project lets clients register. `mode` and `management` are each by itself: neither opens the other.

    `initial_tokens` maps the digest of each initial access token to its name. `unused_seconds` is how long a client
    may wait for its first player. `callable_hosts` are hosts inside the studio's network that it may have us call.
    `algorithms` are those that a client may have its tokens signed by.
    `blocked` are ids of clients that are shut out, though registered.
    """

    project: Project
    mode: RegistrationMode
    management: bool
    scopes: tuple[str, ...]
    initial_tokens: Mapping[Digest, str]
    most_clients: int
    unused_seconds: int
    pkce_required: bool
    lifetimes: Lifetimes
    callable_hosts: tuple[str, ...] = ()
    algorithms: tuple[SigningAlgorithm, ...] = ("ES256", "RS256")
    blocked: frozenset[str] = frozenset()
    dev: bool = False


@dataclass(frozen=True, slots=True)
class IdentityKey:
    """What a platform account is found by. The same text in another kind or environment is another account."""

    project: str
    kind: str
    environment: str
    subject: str


BarKind = Literal["banned", "restricted"]


@dataclass(frozen=True, slots=True)
class Player:
    """A person in one project. `sub` is a random UUID, never reused; `id` is the row, never shown.

    `version` counts changes of what the account is and owns; a login is none. `barred_until` is 0 for a player who may
    come in, `NEVER` for one who may not for good; `barred_as` says why. `age_group` is `child`, `teen`, `adult` or
    empty. `name_from` is the kind of identity whose display name it follows, empty for any. `merged_into` is the row of
    the account that this one is an alias of.
    """

    id: int
    sub: str
    project: str
    display_name: str
    created_at: int
    last_login_at: int
    version: int = 1
    barred_until: int = 0
    barred_as: BarKind | Literal[""] = ""
    age_group: str = ""
    name_from: str = ""
    merged_into: int | None = None

    def is_barred(self, now: int) -> bool:
        """Whether a ban or a restriction keeps them out."""
        return now < self.barred_until


@dataclass(frozen=True, slots=True)
class Grant:
    """One authorization of one client by one player, from its code to the last refresh token of its family.

    The row is born with the authorization code, updated when the code is redeemed and at each refresh.
    `refresh_generation` counts the refresh tokens issued; 0 means none. `refresh_successor` is the current refresh
    token, sealed under a key that only the previous token yields, kept for the grace window.
    `platform` is the verifier's name, `idp` the identity's kind, `idp_subject` its subject (Xsolla: `provider`, `id`).
    `expires_at` is when the row is of no further use to anybody but reuse detection.
    `session_id` is 0 without a browser session. `claims` are those asked for one by one, as `userinfo:name` or
    `id_token:name`.
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
    session_id: int = 0
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedGrant:
    """A grant with the player it belongs to and what is told of them, read by one SELECT.

    `profile` is a JSON object of standard claims (OpenID Connect Core section 5.1); empty for a player without one.
    Whatever was issued before `not_before` is void, the grant too. The others are about the access token that was asked
    about: whether it was revoked, and the time before which everything is void that its client was given, which may be
    another client than the grant's. `issued_as` is the `sub` of the player whom the grant was given to; another one
    than `player`'s if that account was merged into it since. `sub_is_players` tells whether the `sub` that was asked
    about is the player's, their own or that of an account merged into it.
    """

    grant: Grant
    player: Player
    profile: str = ""
    not_before: int = 0
    token_revoked: bool = False
    client_not_before: int = 0
    issued_as: str = ""
    sub_is_players: bool = False


NotBeforeKind = Literal["player", "client", "project"]
"""Whose tokens a not-before is about; its subject is the player's `sub`, the client_id or the project's key."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What may have ended an access token of no player: the strictest not-before, or a revocation of its own."""

    not_before: int = 0
    token_revoked: bool = False


@dataclass(frozen=True, slots=True)
class Revocations:
    """What ended lately, for verifiers that never ask us. Each in a steady order.

    `jtis` are access tokens and `grants` rows of grants; `not_befores` maps players by `sub`, clients and projects to
    the time before which everything is void; `disabled` clients that left to when they did; `kids` signing keys that
    were given up in an emergency.
    """

    jtis: tuple[str, ...] = ()
    grants: tuple[int, ...] = ()
    not_befores: Mapping[tuple[NotBeforeKind, str], int] = field(default_factory=dict)
    disabled: Mapping[str, int] = field(default_factory=dict)
    kids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that came to one of our pages, known by its cookie. Requests, trips and sessions hang on its row id.

    `secret_hash` is that of the cookie's present value, which changes at every sign-in.
    """

    id: int
    secret_hash: Digest
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Session:
    """A player signed in in one browser, in one project; of these one at most has not ended.

    `expires_at` is the idle limit, moved by every use up to `absolute_expires_at`. `platform`, `idp` and `idp_subject`
    are those of the identity that signed in last, at `auth_time`, as in `Grant`. `used_at` is when somebody signed in
    or a client got a code by it, last.
    """

    id: int
    browser_id: int
    project: str
    player_id: int
    platform: str
    idp: str
    idp_subject: str
    auth_time: int
    created_at: int
    expires_at: int
    absolute_expires_at: int
    used_at: int
    ended_at: int | None = None
    ended_reason: str = ""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """An authorization request that waits for its player, kept here so that no browser can alter it.

    `parameters` is the request as a JSON object of texts. `expected_sub` is the player it must be, if it named one.
    `progress` names the steps that are done: `login`, `select_account`. `browser_id` is 0 until a browser came for it.
    """

    id: int
    browser_id: int
    project: str
    client_id: str
    parameters: str
    created_at: int
    expires_at: int
    expected_sub: str = ""
    progress: tuple[str, ...] = ()
    completed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """A browser on its way to a platform's sign-in page and back. `state_hash` is that of the `state` it carries."""

    id: int
    browser_id: int
    request_id: int
    platform: str
    state_hash: Digest
    created_at: int
    expires_at: int
    used_at: int | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that has not ended, with its player. Whether it is still in time is the reader's to judge."""

    session: Session
    player: Player


@dataclass(frozen=True, slots=True)
class Consent:
    """What a player lets a client have, and since when."""

    client_id: str
    scope: tuple[str, ...]
    given_at: int


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known when a browser comes for a client: both by one SELECT.

    `consented` holds the scopes that the signed-in player has granted to the client before.
    """

    browser: Browser
    signed_in: SignedIn | None = None
    consented: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LoadedRequest:
    """A pending request, and the browser that came for it; None if the database knows no such browser."""

    request: PendingRequest
    visit: Visit | None = None


@dataclass(frozen=True, slots=True)
class LoadedTrip:
    """A trip with the request it was made for, and the browser that came back."""

    trip: Trip
    pending: LoadedRequest


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """A logout that a client must be told by the back channel (OpenID Connect Back-Channel Logout section 2.5)."""

    id: int
    client_id: str
    session_id: int
    sub: str
    created_at: int
    next_attempt_at: int
    attempts: int = 0


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
class KeyRules:
    """For which algorithms there are signing keys, after how many seconds one is followed by the next, and for how
    many seconds at least that one is announced before.
    """

    algorithms: tuple[SigningAlgorithm, ...] = ("ES256", "RS256")
    rotation: int = 90 * 86400
    announcement: int = 14 * 86400


@dataclass(frozen=True, slots=True)
class Lease:
    """That `holder` alone does what `name` stands for, until `expires_at` by the database's clock."""

    name: str
    holder: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key of the server's ring as the database holds it. `material` is PKCS#8 DER or raw bytes, sealed if `sealed`.

    `use` is "sig" for signing keys and "seal" for the secret from which internal keys are derived. `follows` is the
    `kid` of the key before it, for the first one of an algorithm the algorithm's name. It signs from `signs_from` to
    `signs_until` and is published up to `retires_at`; both are `NEVER` while that is open. From `erased_at` on
    `material` is the public key alone, in DER. With `revoked_at` it was given up in an emergency.
    """

    kid: str
    use: Literal["sig", "seal"]
    alg: str
    material: bytes
    sealed: bool
    created_at: int
    signs_from: int
    retires_at: int
    follows: str
    signs_until: int = NEVER
    erased_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class SharedCount:
    """What all nodes together counted under one key of the rate limits, in a window that ends at `ends_at`."""

    count: int
    ends_at: int
