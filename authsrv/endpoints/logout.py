"""`/oauth2/logout` and its confirmation: parse, call, answer."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.answers import redirect
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import parse_form, read_form, read_parameters
from authsrv.endpoints.login import require_same_origin
from authsrv.endpoints.screens import Screens
from authsrv.oauth.browser.logout import PARAMETERS, Asking, Logout, LogoutCall, SignedOut

MAX_BODY = 32 * 1024
MAX_QUERY = 24 * 1024


class LogoutEndpoint:
    """Ends a session on a client's request, or asks the player (OpenID Connect RP-Initiated Logout section 2)."""

    def __init__(self, logout: Logout, screens: Screens, cookie: SessionCookie, issuer: str) -> None:
        self._logout = logout
        self._screens = screens
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """A redirect to the client, the question, or the page that says it is done."""
        form = await read_parameters(request, max_body=MAX_BODY, max_query=MAX_QUERY)
        sent, cookie = form.take(PARAMETERS), self._cookie.read(request)
        if request.method == "POST" and not cookie:
            # Browsers hold the cookie back from another site's form; by GET they show it.
            return redirect(request, f"{self._issuer}/oauth2/logout?{urlencode(sent)}")
        outcome = await self._logout.begin(LogoutCall(sent, cookie, sender(request)))
        if isinstance(outcome, Asking):
            return self._screens.logout(request, outcome, urlencode(sent))
        return shown(self._screens, request, outcome)


class LogoutConfirmation:
    """`POST /oauth2/logout/confirm`: the player's answer."""

    def __init__(self, logout: Logout, screens: Screens, cookie: SessionCookie, issuer: str) -> None:
        self._logout = logout
        self._screens = screens
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """Signed out, or back to where the player is still signed in."""
        require_same_origin(request, self._issuer)
        limits = {"request": MAX_QUERY}
        form = (await read_form(request, MAX_BODY)).take({"request", "csrf", "decision"}, limits=limits)
        if form.get("decision") == "no":
            return redirect(request, f"{self._issuer}/login")
        if form.get("decision") == "everywhere":
            call = LogoutCall({}, self._cookie.read(request), sender(request))
            return shown(self._screens, request, await self._logout.everywhere(call, form.get("csrf", "")))
        sent = parse_form(form.get("request", "").encode()).take(PARAMETERS)
        call = LogoutCall(sent, self._cookie.read(request), sender(request))
        return shown(self._screens, request, await self._logout.confirm(call, form.get("csrf", "")))


def shown(screens: Screens, request: Request, ended: SignedOut) -> Response:
    """Straight on to the client, unless the browser has frames to load first or nowhere to go."""
    if ended.continue_to and not ended.frames:
        return redirect(request, ended.continue_to)
    return screens.logged_out(request, ended)
