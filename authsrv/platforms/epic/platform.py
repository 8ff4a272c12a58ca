"""Epic Games: id_tokens of Epic Account Services and of EOS Connect, and codes redeemed at Epic.

Owns how a submission is read and which identity comes of it. Signatures and claims are checked in `tokens.py`,
codes redeemed in `exchange.py`. Knows no OAuth, players or storage.
"""

import math
from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar, get_args

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
)
from authsrv.platforms.epic.browser import SignInPage
from authsrv.platforms.epic.codes import EpicCode, authorization_grant, epic_code, exchange_grant
from authsrv.platforms.epic.exchange import CodeExchange, ExchangeClient, display_name
from authsrv.platforms.epic.settings import EpicSettings, Kind
from authsrv.platforms.epic.tokens import (
    LEEWAY,
    MAX_LIFETIME,
    ConnectIdTokens,
    EasIdTokens,
    TokenRules,
    UnverifiedToken,
    VerifiedClaims,
    account_id,
)
from authsrv.platforms.jwks import KeySource, parse_jwk_set
from authsrv.records import dataclass

_DEVICE_LOGIN = "deviceid"


@dataclass(frozen=True, slots=True)
class EpicToken(Credential):
    """An id_token that was read. `deployment_id` is what the game said about it, or empty."""

    token: UnverifiedToken = field(repr=False)
    deployment_id: str


EpicCredential = EpicCode | EpicToken


