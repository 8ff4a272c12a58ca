"""UserInfo: what a client learns about the player whose access token it shows (OpenID Connect Core section 5.3).

Owns whether the token still stands for anything. Knows no HTTP framework.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.errors import InsufficientScope, InvalidToken
from authsrv.models import Client, LoadedGrant
from authsrv.oauth import claims
from authsrv.oauth.grants.stored import belongs_to
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.own_tokens import AccessToken, NotOurs, OwnTokens
from authsrv.oauth.server import TokenServer


class UserInfo:
    """Answers for access tokens of players."""

    def __init__(self, server: TokenServer, own_tokens: OwnTokens) -> None:
        self._server = server
        self._own_tokens = own_tokens

    async def answer(self, access_token: str) -> Mapping[str, Any] | str:
        """The claims, or the same as a JWT for a client that wants it signed. Raises `AuthsrvError`."""
        token = self._read(access_token)
        client = self._client(token)
        loaded = await self._load(token, client)
        found = {
            **claims.told(loaded.player, loaded.profile, token.scope, loaded.grant.claims, "userinfo"),
            "sub": loaded.player.sub,
        }
        if client.userinfo_alg is None:
            return found
        return self._server.tokens.userinfo(found, client, client.userinfo_alg)

    def _read(self, access_token: str) -> AccessToken:
        try:
            token = self._own_tokens.access_token(access_token, self._server.now())
        except NotOurs as error:
            raise InvalidToken(detail=str(error)) from None
        if "openid" not in token.scope or not token.gid:
            raise InsufficientScope("UserInfo needs an access token of a player with the scope openid.")
        return token

    def _client(self, token: AccessToken) -> Client:
        client = self._server.registry.find(token.client_id, "standard")
        if client is None:
            raise InvalidToken(detail="the client is gone")
        return client

    async def _load(self, token: AccessToken, client: Client) -> LoadedGrant:
        grant_id = self._server.opaque.row_id("gid", token.gid)
        if grant_id is None:
            raise InvalidToken(detail="the gid is not ours")
        with outages_answered():
            loaded = await self._server.storage.load_grant(grant_id)
        if loaded is None or loaded.grant.revoked_at is not None or not belongs_to(loaded.grant, client):
            raise InvalidToken(detail="the grant ended")
        if loaded.player.sub != token.sub:
            raise InvalidToken(detail="the grant is another player's")
        return loaded
