"""`GET /api/oauth2/social/{provider}/login_redirect` and `.../login_url`: parse, call, answer."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from authsrv import errors
from authsrv.endpoints import dialects
from authsrv.endpoints.answers import Answers, redirect
from authsrv.endpoints.authorize import waiting_at
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import Form, read_parameters
from authsrv.errors import AuthsrvError
from authsrv.oauth.browser.pending import Waiting
from authsrv.oauth.browser.request import Target
from authsrv.oauth.xsolla.sign_in import PARAMETERS, TARGET_PARAMETERS, DirectCall, DirectSignIn

MAX_QUERY = 24 * 1024


class LoginUrlEndpoint:
    """Gives a game the address to open in a browser."""

    def __init__(self, sign_in: DirectSignIn, issuer: str) -> None:
        self._sign_in = sign_in
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """`{"url"}`: an address of ours, good for ten minutes and for one browser."""
        form = await _read(request)
        call = _call(request, form, _target(self._sign_in, request, form))
        kept = await self._sign_in.park(call)
        return dialects.XSOLLA.success({"url": waiting_at(self._issuer, kept)})


class LoginRedirectEndpoint:
    """Sends a browser that a game opened to the platform."""

    def __init__(self, sign_in: DirectSignIn, answers: Answers, cookie: SessionCookie, issuer: str) -> None:
        self._sign_in = sign_in
        self._answers = answers
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """302 to the platform, or with an error to the client."""
        form = await _read(request)
        target = _target(self._sign_in, request, form)
        try:
            return await self._begin(request, _call(request, form, target))
        except errors.RateLimited:
            raise  # a redirect cannot say when to come back
        except AuthsrvError as error:
            return self._answers.error(request, replace(target, state=form.readable("state")), error)

    async def _begin(self, request: Request, call: DirectCall) -> Response:
        outcome = await self._sign_in.begin(call, self._cookie.read(request))
        if isinstance(outcome, Waiting):
            return redirect(request, waiting_at(self._issuer, outcome))
        return self._cookie.set(redirect(request, outcome.url), outcome.cookie)


async def _read(request: Request) -> Form:
    """The query. Some SDKs send a body and its type with a GET; neither is looked at."""
    return await read_parameters(request, max_body=0, max_query=MAX_QUERY)


def _target(sign_in: DirectSignIn, request: Request, form: Form) -> Target:
    return sign_in.target(request.path_params["provider"], form.take(TARGET_PARAMETERS))


def _call(request: Request, form: Form, target: Target) -> DirectCall:
    return DirectCall(request.path_params["provider"], target, form.take(PARAMETERS), sender(request))
