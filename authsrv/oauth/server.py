"""The authorization server: Authlib's, driven as check -> reserve -> load -> decide -> apply.

Owns the order of those steps and the translation of Authlib's errors into ours. Holds no state of a request. Knows no
HTTP framework, no platform by name and no database.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error

from authsrv import errors
from authsrv.audit import Audit, AuditEvent
from authsrv.limits import RateLimiter, Rule
from authsrv.models import TOKEN_EXCHANGE, Client
from authsrv.oauth import clients
from authsrv.oauth.adapters import ClientAdapter
from authsrv.oauth.claim_sources import ClaimSources, Inquiry
from authsrv.oauth.clients import CLIENT_PARAMETERS, AuthenticatedClient, ClientRegistry
from authsrv.oauth.grants import GRANTS
from authsrv.oauth.grants.base import LoadingGrant
from authsrv.oauth.grants.browser import BrowserGrant
from authsrv.oauth.grants.extensions import CodeExtension, IdToken
from authsrv.oauth.grants.platform import PlatformGrant
from authsrv.oauth.live_tokens import LiveTokens
from authsrv.oauth.opaque import OpaqueTokens
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.own_tokens import OwnTokens
from authsrv.oauth.proofs import PlatformProofs
from authsrv.oauth.request import GrantRequest, Sender, TokenGrantRequest, TokenRequest
from authsrv.oauth.tokens import TokenIssuer
from authsrv.platforms.base import Clock
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import Change

ATTEMPTS = 3
"""How often a request is loaded and decided when it loses races that are not its fault."""

TOKEN_PARAMETERS = CLIENT_PARAMETERS.union({"grant_type"}, *(grant.PARAMETERS for grant in GRANTS))

GRANT_TYPES = frozenset(grant.GRANT_TYPE for grant in GRANTS)
"""What a token request may ask for."""

_MISSING = re.compile(r"Missing '(?P<name>[a-z_]+)'")
_OURS: Mapping[str, type[errors.AuthsrvError]] = {
    "invalid_request": errors.InvalidRequest,
    "invalid_client": errors.InvalidClient,
    "invalid_grant": errors.InvalidGrant,
    "unauthorized_client": errors.UnauthorizedClient,
    "unsupported_grant_type": errors.UnsupportedGrantType,
    "unsupported_response_type": errors.UnsupportedResponseType,
    "invalid_scope": errors.InvalidScope,
    "access_denied": errors.AccessDenied,
}


class TokenServer(AuthorizationServer):
    """Authlib's server with everything that does I/O taken out of its hooks and into `token` and the silent login."""

    def __init__(
        self,
        *,
        storage: Storage,
        registry: ClientRegistry,
        tokens: TokenIssuer,
        opaque: OpaqueTokens,
        own_tokens: OwnTokens,
        live_tokens: LiveTokens,
        proofs: PlatformProofs,
        claim_sources: ClaimSources,
        limits: RateLimiter,
        audit: Audit,
        clock: Clock,
    ) -> None:
        super().__init__()
        self.storage = storage
        self.registry = registry
        self.tokens = tokens
        self.opaque = opaque
        self.own_tokens = own_tokens
        self.live_tokens = live_tokens
        self.proofs = proofs
        self.claim_sources = claim_sources
        self.limits = limits
        self.audit = audit
        self.clock = clock
        self._register()

    def _register(self) -> None:
        code = CodeExtension()
        self.register_grant(PlatformGrant, [code])
        self.register_grant(BrowserGrant, [code])
        id_token = IdToken()
        extensions = {"authorization_code": [code], "refresh_token": [id_token], TOKEN_EXCHANGE: [id_token]}
        for grant in GRANTS:
            self.register_grant(grant, extensions.get(grant.GRANT_TYPE, []))

    async def token(self, request: TokenRequest) -> Mapping[str, Any]:
        """Answer a token request (RFC 6749 section 5.1). Raises `AuthsrvError`; nothing is half done."""
        asked = self._asked(request, self.authenticate(request))
        inquiry = Inquiry(self.claim_sources, self.limits)
        for _ in range(ATTEMPTS):
            grant = self._grant_for(asked)
            await self._load(grant)
            reply = await self._decide(grant, request, inquiry)
            try:
                await self.apply(grant.changes)
            except Conflict as conflict:
                if grant.may_try_again(conflict):
                    continue
                await self._penalize(grant)
                raise errors.InvalidGrant(detail=f"lost the race for {conflict}") from conflict
            self._note(grant, request)
            return reply
        await self._penalize(grant)
        raise errors.TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write; a database that cannot is an outage to the caller."""
        with outages_answered():
            await self.storage.apply(changes)

    def note(self, event: AuditEvent, sender: Sender) -> None:
        """Audit what a sender's request led to."""
        self.audit.record(sender.marked(event))

    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock())

    def authenticate(self, request: TokenRequest) -> AuthenticatedClient:
        """The client that a request proves, or that a public one names; failures are counted. Raises `AuthsrvError`."""
        sender = request.sender
        presented = clients.read(request.parameters, request.authorization)
        named = self.registry.get(presented.client_id)
        self.limits.check(Rule.SECRET_FAILURES, _id_of(named), sender.address)
        try:
            return clients.authenticate(self.registry, presented, sender.surface, self.now())
        except errors.InvalidClient:
            self._refused(named, sender)
            raise

    def _refused(self, named: Client | None, sender: Sender) -> None:
        # A public client has no secret to guess, and shares its address with players who did nothing wrong.
        if named is None or not named.public:
            self.limits.record_failure(Rule.SECRET_FAILURES, _id_of(named), sender.address)
        self.audit.record(
            AuditEvent(
                "client.refused",
                client_id=_id_of(named),
                request_id=sender.request_id,
                address=sender.cut_address,
            )
        )

    def _asked(self, request: TokenRequest, authenticated: AuthenticatedClient) -> TokenGrantRequest:
        if not request.parameters.get("grant_type"):
            raise errors.InvalidRequest("Send a grant_type.", parameter="grant_type")
        return TokenGrantRequest(self.tokens.issuer, request, authenticated.client, authenticated.method, self.now())

    def _grant_for(self, asked: TokenGrantRequest) -> LoadingGrant:
        try:
            grant: LoadingGrant = self.get_token_grant(asked)
            grant.check()
        except OAuth2Error as error:
            raise translated(error) from error
        return grant

    async def _load(self, grant: LoadingGrant) -> None:
        try:
            with outages_answered():
                await grant.load(self.storage)
        except (errors.RateLimited, errors.TemporarilyUnavailable, errors.ServerError):
            raise
        except errors.AuthsrvError:
            self._limit(grant.registered, "")
            raise

    async def _decide(self, grant: LoadingGrant, request: TokenRequest, inquiry: Inquiry) -> Mapping[str, Any]:
        try:
            grant.validate_token_request()
            self._limit(grant.registered, grant.counted_as())
            await grant.load_claims(inquiry)
            _, reply, _ = grant.create_token_response()
        except errors.RateLimited:
            await self._penalize(grant)
            raise
        except (OAuth2Error, errors.AuthsrvError) as error:
            await self._penalize(grant)
            self._note(grant, request)
            self._limit(grant.registered, "")
            raise translated(error) from error
        return dict(reply)

    async def _penalize(self, grant: LoadingGrant) -> None:
        """Write what a refusal leaves. What somebody else was faster to write need not be written again."""
        with suppress(Conflict):
            await self.apply(grant.penalties)

    def _limit(self, client: Client, counted_as: str) -> None:
        """Count a request for a player only once it proved to be theirs, or an old code could use up their quota."""
        self.limits.check(Rule.TOKEN_REQUESTS, client.client_id, counted_as)

    def _note(self, grant: LoadingGrant, request: TokenRequest) -> None:
        player, client = grant.player(), grant.registered
        for kind in grant.notices:
            event = AuditEvent(
                kind,
                project=client.project.key,
                client_id=client.client_id,
                sub=player.sub if player else "",
                platform=grant.platform,
                exchanged_from=grant.exchanged_from,
                request_id=request.sender.request_id,
                address=request.sender.cut_address,
            )
            self.audit.record(event)

    # What Authlib asks of a framework integration. Clients are looked up and authenticated before it runs.

    def query_client(self, client_id: str) -> ClientAdapter | None:
        """The client by id; only the silent login's grant asks."""
        client = self.registry.get(client_id)
        return ClientAdapter(client) if client else None

    def authenticate_client(self, request: GrantRequest, methods: list[str], endpoint: str = "token") -> ClientAdapter:
        """The client that the driver has already authenticated."""
        if request.authenticated_by not in methods:
            raise errors.InvalidClient
        request.auth_method = request.authenticated_by
        return ClientAdapter(request.registered)

    def save_token(self, token: Mapping[str, Any], request: GrantRequest) -> None:
        """Grants collect what is stored."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: GrantRequest) -> GrantRequest:
        """The driver has built it."""
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Any:
        """The body as it is; rendering is the endpoint's."""
        return body

    def handle_error_response(self, request: GrantRequest, error: OAuth2Error) -> Any:
        """Leave Authlib with our error."""
        raise translated(error) from error


def _id_of(named: Client | None) -> str:
    """A client's id, or nothing: a text that names none may be anything, a secret in the wrong place too."""
    return named.client_id if named else ""


def translated(error: OAuth2Error | errors.AuthsrvError) -> errors.AuthsrvError:
    """Our error for Authlib's. Its texts may repeat what the client sent, so only those about missing things stay."""
    if isinstance(error, errors.AuthsrvError):
        return error
    code, text = error.error, error.description or ""
    kind = _OURS.get(code, errors.InvalidRequest)
    missing = _MISSING.match(text)
    return kind(text if missing else "", parameter=missing["name"] if missing else "", detail=f"{code}: {text}")
