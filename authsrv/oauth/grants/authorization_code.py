"""The authorization code grant at the token endpoint (RFC 6749 section 4.1.3, PKCE by RFC 7636).

Owns when a code is good: right client, redirect URI and verifier, within its minute, once. Knows no endpoint.
"""

from hmac import compare_digest

from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant as AuthlibCodeGrant

from authsrv.errors import InvalidGrant
from authsrv.models import Client, Digest, Grant, Player
from authsrv.oauth import audiences, scopes
from authsrv.oauth.adapters import ClientAdapter, CodeAdapter
from authsrv.oauth.grants.stored import StoredGrant, refresh_expiry
from authsrv.oauth.opaque import Opaque
from authsrv.redirects import matches
from authsrv.storage.changes import RedeemCode, RevokeGrant

MOST_WRONG_VERIFIERS = 5


class AuthorizationCodeGrant(StoredGrant, AuthlibCodeGrant):
    """Redeems a code: one read, one guarded write."""

    PARAMETERS = audiences.PARAMETERS | {"code", "redirect_uri", "code_verifier"}
    KIND = "code"
    CREDENTIAL = "code"

    _first_refresh: Opaque | None = None

    def query_authorization_code(self, code: str, client: ClientAdapter) -> CodeAdapter | None:
        """The code, used ones included: what use means is judged after PKCE."""
        candidate = self.candidate()
        if candidate is None or not is_redeemable(candidate.grant, self.presented.digest, self.request.now):
            return None
        grant = candidate.grant
        return CodeAdapter(
            grant, redirect_uri_to_repeat(client.client, grant, self.request.form.get("redirect_uri", ""))
        )

    def judge_code(self) -> None:
        """Refuse a good code that was used, or whose player is kept out, once the right verifier came with it.

        A used one ends everything it gave (RFC 6749 section 4.1.2).
        """
        if self.found.code_used_at is None:
            self.require_welcome()
            return
        self.penalties.append(RevokeGrant(self.found.id, self.request.now, "code_replayed"))
        self.notices.append("code.replayed")
        raise InvalidGrant(detail="the code was used before; all that it gave ends")

    def authenticate_user(self, authorization_code: CodeAdapter) -> Player | None:
        """The player who authorized."""
        return self.player()

    def nonce(self) -> str:
        """The login's own."""
        return self.found.nonce

    def refresh_token_due(self) -> str:
        """The first refresh token of the family, when `offline` was granted."""
        if not scopes.OFFLINE & set(scopes.remaining(self.registered, self.found.scope)):
            return ""
        self._first_refresh = self.server.opaque.new("refresh", self.found.id, 1)
        return self._first_refresh.text

    def delete_authorization_code(self, authorization_code: CodeAdapter) -> None:
        """Use the code up, and let the grant live as long as what it gave."""
        now, lifetimes = self.request.now, self.registered.lifetimes
        self.notices.append("token.issued")
        if self._first_refresh is None:
            self.changes.append(RedeemCode(self.found.id, now, None, now + lifetimes.access_token))
            return
        expires_at = refresh_expiry(self.found, self.registered, now)
        self.changes.append(RedeemCode(self.found.id, now, self._first_refresh.digest, expires_at))


def is_redeemable(grant: Grant, presented: Digest, now: int) -> bool:
    """Whether this code may be looked at further: the right one, unrevoked, in time unless already used."""
    if grant.code_hash is None or not compare_digest(grant.code_hash, presented):
        return False
    if grant.revoked_at is not None:
        return False
    if grant.code_failures >= MOST_WRONG_VERIFIERS:
        return False
    return grant.code_used_at is not None or now < grant.code_expires_at


def redirect_uri_to_repeat(client: Client, grant: Grant, sent: str) -> str:
    """What the token request's redirect_uri must equal (RFC 6749 section 4.1.3).

    One that the authorization request left out may be left out or be a registered one. Xsolla's SDKs exchange codes
    that came as JSON with the URI of their settings, so there any registered one will do.
    """
    any_registered = not grant.redirect_uri or (client.profile == "xsolla" and grant.delivered_as_json)
    if any_registered and (not sent or matches(client, sent)):
        return sent
    return grant.redirect_uri or client.redirect_uris[0]
