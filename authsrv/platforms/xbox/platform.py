"""Xbox Live: partner XSTS tokens, sent by a game client or fetched for a player who signed in at Microsoft's page.

Owns the order of the checks; each of them stands in its own module. Knows no OAuth and no players.
Source: Microsoft, "Example XSTS Token, decryption, and validation", "Xbox services sign-in for title websites".
"""

import asyncio
import hashlib
import logging
import math
from dataclasses import field
from importlib import import_module
from typing import ClassVar

from authsrv.models import Digest
from authsrv.platforms.base import (
    BrowserTrip,
    Clock,
    Credential,
    CredentialRejected,
    Outbound,
    Platform,
    PlatformIdentity,
    PlatformMisconfigured,
    PlatformUnavailable,
    RequestProof,
    Returned,
    SingleUse,
    Submission,
)
from authsrv.platforms.xbox.browser import MicrosoftCode, read_return, sign_in_url
from authsrv.platforms.xbox.claims import (
    XboxUser,
    check_addressee,
    check_policy,
    check_sandbox,
    check_title,
    select_user,
    unverified_partner_xuid,
)
from authsrv.platforms.xbox.keys import Verifier
from authsrv.platforms.xbox.live import LiveSignIn
from authsrv.platforms.xbox.settings import MAX_LIFETIME, BrowserSettings, XboxSettings, key_ring
from authsrv.platforms.xbox.signature import Policy, SignedRequest, invalid, proof_key, read_request
from authsrv.platforms.xbox.token import (
    InnerToken,
    Presented,
    decrypt,
    malformed,
    read_authorization,
    read_inner,
    read_parameter,
)
from authsrv.records import dataclass

__all__ = ["XboxCredential", "XboxPlatform", "XboxSettings"]

