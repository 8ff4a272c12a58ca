"""`/link`, where link codes are redeemed in a browser: parse, call, answer."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.browser.link_page import CodeCall, LinkDone, LinkPage, LinkRefused, LinkStopped, LinkView
from authsrv.endpoints.answers import redirect
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.dialects import XSOLLA
from authsrv.endpoints.endpoint import report, sender
from authsrv.endpoints.forms import parse_form, read_form
from authsrv.endpoints.link_screens import LinkScreens
from authsrv.endpoints.login import require_same_origin
from authsrv.errors import AccessDenied, InvalidGrant
from authsrv.oauth.browser.pending import Caller
from authsrv.oauth.browser.trips import BackHome, Failed, Homecoming
from authsrv.redirects import append_query

MAX_BODY = 8 * 1024
FORM_FIELDS = frozenset({"code", "provider", "request", "csrf", "session", "decision"})


class LinkEndpoint:
    """Takes a code, shows what it is about, and takes what the player pressed. GET changes nothing."""

    def __init__(self, page: LinkPage, screens: LinkScreens, cookie: SessionCookie, issuer: str) -> None:
        self._page = page
        self._screens = screens
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """GET shows the field for the code, or how far the player is; POST answers a form of ours."""
        if request.method == "POST":
            require_same_origin(request, self._issuer)
            form = (await read_form(request, MAX_BODY)).take(FORM_FIELDS)
            return await (self._decided(request, form) if "request" in form else self._begun(request, form))
        sent = parse_form(request.scope["query_string"]).take({"code", "provider", "request"})
        if "request" not in sent:
            return self._screens.code(request, sent.get("code", ""), sent.get("provider", ""))
        request.scope["state"]["again"] = f"{self._issuer}/link"
        return self._shown(request, await self._page.visit(self._caller(request, sent["request"])))

    async def _begun(self, request: Request, form: Mapping[str, str]) -> Response:
        code, provider = form.get("code", ""), form.get("provider", "")
        try:
            waiting = await self._page.begin(CodeCall(code, provider, self._cookie.read(request), sender(request)))
        except InvalidGrant as error:
            report(request, error)
            return self._screens.code(request, code, provider, "wrong")
        return self._cookie.set(redirect(request, self._at(waiting.handle)), waiting.cookie)

    async def _decided(self, request: Request, form: Mapping[str, str]) -> Response:
        request.scope["state"]["again"] = self._at(form["request"])
        seen = await self._page.decide(self._caller(request, form["request"]), form)
        if isinstance(seen, LinkDone) and not seen.found.code.return_to:
            return redirect(request, self._at(form["request"]))  # by GET again, so that a reload repeats nothing
        return self._shown(request, seen)

    def _shown(self, request: Request, seen: LinkView | LinkDone | LinkStopped | LinkRefused) -> Response:
        match seen:
            case LinkView():
                return self._screens.view(request, seen)
            case LinkDone(found=found):
                return_to = found.code.return_to
                return redirect(request, return_to) if return_to else self._screens.done(request, seen)
            case LinkStopped(found=found) if found.code.return_to:
                error = AccessDenied("The player did not go on.", reason="cancelled")
                return refused(request, LinkRefused(found.code.return_to, error))
            case LinkStopped():
                return self._screens.code(request, "", "", "cancelled")
            case LinkRefused():
                return refused(request, seen)

    def _caller(self, request: Request, handle: str) -> Caller:
        return Caller(handle, self._cookie.read(request), sender(request))

    def _at(self, handle: str) -> str:
        return f"{self._issuer}/link?request={handle}"


class LinkDeparture:
    """`POST /link/{provider}`: sends the browser to the platform's page."""

    def __init__(self, page: LinkPage, cookie: SessionCookie, issuer: str) -> None:
        self._page = page
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """303 to the platform."""
        require_same_origin(request, self._issuer)
        form = (await read_form(request, MAX_BODY)).take(FORM_FIELDS)
        request.scope["state"]["again"] = f"{self._issuer}/link"
        caller = Caller(form.get("request", ""), self._cookie.read(request), sender(request))
        url = await self._page.depart(request.path_params["provider"], caller, form.get("csrf", ""))
        return redirect(request, url)


class LinkReturn:
    """Where a browser goes on that came back from a platform to link something."""

    def __init__(self, page: LinkPage, issuer: str) -> None:
        self._page = page
        self._issuer = issuer

    async def __call__(self, request: Request, home: Homecoming, back: BackHome) -> Response:
        """To the page that asks the player to confirm it. Raises `AuthsrvError`, which a page of ours tells."""
        again = f"{self._issuer}/link?request={back.handle}"
        outcome = await self._page.arrive(home, back)
        if isinstance(outcome, LinkRefused):
            return refused(request, outcome)
        if isinstance(outcome, Failed) and outcome.error.reason != "cancelled":
            request.scope["state"].update(again=again, platform=home.provider)
            raise outcome.error
        return redirect(request, again)


def refused(request: Request, refusal: LinkRefused) -> Response:
    """Back to the game, which learns why. Only games on an Xsolla SDK name an address."""
    report(request, refusal.error)
    return redirect(request, append_query(refusal.return_to, XSOLLA.redirect_error(refusal.error)))
