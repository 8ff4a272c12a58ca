"""`/oauth2/userinfo` by GET and POST, with the token in the header or in the form (RFC 6750 section 2)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.endpoints.bearer import bearer_in_header
from authsrv.endpoints.forms import header_values, read_form
from authsrv.errors import InvalidRequest, InvalidToken
from authsrv.oauth.userinfo import UserInfo

MAX_BODY = 20 * 1024


class UserInfoEndpoint:
    """Tells a client about its player."""

    def __init__(self, userinfo: UserInfo) -> None:
        self._userinfo = userinfo

    async def __call__(self, request: Request) -> Response:
        """JSON, or a JWT for a client that wants it signed."""
        found = await self._userinfo.answer(await bearer_token(request))
        if isinstance(found, str):
            return Response(found, media_type="application/jwt")
        return JSONResponse(found)


async def bearer_token(request: Request) -> str:
    """The access token of a request. Raises `InvalidToken` without one, `InvalidRequest` for two."""
    headers = header_values(request, b"authorization")
    in_form = ""
    if request.method == "POST":
        in_form = (
            (await read_form(request, MAX_BODY))
            .take({"access_token"}, limits={"access_token": MAX_BODY})
            .get("access_token", "")
        )
    if len(headers) + bool(in_form) > 1:
        raise InvalidRequest("Send the access token once: in the Authorization header or in the form.")
    token = in_form or bearer_in_header(request)
    if not token:
        raise InvalidToken("Send an access token in the Authorization header.", reason="no_token")
    return token
