"""`POST /oauth2/introspect`: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.endpoints.token import MAX_BODY_WITH_TOKEN, read_client_request
from authsrv.oauth.introspection import Introspection
from authsrv.oauth.revocation import PARAMETERS


class IntrospectionEndpoint:
    """Tells what a token stands for (RFC 7662 section 2)."""

    def __init__(self, introspection: Introspection) -> None:
        self._introspection = introspection

    async def __call__(self, request: Request) -> Response:
        """Introspect."""
        call = await read_client_request(request, PARAMETERS, MAX_BODY_WITH_TOKEN)
        return JSONResponse(await self._introspection.answer(call))
