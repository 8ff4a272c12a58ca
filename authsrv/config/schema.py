"""The configuration file's blocks, from the root down; clients stand in `clients.py`, platforms beside their code.

Owns names, types, ranges and defaults, and the models that the rest of the server takes from them. What is sensible
beyond types stands in `checks.py`.
"""

import uuid
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, create_model, field_validator

from authsrv.config.client_secrets import DAY
from authsrv.config.clients import YEAR, ClientSettings, Flag, TokenSettings, with_keys
from authsrv.config.problems import Problem
from authsrv.config.registration import RegistrationSettings
from authsrv.config.retention import RetentionSettings
from authsrv.database_url import Database, sqlite_file
from authsrv.limits import Quotas
from authsrv.models import (
    AccountRules,
    AgePolicy,
    Client,
    KeyRules,
    Project,
    ProjectLook,
    RegistrationPolicy,
    SessionRules,
    SigningAlgorithm,
    UnlinkEnds,
)
from authsrv.platforms import PLATFORMS
from authsrv.platforms.base import PlatformSettings
from authsrv.playfab.settings import PlayFabSettings
from authsrv.settings import Secret, Settings


def _network(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('this is not a text; write the network in quotes: "10.0.0.0/8"')  # noqa: TRY004 - for pydantic
    try:
        return ip_network(value)
    except ValueError:
        raise ValueError(
            'this is not an IP address or network; write "10.0.0.0/8", or one address "10.0.0.7"'
        ) from None


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network, json_schema_input_type=str)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Patience = Annotated[int, Field(strict=True, ge=1, le=300)]
Wait = Annotated[int, Field(strict=True, ge=0, le=300)]


