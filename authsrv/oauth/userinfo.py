"""UserInfo: what a client learns about the player whose access token it shows (OpenID Connect Core section 5.3).

Owns which tokens open it. Whether a token is still in force is `live_tokens`' to say. Knows no HTTP framework.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.errors import InsufficientScope, InvalidToken
from authsrv.oauth import claims
from authsrv.oauth.live_tokens import LiveAccess
from authsrv.oauth.own_tokens import NotOurs
from authsrv.oauth.server import TokenServer


class UserInfo:
    """Answers for access tokens of players."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server

    async def answer(self, access_token: str) -> Mapping[str, Any] | str:
        """The claims, or the same as a JWT for a client that wants it signed. Raises `AuthsrvError`."""
        live = await self._live(access_token)
        if live.loaded is None or "openid" not in live.token.scope:
            raise InsufficientScope("UserInfo needs an access token of a player with the scope openid.")
        player, asked = live.loaded.player, live.loaded.grant.claims
        found = {
            **claims.told(player, live.loaded.profile, live.token.scope, asked, "userinfo"),
            # What the id_token said too, although the player may have been merged since (section 5.3.2).
            "sub": live.token.sub,
        }
        if live.client.userinfo_alg is None:
            return found
        return self._server.tokens.userinfo(found, live.client, live.client.userinfo_alg)

    async def _live(self, access_token: str) -> LiveAccess:
        try:
            return await self._server.live_tokens.access(access_token)
        except NotOurs as error:
            raise InvalidToken(detail=str(error)) from None
