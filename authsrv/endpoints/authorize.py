"""`/oauth2/authorize`: parse, call, answer. What is wrong with client or redirect URI is shown, never redirected."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from authsrv import errors
from authsrv.endpoints.answers import Answers, redirect
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.endpoint import report, sender
from authsrv.endpoints.forms import Form, read_parameters
from authsrv.endpoints.screens import Screens, remember
from authsrv.errors import AuthsrvError
from authsrv.oauth import audiences
from authsrv.oauth.browser.authorize import Authorizer, Entered, Granted, Outcome, Question, Refused
from authsrv.oauth.browser.pending import Waiting, provider_of
from authsrv.oauth.browser.request import (
    PARAMETERS,
    TARGET_PARAMETERS,
    UNSUPPORTED,
    Target,
    default_mode,
    mode_of,
)

MAX_BODY = 64 * 1024
MAX_QUERY = 24 * 1024


class Outcomes:
    """Turns what a driver decided into a response; shared by the authorization endpoint and the sign-in page."""

    def __init__(self, screens: Screens, answers: Answers, cookie: SessionCookie, issuer: str) -> None:
        self._screens = screens
        self._answers = answers
        self._cookie = cookie
        self._issuer = issuer

    def show(self, request: Request, outcome: Outcome) -> Response:
        """A redirect, a form or a page."""
        match outcome:
            case Granted(target=target, code=code):
                return self._answers.code(request, target, code)
            case Entered(target=target):
                return redirect(request, target.redirect_uri)
            case Refused(target=target, error=error) if target.client.is_account_page:
                report(request, error)
                return redirect(request, f"{self._issuer}/login")
            case Refused(target=target, error=error):
                return self._answers.error(request, target, error)
            case Question():
                return self._screens.question(request, outcome)
            case _:
                return self._cookie.set(redirect(request, waiting_at(self._issuer, outcome)), outcome.cookie)


def waiting_at(issuer: str, waiting: Waiting) -> str:
    """Where a browser goes on with a request: at the sign-in page, or on its way to the platform that it names."""
    provider = provider_of(waiting.request)
    return f"{issuer}/login{f'/{provider}/go' if provider else ''}?request={waiting.handle}"


class AuthorizeEndpoint:
    """Takes authorization requests by GET and POST (OpenID Connect Core section 3.1.2.1)."""

    def __init__(self, authorizer: Authorizer, outcomes: Outcomes, answers: Answers, cookie: SessionCookie) -> None:
        self._authorizer = authorizer
        self._outcomes = outcomes
        self._answers = answers
        self._cookie = cookie

    async def __call__(self, request: Request) -> Response:
        """Answer at the redirect URI, or send the browser to the sign-in page."""
        form = await read_parameters(request, max_body=MAX_BODY, max_query=MAX_QUERY)
        target = self._authorizer.target(form.take(TARGET_PARAMETERS))
        remember(request, target.client.project, form.readable("ui_locales"))
        told = _how(target, form)
        try:
            outcome = await self._begin(request, told, form)
        except errors.RateLimited:
            raise  # a redirect cannot say when to come back
        except AuthsrvError as error:
            return self._answers.error(request, told, error)
        return self._outcomes.show(request, outcome)

    async def _begin(self, request: Request, target: Target, form: Form) -> Outcome:
        for name, unsupported in UNSUPPORTED.items():
            if name in form:
                raise unsupported(parameter=name)
        sent = form.take(PARAMETERS, repeatable=audiences.PARAMETERS)
        cookie = self._cookie.read(request)
        if request.method == "POST" and not cookie:
            return await self._authorizer.park(target, sent, sender(request))
        return await self._authorizer.begin(target, sent, cookie, sender(request))


def _how(target: Target, form: Form) -> Target:
    """The target with the answer's mode and state, as far as they can be read."""
    try:
        mode = mode_of(target.client, target.redirect_uri, form.readable("response_mode"))
    except errors.InvalidRequest:
        mode = default_mode(target.client, target.redirect_uri)
    return replace(target, mode=mode, state=form.readable("state"))
