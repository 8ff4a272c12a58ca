"""`Bearer`: the verifier as a dependency of Starlette and FastAPI, answering refusals by RFC 6750.

Owns the `Authorization` header. Knows no check of a token.
"""

import re

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from authsrv.verify.errors import AccessTokenError, Unavailable
from authsrv.verify.tokens import AccessToken
from authsrv.verify.verifier import Verifier

_CREDENTIALS = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/=-]+)")


class Bearer:
    """Called with a request or a WebSocket, gives its access token; `scope` are the scopes that it needs.

    In FastAPI `Annotated[AccessToken, Depends(Bearer(verifier, scope="match:join"))]`, in Starlette
    `token = await bearer(request)`. Raises HTTPException: 400 for a header that cannot be read, 401 without a token or
    with one that is not good, 403 for a lacking scope, 503 while nobody can say; with `WWW-Authenticate` (RFC 6750
    section 3) or `Retry-After`. Tokens in the query or in a form are not looked at.
    """

    def __init__(self, verifier: Verifier, scope: str = "") -> None:
        self._verifier = verifier
        self._scope = scope

    async def __call__(self, connection: HTTPConnection) -> AccessToken:
        """See above."""
        text = _token(connection.headers.getlist("authorization"))
        try:
            return await self._verifier.verify(text, self._scope)
        except AccessTokenError as error:
            refused = _refusal(error)
        raise refused  # outside the handler: no trace of the check hangs on the answer


def _token(headers: list[str]) -> str:
    if not headers:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    found = _CREDENTIALS.fullmatch(headers[0])
    if len(headers) > 1 or found is None:
        challenge = 'Bearer error="invalid_request", error_description="not one bearer token"'
        raise HTTPException(400, headers={"WWW-Authenticate": challenge})
    return found[1]


def _refusal(error: AccessTokenError) -> HTTPException:
    if isinstance(error, Unavailable):
        return HTTPException(error.status, headers={"Retry-After": str(error.retry_after)})
    return HTTPException(error.status, headers={"WWW-Authenticate": error.challenge})
