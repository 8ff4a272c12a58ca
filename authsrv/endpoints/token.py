"""`POST /oauth2/token`: parse, call, answer. Parameters in the query are ignored; a secret there is refused."""

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints import dialects
from authsrv.endpoints.endpoint import parameters, sender
from authsrv.endpoints.forms import header_values, parse_form, read_form
from authsrv.errors import InvalidClient, InvalidRequest
from authsrv.oauth.request import TokenRequest
from authsrv.oauth.server import GRANT_TYPES, TOKEN_PARAMETERS, TokenServer

MAX_BODY = 128 * 1024
"""An XSTS token has up to 64 KiB, and may be percent-encoded."""
OTHER_GRANT = "other"
"""In the log, for what is no grant of ours: only our own words go there."""
MAX_BODY_WITH_TOKEN = 20 * 1024
"""Where a request is about a token of ours: one of 16 KiB, and the client's authentication."""


class TokenEndpoint:
    """Serves both surfaces; the path decides the dialect."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server

    async def __call__(self, request: Request) -> Response:
        """Redeem a grant for tokens (RFC 6749 section 3.2)."""
        state = request.scope["state"]
        state["grant"] = OTHER_GRANT
        call = await read_client_request(request, TOKEN_PARAMETERS)
        asked = call.parameters.get("grant_type", "")
        state["grant"] = asked if asked in GRANT_TYPES else OTHER_GRANT
        return dialects.dialect_of(request.scope["path"]).token(await self._server.token(call))


async def read_client_request(request: Request, names: frozenset[str], max_body: int = MAX_BODY) -> TokenRequest:
    """A form of these parameters from a client that authenticates by it or by its Authorization header."""
    surface = dialects.dialect_of(request.scope["path"]).surface
    if surface == "standard":
        refuse_secret_in_query(request.scope["query_string"])
    form = await read_form(request, max_body)
    return TokenRequest(parameters(form, names, surface), authorization(request), sender(request))


def authorization(request: Request) -> str:
    """The Authorization header's value, empty if absent. Raises `InvalidClient` for two of them."""
    values = header_values(request, b"authorization")
    if len(values) > 1:
        raise InvalidClient
    return values[0].decode("latin-1") if values else ""


def refuse_secret_in_query(query: bytes) -> None:
    """Addresses end up in logs; whoever put a secret there must learn it (OAuth 2.1 section 2.4.1)."""
    if query and "client_secret" in parse_form(query):
        raise InvalidRequest("Send client_secret in the body, never in the address.", parameter="client_secret")
