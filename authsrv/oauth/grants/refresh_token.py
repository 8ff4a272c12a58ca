"""The refresh token grant (RFC 6749 section 6) with rotation that survives a lost answer (RFC 9700 section 4.14.2).

Owns the judgement of a presented refresh token: current, repeated within the grace window, reused, or worthless.
"""

from hmac import compare_digest
from typing import Literal

from authlib.oauth2.rfc6749.grants import RefreshTokenGrant as AuthlibRefreshGrant

from authsrv.errors import InvalidGrant, InvalidScope
from authsrv.models import Client, Digest, Grant, Player
from authsrv.oauth import audiences, scopes
from authsrv.oauth.adapters import RefreshAdapter
from authsrv.oauth.grants.stored import StoredGrant, refresh_expiry
from authsrv.oauth.opaque import Opaque
from authsrv.oauth.tokens import TokenFacts
from authsrv.storage.base import Conflict
from authsrv.storage.changes import RevokeGrant, RotateRefreshToken

Judgement = Literal["current", "repeated", "reused", "worthless"]


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

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshAdapter | None:
        """The token if it may be refreshed. Reuse by its own client ends the family."""
        candidate = self.candidate()
        if candidate is None or not may_refresh(self.registered):
            return None
        grant = candidate.grant
        self._judgement = judge(grant, self.presented, self.request.now, self.registered.lifetimes.refresh_grace)
        if self._judgement == "reused":
            self.penalties.append(RevokeGrant(grant.id, self.request.now, "refresh_reused"))
            self.notices.append("refresh.reused")
        return RefreshAdapter(grant) if self._judgement in {"current", "repeated"} else None

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


def judge(grant: Grant, presented: Opaque, now: int, grace: int) -> Judgement:
    """What a presented refresh token is, from the family's row alone: one that was replaced and came back is reuse."""
    if grant.revoked_at is not None or now >= min(grant.expires_at, grant.absolute_expires_at):
        return "worthless"
    if not is_of_family(grant, presented):
        return "worthless"
    behind = grant.refresh_generation - presented.generation
    if behind == 0:
        return "current"
    return "repeated" if behind == 1 and now < grant.refresh_rotated_at + grace else "reused"


def may_refresh(client: Client) -> bool:
    """Whether the client's entry still lets it have refresh tokens."""
    return "refresh_token" in client.grant_types and scopes.allowed(client, "offline")


def is_of_family(grant: Grant, presented: Opaque) -> bool:
    """Whether we issued the token for this grant, whatever became of either.

    The generation is readable by us only, so what says that it is an older one was issued by us.
    """
    behind = grant.refresh_generation - presented.generation
    if behind == 0:
        return _same(grant.refresh_hash, presented.digest)
    if behind == 1:
        return _same(grant.refresh_previous_hash, presented.digest)
    return behind > 1


def _same(stored: Digest | None, presented: Digest) -> bool:
    return stored is not None and compare_digest(stored, presented)
