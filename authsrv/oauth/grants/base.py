"""What every grant of ours adds to Authlib's: it loads first, then collects what is to be written.

`load` and `load_claims` hold the only I/O. Hooks answer from what was loaded and append to `changes`; a refusal drops
them and leaves `penalties`. Knows no endpoint.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from authlib.oauth2.rfc6749.grants import BaseGrant

from authsrv.audit import AuditKind
from authsrv.models import Client, Player
from authsrv.oauth import scopes
from authsrv.oauth.adapters import ClientAdapter
from authsrv.oauth.claim_sources import Inquiry
from authsrv.oauth.live_tokens import LiveTokens
from authsrv.oauth.opaque import OpaqueTokens
from authsrv.oauth.proofs import PlatformProofs
from authsrv.oauth.request import GrantRequest
from authsrv.oauth.tokens import TokenFacts, TokenIssuer
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import Change

AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]


class Issuing(Protocol):
    """What a grant takes from the server: how tokens are made."""

    tokens: TokenIssuer
    opaque: OpaqueTokens
    live_tokens: LiveTokens
    proofs: PlatformProofs


class LoadingGrant(BaseGrant):
    """Base of our grants. One instance serves one attempt at one request."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    PARAMETERS: ClassVar[frozenset[str]]
    """What the grant may see of a request, beyond grant_type and the client's authentication."""

    request: GrantRequest
    server: Issuing

    def __init__(self, request: GrantRequest, server: Issuing) -> None:
        super().__init__(request, server)
        self.changes: list[Change] = []
        self.penalties: list[Change] = []
        self.notices: list[AuditKind] = []
        self.platform = ""
        """Who vouched for the player just now; empty if nobody had to."""
        self.exchanged_from = ""
        """The client whose access token was shown, by another one or by itself; empty without such a token."""
        self.told: TokenFacts | None = None
        """What the access token says, for the id_token that goes with it."""
        self._sourced: Mapping[str, str] = {}

    def check(self) -> None:
        """Refuse what can be seen to be wrong without I/O, where the validation after the load would be too late."""

    async def load(self, storage: Storage) -> None:
        """Read everything the decision needs."""

    async def load_claims(self, inquiry: Inquiry) -> None:
        """Ask for what only the access token will say. The request was found good, or strangers could make us call."""
        player = self.player()
        if player is not None:
            self._sourced = await inquiry.about(player.sub, self.registered, self.scope_due())

    def scope_due(self) -> tuple[str, ...]:
        """The scope that a player's access token is for; what the client may not have of it gives nothing."""
        return ()

    def facts(self, scope: tuple[str, ...]) -> TokenFacts:
        """What the tokens of this grant say."""
        raise NotImplementedError

    def refresh_token_due(self) -> str:
        """The refresh token that goes with the answer, or nothing."""
        return ""

    def may_have_id_token(self) -> bool:
        """Whether an id_token may go with the answer, if the scope asks for one."""
        return True

    def player(self) -> Player | None:
        """Whose tokens these are; None for a client's own."""
        return None

    def counted_as(self) -> str:
        """Under which name a good request counts for the client's limit."""
        player = self.player()
        return player.sub if player else ""

    def may_try_again(self, conflict: Conflict) -> bool:
        """Whether a lost race is nobody's fault, so that the grant is loaded and decided once more."""
        return False

    @property
    def registered(self) -> Client:
        """The authenticated client."""
        return self.request.registered

    def save_token(self, token: dict[str, Any]) -> None:
        """Access tokens are not stored; what is stored of a grant, its own hook collects."""

    def generate_token(
        self,
        user: Player | None = None,
        scope: str | None = None,
        grant_type: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """The token answer (RFC 6749 section 5.1). Lifetimes are the client's, whatever Authlib asks for."""
        facts = self.facts(scopes.listed(scope or ""))
        self.told = facts = replace(facts, sourced=self._sourced) if self._sourced else facts
        token: dict[str, Any] = {
            "access_token": self.server.tokens.access_token(facts, self.request.now),
            "token_type": "Bearer",
            "expires_in": facts.lifetime(self.request.now),
            "scope": " ".join(facts.scope),
        }
        refresh_token = self.refresh_token_due() if include_refresh_token else ""
        return token | {"refresh_token": refresh_token} if refresh_token else token


def registered(client: ClientAdapter) -> Client:
    """Our client behind Authlib's."""
    return client.client
