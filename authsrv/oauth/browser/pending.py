"""Authorization requests that wait for their player: kept here, found again, and closed once.

Owns which browser may go on with which request. Knows no page and decides nothing about a sign-in.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from authsrv import errors
from authsrv.limits import Rule
from authsrv.models import Browser, Client, LoadedRequest, PendingRequest, SessionRules, Visit
from authsrv.oauth.browser.browsers import Browsers, NewCookie
from authsrv.oauth.browser.check import Checked
from authsrv.oauth.browser.request import PROVIDER, PURPOSE, Purpose
from authsrv.oauth.opaque import Opaque
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Sender
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass
from authsrv.storage.base import Conflict
from authsrv.storage.changes import AddBrowser, AddRequest, AdvanceRequest, BindRequest, Change, CompleteRequest

UNCLAIMED_SECONDS = 600
"""For how long a request waits for the browser that will come for it."""
_NOT_KEPT = frozenset({"id_token_hint", "login_hint", "display"})
"""What is not looked at again: a token has no place in the database, and often a login_hint is an e-mail address."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A browser that comes for a kept request: the handle in its address or form, its cookie, and where it comes from.

    `cookie` is empty without one.
    """

    handle: str
    cookie: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class Waiting:
    """The player must do something first: the browser goes on with this handle.

    That is to the sign-in page, or to the platform if the request names one.
    """

    handle: str
    cookie: NewCookie | None
    request: PendingRequest


class RequestCompleted(errors.InvalidRequest):
    """The request was answered before: the back button, or two tabs. `client_id` is whose it was."""

    def __init__(self, client_id: str) -> None:
        super().__init__("This sign-in was completed before.", reason="request_completed")
        self.client_id = client_id


class PendingRequests:
    """Keeps requests and finds them again."""

    def __init__(self, server: TokenServer, browsers: Browsers, rules: SessionRules) -> None:
        self._server = server
        self._browsers = browsers
        self._rules = rules

    async def keep(self, checked: Checked, sent: Mapping[str, str], browser: Browser | None, sender: Sender) -> Waiting:
        """Keep a request for a browser, a new one if it has shown no cookie."""
        return await self._keep(lambda browser_id: self._pending(checked, sent, browser_id), browser, sender)

    async def hold(
        self, client: Client, parameters: Mapping[str, str], browser: Browser | None, expires_at: int, sender: Sender
    ) -> Waiting:
        """The same for something else than an authorization request: the parameters name their purpose."""

        def made(browser_id: int) -> PendingRequest:
            return PendingRequest(
                id=self._server.storage.next_id(),
                browser_id=browser_id,
                project=client.project.key,
                client_id=client.client_id,
                parameters=json.dumps(parameters, separators=(",", ":")),
                created_at=self._server.now(),
                expires_at=expires_at,
            )

        return await self._keep(made, browser, sender)

    async def _keep(self, make: Callable[[int], PendingRequest], browser: Browser | None, sender: Sender) -> Waiting:
        self._server.limits.check(Rule.ADDRESS_SIGN_INS, sender.address)
        browser, cookie, changes = self._browser(browser)
        request = make(browser.id)
        await self._server.apply([*changes, AddRequest(request)])
        return Waiting(self._handle(request), cookie, request)

    async def park(self, checked: Checked, sent: Mapping[str, str], sender: Sender) -> Waiting:
        """Keep a request for the browser that will come for it.

        One that came by POST from another site has no cookie with it: browsers hold it back. By GET they show it.
        """
        self._server.limits.check(Rule.ADDRESS_SIGN_INS, sender.address)
        request = self._pending(checked, sent, 0)
        await self._server.apply([AddRequest(request)])
        return Waiting(self._handle(request), None, request)

    async def visit(self, presented: Opaque | None, client: Client) -> Visit | None:
        """The browser that a cookie names, and who is signed in there in the client's project."""
        if presented is None:
            return None
        with outages_answered():
            visit = await self._server.storage.load_visit(presented.row_id, client.project.key, client.client_id)
        return visit if self._browsers.is_known(presented, visit, self._server.now()) else None

    async def find(self, caller: Caller, provider: str = "") -> LoadedRequest | Waiting:
        """A kept request that this browser may go on with; a browser that comes for a parked one takes it.

        With a `provider` only one that names this platform is found.
        """
        kept = await self._named(caller, "sign_in")
        if provider and provider_of(kept.request) != provider:
            raise unknown_request()
        if kept.request.browser_id == 0:
            return await self._bind(kept, caller.handle)
        _require_own(kept, caller)
        if kept.request.completed_at is not None:
            raise RequestCompleted(kept.request.client_id)
        return kept

    async def of_purpose(self, caller: Caller, purpose: Purpose) -> LoadedRequest:
        """A kept request of this browser for something else than signing in, completed ones included."""
        kept = await self._named(caller, purpose)
        _require_own(kept, caller)
        return kept

    async def require(self, caller: Caller, csrf: str) -> LoadedRequest:
        """The kept request that a form of ours was made for. Raises `AccessDenied` for any other form."""
        kept = await self.find(caller)
        if isinstance(kept, Waiting):
            raise wrong_browser(has_cookie=bool(caller.cookie))
        self.require_form(kept, csrf)
        return kept

    def require_form(self, kept: LoadedRequest, csrf: str) -> None:
        """Raise `AccessDenied` for a form that was not made for this request."""
        if not self._browsers.is_ours(csrf, kept.request.browser_id, str(kept.request.id)):
            raise cross_site()

    def csrf(self, kept: LoadedRequest) -> str:
        """The synchronizer token of the forms for a request."""
        return self._browsers.csrf(kept.request.browser_id, str(kept.request.id))

    async def advance(self, kept: LoadedRequest, step: str) -> None:
        """Note that a step is done."""
        progress = tuple(dict.fromkeys((*kept.request.progress, step)))
        await self._once(kept, AdvanceRequest(kept.request.id, progress))

    async def close(self, kept: LoadedRequest) -> None:
        """The request was answered; nobody answers it again."""
        await self._once(kept, CompleteRequest(kept.request.id, self._server.now()))

    async def _once(self, kept: LoadedRequest, change: Change) -> None:
        try:
            await self._server.apply([change])
        except Conflict:
            raise RequestCompleted(kept.request.client_id) from None

    async def _named(self, caller: Caller, purpose: Purpose) -> LoadedRequest:
        request_id = self._server.opaque.row_id("request", caller.handle)
        if request_id is None:
            raise unknown_request()
        kept = await self._load(request_id, self._browsers.read(caller.cookie))
        if purpose_of(kept.request) != purpose:
            raise unknown_request()
        return kept

    async def _load(self, request_id: int, presented: Opaque | None) -> LoadedRequest:
        with outages_answered():
            kept = await self._server.storage.load_request(request_id, presented.row_id if presented else 0)
        now = self._server.now()
        if kept is None or now >= kept.request.expires_at:
            raise unknown_request()
        return kept if self._browsers.is_known(presented, kept.visit, now) else replace(kept, visit=None)

    async def _bind(self, kept: LoadedRequest, handle: str) -> Waiting:
        if self._server.now() >= kept.request.created_at + UNCLAIMED_SECONDS:
            raise unknown_request()
        browser, cookie, changes = self._browser(_browser_of(kept.visit))
        try:
            await self._server.apply([*changes, BindRequest(kept.request.id, browser.id)])
        except Conflict:
            raise wrong_browser(has_cookie=True) from None
        return Waiting(handle, cookie, replace(kept.request, browser_id=browser.id))

    def _browser(self, known: Browser | None) -> tuple[Browser, NewCookie | None, list[Change]]:
        if known is not None:
            return known, None, []
        made, cookie = self._browsers.new(self._server.now())
        return made, cookie, [AddBrowser(made)]

    def _handle(self, request: PendingRequest) -> str:
        return self._server.opaque.public_id("request", request.id)

    def _pending(self, checked: Checked, sent: Mapping[str, str], browser_id: int) -> PendingRequest:
        now, client = checked.sent.now, checked.target.client
        kept = {name: value for name, value in sent.items() if name not in _NOT_KEPT}
        return PendingRequest(
            id=self._server.storage.next_id(),
            browser_id=browser_id,
            project=client.project.key,
            client_id=client.client_id,
            parameters=json.dumps(kept, separators=(",", ":")),
            created_at=now,
            expires_at=now + self._rules.request,
            expected_sub=checked.demands.expected_sub,
        )


