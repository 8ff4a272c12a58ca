"""Whether a player's access token is good, for servers that do not check it themselves.

Owns what is told apart: a token that is not good, a player who is gone, a project that is not there.
"""

from collections.abc import Callable, Collection

from authsrv.errors import InvalidToken, NotFound, UserNotFound
from authsrv.oauth.live_tokens import ban_of
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.own_tokens import AccessToken, NotOurs
from authsrv.oauth.server import TokenServer
from authsrv.oauth.xsolla.bearer import of_player

PROJECT_CLAIM = "xsolla_login_project_id"


class TokenValidation:
    """Judges tokens. `project_ids` gives those that there are now."""

    def __init__(self, server: TokenServer, project_ids: Callable[[], Collection[str]]) -> None:
        self._server = server
        self._project_ids = project_ids

    async def check(self, text: str) -> None:
        """Raises unless the token is a player's in force: `InvalidToken`, `NotFound` for a project, `UserNotFound`, or
        `AccessDenied` for a ban.
        """
        try:
            await self._check(text)
        except NotOurs as error:
            raise ban_of(error) or InvalidToken(detail=str(error)) from None

    async def _check(self, text: str) -> None:
        token = self._server.own_tokens.access_token(text, self._server.now(), either_profile=True)
        if token.profile == "xsolla" and token.claims.get(PROJECT_CLAIM) not in self._project_ids():
            raise NotFound("No project of this server has this id.", reason="unknown_project")
        try:
            of_player(await self._server.live_tokens.look_up(token))
        except NotOurs:
            if await self._is_of_nobody(token):
                raise UserNotFound("The player of this token is gone.") from None
            raise

    async def _is_of_nobody(self, token: AccessToken) -> bool:
        if not token.gid:
            return False
        with outages_answered():
            return await self._server.storage.load_subject(token.sub) is None
