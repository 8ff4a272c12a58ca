"""The token of an Authorization header (RFC 6750 section 2.1). Knows no token's meaning."""

from starlette.requests import Request

from authsrv.endpoints.forms import header_values
from authsrv.errors import InvalidRequest, InvalidToken


def bearer_in_header(request: Request) -> str:
    """The token, empty without the header. Raises `InvalidToken` for another scheme, `InvalidRequest` for a second."""
    headers = header_values(request, b"authorization")
    if len(headers) > 1:
        raise InvalidRequest("Send one Authorization header.")
    if not headers:
        return ""
    scheme, _, token = headers[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken("Send a token as Bearer in the Authorization header.", reason="no_token")
    return token.strip()


def required_bearer(request: Request) -> str:
    """The access token in the Authorization header. Raises `InvalidToken` without one."""
    token = bearer_in_header(request)
    if not token:
        raise InvalidToken("Send an access token in the Authorization header.", reason="no_token")
    return token
