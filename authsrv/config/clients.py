"""The `[projects.KEY.clients.ID]` block and the client model made from it.

Owns the defaults that follow from a client's type and profile. What is sensible beyond types stands in
`client_checks.py`.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from authsrv.config.client_secrets import DAY, SecretHash, secret_digest
from authsrv.models import (
    MOST_SECRETS,
    Client,
    ClientLinks,
    ClientSecret,
    ConnectFlags,
    GrantType,
    Lifetimes,
    LogoutRules,
    Project,
    ResponseMode,
    SigningAlgorithm,
)
from authsrv.settings import Secret, Settings

ClientType = Literal["public", "confidential", "server"]
Flag = Annotated[bool, Field(strict=True)]
Seconds = Annotated[int, Field(strict=True, ge=1)]
AnyScope = Annotated[
    tuple[str, ...] | None,
    BeforeValidator(lambda value: None if value == "*" else value, json_schema_input_type=list[str] | Literal["*"]),
]
"""A list of scopes, or None, written "*", for any."""

CODE_GRANTS: tuple[GrantType, ...] = ("authorization_code", "refresh_token")
SERVER_GRANTS: tuple[GrantType, ...] = ("client_credentials",)
DEFAULT_SCOPES = ("openid", "profile", "offline")
XSOLLA_ACCESS_TOKEN_LIFETIME = 3600

YEAR = 366 * DAY


class TokenSettings(Settings):
    """The `[tokens]` block: lifetimes of every client that sets none of its own."""

    code_lifetime: Seconds = Field(
        60, le=600, description="How long an authorization code may be redeemed, in seconds."
    )
    access_token_lifetime: Seconds = Field(900, le=DAY, description="How long an access token is valid, in seconds.")
    id_token_lifetime: Seconds = Field(900, le=DAY, description="How long an id_token is valid, in seconds.")
    refresh_idle: Seconds = Field(
        30 * DAY, le=YEAR, description="After how many seconds without use a refresh token ends."
    )
    refresh_absolute: Seconds = Field(
        180 * DAY, le=10 * YEAR, description="After how many seconds a player must sign in again, however active."
    )
    refresh_grace: Annotated[int, Field(strict=True)] = Field(
        30,
        ge=0,
        le=60,
        description="For how many seconds a refresh may be repeated with the previous token, if its answer was lost.",
    )


class ConnectSettings(Settings):
    """The `[projects.KEY.clients.ID.connect]` block: how a platform account is connected to the player signed in."""

    do_not_link_to_current_player: Flag = Field(
        False, description="Make an account of its own for an unknown platform account."
    )
    error_on_switch: Flag = Field(True, description="Report a switch to another player instead of doing it.")
    switch_if_possible: Flag = Field(
        False, description="Switch to a known player even if the present one has an account of that platform."
    )
    do_not_create_new_player: Flag = Field(False, description="Never make a new player.")
    sync_display_name: Flag = Field(False, description="Let the player's name follow that of the platform.")

    def flags(self) -> ConnectFlags:
        """What the rest of the server takes."""
        return ConnectFlags(**self.model_dump())


class ClientSettings(Settings):
    """A game, launcher, web site or server that asks for tokens."""

    name: str = Field("", max_length=100, description="What players and logs call the client; its id if left out.")
    type: ClientType | None = Field(
        None,
        description="public, confidential or server; left out, a client with a secret is confidential, else public.",
    )
    secret: Secret | None = Field(None, description="The client's secret, of 32 characters or more.")
    secrets: tuple[Secret, ...] = Field(
        (), max_length=4, description="Several secrets that all work, to change one without a gap."
    )
    secret_hashes: tuple[SecretHash, ...] = Field(
        (),
        max_length=MOST_SECRETS,
        description="Secrets that only the client knows, each by its SHA-256 and with the moment it ends.",
    )
    redirect_uris: tuple[str, ...] = Field(
        (), max_length=50, description="Where players may be sent back to, compared character by character."
    )
    grants: tuple[GrantType, ...] | None = Field(
        None,
        description="Grant types; by default authorization_code and refresh_token, for a server client_credentials.",
    )
    scopes: tuple[str, ...] = Field(
        DEFAULT_SCOPES, description="Scopes the client may ask for; offline means a refresh token. None for a server."
    )
    extra_scopes: AnyScope = Field(
        (), description='Scope values of the studio\'s own; "*" for any, with compat = "xsolla" only.'
    )
    audiences: tuple[str, ...] = Field((), description="Audiences the client may ask its access tokens to be made for.")
    id_token_audiences: tuple[str, ...] = Field(
        (),
        description="Services that want id_tokens made for them, such as https://mod.io; asked for by token exchange.",
    )
    native: Flag = Field(
        False,
        description="The client runs on the player's machine: any port of a loopback address, and private schemes.",
    )
    first_party: Flag = Field(True, description="The client is the studio's own: silent login and no consent page.")
    pkce: Literal["required", "optional"] | None = Field(
        None, description="Whether PKCE must be used; optional is for confidential clients that cannot."
    )
    compat: Literal["xsolla"] | None = Field(
        None, description="The client uses an Xsolla game SDK: paths below /api and tokens of that shape."
    )
    access_token_alg: SigningAlgorithm | None = Field(
        None,
        description="Signature of access tokens: ES256 by default, or RS256 if there are no keys for ES256 or with"
        ' compat = "xsolla".',
    )
    id_token_alg: SigningAlgorithm = Field("RS256", description="Signature of id_tokens.")
    manage_players: Flag = Field(
        False, description="The client may look up, link, merge and ban every player of its project."
    )
    connect: ConnectSettings = Field(
        ConnectSettings(), description="Flags of its requests that connect a platform account and name none."
    )
    introspect: Flag = Field(
        False, description="The client may ask the introspection endpoint about tokens of its project."
    )
    exchange_from: tuple[str, ...] = Field(
        (), description="Clients of the project whose access tokens this client may exchange, beside its own."
    )
    revoke_grant_with_access_token: Flag = Field(
        True, description="Revoking an access token of the client also ends the refresh token it came with."
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="Web origins whose scripts may call the token, userinfo and revocation endpoints."
    )
    error_redirect_uri: str = Field(
        "", description="Where failed logins are sent instead of the redirect URI (Xsolla's error callback)."
    )
    code_lifetime: Seconds | None = Field(None, le=600, description="Overrides tokens.code_lifetime.")
    access_token_lifetime: Seconds | None = Field(
        None, le=DAY, description='Overrides tokens.access_token_lifetime; 3600 by default with compat = "xsolla".'
    )
    id_token_lifetime: Seconds | None = Field(None, le=DAY, description="Overrides tokens.id_token_lifetime.")
    refresh_idle: Seconds | None = Field(None, le=YEAR, description="Overrides tokens.refresh_idle.")
    refresh_absolute: Seconds | None = Field(None, le=10 * YEAR, description="Overrides tokens.refresh_absolute.")
    refresh_grace: Annotated[int, Field(strict=True)] | None = Field(
        None, ge=0, le=60, description="Overrides tokens.refresh_grace."
    )

    response_modes: tuple[ResponseMode, ...] = Field(
        ("query", "form_post"),
        description="How browsers may bring the answer of a sign-in: query, fragment, form_post.",
    )
    state: Literal["optional", "required"] = Field(
        "optional", description="Whether a browser sign-in must carry a state; PKCE protects against the same attack."
    )
    nonce: Literal["optional", "required"] = Field(
        "optional", description="Whether a browser sign-in must carry a nonce."
    )
    default_max_age: Annotated[int, Field(strict=True)] | None = Field(
        None, ge=0, le=YEAR, description="For how many seconds a sign-in is good enough, unless a request says max_age."
    )
    userinfo_alg: SigningAlgorithm | None = Field(
        None, description="Signature of UserInfo answers; left out, they are plain JSON."
    )
    profile_in_id_token: Flag = Field(
        False, description="Put the claims of profile, email, address and phone into the id_token as well."
    )
    client_uri: str = Field("", description="The client's own page, linked where a sign-in or a session ends.")
    policy_uri: str = Field("", description="The client's privacy policy, linked on the sign-in page.")
    tos_uri: str = Field("", description="The client's terms of service, linked on the sign-in page.")
    initiate_login_uri: str = Field(
        "", description="Address of the client that begins a sign-in, for links that open the game."
    )
    post_logout_redirect_uris: tuple[str, ...] = Field(
        (), max_length=50, description="Where players may be sent after a logout, compared character by character."
    )
    backchannel_logout_uri: str = Field(
        "", description="Address of the client's server that is told when a player's session ends."
    )
    backchannel_logout_session_required: Flag = Field(
        False, description="The client needs the session's sid in logout tokens; they always have it."
    )
    frontchannel_logout_uri: str = Field(
        "",
        description="Page of the client that the browser loads in a frame at a logout; backchannel is more reliable.",
    )
    frontchannel_logout_session_required: Flag = Field(
        False, description="The client needs iss and sid in that address; it always gets them."
    )
    refresh_ends_with_session: Flag = Field(
        False, description="End the client's refresh tokens when the browser session ends in which they were given."
    )

    @property
    def known_secrets(self) -> tuple[SecretStr, ...]:
        """`secret` and `secrets` together."""
        return ((self.secret,) if self.secret else ()) + self.secrets

    @property
    def all_secrets(self) -> tuple[ClientSecret, ...]:
        """Every secret by its digest, those that have expired included."""
        known = (ClientSecret(secret_digest(secret.get_secret_value())) for secret in self.known_secrets)
        return (*known, *(secret.model for secret in self.secret_hashes))

    @property
    def effective_type(self) -> ClientType:
        """The type as written, or as it follows from the secrets."""
        return self.type or ("confidential" if self.known_secrets or self.secret_hashes else "public")

    @property
    def effective_grants(self) -> tuple[GrantType, ...]:
        """The grants as written, or those of the type."""
        if self.grants is not None:
            return self.grants
        return SERVER_GRANTS if self.effective_type == "server" else CODE_GRANTS

    @property
    def effective_scopes(self) -> tuple[str, ...]:
        """The scopes as written; without, a server has none, for all the default ones are about a player."""
        is_default = "scopes" not in self.model_fields_set
        return () if is_default and self.effective_type == "server" else self.scopes

    @property
    def pkce_required(self) -> bool:
        """As written; by default yes, but no for the Xsolla SDKs, which do not know PKCE."""
        if self.pkce is None:
            return self.compat != "xsolla"
        return self.pkce == "required"

    def lifetimes(self, tokens: TokenSettings) -> Lifetimes:
        """The client's own lifetimes where given, else its profile's, else the server's."""
        profile = XSOLLA_ACCESS_TOKEN_LIFETIME if self.compat == "xsolla" else tokens.access_token_lifetime
        return Lifetimes(
            code=_first(self.code_lifetime, tokens.code_lifetime),
            access_token=_first(self.access_token_lifetime, profile),
            id_token=_first(self.id_token_lifetime, tokens.id_token_lifetime),
            refresh_idle=_first(self.refresh_idle, tokens.refresh_idle),
            refresh_absolute=_first(self.refresh_absolute, tokens.refresh_absolute),
            refresh_grace=_first(self.refresh_grace, tokens.refresh_grace),
        )

    def model(self, client_id: str, project: Project, tokens: TokenSettings) -> Client:
        """The client as the rest of the server knows it: frozen, with digests for secrets."""
        return Client(
            client_id=client_id,
            project=project,
            name=self.name or client_id,
            secrets=self.all_secrets,
            redirect_uris=self.redirect_uris,
            grant_types=frozenset(self.effective_grants),
            scopes=frozenset(self.effective_scopes),
            extra_scopes=None if self.extra_scopes is None else frozenset(self.extra_scopes),
            audiences=frozenset(self.audiences),
            id_token_audiences=frozenset(self.id_token_audiences),
            native=self.native,
            first_party=self.first_party,
            pkce_required=self.pkce_required,
            profile=self.compat or "standard",
            access_token_alg=self.access_token_alg or ("RS256" if self.compat == "xsolla" else "ES256"),
            id_token_alg=self.id_token_alg,
            cors_origins=frozenset(self.cors_origins),
            error_redirect_uri=self.error_redirect_uri,
            lifetimes=self.lifetimes(tokens),
            response_modes=frozenset(self.response_modes),
            state_required=self.state == "required",
            nonce_required=self.nonce == "required",
            default_max_age=self.default_max_age,
            userinfo_alg=self.userinfo_alg,
            profile_in_id_token=self.profile_in_id_token,
            introspect=self.introspect,
            manage_players=self.manage_players,
            connect=self.connect.flags(),
            exchange_from=frozenset(self.exchange_from),
            revoke_grant_with_access_token=self.revoke_grant_with_access_token,
            links=self.links(),
            logout=self.logout_rules(),
        )

    def links(self) -> ClientLinks:
        """What players are shown of the client."""
        return ClientLinks(self.client_uri, self.policy_uri, self.tos_uri, self.initiate_login_uri)

    def logout_rules(self) -> LogoutRules:
        """How the client learns of a logout, and where its players go."""
        return LogoutRules(
            post_logout_redirect_uris=self.post_logout_redirect_uris,
            backchannel_logout_uri=self.backchannel_logout_uri,
            backchannel_logout_session_required=self.backchannel_logout_session_required,
            frontchannel_logout_uri=self.frontchannel_logout_uri,
            frontchannel_logout_session_required=self.frontchannel_logout_session_required,
            session_bound=self.refresh_ends_with_session,
        )


def with_keys(client: Client, algorithms: Collection[SigningAlgorithm]) -> Client:
    """The client with RS256, for which there are always keys, in place of an algorithm for which there are none."""

    def among(alg: SigningAlgorithm) -> SigningAlgorithm:
        return alg if alg in algorithms else "RS256"

    return replace(
        client,
        access_token_alg=among(client.access_token_alg),
        id_token_alg=among(client.id_token_alg),
        userinfo_alg=among(client.userinfo_alg) if client.userinfo_alg else None,
    )


def _first(own: int | None, default: int) -> int:
    return default if own is None else own
