"""`/account`, a player's own page: parse, call, answer."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.browser.desk import AccountCall, AccountDesk, AccountView, Choice, Order
from authsrv.accounts.browser.orders import AccountOrders
from authsrv.endpoints.account_screens import AccountScreens
from authsrv.endpoints.answers import redirect
from authsrv.endpoints.authorize import Outcomes
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import parse_form, read_form
from authsrv.endpoints.login import require_same_origin
from authsrv.errors import InvalidRequest, ReauthenticationRequired
from authsrv.redirects import append_query

MAX_BODY = 8 * 1024
FORM_FIELDS = frozenset({"csrf", "session", "decision", "item"})

Carry = Callable[[AccountCall, Order], Awaitable[bool]]


class AccountEndpoint:
    """Shows the page, and takes what the player pressed on it."""

    def __init__(
        self,
        *,
        desk: AccountDesk,
        orders: AccountOrders,
        outcomes: Outcomes,
        screens: AccountScreens,
        cookie: SessionCookie,
        issuer: str,
    ) -> None:
        self._desk = desk
        self._outcomes = outcomes
        self._screens = screens
        self._cookie = cookie
        self._issuer = issuer
        self._decisions: Mapping[str, Carry] = {
            "end": orders.sign_out,
            "withdraw": orders.withdraw,
            "unlink": orders.unlink,
        }

    async def __call__(self, request: Request) -> Response:
        """GET shows the page, the choice of one, or the way to sign in; POST answers a form of ours."""
        if request.method == "POST":
            return await self._order(request)
        call, query = self._call(request), _query(request)
        shown = await self._desk.visit(call)
        match shown:
            case AccountView():
                return self._screens.account(request, shown, query.get("done", ""))
            case Choice():
                return self._screens.choice(request, shown)
            case _:
                return self._outcomes.show(request, shown)

    async def _order(self, request: Request) -> Response:
        require_same_origin(request, self._issuer)
        form = (await read_form(request, MAX_BODY)).take(FORM_FIELDS)
        decision = form.get("decision", "")
        carry = self._decisions.get(decision)
        if carry is None:
            raise InvalidRequest("The form holds no decision.", parameter="decision")
        order = Order(form.get("csrf", ""), form.get("session", ""), form.get("item", ""))
        call = self._call(request)
        try:
            done = await carry(call, order)
        except ReauthenticationRequired:
            return self._outcomes.show(request, await self._desk.sign_in_again(call, order))
        # By GET again, so that a reload repeats nothing.
        told = {"project": call.project, "done": decision if done else ""}
        return redirect(request, append_query(f"{self._issuer}/account", [(k, v) for k, v in told.items() if v]))

    def _call(self, request: Request) -> AccountCall:
        return AccountCall(self._cookie.read(request), sender(request), _query(request).get("project", ""))


def _query(request: Request) -> Mapping[str, str]:
    return parse_form(request.scope["query_string"]).take({"project", "done"})
