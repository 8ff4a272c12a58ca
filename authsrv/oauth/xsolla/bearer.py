"""The player behind an access token that a game on an Xsolla SDK shows.

Owns which tokens speak for a player below /api. Whether one is still in force is `live_tokens`' to say.
"""

from authsrv.errors import InvalidToken
from authsrv.models import Client, LoadedGrant
from authsrv.oauth.live_tokens import LiveAccess, ban_of
from authsrv.oauth.own_tokens import AccessToken, NotOurs
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Bearer:
    """A player's access token in force, the client that it was made for, and the grant that it stands for."""

    token: AccessToken
    client: Client
    loaded: LoadedGrant


class Bearers:
    """Looks up who shows a token."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server

    async def find(self, access_token: str) -> Bearer:
        """The player who shows the token. Raises `InvalidToken` unless it is one in force, `AccessDenied` for a ban."""
        try:
            return of_player(await self._server.live_tokens.access(access_token, either_profile=True))
        except NotOurs as error:
            raise ban_of(error) or InvalidToken(detail=str(error)) from None


def of_player(live: LiveAccess) -> Bearer:
    """The player behind a token. Raises `NotOurs` for a token of the other surface, and for a server's own."""
    if live.token.profile != "xsolla" or live.loaded is None:
        raise NotOurs("no player's token of this surface")
    return Bearer(live.token, live.client, live.loaded)