class ServerSettings(Settings):
    """The `[server]` block: where and how the process listens."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 or :: for all.")
    port: Annotated[int, Field(strict=True)] = Field(8080, ge=0, le=65535, description="Port to listen on.")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="Networks of the proxies whose X-Forwarded-For header is believed."
    )
    drain_seconds: Wait = Field(
        10, description="For how many seconds at a stop the server still takes requests while it reports not ready."
    )
    graceful_seconds: Wait = Field(20, description="For how many seconds after that requests in progress may finish.")
    control_socket: str = Field(
        "",
        description="Unix socket through which commands reach the running server; beside an SQLite file if left out, "
        "and none on PostgreSQL.",
    )


class DatabaseSettings(Settings):
    """The `[database]` block."""

    url: Secret = Field(
        description="sqlite:///path/to/file, with four slashes for an absolute path, or postgresql://user@host/name."
    )
    password: Secret | None = Field(None, description="PostgreSQL: the password of the user in the URL.")
    pool_size: Annotated[int, Field(strict=True, ge=2, le=200)] = Field(
        10, description="PostgreSQL: how many connections a node opens at most."
    )
    pool_timeout: Patience = Field(2, description="PostgreSQL: for how many seconds to wait for a free connection.")
    statement_timeout: Patience = Field(5, description="PostgreSQL: for how many seconds a statement may run.")
    lock_timeout: Patience = Field(2, description="PostgreSQL: for how many seconds a statement waits for a lock.")
    idle_in_transaction_timeout: Patience = Field(
        10, description="PostgreSQL: for how many seconds a transaction may stand still."
    )
    prepared_statements: Flag = Field(
        True, description="PostgreSQL: whether statements are prepared; false behind a pooler that cannot keep them."
    )
    erasures: str = Field(
        "", description="PostgreSQL: the directory in which it is noted, outside of the database, who was erased."
    )

    def model(self) -> Database:
        """What the storage takes."""
        return Database(
            url=self.url.get_secret_value(),
            password=self.password.get_secret_value() if self.password else "",
            pool_size=self.pool_size,
            pool_timeout=self.pool_timeout,
            statement_timeout=self.statement_timeout,
            lock_timeout=self.lock_timeout,
            idle_timeout=self.idle_in_transaction_timeout,
            prepared_statements=self.prepared_statements,
            erasures=Path(self.erasures) if self.erasures else None,
        )

    @property
    def sqlite_path(self) -> Path | None:
        """The SQLite file, relative to the working directory unless absolute; None if the URL names none."""
        return sqlite_file(self.url.get_secret_value())


class KeysSettings(Settings):
    """The `[keys]` block: the signing keys kept in the database, and how they follow each other."""

    passphrase: Secret | None = Field(
        None, description="Seals the signing keys in the database; without it the file system alone protects them."
    )
    algorithms: tuple[SigningAlgorithm, ...] = Field(
        ("ES256", "RS256"), description="For which algorithms there are signing keys: ES256, RS256, PS256, EdDSA."
    )
    rotation_period: Annotated[int, Field(strict=True)] = Field(
        90 * DAY, ge=7 * DAY, le=YEAR, description="After how many seconds a signing key is followed by the next."
    )
    announcement: Annotated[int, Field(strict=True)] = Field(
        14 * DAY, ge=DAY, le=YEAR, description="For how many seconds the next key is published before it signs."
    )

    def rules(self) -> KeyRules:
        """What the rest of the server takes."""
        return KeyRules(self.algorithms, self.rotation_period, self.announcement)


class LimitsSettings(Settings):
    """The `[limits]` block: how often something may be tried within a minute."""

    logins_per_minute_per_player: Count = Field(30, description="Platform logins of one player.")
    logins_per_minute_per_client: Count = Field(6000, description="Platform logins through one client, all players.")
    failures_per_minute_per_address: Count = Field(
        60, description="Refused credentials from one IP address, or one /64 network of IPv6."
    )
    secret_failures_per_minute: Count = Field(10, description="Wrong secrets for one client from one address.")
    sign_ins_per_minute_per_address: Count = Field(
        120, description="Sign-ins begun in browsers from one IP address, or one /64 network of IPv6."
    )
    registrations_per_minute_per_address: Count = Field(
        20, description="Clients registered, read, changed and deleted from one IP address, or one /64 network of IPv6."
    )
    guests_per_minute_per_address: Count = Field(
        60, description="New guests from one IP address, or one /64 network of IPv6."
    )
    link_code_failures_per_minute_per_address: Count = Field(
        10,
        description="Wrong link codes from one IP address, or one /64 network of IPv6; ten times by one client.",
    )
    token_requests_per_minute: Count = Field(600, description="Token requests of one client for one player.")
    multiplier: Annotated[int, Field(strict=True)] = Field(
        1, ge=1, le=1000, description="Multiplies all of these limits, for demos and load tests."
    )
    store: str = Field(
        "", description="Redis or Valkey that all nodes count in: redis://host:port/number, or rediss:// for TLS."
    )
    store_password: Secret | None = Field(None, description="The password for it.")
    store_ca: str = Field("", description="PEM file of the certification authorities that may vouch for it, with TLS.")

    def quotas(self) -> Quotas:
        """What the rate limiter takes, multiplied."""
        return Quotas(
            client_logins=self.logins_per_minute_per_client * self.multiplier,
            player_logins=self.logins_per_minute_per_player * self.multiplier,
            token_requests=self.token_requests_per_minute * self.multiplier,
            address_failures=self.failures_per_minute_per_address * self.multiplier,
            secret_failures=self.secret_failures_per_minute * self.multiplier,
            address_sign_ins=self.sign_ins_per_minute_per_address * self.multiplier,
            address_registrations=self.registrations_per_minute_per_address * self.multiplier,
            address_guests=self.guests_per_minute_per_address * self.multiplier,
            link_code_failures=self.link_code_failures_per_minute_per_address * self.multiplier,
        )


class SessionSettings(Settings):
    """The `[sessions]` block: how long players stay signed in in their browsers."""

    idle: Annotated[int, Field(strict=True)] = Field(
        12 * 3600, ge=60, le=366 * 86400, description="After how many seconds without use a session ends."
    )
    absolute: Annotated[int, Field(strict=True)] = Field(
        30 * 86400, ge=60, le=366 * 86400, description="After how many seconds a session ends, however active."
    )
    sign_in: Annotated[int, Field(strict=True)] = Field(
        3600, ge=60, le=86400, description="How many seconds a player may take to sign in."
    )

    def rules(self) -> SessionRules:
        """What the rest of the server takes."""
        return SessionRules(idle=self.idle, absolute=self.absolute, request=self.sign_in)


class OutboundSettings(Settings):
    """The `[outbound]` block: calls to addresses that clients give, such as backchannel_logout_uri."""

    allow: tuple[str, ...] = Field(
        (), description='Addresses inside the own network that may be called all the same, as "host:port".'
    )
    extra_ca: str = Field("", description="PEM file of certification authorities of the own network, for such calls.")


class LookSettings(Settings):
    """The `[projects.KEY.look]` block: how the project's pages look."""

    logo: str = Field("", description="Image file shown on the pages: SVG, PNG, JPEG or WebP, at most 256 KiB.")
    accent: str = Field("", description="Colour of buttons and links, as #rrggbb.")
    accent_dark: str = Field("", description="The same for players whose system is dark; accent if left out.")
    support_url: str = Field("", description="Where players find help, linked on every page.")
    privacy_url: str = Field("", description="The studio's privacy policy, linked on every page.")
    terms_url: str = Field("", description="The studio's terms, linked on every page.")

    def model(self) -> ProjectLook:
        """The look as the rest of the server knows it."""
        return ProjectLook(**self.model_dump())


