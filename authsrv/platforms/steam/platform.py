"""Steam vouches for a player: by a Web API ticket or a browser's assertion that Steam confirms, or by an encrypted app
ticket that a key opens.

Owns the order of the checks. Layouts, answers, settings and the studio's policy stand in the modules beside it;
reserving a credential against replay is the caller's, with the digest given here.
"""

import asyncio
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import ClassVar, Final

from authsrv.models import Digest
from authsrv.platforms.base import (
    BrowserTrip,
    Clock,
    Credential,
    CredentialRejected,
    Outbound,
    Platform,
    PlatformIdentity,
    Returned,
    SingleUse,
    Submission,
    UserActionRequired,
)
from authsrv.platforms.steam.answers import Authenticated, TicketRefused
from authsrv.platforms.steam.encoding import decode_ticket_text
from authsrv.platforms.steam.encrypted import (
    EncryptedTicket,
    UndecipherableTicket,
    canonical_nonce,
    check_age,
    check_nonce,
    open_encrypted_ticket,
)
from authsrv.platforms.steam.openid import SteamAssertion, SteamOpenId
from authsrv.platforms.steam.policy import SteamPolicy
from authsrv.platforms.steam.refusals import INVALID_TICKET, contradiction, refusal
from authsrv.platforms.steam.settings import SteamAppSettings, SteamSettings
from authsrv.platforms.steam.tickets import (
    AUTHENTICATED,
    SESSION_TICKET,
    TICKET_PREFIX,
    WEB_API_TICKET,
    Finding,
    LayoutError,
    SessionTicket,
    contradictions,
    is_player,
    load_system_key,
    read_session_ticket,
    read_signed_ownership,
    sha1_signatures_checkable,
)
from authsrv.platforms.steam.web_api import SteamWebApi
from authsrv.records import dataclass

_LOG = logging.getLogger(__name__)

SESSION: Final = "session_ticket"
ENCRYPTED: Final = "encrypted_app_ticket"

_REMEMBERED = 86400  # Valve states no upper bound for a ticket's life
_FRESH = 10
_TOO_EARLY = (0.5, 1.0, 2.0)
_SUSPICIOUS_RUN = 20
_APP_ID = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class SteamCredential(Credential):
    """A Steam ticket that was read. `findings` speak against it and explain a later refusal.

    `ticket` is empty and `findings` too for an encrypted app ticket, which is already proven when it was read.
    """

    app_id: int
    steam_id: int
    ticket: SessionTicket | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()