SEPARATOR = "|"
"""Between relying party and sandbox in `PlatformIdentity.environment`; neither can contain it."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class XboxToken(Credential):
    """A decrypted token whose signature nobody has checked yet.

    `user_hash` selects the user; None when the token came without one. `signed` is the request's own signature, where
    one must be verified. `sandbox` is the request's wish, which can only narrow what is allowed.
    """

    user_hash: str | None
    sandbox: str
    token: InnerToken = field(repr=False)
    signed: SignedRequest | None = field(repr=False)


XboxCredential = XboxToken | MicrosoftCode


class XboxPlatform(Platform[XboxCredential]):
    """The platform `xbox`. The identity is the partner XUID (`ptx`) in one relying party and sandbox."""

    name: ClassVar[str] = "xbox"
    title: ClassVar[str] = "Xbox"
    kinds: ClassVar[tuple[str, ...]] = ("xsts_token",)
    identity_kinds: ClassVar[tuple[str, ...]] = ("xbox",)
    Settings: ClassVar[type[XboxSettings]] = XboxSettings
    tells_ages: ClassVar[bool] = True
    denials_are_ours: ClassVar[bool] = False

    def __init__(self, settings: XboxSettings, outbound: Outbound, clock: Clock) -> None:
        """Raises ValueError for key pairs in which `settings.problems` finds a fault."""
        self._settings = settings
        self._outbound = outbound
        self._clock = clock
        self._ring = key_ring(settings)
        self._verifier = Verifier(settings.hosts, outbound, clock)
        self._policy = Policy(
            version=settings.signature_policy_version,
            max_body_bytes=settings.signature_max_body_bytes,
            extra_headers=settings.signature_extra_headers,
            path_prefix=settings.public_path_prefix.encode(),
        )

    def parse(self, submission: Submission) -> XboxToken:
        """Read and decrypt the token. Raises `CredentialRejected`."""
        if submission.kind not in {"", *self.kinds}:
            raise CredentialRejected("credential_unsupported", "Xbox takes the credential type xsts_token only.")
        presented = _presented(submission)
        token = read_inner(decrypt(presented.jwe, self._ring))
        signed = self._signed(submission.proof, token)
        return XboxToken(
            kind=self.kinds[0],
            single_use=self._single_use(token, signed),
            claimed_subject=unverified_partner_xuid(token.unverified, presented.user_hash),
            user_hash=presented.user_hash,
            sandbox=submission.sandbox,
            token=token,
            signed=signed,
        )

    async def verify(self, credential: XboxCredential) -> PlatformIdentity:
        """Check the token's signature, its claims, the request's signature and the studio's policy, in that order.

        A code is redeemed first, once.
        """
        if isinstance(credential, MicrosoftCode):
            return await self._signed_in(credential)
        claims = await self._verifier.check(credential.token)
        check_addressee(claims, self._settings, self._clock())
        sandbox = check_sandbox(claims, self._settings, credential.sandbox)
        check_title(claims, self._settings)
        user = select_user(claims, credential.user_hash)
        if credential.signed is not None:
            credential.signed.verify(self._clock(), self._settings.signature_skew)
        identity = self._admitted(user, sandbox)
        _LOG.debug("an Xbox token was accepted, signature_seen=%s", credential.signed is not None)
        return identity

    @property
    def signs_in_browsers(self) -> bool:
        """Whether the settings name an app registration."""
        return self._settings.browser is not None

    def sign_in_url(self, trip: BrowserTrip) -> str:
        """Microsoft's sign-in page for personal accounts."""
        return sign_in_url(self._settings.hosts.login, self._app().client_id, trip)

    def parse_return(self, trip: BrowserTrip, returned: Returned) -> MicrosoftCode:
        """The code that came back. Raises what `Platform.parse_return` says."""
        return read_return(self._app().client_id, trip, returned)

    async def start(self) -> None:
        """Load what opens tokens, so that no player waits for it, and begin loading Microsoft's keys."""
        await asyncio.to_thread(import_module, "authsrv.platforms.xbox.envelope")
        await self._verifier.start()

    async def stop(self) -> None:
        """End background work."""
        await self._verifier.stop()

    async def _signed_in(self, code: MicrosoftCode) -> PlatformIdentity:
        app = self._app()
        live = LiveSignIn(app, self._settings.hosts, self._settings.relying_party, self._outbound)
        token = await live.xsts_token(code)
        try:
            return await self._own(token, app.sandbox)
        except CredentialRejected as error:
            # Xbox itself gave it to us, so nothing about it is the player's fault.
            raise PlatformMisconfigured(f"the token from XSTS does not pass: {error.detail}") from None
        except PlatformUnavailable as error:
            raise PlatformUnavailable(error.detail, retry_after=error.retry_after, maybe_consumed=True) from None

    async def _own(self, token: str, sandbox: str) -> PlatformIdentity:
        """Whom a token of our own asking is for. It comes without title and signature, which prove the game's."""
        claims = await self._verifier.check(read_inner(decrypt(token, self._ring)))
        check_addressee(claims, self._settings, self._clock())
        found = check_sandbox(claims, self._settings, sandbox)
        return self._admitted(select_user(claims, None), found)

    def _admitted(self, user: XboxUser, sandbox: str) -> PlatformIdentity:
        check_policy(user, self._settings)
        return PlatformIdentity(
            platform=self.name,
            kind="xbox",
            environment=f"{self._settings.relying_party}{SEPARATOR}{sandbox}",
            subject=user.partner_xuid,
            display_name=user.gamertag,
            age_group=user.age_group,
        )

    def _app(self) -> BrowserSettings:
        if self._settings.browser is None:
            raise PlatformMisconfigured("the project has no block platforms.xbox.browser")
        return self._settings.browser

    def _signed(self, proof: RequestProof | None, token: InnerToken) -> SignedRequest | None:
        """The request's signature as far as the project's mode wants it verified."""
        mode = self._settings.signature
        sent = proof is not None and bool(proof.signatures)
        if mode == "off" or (mode == "if_sent" and not sent):
            return None
        if proof is None or not sent:
            raise _signature_required("the request carries no Signature header")
        key = proof_key(token.unverified)
        if key is None and mode == "required":
            raise _signature_required("the token is not bound to a proof key")
        if key is None:
            raise invalid("the token is not bound to a proof key")
        return read_request(proof, key, self._policy)

    def _single_use(self, token: InnerToken, signed: SignedRequest | None) -> SingleUse | None:
        """Consoles cache a token and send it many times, so only the signed request is unique, unless configured."""
        if self._settings.token_single_use:
            # Not the outer text: whoever holds the inner token can encrypt it again.
            digest = Digest(hashlib.sha256(token.signing_input).digest())
            return SingleUse(digest, self._remaining(token), issued_at=_begin(token))
        if signed is not None:
            keep = 2 * self._settings.signature_skew + 60
            return SingleUse(Digest(signed.digest), keep, issued_at=math.floor(signed.header.unix_time))
        return None

    def _remaining(self, token: InnerToken) -> int:
        end = token.unverified.get("exp")
        left = end - math.floor(self._clock()) if type(end) is int else 0
        return max(0, min(left, MAX_LIFETIME)) + self._settings.leeway + 60


def _begin(token: InnerToken) -> int:
    """When the token begins, which is when it was issued; 0 for one that does not say and will be refused for it."""
    begin = token.unverified.get("nbf")
    return begin if type(begin) is int else 0


def _presented(submission: Submission) -> Presented:
    if submission.proof is not None:
        # Read from the proof itself, so that the text that was signed and the text that logs in are one.
        return read_authorization(submission.proof.authorization.decode("latin-1"))
    if not submission.value:
        raise malformed("no token was sent")
    return read_parameter(submission.value)


def _signature_required(detail: str) -> CredentialRejected:
    return CredentialRejected(
        "signature_required",
        "Send the token in the Authorization header together with the Signature header for the same request.",
        detail=detail,
    )
