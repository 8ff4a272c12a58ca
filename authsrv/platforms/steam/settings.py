"""Steam's block in the configuration file: which apps a project takes, and what the studio demands of their players.

Owns the start checks of these settings. Knows no ticket and makes no call.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from authsrv.platforms.base import PlatformSettings
from authsrv.platforms.steam.tickets import load_system_key
from authsrv.settings import BaseAddress, Secret, Settings

NO_IDENTITY: Final = "none"
RESERVED_IDENTITIES = frozenset({"azureplayfab", "epiconlineservices", "unityauthenticationservice"})
"""Identity strings of other services, in lower case: a ticket made for them must never work here."""

STEAM_SYSTEM_KEY = """-----BEGIN PUBLIC KEY-----
MIGdMA0GCSqGSIb3DQEBAQUAA4GLADCBhwKBgQDf7BrWLBBmLBc1OhSwfFkRf53T
2Ct64+AVzRkeRuh7h3SiGEYxqQMUeYKO6UWiSRKpI2hzic9pobFhRr3Bvr/WARvY
gdTckPv+T1JzZsuVcNfFjrocejN1oWI0Rrtgt4Bo+hOneoo3S57G9F1fOpn5nsQ6
6WOiu4gZKODnFMBCiQIBEQ==
-----END PUBLIC KEY-----
"""

_EXAMPLE_APP = 480
_EXAMPLE_KEY_SHA256 = "e0f8ce0a8e2d8f8946646ae78672151a2b0beae3826f110a6a31dfb3d7926a7c"
_IDENTITY = re.compile(r"[ !#-\[\]-~]{1,31}")  # printable ASCII that may stand in an error_description, which names it
_KEY_TEXT = re.compile(r"[!-~]+")
_KEY_USUAL = re.compile(r"[0-9A-Fa-f]{32}")
_ENCRYPTED_KEY = re.compile(r"[0-9A-Fa-f]{64}")

AppId = Annotated[int, Field(ge=1, le=2**32 - 1)]
OfflineCheck = Literal["off", "advise", "enforce"]


class SteamHosts(Settings):
    """Where Steam's three hosts are. Only a development setup may change them."""

    partner: BaseAddress = Field("https://partner.steam-api.com", description="Base URL for publisher keys.")
    public: BaseAddress = Field("https://api.steampowered.com", description="Base URL for user keys.")
    community: BaseAddress = Field("https://steamcommunity.com", description="Base URL of the browser sign-in.")


class SteamAppSettings(PlatformSettings):
    """What may be set for all apps of a project, and again for one of them."""

    web_api_key: Secret | None = Field(
        None, description="Publisher key (Steamworks, Users and Permissions, the app's group) or user key of Steam."
    )
    host: Literal["partner", "public"] = Field(
        "partner", description="`public` when the key is a user key; publisher keys work on the better `partner` host."
    )
    identity: str = Field(
        "", description="The string the game passes to GetAuthTicketForWebApi; `none` accepts tickets made for anybody."
    )
    allow_session_tickets: bool = Field(
        False, description="Accept tickets of GetAuthSessionTicket, which carry no identity."
    )
    offline_check: OfflineCheck = Field(
        "advise",
        description="What a contradiction inside a ticket does: `off` nothing, `advise` explains Steam's refusal,"
        " `enforce` refuses without asking Steam.",
    )
    require_ownership: bool = Field(
        False, description="Ask Steam with each login whether the player owns the app; needs a publisher key."
    )
    reject_vac: bool = Field(False, description="Refuse players whom Valve Anti-Cheat banned for this app.")
    reject_publisher_ban: bool = Field(True, description="Refuse players whom the publisher banned.")
    allow_family_sharing: bool = Field(True, description="Accept players who borrow the app from its owner.")
    encrypted_ticket_key: Secret | None = Field(
        None,
        description="The app's key for encrypted app tickets, 64 hex digits (Steamworks, app admin, Security, SDK"
        " Auth); without it such tickets are refused.",
    )
    encrypted_max_age: int = Field(
        300, gt=0, le=86400, description="How old an encrypted app ticket may be, in seconds."
    )
    encrypted_require_nonce: bool = Field(
        False, description="Accept an encrypted app ticket only with a nonce of this server as its user data."
    )
    fetch_profile: bool = Field(False, description="Ask Steam for the player's display name with each login.")

    @property
    def sent_identity(self) -> str:
        """What Steam is told the ticket must be made for; empty for no identity at all."""
        return "" if self.identity == NO_IDENTITY else self.identity


