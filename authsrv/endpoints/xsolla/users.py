"""`GET /api/users/me`, `GET /api/oauth2/logout` and `POST /api/token/validate`: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints import dialects
from authsrv.endpoints.bearer import required_bearer
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import parse_form
from authsrv.endpoints.json_objects import read_untyped_object
from authsrv.errors import InvalidRequest
from authsrv.oauth.xsolla.logout import PARAMETERS, GameLogout
from authsrv.oauth.xsolla.me import Me
from authsrv.oauth.xsolla.validation import TokenValidation

MAX_BODY = 20 * 1024


class MeEndpoint:
    """Tells a game about its player."""

    def __init__(self, me: Me) -> None:
        self._me = me

    async def __call__(self, request: Request) -> Response:
        """The player of the access token in the Authorization header."""
        return dialects.XSOLLA.success(await self._me.answer(required_bearer(request)))


class GameLogoutEndpoint:
    """Logs a player out, by the access token in the Authorization header."""

    def __init__(self, logout: GameLogout) -> None:
        self._logout = logout

    async def __call__(self, request: Request) -> Response:
        """204, also if there was nothing left to end."""
        sent = parse_form(request.scope["query_string"]).take(PARAMETERS)
        await self._logout.end(required_bearer(request), sent, sender(request))
        return Response(status_code=204)


class ValidationEndpoint:
    """Tells a server whether a token is good: 204, or why not."""

    def __init__(self, validation: TokenValidation) -> None:
        self._validation = validation

    async def __call__(self, request: Request) -> Response:
        """204 for the token in `{"token": "..."}`."""
        token = (await read_untyped_object(request, MAX_BODY)).get("token")
        if not isinstance(token, str) or not token:
            raise InvalidRequest("Send the token.", parameter="token")
        await self._validation.check(token)
        return Response(status_code=204)
