"""The silent login: one request with a platform credential in, one authorization code out.

Owns the order of the work, so that a wrong parameter never costs a credential. Knows no HTTP framework, no platform by
name and no database.
"""

from collections.abc import Mapping

from authsrv import errors
from authsrv.models import Client
from authsrv.oauth.credentials import Redeemed, replayed
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.grants.code import Authorized
from authsrv.oauth.grants.platform import RedirectTarget, SilentRequest
from authsrv.oauth.logins import lost_to_another_login
from authsrv.oauth.parameters import boolean
from authsrv.oauth.request import Attempt, Surface
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.oauth.silent.codes import CodeMaker
from authsrv.oauth.silent.nonces import TicketNonces
from authsrv.oauth.silent.request import (
    SilentCall,
    check_texts,
    for_authlib,
    redirect_target,
    requester_of,
    submission,
)
from authsrv.players import SignIn
from authsrv.storage.base import Conflict


class SilentLogin:
    """Drives a silent login: check -> reserve -> load -> decide -> apply."""

    def __init__(self, server: TokenServer, platforms: PlatformDirectory, nonces: TicketNonces) -> None:
        self._server = server
        self._proofs = server.proofs
        self._platforms = platforms
        self._nonces = nonces

    def target(self, provider: str, parameters: Mapping[str, str], surface: Surface) -> RedirectTarget:
        """Where the answer may go. Whatever is wrong before this is known is never answered by a redirect."""
        self._platforms.require_known(provider)
        return redirect_target(self._named(parameters, surface), parameters)

    def ticket_nonce(self, parameters: Mapping[str, str], surface: Surface) -> str:
        """A nonce for an encrypted app ticket of the named client, good for `nonces.LIFETIME` seconds."""
        return self._nonces.issue(self._named(parameters, surface).client_id, self._server.now())

    async def login(self, call: SilentCall, target: RedirectTarget) -> str:
        """The authorization code for a good credential. Raises `AuthsrvError`."""
        now = self._server.now()
        attempt = Attempt(target.client, call.provider, call.sender)
        self._proofs.platform(attempt)
        request = SilentRequest(self._server.tokens.issuer, for_authlib(call.parameters, target), target, now)
        may_create = not boolean(call.parameters, "no_user_creation", default=False)
        codes = self._check(call, target, request)
        requester = requester_of(target.client, call.parameters)
        redeemed = await self._proofs.redeem(attempt, submission(call), requester, now)
        code, signed_in = await self._sign_in(attempt, codes, redeemed, now, may_create=may_create)
        self._proofs.succeeded(attempt, signed_in)
        return code

    def _named(self, parameters: Mapping[str, str], surface: Surface) -> Client:
        return self._server.registry.named(parameters.get("client_id", ""), surface)

    def _check(self, call: SilentCall, target: RedirectTarget, request: SilentRequest) -> CodeMaker:
        check_texts(target.client, call)
        if not target.client.first_party:
            raise errors.UnauthorizedClient("Only first-party clients log players in silently.")
        return CodeMaker(self._server, request)

    async def _sign_in(
        self, attempt: Attempt, codes: CodeMaker, redeemed: Redeemed, now: int, *, may_create: bool
    ) -> tuple[str, SignIn]:
        """Two first logins of one identity race for its row; the loser reads the winner's player and signs in."""
        for _ in range(ATTEMPTS):
            signed_in = await self._proofs.player(attempt, redeemed, now, may_create=may_create)
            grant_id = self._server.storage.next_id()
            code = codes.make(grant_id, _authorized(redeemed, signed_in, grant_id, now))
            try:
                await self._server.apply(code.changes)
            except Conflict as conflict:
                if lost_to_another_login(conflict):
                    continue
                raise replayed(f"lost the race for {conflict}") from conflict
            return code.text, signed_in
        raise errors.TemporarilyUnavailable(retry_after=1, detail="lost every race")


def _authorized(redeemed: Redeemed, signed_in: SignIn, grant_id: int, now: int) -> Authorized:
    identity = redeemed.identity
    return Authorized(
        player=signed_in.player,
        platform=identity.platform,
        idp=identity.kind,
        idp_subject=identity.subject,
        auth_time=now,
        changes=(*signed_in.changes, *redeemed.settled(grant_id, now)),
    )