class AccountSettings(Settings):
    """The `[projects.KEY.accounts]` block: what players may do with their accounts."""

    identities: Annotated[int, Field(strict=True)] = Field(
        1, ge=1, le=10, description="How many accounts of one platform a player may have linked."
    )
    transfer: Flag = Field(False, description="Let players move a platform account from one player to another.")
    merge: Flag = Field(False, description="Let players merge two accounts into one.")
    merge_across_age_groups: Flag = Field(
        False, description="Merge also players of different age groups; the one that remains has the stricter."
    )
    undo_window: Annotated[int, Field(strict=True)] = Field(
        14 * DAY, ge=0, le=90 * DAY, description="For how many seconds links, transfers and merges can be undone."
    )
    reauthentication: Annotated[int, Field(strict=True)] = Field(
        600, ge=60, le=DAY, description="How many seconds old a sign-in may be that changes an account."
    )
    xsolla_reauthentication: Flag = Field(True, description="Ask the same of clients of the Xsolla profile.")
    relink_cooldown: Annotated[int, Field(strict=True)] = Field(
        0, ge=0, le=YEAR, description="After how many seconds an unlinked account may be linked to another player."
    )
    guests_may_stay: Flag = Field(False, description="Let a player unlink all but the device they began on as a guest.")
    unlink_ends: UnlinkEnds = Field(
        "identity",
        description="What an unlink ends but the tokens that the account gave: no more (none), the sign-ins in "
        "browsers by it (identity), or everything of the player (all).",
    )
    bans_outlive_erasure: Flag = Field(
        True, description="Let a ban hold for the platform accounts of a player who was erased."
    )
    segments: tuple[str, ...] = Field((), description="Keys of the segments that games may store about a player.")
    guarded_age_groups: tuple[Literal["child", "teen", "adult", "unknown"], ...] = Field(
        ("child",), description="Age groups that are guarded: child, teen, adult, and unknown for whom nobody told."
    )
    age_policy: AgePolicy = Field(
        "allow_without_pii",
        description="Guarded players: refuse, let in as guests alone (guest_only), or keep and tell nothing of them.",
    )
    guarded_may_link: Flag = Field(
        False, description="Let guarded players link platform accounts, for which the law may want a parent's consent."
    )
    directed_at_children: Flag = Field(
        False, description="The games are made for children: who may be of any age is a child, before anybody is asked."
    )

    def rules(self) -> AccountRules:
        """What the rest of the server takes."""
        return AccountRules(**self.model_dump())


