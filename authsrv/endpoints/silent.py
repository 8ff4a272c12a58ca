"""The silent login (`cross_auth`) and the nonce for encrypted app tickets: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv import errors
from authsrv.endpoints import dialects
from authsrv.endpoints.answers import redirect
from authsrv.endpoints.endpoint import parameters, raw_target, report, sender
from authsrv.endpoints.forms import header_values, read_form, read_parameters
from authsrv.errors import AuthsrvError
from authsrv.oauth.grants.platform import RedirectTarget
from authsrv.oauth.request import Surface
from authsrv.oauth.silent.login import SilentLogin
from authsrv.oauth.silent.nonces import LIFETIME
from authsrv.oauth.silent.request import PARAMETERS, TARGET_PARAMETERS, SilentCall
from authsrv.platforms.base import RequestProof
from authsrv.redirects import append_query

MAX_BODY = 128 * 1024
"""An XSTS token has up to 64 KiB, and form encoding makes it longer."""
MAX_QUERY = 24 * 1024


class SilentEndpoint:
    """Serves both surfaces, by GET and POST."""

    def __init__(self, login: SilentLogin, issuer: str) -> None:
        self._login = login
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """Log a player in by the platform's proof and answer with an authorization code."""
        form = await read_parameters(request, max_body=MAX_BODY, max_query=MAX_QUERY)
        came_from = sender(request)
        provider = request.path_params["provider"]
        target = self._login.target(provider, form.take(TARGET_PARAMETERS), came_from.surface)
        request.scope["state"]["provider"] = provider
        proof = _proof(request, form.raw_form)
        try:
            sent = parameters(form, PARAMETERS, came_from.surface)
            call = SilentCall(provider, sent, came_from, proof, in_address=request.method != "POST")
            code = await self._login.login(call, target)
        except errors.RateLimited:
            raise  # a redirect cannot say when to come back
        except AuthsrvError as error:
            if not target.is_redirect:
                raise _for_header(error, proof, came_from.surface) from error
            return self._redirect_error(request, target, error, form.readable("state"))
        url = append_query(target.redirect_uri, dialects.code_parameters(code, form.readable("state"), self._issuer))
        if target.is_redirect:
            return redirect(request, url)
        return dialects.dialect_of(request.scope["path"]).success({"login_url": url})

    def _redirect_error(self, request: Request, target: RedirectTarget, error: AuthsrvError, state: str) -> Response:
        report(request, error)
        dialect = dialects.dialect_of(request.scope["path"])
        told = dialects.error_parameters(dialect, error, state, self._issuer)
        return redirect(request, append_query(target.client.error_redirect_uri or target.redirect_uri, told))


class TicketNonceEndpoint:
    """Issues the nonce that a game puts into a Steam encrypted app ticket."""

    def __init__(self, login: SilentLogin) -> None:
        self._login = login

    async def __call__(self, request: Request) -> Response:
        """`{"nonce", "expires_in"}` for the client named in the form."""
        sent = (await read_form(request, 1024)).take({"client_id"})
        nonce = self._login.ticket_nonce(sent, sender(request).surface)
        return JSONResponse({"nonce": nonce, "expires_in": LIFETIME})


def _proof(request: Request, body: bytes) -> RequestProof | None:
    values = header_values(request, b"authorization")
    if not values or request.method != "POST":
        return None
    if len(values) > 1 or values[0][:7].lower() != b"xbl3.0 ":
        raise errors.InvalidRequest("The Authorization header of this address takes one XBL3.0 token.")
    return RequestProof(
        method=request.method,
        target=raw_target(request.scope),
        authorization=values[0],
        body=body,
        signatures=tuple(header_values(request, b"signature")),
        extra={name.decode("latin-1"): value for name, value in request.scope["headers"]},
    )


def _for_header(error: AuthsrvError, proof: RequestProof | None, surface: Surface) -> AuthsrvError:
    """A game refreshes its XSTS token only after a 401, so on its path an expired or invalid token is one."""
    if proof is None or surface != "standard" or not isinstance(error, errors.InvalidGrant):
        return error
    return errors.InvalidToken(error.description, reason=error.reason, detail=error.detail)
