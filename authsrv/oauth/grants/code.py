"""The making of an authorization code, whichever way the player proved who they are.

Owns what a code is bound to. Who authorizes was decided before; knows no platform by name and no endpoint.
"""

from collections.abc import Sequence
from typing import ClassVar

from authlib.oauth2.rfc6749.grants import AuthorizationEndpointMixin
from authlib.oauth2.rfc6749.grants.authorization_code import validate_code_authorization_request

from authsrv.models import Digest, Grant, Player
from authsrv.oauth import audiences
from authsrv.oauth.grants.base import LoadingGrant
from authsrv.records import dataclass
from authsrv.storage.changes import AddGrant, Change


@dataclass(frozen=True, slots=True)
class Authorized:
    """Who authorizes, how it was proved and when, and what must be written with the code, in order.

    `session_id` is 0 without a browser session; `claims` are those asked for one by one.
    """

    player: Player
    platform: str
    idp: str
    idp_subject: str
    auth_time: int
    changes: Sequence[Change] = ()
    session_id: int = 0
    claims: tuple[str, ...] = ()


class CodeIssuingGrant(LoadingGrant, AuthorizationEndpointMixin):
    """Base of what issues codes. A subclass says which requests are its own, and what is special to them."""

    PARAMETERS = audiences.PARAMETERS | {"response_type", "scope", "nonce", "code_challenge", "code_challenge_method"}
    RESPONSE_TYPES: ClassVar[set[str]] = {"code"}

    def validate_authorization_request(self) -> str:
        """Client, redirect URI, response type, scope and PKCE, without I/O."""
        redirect_uri: str = validate_code_authorization_request(self)
        self.audience = audiences.granted(self.registered, self.request.form)
        return redirect_uri

    def create_authorization_response(
        self, redirect_uri: str, grant_user: Authorized
    ) -> tuple[int, str, list[tuple[str, str]]]:
        """Make the code and collect the grant with it. The reply's body is the code; redirects are the endpoint's."""
        code = self.server.opaque.new("code", self.grant_id)
        self.changes = [*grant_user.changes, AddGrant(self._grant(grant_user, code.digest))]
        return 200, code.text, []

    grant_id: int
    """The row of the grant to be made. Set by the driver, which takes it from the storage."""

    def redirect_uri_sent(self) -> str:
        """The redirect_uri as the request gave it, which the token request must repeat; empty if it left it out."""
        return self.request.form.get("redirect_uri", "")

    def delivered_as_json(self) -> bool:
        """Whether the code is not sent by a redirect."""
        return False

    def _grant(self, authorized: Authorized, code_hash: Digest) -> Grant:
        sent, now, lifetimes = self.request.form, self.request.now, self.registered.lifetimes
        return Grant(
            id=self.grant_id,
            project=self.registered.project.key,
            client_id=self.registered.client_id,
            player_id=authorized.player.id,
            scope=tuple(self.request.scope.split()),
            audience=self.audience,
            platform=authorized.platform,
            idp=authorized.idp,
            idp_subject=authorized.idp_subject,
            auth_time=authorized.auth_time,
            created_at=now,
            expires_at=now + lifetimes.code,
            absolute_expires_at=now + lifetimes.refresh_absolute,
            nonce=sent.get("nonce", ""),
            redirect_uri=self.redirect_uri_sent(),
            delivered_as_json=self.delivered_as_json(),
            code_hash=code_hash,
            code_expires_at=now + lifetimes.code,
            code_challenge=sent.get("code_challenge", ""),
            session_id=authorized.session_id,
            claims=authorized.claims,
        )