def provider_of(request: PendingRequest) -> str:
    """The platform that a kept request names; empty if the player may choose."""
    named: str = json.loads(request.parameters).get(PROVIDER, "")
    return named


def purpose_of(request: PendingRequest) -> Purpose:
    """What a kept request is for."""
    named: Purpose = json.loads(request.parameters).get(PURPOSE, "sign_in")
    return named


def _require_own(kept: LoadedRequest, caller: Caller) -> None:
    if kept.visit is None or kept.visit.browser.id != kept.request.browser_id:
        raise wrong_browser(has_cookie=bool(caller.cookie))


def _browser_of(visit: Visit | None) -> Browser | None:
    return visit.browser if visit else None


def unknown_request() -> errors.InvalidRequest:
    """The sign-in page was opened without a request, or for one that is too old."""
    return errors.InvalidRequest("This sign-in is unknown or has expired; start again.", reason="request_expired")


def wrong_browser(*, has_cookie: bool) -> errors.InvalidRequest:
    """The request belongs to another browser, or this one keeps no cookies."""
    reason = "wrong_browser" if has_cookie else "cookies_blocked"
    return errors.InvalidRequest("This sign-in was begun in another browser.", reason=reason)


def cross_site() -> errors.AccessDenied:
    """A form that is not ours, or was made for somebody else."""
    return errors.AccessDenied("This form was not sent from a page of this server.", reason="cross_site_form")
