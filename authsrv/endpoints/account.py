"""`/account`, a player's own page: parse, call, answer."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.browser.contests import DECISIONS, Contest, Contests
from authsrv.accounts.browser.desk import AccountCall, AccountDesk, AccountView, Choice, Order
from authsrv.accounts.browser.linking import AccountLinking, Linked
from authsrv.accounts.browser.orders import AccountOrders
from authsrv.accounts.own_data import OwnData
from authsrv.endpoints.account_screens import AccountScreens, called, query
from authsrv.endpoints.answers import redirect
from authsrv.endpoints.authorize import Outcomes
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.forms import read_form
from authsrv.endpoints.login import require_same_origin
from authsrv.errors import InvalidRequest, ReauthenticationRequired
from authsrv.oauth.browser.trips import BackHome, Failed, Homecoming
from authsrv.records import dataclass
from authsrv.redirects import append_query

MAX_BODY = 16 * 1024
FORM_FIELDS = frozenset({"csrf", "session", "decision", "item"})
_LIMITS = {"item": 8 * 1024}

Carry = Callable[[AccountCall, Order], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class AccountDrivers:
    """What decides and writes behind the page."""

    desk: AccountDesk
    orders: AccountOrders
    linking: AccountLinking
    contests: Contests
    data: OwnData


class AccountEndpoint:
    """Shows the page, and takes what the player pressed on it."""

    def __init__(
        self,
        drivers: AccountDrivers,
        *,
        outcomes: Outcomes,
        screens: AccountScreens,
        cookie: SessionCookie,
        issuer: str,
    ) -> None:
        self._drivers = drivers
        self._outcomes = outcomes
        self._screens = screens
        self._cookie = cookie
        self._issuer = issuer
        orders = drivers.orders
        self._orders: Mapping[str, Carry] = {
            "end": orders.sign_out,
            "withdraw": orders.withdraw,
            "unlink": orders.unlink,
            "undo": orders.undo,
        }

    async def __call__(self, request: Request) -> Response:
        """GET shows the page, the choice of one, or the way to sign in; POST answers a form of ours."""
        if request.method == "POST":
            return await self._answer(request)
        shown = await self._drivers.desk.visit(called(request, self._cookie))
        match shown:
            case AccountView():
                return self._screens.account(request, shown, query(request).get("done", ""))
            case Choice():
                return self._screens.choice(request, shown)
            case _:
                return self._outcomes.show(request, shown)

    async def came_back(self, request: Request, home: Homecoming, back: BackHome) -> Response:
        """A browser is back from a platform, where it went to link an account."""
        request.scope["state"].update(is_account=True, platform=home.provider)
        arrival = await self._drivers.linking.arrive(home, back)
        match arrival:
            case Linked():
                return redirect(request, self._screens.addresses.address(arrival.project, "link"))
            case Contest():
                return self._screens.contest(request, arrival)
            case Failed(error=error) if error.reason == "cancelled":
                return redirect(request, f"{self._issuer}/account")
            case Failed(error=error):
                raise error
            case _:
                return self._outcomes.show(request, arrival)

    async def _answer(self, request: Request) -> Response:
        require_same_origin(request, self._issuer)
        form = (await read_form(request, MAX_BODY)).take(FORM_FIELDS, limits=_LIMITS)
        order = Order(form.get("csrf", ""), form.get("session", ""), form.get("item", ""))
        call, desk = called(request, self._cookie), self._drivers.desk
        try:
            return await self._carried_out(request, call, order, form.get("decision", ""))
        except ReauthenticationRequired:
            resident = await desk.require(call, order)
            again = await desk.sign_in_again(call, resident) if resident else None
            return self._outcomes.show(request, again) if again else self._back(request, call)

    async def _carried_out(self, request: Request, call: AccountCall, order: Order, decision: str) -> Response:
        if decision in self._orders:
            return self._back(request, call, decision if await self._orders[decision](call, order) else "")
        if decision == "link":
            url = await self._drivers.linking.depart(call, order)
            return redirect(request, url) if url else self._back(request, call)
        if decision in DECISIONS:
            answered = await self._drivers.contests.answer(call, order, decision)
            back = self._back(request, call, "link" if answered and decision != "switch" else "")
            return self._cookie.set(back, answered.cookie if answered else None)
        if decision == "download":
            resident = await self._drivers.desk.require(call, order)
            return _file(await self._drivers.data.export(resident.session)) if resident else self._back(request, call)
        if decision == "cancel":
            return self._back(request, call)
        raise InvalidRequest("The form holds no decision.", parameter="decision")

    def _back(self, request: Request, call: AccountCall, done: str = "") -> Response:
        """To the page by GET, so that a reload repeats nothing."""
        told = [(name, value) for name, value in (("project", call.project), ("done", done)) if value]
        return redirect(request, append_query(f"{self._issuer}/account", told))


def _file(told: Mapping[str, Any]) -> Response:
    """Something to be kept by whoever asked for it."""
    headers = {"content-disposition": 'attachment; filename="account.json"'}
    # Half a surrogate pair, which no encoding knows, is an escape in JSON.
    content = json.dumps(told, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(content, media_type="application/json", headers=headers)
