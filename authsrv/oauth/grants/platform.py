"""The platform grant: proof from a platform in, authorization code out.

Owns what a code issued without a browser is bound to. The identity was verified and the player decided before; knows
no platform by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from authlib.oauth2.rfc6749.grants import AuthorizationEndpointMixin
from authlib.oauth2.rfc6749.grants.authorization_code import validate_code_authorization_request

from authsrv.models import Client, Digest, Grant
from authsrv.oauth import audiences
from authsrv.oauth.grants.base import LoadingGrant
from authsrv.oauth.request import GrantRequest
from authsrv.platforms.base import PlatformIdentity
from authsrv.players import SignIn
from authsrv.storage.changes import AddGrant, Change


@dataclass(frozen=True, slots=True)
class RedirectTarget:
    """Where the answer of a silent login goes, once client and URI are known to be good.

    `sent` is the redirect_uri as the request gave it, empty if it left it out. `is_redirect` asks for a redirect rather
    than JSON.
    """

    client: Client
    redirect_uri: str
    sent: str
    is_redirect: bool


class SilentRequest(GrantRequest):
    """A silent login as Authlib's request: a public request, as every authorization request is."""

    def __init__(self, endpoint: str, parameters: dict[str, str], target: RedirectTarget, now: int) -> None:
        super().__init__(endpoint, parameters, target.client, "none", now)
        self.target = target


class PlatformGrant(LoadingGrant, AuthorizationEndpointMixin):
    """Issues the code of a silent login. `prepare` gives it the verified facts; Authlib asks for the rest."""

    PARAMETERS = frozenset({"response_type", "scope", "audience", "nonce", "code_challenge", "code_challenge_method"})
    RESPONSE_TYPES: ClassVar[set[str]] = {"code"}

    request: SilentRequest

    @classmethod
    def check_authorization_endpoint(cls, request: GrantRequest) -> bool:
        """Only silent logins come this way, whatever their response_type."""
        return isinstance(request, SilentRequest)

    def validate_authorization_request(self) -> str:
        """Client, redirect URI, response type, scope and PKCE, without I/O."""
        redirect_uri: str = validate_code_authorization_request(self)
        self.audience = audiences.granted(self.registered, self.request.form.get("audience", ""))
        return redirect_uri

    def prepare(self, identity: PlatformIdentity, grant_id: int, settled: Sequence[Change]) -> None:
        """Take the verified identity, the row id for the grant, and what settles the credential."""
        self._identity = identity
        self._grant_id = grant_id
        self._settled = settled

    def create_authorization_response(
        self, redirect_uri: str, grant_user: SignIn
    ) -> tuple[int, str, list[tuple[str, str]]]:
        """Make the code and collect the grant with it. The reply's body is the code; redirects are the endpoint's."""
        code = self.server.opaque.new("code", self._grant_id)
        self.changes = [*grant_user.changes, *self._settled, AddGrant(self._grant(grant_user, code.digest))]
        return 200, code.text, []

    def _grant(self, signed_in: SignIn, code_hash: Digest) -> Grant:
        sent, now, lifetimes = self.request.form, self.request.now, self.registered.lifetimes
        return Grant(
            id=self._grant_id,
            project=self.registered.project.key,
            client_id=self.registered.client_id,
            player_id=signed_in.player.id,
            scope=tuple(self.request.scope.split()),
            audience=self.audience,
            platform=self._identity.platform,
            idp=self._identity.kind,
            idp_subject=self._identity.subject,
            auth_time=now,
            created_at=now,
            expires_at=now + lifetimes.code,
            absolute_expires_at=now + lifetimes.refresh_absolute,
            nonce=sent.get("nonce", ""),
            redirect_uri=self.request.target.sent,
            delivered_as_json=not self.request.target.is_redirect,
            code_hash=code_hash,
            code_expires_at=now + lifetimes.code,
            code_challenge=sent.get("code_challenge", ""),
        )
