"""A platform credential on its way to an identity, whichever door it came by: the silent login or the token endpoint.

Owns which platform it goes to, and the nonce of encrypted app tickets. Knows no HTTP framework and no platform by name.
"""

from typing import Any

from authsrv.models import Digest
from authsrv.oauth.credentials import Redeemed
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.logins import PlatformLogins
from authsrv.oauth.request import Attempt
from authsrv.oauth.silent.nonces import TicketNonces
from authsrv.platforms.base import Credential, Platform, Submission
from authsrv.players import SignIn


class PlatformProofs:
    """Takes what was submitted to the platform that it is for."""

    def __init__(self, logins: PlatformLogins, platforms: PlatformDirectory, nonces: TicketNonces) -> None:
        self.logins = logins
        self._platforms = platforms
        self._nonces = nonces

    def platform(self, attempt: Attempt) -> Platform[Any]:
        """The verifier. Raises `UnsupportedProvider` when the project has none of that name."""
        self._platforms.require_known(attempt.provider)
        return self._platforms.find(attempt.client.project.key, attempt.provider)

    async def redeem(self, attempt: Attempt, submitted: Submission, requester: Digest, now: int) -> Redeemed:
        """The identity that the submission proves. Raises `AuthsrvError`."""
        platform = self.platform(attempt)
        credential = self.logins.read(attempt, lambda: self._parse(platform, attempt, submitted, now))
        return await self.logins.redeem(attempt, platform, credential, requester, now)

    async def player(self, attempt: Attempt, redeemed: Redeemed, now: int, *, may_create: bool) -> SignIn:
        """Who the identity is. To be asked again when the account changed, or another first login was faster."""
        return await self.logins.player(attempt, redeemed, now, may_create=may_create)

    def succeeded(self, attempt: Attempt, signed_in: SignIn) -> None:
        """Audit a login, and the player it made."""
        self.logins.succeeded(attempt, signed_in)

    def _parse(self, platform: Platform[Any], attempt: Attempt, submitted: Submission, now: int) -> Credential:
        if submitted.nonce:
            self._nonces.check(attempt.client.client_id, submitted.nonce, now)
        credential: Credential = platform.parse(submitted)
        return credential
