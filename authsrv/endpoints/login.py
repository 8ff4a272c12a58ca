"""The sign-in page, the way to a platform and back: parse, call, answer."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.browser.desk import AccountCall, AccountDesk
from authsrv.endpoints.answers import redirect
from authsrv.endpoints.authorize import Outcomes
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import header_values, parse_form, read_form
from authsrv.endpoints.screens import Screens
from authsrv.errors import UriTooLong
from authsrv.oauth.browser.authorize import Authorizer
from authsrv.oauth.browser.pending import Caller, cross_site
from authsrv.oauth.browser.request import Purpose
from authsrv.oauth.browser.trips import BackHome, Failed, Homecoming, Trips
from authsrv.oauth.browser.upstream import UpstreamSignIn
from authsrv.oauth.xsolla.sign_in import DirectSignIn

MAX_BODY = 8 * 1024
MAX_QUERY = 16 * 1024
FORM_FIELDS = frozenset({"request", "csrf", "session", "decision"})

Return = Callable[[Request, Homecoming, BackHome], Awaitable[Response]]
"""Answers a browser that came back from a platform."""


class SignInPage:
    """`/login`: shows what is still to be asked, and takes what the player pressed."""

    def __init__(
        self,
        *,
        authorizer: Authorizer,
        desk: AccountDesk,
        outcomes: Outcomes,
        screens: Screens,
        cookie: SessionCookie,
        issuer: str,
    ) -> None:
        self._authorizer = authorizer
        self._desk = desk
        self._outcomes = outcomes
        self._screens = screens
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """GET goes on with the request named in the address; POST answers a form of ours."""
        cookie = self._cookie.read(request)
        if request.method == "POST":
            require_same_origin(request, self._issuer)
            form = (await read_form(request, MAX_BODY)).take(FORM_FIELDS)
            caller = Caller(form.get("request", ""), cookie, sender(request))
            return self._outcomes.show(request, await self._authorizer.answer(caller, form))
        handle = parse_form(request.scope["query_string"]).take({"request"}).get("request", "")
        if not handle:
            return await self._nobodys(request, cookie)
        outcome = await self._authorizer.resume(Caller(handle, cookie, sender(request)))
        return self._outcomes.show(request, outcome)

    async def _nobodys(self, request: Request, cookie: str) -> Response:
        """Who comes by themselves and is signed in wants their account."""
        if await self._desk.resident(AccountCall(cookie, sender(request))) is not None:
            return redirect(request, f"{self._issuer}/account")
        return self._screens.home(request)


class Departure:
    """`POST /login/{provider}`: sends the browser to the platform's page."""

    def __init__(self, upstream: UpstreamSignIn, cookie: SessionCookie, issuer: str) -> None:
        self._upstream = upstream
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """303 to the platform."""
        require_same_origin(request, self._issuer)
        form = (await read_form(request, MAX_BODY)).take(FORM_FIELDS)
        caller = Caller(form.get("request", ""), self._cookie.read(request), sender(request))
        url = await self._upstream.depart(request.path_params["provider"], caller, form.get("csrf", ""))
        return redirect(request, url)


class DirectDeparture:
    """`GET /login/{provider}/go`: sends the browser to the platform that the client named, without a page before it."""

    def __init__(self, sign_in: DirectSignIn, cookie: SessionCookie) -> None:
        self._sign_in = sign_in
        self._cookie = cookie

    async def __call__(self, request: Request) -> Response:
        """302 to the platform. The first browser that comes takes the request."""
        handle = parse_form(request.scope["query_string"]).take({"request"}).get("request", "")
        caller = Caller(handle, self._cookie.read(request), sender(request))
        away = await self._sign_in.open(request.path_params["provider"], caller)
        return self._cookie.set(redirect(request, away.url), away.cookie)


class Callback:
    """`GET /login/{provider}/callback`: where the platform sends the browser back to.

    `returns` are where it goes on whose trip was for something else than signing in.
    """

    def __init__(
        self,
        *,
        trips: Trips,
        upstream: UpstreamSignIn,
        returns: Mapping[Purpose, Return],
        authorizer: Authorizer,
        outcomes: Outcomes,
        cookie: SessionCookie,
        issuer: str,
    ) -> None:
        self._trips = trips
        self._upstream = upstream
        self._returns = returns
        self._authorizer = authorizer
        self._outcomes = outcomes
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """On to the sign-in page, which knows what is still to do; a cancelled sign-in goes back to the client."""
        query = request.scope["query_string"]
        if len(query) > MAX_QUERY:
            raise UriTooLong
        home = Homecoming(
            request.path_params["provider"], parse_form(query).everything(), self._cookie.read(request), sender(request)
        )
        back = await self._trips.back(home)
        if back.purpose in self._returns:
            return await self._returns[back.purpose](request, home, back)
        arrival = await self._upstream.arrive(home, back)
        again = f"{self._issuer}/login?request={arrival.handle}"
        if not isinstance(arrival, Failed):
            return self._cookie.set(redirect(request, again), arrival.cookie)
        if arrival.is_the_clients:
            return self._outcomes.show(request, await self._authorizer.refuse(arrival.kept, arrival.error))
        request.scope["state"].update(again=again, platform=home.provider, client_id=arrival.kept.request.client_id)
        raise arrival.error


def require_same_origin(request: Request, issuer: str) -> None:
    """Refuse a form that a page of another site sent (row E04). Raises `AccessDenied`.

    Our pages send no referrer, so browsers write `Origin: null` for their forms, and older ones no Sec-Fetch-Site: the
    synchronizer token in the form then decides alone.
    """
    site = header_values(request, b"sec-fetch-site")
    if site and site != [b"same-origin"]:
        raise cross_site()
    parts = urlsplit(issuer)
    ours = f"{parts.scheme}://{parts.netloc}".encode("latin-1")
    if any(origin not in {ours, b"null"} for origin in header_values(request, b"origin")):
        raise cross_site()