class SteamPlatform(Platform[SteamCredential | SteamAssertion]):
    """The verifier of one project's Steam players (see `Platform`)."""

    name: ClassVar[str] = "steam"
    title: ClassVar[str] = "Steam"
    kinds: ClassVar[tuple[str, ...]] = (SESSION, ENCRYPTED)
    identity_kinds: ClassVar[tuple[str, ...]] = ("steam",)
    Settings: ClassVar[type[SteamSettings]] = SteamSettings
    denials_are_ours: ClassVar[bool] = True

    def __init__(
        self,
        settings: SteamSettings,
        outbound: Outbound,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._apps: Mapping[int, SteamAppSettings] = {app_id: settings.for_app(app_id) for app_id in settings.app_ids}
        self._web_api = SteamWebApi(settings.hosts, outbound)
        self._policy = SteamPolicy(self._apps, self._web_api)
        self._openid = SteamOpenId(settings.hosts.community, outbound, clock)
        self._in_browsers = settings.browser_sign_in
        self._system_key = load_system_key(settings.system_public_key)
        self._clock = clock
        self._sleep = sleep
        self._undecipherable: Counter[int] = Counter()

    async def start(self) -> None:
        """Say so if this machine cannot check the signatures that the offline check relies on."""
        if not sha1_signatures_checkable(self._system_key):
            _LOG.warning("this machine's cryptographic policy refuses SHA-1: signatures of Steam tickets go unchecked")

    async def stop(self) -> None:
        """Nothing runs in the background."""

    def parse(self, submission: Submission) -> SteamCredential:
        """Read a ticket. The replay digest holds the app and the bytes that Steam itself authenticates.

        Raises `CredentialRejected`.
        """
        kind = submission.kind or SESSION
        if kind not in self.kinds:
            raise CredentialRejected(
                "credential_unsupported", f"Steam knows the credential types {SESSION} and {ENCRYPTED}."
            )
        requested = self._requested_app(submission.app_id)
        if kind == ENCRYPTED:
            return self._parse_encrypted(submission, requested)
        return self._parse_session(submission, requested)

    @property
    def signs_in_browsers(self) -> bool:
        """As the studio chose: Steam demands nothing for it."""
        return self._in_browsers

    def sign_in_url(self, trip: BrowserTrip) -> str:
        """Steam's page, with the way back to `trip`."""
        return self._openid.sign_in_url(trip)

    def parse_return(self, trip: BrowserTrip, returned: Returned) -> SteamAssertion:
        """Read the assertion. The replay digest is that of its nonce.

        Raises `SignInCancelled` or `CredentialRejected`.
        """
        return self._openid.read(trip, returned)

    async def verify(self, credential: SteamCredential | SteamAssertion) -> PlatformIdentity:
        """Ask Steam about a session ticket or an assertion, then hold the account against the studio's policy.

        Raises any `PlatformError`.
        """
        if isinstance(credential, SteamAssertion):
            await self._openid.confirm(credential)
            await self._policy.demand_any_ownership(credential.steam_id)
            return self._identity(credential.steam_id, await self._policy.display_name(credential.steam_id))
        app_id, steam_id = credential.app_id, credential.steam_id
        if credential.ticket:
            await self._demand_confirmation(credential, credential.ticket, self._apps[app_id])
        await self._policy.demand_ownership(steam_id, app_id)
        return self._identity(steam_id, await self._policy.display_name(steam_id, app_id))

    def _identity(self, steam_id: int, display_name: str) -> PlatformIdentity:
        return PlatformIdentity(self.name, "steam", environment="", subject=str(steam_id), display_name=display_name)

    # Reading

    def _requested_app(self, text: str) -> int | None:
        if not text:
            return None
        if not _APP_ID.fullmatch(text):
            raise CredentialRejected("credential_malformed", "app_id is a decimal number.")
        if int(text) not in self._apps:
            raise CredentialRejected("credential_wrong_app", "This app_id is not configured for the project.")
        return int(text)

    def _parse_session(self, submission: Submission, requested: int | None) -> SteamCredential:
        ticket = read_session_ticket(decode_ticket_text(submission.value, prefix=TICKET_PREFIX))
        app_id = requested or self._app_of(ticket)
        app = self._apps[app_id]
        _check_type(ticket, app)
        # The ticket's time is that of a token that Steam hands out in advance: it may be hours before the ticket.
        return SteamCredential(
            kind=SESSION,
            single_use=SingleUse(_digest(b"steam ticket", app_id, ticket.raw[:AUTHENTICATED]), keep=_REMEMBERED),
            claimed_subject=str(ticket.steam_id),
            app_id=app_id,
            steam_id=ticket.steam_id,
            ticket=ticket,
            findings=self._findings(ticket, app_id, app),
        )

    def _app_of(self, ticket: SessionTicket) -> int:
        """The only app, or the configured one the ticket names; never one after the other, which costs calls."""
        if len(self._apps) == 1:
            return next(iter(self._apps))
        try:
            named = read_signed_ownership(ticket.raw).app_id
        except LayoutError:
            named = 0
        if named not in self._apps:
            raise CredentialRejected("credential_wrong_app", "Send app_id, and a ticket of that app.")
        return named

    def _findings(self, ticket: SessionTicket, app_id: int, app: SteamAppSettings) -> tuple[Finding, ...]:
        if app.offline_check == "off":
            return ()
        found = contradictions(ticket, app_id=app_id, now=self._clock(), key=self._system_key)
        if found and app.offline_check == "enforce":
            raise contradiction(found[0])
        return found

    def _parse_encrypted(self, submission: Submission, requested: int | None) -> SteamCredential:
        app_id = requested or self._app_with_key()
        app = self._apps[app_id]
        ticket = self._open(decode_ticket_text(submission.value), app_id, app)
        ownership = ticket.ownership
        if ownership.app_id != app_id:
            raise CredentialRejected("credential_wrong_app", "The encrypted ticket belongs to another app.")
        if not is_player(ownership.steam_id):
            raise CredentialRejected("credential_rejected", "The ticket does not belong to a player account.")
        check_nonce(ticket, submission.nonce, required=app.encrypted_require_nonce)
        check_age(ticket, self._clock(), app.encrypted_max_age)
        nonce = submission.nonce if app.encrypted_require_nonce else ""
        digest = _encrypted_digest(ticket, app_id, nonce)
        return SteamCredential(
            kind=ENCRYPTED,
            single_use=SingleUse(digest, keep=_REMEMBERED, issued_at=ownership.issued),
            claimed_subject=str(ownership.steam_id),
            app_id=app_id,
            steam_id=ownership.steam_id,
        )

    def _app_with_key(self) -> int:
        keyed = [app_id for app_id, app in self._apps.items() if app.encrypted_ticket_key]
        if len(keyed) > 1:
            raise CredentialRejected("credential_wrong_app", "Send app_id, and a ticket of that app.")
        return keyed[0] if keyed else next(iter(self._apps))

    def _open(self, raw: bytes, app_id: int, app: SteamAppSettings) -> EncryptedTicket:
        if app.encrypted_ticket_key is None:
            raise CredentialRejected("credential_unsupported", "Encrypted app tickets are not accepted for this app.")
        try:
            ticket = open_encrypted_ticket(raw, bytes.fromhex(app.encrypted_ticket_key.get_secret_value()))
        except UndecipherableTicket:
            self._undecipherable[app_id] += 1
            if self._undecipherable[app_id] == _SUSPICIOUS_RUN:
                _LOG.error("app %d: no encrypted app ticket can be opened, encrypted_ticket_key may be wrong", app_id)
            raise
        self._undecipherable[app_id] = 0
        return ticket

    # Asking

    async def _demand_confirmation(
        self, credential: SteamCredential, ticket: SessionTicket, app: SteamAppSettings
    ) -> None:
        account = await self._confirmation(credential, ticket, app)
        if account.steam_id != credential.steam_id:
            _LOG.error("Steam named another player than the ticket")
            raise CredentialRejected("credential_rejected", "Steam did not confirm the ticket for its player.")
        if (account.vac_banned and app.reject_vac) or (account.publisher_banned and app.reject_publisher_ban):
            raise UserActionRequired("account_banned")
        if account.owner != account.steam_id and not app.allow_family_sharing:
            raise UserActionRequired("account_not_entitled", detail="the app is borrowed")

    async def _confirmation(
        self, credential: SteamCredential, ticket: SessionTicket, app: SteamAppSettings
    ) -> Authenticated:
        """Steam's word on the ticket; asked again when Steam may not have learnt of a ticket made a moment ago."""
        identity = "" if ticket.type == SESSION_TICKET else app.sent_identity
        pauses = iter(_TOO_EARLY)
        while True:
            try:
                return await self._web_api.authenticate(app, credential.app_id, ticket.raw, identity)
            except TicketRefused as refused:
                pause = next(pauses, None)
                if pause is None or not self._too_early(refused, credential, ticket):
                    raise refusal(refused.code, credential.findings, ticket.type) from None
            await self._sleep(pause)

    def _too_early(self, refused: TicketRefused, credential: SteamCredential, ticket: SessionTicket) -> bool:
        age = self._clock() - ticket.token_time
        return refused.code == INVALID_TICKET and not credential.findings and -_FRESH < age < _FRESH


def _check_type(ticket: SessionTicket, app: SteamAppSettings) -> None:
    if ticket.type == SESSION_TICKET and app.sent_identity and not app.allow_session_tickets:
        raise CredentialRejected(
            "credential_unsupported",
            f"This is a ticket of GetAuthSessionTicket: use GetAuthTicketForWebApi with identity {app.sent_identity}.",
        )
    if ticket.type not in {SESSION_TICKET, WEB_API_TICKET}:
        _LOG.warning("a Steam ticket of the unknown type %d", ticket.type)


def _encrypted_digest(ticket: EncryptedTicket, app_id: int, nonce: str) -> Digest:
    """By the nonce where every ticket must have one (`nonce` is not empty then), else by the plaintext.

    Where a nonce is optional, a ticket that came with its nonce must not work once more without it.
    """
    if nonce:
        return _digest(b"steam nonce", app_id, canonical_nonce(nonce))
    return _digest(b"steam encrypted ticket", app_id, ticket.digest)


def _digest(domain: bytes, app_id: int, content: bytes) -> Digest:
    return Digest(hashlib.sha256(domain + b"\0" + app_id.to_bytes(4, "little") + content).digest())
