"""The silent login: one request with a platform credential in, one authorization code out.

Owns the order of the work, so that a wrong parameter never costs a credential, and what is counted and audited. Knows
no HTTP framework, no platform by name and no database.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc6749 import OAuth2Error

from authsrv import errors
from authsrv.audit import AuditEvent, AuditKind
from authsrv.limits import Rule
from authsrv.models import Client
from authsrv.oauth.credentials import CredentialDesk, Presented, Redeemed, for_oauth, replayed
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.grants.platform import PlatformGrant, RedirectTarget, SilentRequest
from authsrv.oauth.nonces import TicketNonces
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Surface
from authsrv.oauth.server import ATTEMPTS, TokenServer, translated
from authsrv.oauth.silent_request import (
    SilentCall,
    boolean,
    check_texts,
    for_authlib,
    redirect_target,
    requester_of,
    submission,
)
from authsrv.platforms.base import Credential, CredentialRejected, Platform, PlatformUnavailable, Submission
from authsrv.players import NewPlayer, SignIn, sign_in
from authsrv.storage.base import Conflict
from authsrv.storage.changes import LinkIdentity


class SilentLogin:
    """Drives a silent login: check -> reserve -> load -> decide -> apply."""

    def __init__(
        self,
        *,
        server: TokenServer,
        desk: CredentialDesk,
        platforms: PlatformDirectory,
        nonces: TicketNonces,
        random: Callable[[int], bytes],
    ) -> None:
        self._server = server
        self._desk = desk
        self._platforms = platforms
        self._nonces = nonces
        self._random = random

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
        platform = self._platforms.find(target.client.project.key, call.provider)
        request = SilentRequest(self._server.tokens.issuer, for_authlib(call.parameters, target), target, now)
        may_create = not boolean(call.parameters, "no_user_creation", default=False)
        grant = self._check(call, target, request)
        credential = self._parse(call, platform, target.client)
        self._limit(call, target.client, credential)
        redeemed = await self._redeem(call, target, platform, credential, now)
        code, signed_in = await self._sign_in(request, grant, redeemed, may_create=may_create)
        self._note(call, target.client, redeemed, signed_in)
        return code

    def _named(self, parameters: Mapping[str, str], surface: Surface) -> Client:
        return self._server.registry.named(parameters.get("client_id", ""), surface)

    def _check(self, call: SilentCall, target: RedirectTarget, request: SilentRequest) -> PlatformGrant:
        check_texts(call)
        if not target.client.first_party:
            raise errors.UnauthorizedClient("Only first-party clients log players in silently.")
        grant: PlatformGrant = self._server.get_authorization_grant(request)
        try:
            grant.validate_authorization_request()
        except OAuth2Error as error:
            raise translated(error) from error
        return grant

    def _parse(self, call: SilentCall, platform: Platform[Any], client: Client) -> Credential:
        self._server.limits.check(Rule.ADDRESS_FAILURES, call.sender.address)
        submitted = submission(call)
        try:
            return self._read(platform, submitted, client)
        except errors.AuthsrvError as error:
            self._refused(call, client, error)
            raise

    def _read(self, platform: Platform[Any], submitted: Submission, client: Client) -> Credential:
        if submitted.nonce:
            self._nonces.check(client.client_id, submitted.nonce, self._server.now())
        try:
            credential: Credential = platform.parse(submitted)
        except CredentialRejected as error:
            raise for_oauth(error) from error
        return credential

    def _limit(self, call: SilentCall, client: Client, credential: Credential) -> None:
        limits, claimed = self._server.limits, credential.claimed_subject
        if not claimed and credential.single_use:
            claimed = credential.single_use.digest.hex()
        if claimed:
            # For each address by itself: anybody can claim to be a player, whose SteamID is public, and keep them out.
            player = (client.project.key, call.provider, claimed)
            limits.check(Rule.CLAIMED_PLAYER_LOGINS, *player, call.sender.address)
        # Last, so that one credential sent over and over does not use up the logins of everybody else.
        limits.check(Rule.CLIENT_LOGINS, client.client_id)

    async def _redeem(
        self, call: SilentCall, target: RedirectTarget, platform: Platform[Any], credential: Credential, now: int
    ) -> Redeemed:
        requester = requester_of(target.client, call.parameters)
        presented = Presented(target.client.project.key, platform, credential, requester)
        try:
            with outages_answered():
                redeemed = await self._desk.redeem(presented, now)
        except errors.AuthsrvError as error:
            self._refused(call, target.client, error)
            raise
        await self._limit_player(redeemed, now)
        return redeemed

    async def _limit_player(self, redeemed: Redeemed, now: int) -> None:
        key = redeemed.key
        try:
            self._server.limits.check(Rule.PLAYER_LOGINS, key.project, key.kind, key.environment, key.subject)
        except errors.RateLimited:
            await self._keep(redeemed, now)
            raise

    async def _keep(self, redeemed: Redeemed, now: int) -> None:
        """Remember whom a new credential proved although no code comes of it: the same request may come again."""
        if redeemed.is_repeat:
            return
        try:
            await self._server.apply(list(redeemed.settled(0, now)))
        except Conflict as conflict:
            raise replayed(f"lost the race for {conflict}") from conflict

    async def _sign_in(
        self, request: SilentRequest, grant: PlatformGrant, redeemed: Redeemed, *, may_create: bool
    ) -> tuple[str, SignIn]:
        """Two first logins of one identity race for its row; the loser reads the winner's player and signs in."""
        for _ in range(ATTEMPTS):
            signed_in = await self._decide(request, redeemed, may_create=may_create)
            grant_id = self._server.storage.next_id()
            grant.prepare(redeemed.identity, grant_id, redeemed.settled(grant_id, request.now))
            code: str = self._server.create_authorization_response(request, signed_in, grant)
            try:
                await self._server.apply(grant.changes)
            except Conflict as conflict:
                if isinstance(conflict.change, LinkIdentity):
                    continue
                raise replayed(f"lost the race for {conflict}") from conflict
            return code, signed_in
        raise errors.TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def _decide(self, request: SilentRequest, redeemed: Redeemed, *, may_create: bool) -> SignIn:
        with outages_answered():
            owner = await self._server.storage.load_player(redeemed.key)
        new = NewPlayer(self._server.storage.next_id(), str(UUID(bytes=self._random(16), version=4)))
        try:
            return sign_in(
                redeemed.key,
                owner,
                display_name=redeemed.identity.display_name,
                may_create=may_create,
                new=new,
                now=request.now,
            )
        except errors.UserNotFound:
            await self._keep(redeemed, request.now)
            raise

    def _refused(self, call: SilentCall, client: Client, error: errors.AuthsrvError) -> None:
        if error.status < 500 or _is_provoked(error):
            self._server.limits.record_failure(Rule.ADDRESS_FAILURES, call.sender.address)
        kind: AuditKind = "credential.replayed" if error.reason == "credential_replayed" else "login.refused"
        self._server.audit.record(
            AuditEvent(
                kind,
                project=client.project.key,
                client_id=client.client_id,
                platform=call.provider,
                reason=error.reason or error.error,
                request_id=call.sender.request_id,
                address=call.sender.cut_address,
            )
        )

    def _note(self, call: SilentCall, client: Client, redeemed: Redeemed, signed_in: SignIn) -> None:
        kinds: tuple[AuditKind, ...] = (
            ("player.created", "login.succeeded") if signed_in.created else ("login.succeeded",)
        )
        for kind in kinds:
            self._server.audit.record(
                AuditEvent(
                    kind,
                    project=client.project.key,
                    client_id=client.client_id,
                    sub=signed_in.player.sub,
                    platform=redeemed.identity.platform,
                    request_id=call.sender.request_id,
                    address=call.sender.cut_address,
                )
            )


def _is_provoked(error: errors.AuthsrvError) -> bool:
    """Whether an outage is the doing of a credential that nobody has proved yet."""
    cause = error.__cause__
    return isinstance(cause, PlatformUnavailable) and cause.provoked