class SteamSettings(SteamAppSettings):
    """The `[projects.<name>.platforms.steam]` block."""

    app_ids: list[AppId] = Field(
        min_length=1, description="Steam app ids of the game; demos, playtests and tests have their own."
    )
    browser_sign_in: bool = Field(
        True, description="Let players sign in on Steam's page in a browser; it names no app and tells of no ban."
    )
    system_public_key: str = Field(
        STEAM_SYSTEM_KEY, description="PEM of the RSA key that signs ownership tickets, should Valve ever change it."
    )
    hosts: SteamHosts = Field(
        SteamHosts(), description="Base URLs of Steam, for an emulator; fixed unless `dev = true`."
    )
    apps: dict[str, SteamAppSettings] = Field(
        {}, description="By app id: settings of that app which differ from those of the block."
    )

    def for_app(self, app_id: int) -> SteamAppSettings:
        """The settings of one app: its own where given, else those of the block."""
        own = self.apps.get(str(app_id))
        given = own.model_fields_set if own else set()
        return SteamAppSettings(
            **{name: getattr(own if name in given else self, name) for name in SteamAppSettings.model_fields}
        )

    def addresses(self) -> tuple[str, ...]:
        """The base addresses of the platform's hosts."""
        return tuple(self.hosts.model_dump().values())

    def problems(self, *, dev: bool) -> list[str]:
        """The start checks that end the start."""
        found = [*self._block_problems(dev=dev)]
        for app_id in sorted(set(self.app_ids)):
            found += [f"app {app_id}: {text}" for text in _app_problems(self.for_app(app_id), app_id, dev=dev)]
        return found

    def warnings(self) -> list[str]:
        """The start checks that are told and no more."""
        apps = {app_id: self.for_app(app_id) for app_id in sorted(set(self.app_ids))}
        found = [f"app {app_id}: {text}" for app_id, app in apps.items() for text in _app_warnings(app)]
        return [*found, *(_browser_warnings(list(apps.values())) if self.browser_sign_in else ())]

    def _block_problems(self, *, dev: bool) -> Iterator[str]:
        for app_id, count in Counter(self.app_ids).items():
            if count > 1:
                yield f"app_ids names {app_id} more than once; write each app id once"
        for name in sorted(set(self.apps) - {str(app_id) for app_id in self.app_ids}):
            yield f"apps.{name} is not an app id of app_ids; add it there or remove the table"
        try:
            load_system_key(self.system_public_key)
        except ValueError:
            yield "system_public_key is not the PEM of an RSA public key of 1024 bits; leave it out to use Steam's"
        if not dev and self.hosts != SteamHosts():
            yield "hosts may be changed only with dev = true; leave the table out"


def _app_problems(app: SteamAppSettings, app_id: int, *, dev: bool) -> Iterator[str]:
    key = app.web_api_key.get_secret_value() if app.web_api_key else ""
    if not _KEY_TEXT.fullmatch(key):
        yield "web_api_key is missing or has characters no key has; write the key from Steamworks"
    yield from _identity_problems(app.identity)
    if app.encrypted_ticket_key:
        yield from _encrypted_problems(app.encrypted_ticket_key.get_secret_value(), app_id, dev=dev)


def _identity_problems(identity: str) -> Iterator[str]:
    if not identity:
        yield "identity is missing; write the string the game passes to GetAuthTicketForWebApi, or none"
    elif not _IDENTITY.fullmatch(identity):
        yield "identity must have 1 to 31 printable ASCII characters, no quote or backslash; best letters and digits"
    elif identity.lower() in RESERVED_IDENTITIES:
        yield "identity belongs to another service, whose tickets would work here; choose one of your own"


def _encrypted_problems(key: str, app_id: int, *, dev: bool) -> Iterator[str]:
    if not _ENCRYPTED_KEY.fullmatch(key):
        yield "encrypted_ticket_key must have 64 hex digits; copy it from Steamworks, app admin, Security, SDK Auth"
    elif hashlib.sha256(bytes.fromhex(key)).hexdigest() == _EXAMPLE_KEY_SHA256:
        yield "encrypted_ticket_key is the published key of Valve's example and makes anybody anyone: use your app's"
    elif app_id == _EXAMPLE_APP and not dev:
        yield "encrypted app tickets of Valve's example app 480 can be made by anybody; remove encrypted_ticket_key"


def _app_warnings(app: SteamAppSettings) -> Iterator[str]:
    if app.web_api_key and not _KEY_USUAL.fullmatch(app.web_api_key.get_secret_value()):
        yield "web_api_key does not look like a key of Steam, which has 32 hex digits"
    if app.identity == NO_IDENTITY:
        yield "identity is none: any service that received a player's ticket can present it here"
    if app.allow_session_tickets:
        yield "allow_session_tickets is on: any service that received a player's ticket can present it here"
    if app.require_ownership and app.host == "public":
        yield "require_ownership needs a publisher key, and host is public, where user keys are used"
    yield from _encrypted_warnings(app)


def _browser_warnings(apps: Sequence[SteamAppSettings]) -> Iterator[str]:
    """A sign-in in the browser names no app, so it can only be held to what every app demands."""
    if all(app.reject_vac for app in apps):
        yield "sign-ins in the browser say nothing of bans: reject_vac does not reach them; set browser_sign_in = false"
    owned = all(app.require_ownership for app in apps)
    if not owned and not any(app.allow_family_sharing for app in apps):
        yield "sign-ins in the browser name no app's owner: allow_family_sharing = false needs require_ownership"


def _encrypted_warnings(app: SteamAppSettings) -> Iterator[str]:
    if not app.encrypted_ticket_key:
        return
    if app.reject_vac or app.reject_publisher_ban:
        yield "encrypted app tickets say nothing of bans: reject_vac and reject_publisher_ban do not reach them"
    if not app.allow_family_sharing and not app.require_ownership:
        yield "encrypted app tickets do not name the app's owner: allow_family_sharing = false needs require_ownership"
