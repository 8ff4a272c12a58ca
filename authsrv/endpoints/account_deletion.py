"""`/account/delete`, the end of an account: parse, call, answer."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.browser.desk import AccountDesk, Order
from authsrv.accounts.own_data import OwnData
from authsrv.endpoints.account_screens import AccountScreens, called
from authsrv.endpoints.answers import redirect
from authsrv.endpoints.authorize import Outcomes
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.forms import read_form
from authsrv.endpoints.login import require_same_origin
from authsrv.errors import ReauthenticationRequired

MAX_BODY = 8 * 1024
FORM_FIELDS = frozenset({"csrf", "session", "decision", "confirm"})


class AccountDeletion:
    """Says what is lost, and deletes the account once its player ticked the box."""

    def __init__(
        self,
        desk: AccountDesk,
        data: OwnData,
        *,
        outcomes: Outcomes,
        screens: AccountScreens,
        cookie: SessionCookie,
        issuer: str,
    ) -> None:
        self._desk = desk
        self._data = data
        self._outcomes = outcomes
        self._screens = screens
        self._cookie = cookie
        self._issuer = issuer

    async def __call__(self, request: Request) -> Response:
        """The question by GET, the answer by POST; either takes a sign-in of a moment ago."""
        call, form = called(request, self._cookie), await self._form(request)
        order = Order(form.get("csrf", ""), form.get("session", ""), "")
        is_answer = request.method == "POST"
        resident = await (self._desk.require(call, order) if is_answer else self._desk.resident(call))
        if resident is None:
            return redirect(request, f"{self._issuer}/account")
        try:
            self._desk.require_recent(resident)
        except ReauthenticationRequired:
            return self._outcomes.show(request, await self._desk.sign_in_again(call, resident, deleting=True))
        if form.get("confirm") != "yes":
            csrf = self._desk.csrf(resident)
            return self._screens.deletion(request, resident, csrf, unconfirmed=is_answer)
        await self._data.erase(resident.session, resident.session.player.sub, preview=False)
        return self._screens.deleted(request, resident)

    async def _form(self, request: Request) -> Mapping[str, str]:
        if request.method != "POST":
            return {}
        require_same_origin(request, self._issuer)
        return (await read_form(request, MAX_BODY)).take(FORM_FIELDS)
