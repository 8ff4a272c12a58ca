"""The refresh token grant (RFC 6749 section 6) with rotation that survives a lost answer (RFC 9700 section 4.14.2).

Owns what follows from how a presented refresh token is judged. Knows no endpoint.
"""

from collections.abc import Mapping
from typing import Final

from authlib.oauth2.rfc6749.grants import RefreshTokenGrant as AuthlibRefreshGrant

from authsrv.errors import InvalidGrant, InvalidScope
from authsrv.models import Grant, Player
from authsrv.oauth import audiences
from authsrv.oauth.adapters import RefreshAdapter
from authsrv.oauth.grants.stored import StoredGrant, refresh_expiry
from authsrv.oauth.opaque import Opaque
from authsrv.oauth.standing import Judgement, judge, may_refresh
from authsrv.oauth.tokens import TokenFacts
from authsrv.storage.base import Conflict
from authsrv.storage.changes import RevokeGrant, RotateRefreshToken

_REFUSED: Final[Mapping[Judgement, str]] = {
    "reused": "the refresh token was used before and came back; all of its family ends",
    "worthless": "the refresh token is revoked, expired or none of its family",
}
"""What only the log is told."""


class RefreshTokenGrant(StoredGrant, AuthlibRefreshGrant):
    """Rotates a refresh token: one read, one guarded write. A repeat of the last one gets the same successor."""

    INCLUDE_NEW_REFRESH_TOKEN = True
    PARAMETERS = audiences.PARAMETERS | {"refresh_token", "scope"}
    KIND = "refresh"
    CREDENTIAL = "refresh_token"

    _judgement: Judgement = "worthless"
    _successor: Opaque | None = None

    def may_try_again(self, conflict: Conflict) -> bool:
        """Two refreshes at once: the loser reads again and gets the winner's successor."""
        return isinstance(conflict.change, RotateRefreshToken)

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshAdapter:
        """The token if it may be refreshed. Reuse by its own client ends the family. Raises `AuthsrvError`."""
        candidate = self.candidate()
        if candidate is None:
            raise InvalidGrant(detail="no refresh token of this client, or one that was revoked")
        if not may_refresh(self.registered):
            raise InvalidGrant(detail="the client may not have refresh tokens any more")
        grant = candidate.grant
        self._judgement = judge(grant, self.presented, self.request.now, self.registered.lifetimes.refresh_grace)
        if self._judgement == "reused":
            self.penalties.append(RevokeGrant(grant.id, self.request.now, "refresh_reused"))
            self.notices.append("refresh.reused")
        if self._judgement not in {"current", "repeated"}:
            raise InvalidGrant(detail=_REFUSED[self._judgement])
        self.require_welcome()
        return RefreshAdapter(grant)

    def authenticate_user(self, refresh_token: RefreshAdapter) -> Player | None:
        """The player who authorized."""
        return self.player()

    def facts(self, scope: tuple[str, ...]) -> TokenFacts:
        """What the grant recorded, or the part of it that was asked for."""
        facts = super().facts(scope)
        if self.request.form.get("scope") and not facts.scope:
            raise InvalidScope
        return facts

    def refresh_token_due(self) -> str:
        """The successor: a new one, or for a repeat the one that was issued before."""
        grant = self.found
        if self._judgement == "repeated":
            return self._issued_before(grant)
        self._successor = self.server.opaque.new("refresh", grant.id, grant.refresh_generation + 1)
        return self._successor.text

    def may_have_id_token(self) -> bool:
        """Not once the player was merged into another: it would have to name the one that the client knows (OpenID
        Connect Core section 12.2).
        """
        return self.loaded.issued_as == self.loaded.player.sub

    def revoke_old_credential(self, refresh_token: RefreshAdapter) -> None:
        """Put the successor in the old token's place; a repeat has nothing to write."""
        self.notices.append("token.refreshed")
        if self._successor is None:
            return
        grant, now, presented = refresh_token.grant, self.request.now, self.presented
        sealed = self.server.opaque.seal_successor(presented.text, self._successor.text)
        expires_at = refresh_expiry(grant, self.registered, now)
        self.changes.append(
            RotateRefreshToken(grant.id, presented.digest, self._successor.digest, sealed, now, expires_at)
        )

    def _issued_before(self, grant: Grant) -> str:
        if grant.refresh_successor is None:
            raise InvalidGrant
        issued = self.server.opaque.open_successor(self.presented.text, grant.refresh_successor)
        if issued is None:
            raise InvalidGrant
        return issued