class EpicPlatform(Platform[EpicCredential]):
    """Vouches for Epic accounts (identity kind `epic`) and product users (`eos_puid`, environment = product)."""

    name: ClassVar[str] = "epicgames"
    title: ClassVar[str] = "Epic Games"
    kinds: ClassVar[tuple[str, ...]] = get_args(Kind)
    identity_kinds: ClassVar[tuple[str, ...]] = ("epic", "eos_puid")
    Settings: ClassVar[type[EpicSettings]] = EpicSettings
    denials_are_ours: ClassVar[bool] = False

    def __init__(self, settings: EpicSettings, outbound: Outbound, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        rules = TokenRules(
            client_ids=frozenset(settings.client_ids),
            product_ids=frozenset(settings.product_ids),
            sandbox_ids=frozenset(settings.sandbox_ids),
            deployment_ids=frozenset(settings.deployment_ids),
        )
        api = settings.hosts.api
        # Two caches: a key of one family must never verify a token of the other.
        self._eas_keys = KeySource(f"{api}/epic/oauth/v1/.well-known/jwks.json", outbound, clock, parse_jwk_set)
        self._connect_keys = KeySource(f"{api}/auth/v1/oauth/jwks", outbound, clock, parse_jwk_set)
        self._eas = EasIdTokens(rules, self._eas_keys, clock)
        self._connect = ConnectIdTokens(rules, self._connect_keys, clock)
        self._exchange = CodeExchange(_exchange_client(settings), self._eas, outbound)
        self._page = SignInPage(settings.hosts.www, settings.client_id, settings.scopes, pkce=settings.browser_pkce)

    async def start(self) -> None:
        """Begin to load the key sets that the accepted kinds need."""
        if self._settings.redeems_codes or "id_token" in self._settings.accept:
            await self._eas_keys.start()
        if "connect_id_token" in self._settings.accept:
            await self._connect_keys.start()

    async def stop(self) -> None:
        """End the loading of key sets."""
        await self._eas_keys.stop()
        await self._connect_keys.stop()

    def parse(self, submission: Submission) -> EpicCredential:
        """Read a code or an id_token; the kind is what the request says, never guessed. Raises `CredentialRejected`."""
        kind = submission.kind or self.kinds[0]
        if kind not in self._settings.accept:
            raise CredentialRejected("credential_unsupported", "This project does not accept that credential_type.")
        self._check_deployment(submission.deployment_id)
        match kind:
            case "exchange_code":
                return self._code(kind, exchange_grant(submission), submission)
            case "authorization_code":
                return self._code(kind, authorization_grant(submission), submission)
            case "id_token":
                return self._token(kind, self._eas.read(submission.value), submission)
            case _:
                return self._token(kind, self._connect.read(submission.value), submission)

    @property
    def signs_in_browsers(self) -> bool:
        """Whether the settings allow it and name the Epic client that it takes."""
        return self._settings.signs_in_browsers

    def sign_in_url(self, trip: BrowserTrip) -> str:
        """Epic's page for one trip."""
        return self._page.url(trip)

    def parse_return(self, trip: BrowserTrip, returned: Returned) -> EpicCode:
        """Read the code that the browser brought back; `accept` is about games and is not asked here.

        Raises `SignInCancelled`, `CredentialRejected`, `UserActionRequired`, `PlatformMisconfigured` or
        `PlatformUnavailable`.
        """
        grant = self._page.grant(trip, returned)
        return epic_code("authorization_code", grant, self._settings.client_id, nonce=trip.nonce)

    async def verify(self, credential: EpicCredential) -> PlatformIdentity:
        """Check the token's signature and claims, or let Epic redeem the code, once. Raises any `PlatformError`."""
        if isinstance(credential, EpicCode):
            return await self._redeemed(credential)
        if credential.kind == "id_token":
            claims = await self._eas.verify(credential.token, credential.deployment_id)
            return self._epic_identity(claims["sub"], display_name(claims))
        return self._product_user(await self._connect.verify(credential.token, credential.deployment_id))

    def _check_deployment(self, deployment_id: str) -> None:
        if deployment_id and deployment_id not in self._settings.known_deployments:
            raise CredentialRejected(
                "credential_wrong_deployment", "This project does not list that deployment_id; send one that it lists."
            )

    def _code(self, kind: str, grant: Mapping[str, str], submission: Submission) -> EpicCode:
        return epic_code(kind, grant, self._settings.client_id, deployment_id=submission.deployment_id)

    def _token(self, kind: str, token: UnverifiedToken, submission: Submission) -> EpicToken:
        once = SingleUse(token.digest, keep=self._keep(token), issued_at=token.iat)
        return EpicToken(
            kind=kind,
            single_use=None if self._settings.id_token_reuse else once,
            claimed_subject=account_id(token.claims.get("sub")) or "",
            token=token,
            deployment_id=submission.deployment_id,
        )

    def _keep(self, token: UnverifiedToken) -> int:
        # One second more, because the guard's clock may have been read before this one. The bound is for forgeries:
        # a genuine token that claims to live longer is refused by its times.
        remaining = token.exp + LEEWAY - math.floor(self._clock()) + 1
        return min(max(remaining, 1), MAX_LIFETIME + 2 * LEEWAY + 1)

    async def _redeemed(self, credential: EpicCode) -> PlatformIdentity:
        account = await self._exchange.redeem(
            credential.grant,
            deployment_id=credential.deployment_id or self._settings.default_deployment_id,
            from_request=bool(credential.deployment_id),
            nonce=credential.nonce,
        )
        return self._epic_identity(account.account_id, account.display_name)

    def _epic_identity(self, subject: str, name: str) -> PlatformIdentity:
        return PlatformIdentity(self.name, kind="epic", environment="", subject=subject, display_name=name)

    def _product_user(self, claims: VerifiedClaims) -> PlatformIdentity:
        product = claims.get("pfpid")
        if not isinstance(product, str) or not product:
            raise CredentialRejected("credential_malformed", "The token names no product.")
        return PlatformIdentity(
            self.name,
            kind="eos_puid",
            environment=product,
            subject=claims["sub"],
            display_name=display_name(claims),
            anonymous=self._check_account_behind(claims),
        )

    def _check_account_behind(self, claims: VerifiedClaims) -> bool:
        """Whether the product user is a mere device, which needs the project's consent as every other account does."""
        act = claims.get("act")
        external = act.get("eat") if isinstance(act, dict) else None
        if external is None or external == _DEVICE_LOGIN:
            return self._check_device_allowed()
        if external not in self._settings.allowed_external_accounts:
            raise CredentialRejected(
                "credential_unsupported", "This project does not accept the kind of account behind the product user."
            )
        return False

    def _check_device_allowed(self) -> bool:
        if not self._settings.allow_device_accounts:
            raise CredentialRejected(
                "credential_unsupported", "This project accepts no device accounts; log in with a real account."
            )
        return True


def _exchange_client(settings: EpicSettings) -> ExchangeClient:
    return ExchangeClient(
        api=settings.hosts.api,
        www=settings.hosts.www,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value() if settings.client_secret else "",
        application_id=settings.application_id,
        scopes=settings.scopes,
        require_id_token=settings.require_id_token,
    )