class LogSettings(Settings):
    """The `[log]` block."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least severe entry to write.")
    format: Literal["json", "console"] = Field("json", description="json for machines, console for people.")


class MetricsSettings(Settings):
    """The `[metrics]` block: figures for Prometheus, on a listener of their own."""

    enabled: Flag = Field(False, description="Serve figures about the server at /metrics of this address.")
    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on, inside the own network: whoever reaches it reads."
    )
    port: Annotated[int, Field(strict=True)] = Field(
        9464, ge=0, le=65535, description="Port to listen on, another one than the server's."
    )


PlatformBlocks = create_model(
    "PlatformBlocks",
    __base__=Settings,
    __doc__="The platforms of a project, by the name of the platform.",
    **{  # type: ignore[call-overload] # field definitions made from the registry
        name: (platform.Settings | None, Field(None, description=f"Sign-in with a {name} credential."))
        for name, platform in PLATFORMS.items()
    },
)


class ProjectSettings(Settings):
    """A `[projects.KEY]` block: a pool of players with its platforms and clients."""

    name: str = Field("", max_length=100, description="What players see; the key if left out.")
    id: str = Field("", description="A UUID that clients see; made from the issuer and the key if left out.")
    default_audience: tuple[str, ...] = Field(
        (), description="Audience of access tokens whose request names none; the issuer if left out."
    )
    platform_claims: Flag = Field(
        True, description="Tell first-party clients the player's platform account in the claims idp and idp_sub."
    )
    look: LookSettings = Field(LookSettings(), description="How the pages of the browser sign-in look.")
    accounts: AccountSettings = Field(AccountSettings(), description="What players may do with their accounts.")
    platforms: dict[str, PlatformSettings] = Field({}, description="A table for each platform players come from.")
    playfab: PlayFabSettings | None = Field(
        None, description="The PlayFab title whose sessions clients may ask for by the scope playfab."
    )
    clients: dict[str, ClientSettings] = Field({}, description="A table for each client, named by its client_id.")
    registration: RegistrationSettings = Field(
        RegistrationSettings(), description="Which clients may register themselves at run time."
    )

    @field_validator("platforms", mode="before", json_schema_input_type=PlatformBlocks)
    @classmethod
    def _platforms_by_name(cls, value: Any) -> dict[str, Any]:
        return {name: block for name, block in PlatformBlocks.model_validate(value) if block is not None}

    def model(self, key: str, issuer: str) -> Project:
        """The project as the rest of the server knows it."""
        return Project(
            key=key,
            id=str(uuid.UUID(self.id)) if self.id else default_project_id(issuer, key),
            name=self.name or key,
            default_audience=self.default_audience,
            platform_claims=self.platform_claims,
            platforms=frozenset(self.platforms),
            look=self.look.model(),
            accounts=self.accounts.rules(),
        )


class Config(Settings):
    """The whole file."""

    issuer: str = Field(description="The public https address of this server, as it stands in every token.")
    dev: Flag = Field(
        False,
        description="Development: http on loopback, literal secrets, emulated platforms. Never on a public server.",
    )
    server: ServerSettings = Field(ServerSettings(), description="Where and how the process listens.")
    database: DatabaseSettings = Field(description="Where players, grants and keys are kept.")
    keys: KeysSettings = Field(KeysSettings(), description="How the signing keys are kept.")
    tokens: TokenSettings = Field(TokenSettings(), description="How long codes and tokens live.")
    sessions: SessionSettings = Field(SessionSettings(), description="How long players stay signed in in browsers.")
    outbound: OutboundSettings = Field(OutboundSettings(), description="Calls to addresses that clients give.")
    limits: LimitsSettings = Field(LimitsSettings(), description="How often something may be tried.")
    log: LogSettings = Field(LogSettings(), description="What is logged, and how.")
    metrics: MetricsSettings = Field(MetricsSettings(), description="Figures for Prometheus.")
    retention: RetentionSettings = Field(RetentionSettings(), description="For how long things are kept.")
    projects: dict[str, ProjectSettings] = Field({}, description="A table for each project, named by its key.")

    _warnings: tuple[Problem, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What the loader found risky, though allowed."""
        return self._warnings

    @property
    def control_socket(self) -> Path | None:
        """The socket for commands; None if none is named and there is no database file to stand beside."""
        if self.server.control_socket:
            return Path(self.server.control_socket)
        database = self.database.sqlite_path
        return database.with_name(f"{database.name}.sock") if database else None

    def project_models(self) -> dict[str, Project]:
        """Every project, by key."""
        return {key: project.model(key, self.issuer) for key, project in self.projects.items()}

    def clients(self) -> dict[str, Client]:
        """Every client of every project, by client_id."""
        models = self.project_models()
        return {
            client_id: with_keys(client.model(client_id, models[key], self.tokens), self.keys.algorithms)
            for key, project in self.projects.items()
            for client_id, client in project.clients.items()
        }

    def registration_policies(self) -> dict[str, RegistrationPolicy]:
        """What each project lets clients register, by key."""
        models = self.project_models()
        return {
            key: project.registration.policy(
                models[key],
                self.tokens,
                callable_hosts=self.outbound.allow,
                algorithms=self.keys.algorithms,
                dev=self.dev,
            )
            for key, project in self.projects.items()
        }


def default_project_id(issuer: str, key: str) -> str:
    """UUIDv5 (RFC 9562 section 5.5) of issuer and project key, in the URL name space: `<issuer>/projects/<key>`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{issuer}/projects/{key}"))
