"""The demo's shop: a small web site, rendered on a server, whose visitors sign in with authsrv.

Owns its pages and addresses. How signing in works stands in `relying_party.py`, who is here in `visitors.py`.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from authsrv.config import Config
from authsrv.demo import curl
from authsrv.demo.configuration import SHOP_SECRET
from authsrv.demo.relying_party import Attempt, Registration, RelyingParty, SignedIn, SignInCancelled, SignInFailed
from authsrv.demo.templates import Templates
from authsrv.demo.visitors import Visitor, Visitors

CLIENT = "shop"
LOGIN = "/demo/shop/login"
_FORMS = "form-action 'self'"
_SHOWN = (("Player ID (sub)", "sub"), ("E-mail", "email"))


def routes(config: Config, templates: Templates) -> list[Route]:
    """The shop's addresses; none for a configuration that does not have the demo's shop."""
    client, callback = config.clients().get(CLIENT), f"{config.issuer}/demo/callback"
    if client is None or callback not in client.redirect_uris:
        return []
    registration = Registration(
        issuer=config.issuer,
        client_id=CLIENT,
        secret=SHOP_SECRET,
        redirect_uri=callback,
        scope="openid profile email",
        id_token_algorithm=client.id_token_alg,
    )
    shop = Shop(registration, templates)
    return [
        Route("/demo/shop", shop.front, methods=["GET"]),
        Route(LOGIN, shop.sign_in, methods=["GET"]),
        Route("/demo/callback", shop.callback, methods=["GET"]),
        Route("/demo/shop/logout", shop.sign_out, methods=["POST"]),
    ]


class Shop:
    """The handlers."""

    def __init__(self, registration: Registration, templates: Templates) -> None:
        self._issuer = registration.issuer
        self._front = f"{registration.issuer}/demo/shop"
        self._login_server = RelyingParty(registration)
        self._templates = templates
        self._visitors = Visitors()

    async def front(self, request: Request) -> Response:
        """The shop, and who is in it."""
        return self._page(self._visitors.find(request))

    async def sign_in(self, request: Request) -> Response:
        """Off to the login server. It may send its own visitors here, too (OpenID Connect Core section 4)."""
        if request.query_params.get("iss", self._issuer) != self._issuer:
            return self._failed("another login server sent you here")
        visitor, attempt = self._visitors.find(request), Attempt.fresh()
        try:
            there = await asyncio.to_thread(self._login_server.sign_in_url, attempt)
        except SignInFailed as error:
            return self._failed(str(error))
        visitor.begin(attempt)
        return self._visitors.keep(visitor, request, RedirectResponse(there, 302))

    async def callback(self, request: Request) -> Response:
        """Back from the login server. Each attempt ends with the first answer that names its `state`."""
        visitor, answer = self._visitors.find(request), dict(request.query_params)
        attempt = visitor.attempts.pop(answer.get("state", ""), None)
        if attempt is None:
            return self._failed("this sign-in was not begun in this browser, or is over")
        try:
            visitor.signed_in = await asyncio.to_thread(self._login_server.finish, attempt, answer)
        except SignInCancelled:
            return self._page(visitor, notice="You came back without signing in.")
        except SignInFailed as error:
            return self._failed(str(error))
        return self._visitors.keep(visitor, request, RedirectResponse(self._front, 302))

    async def sign_out(self, request: Request) -> Response:
        """Out of the shop, and by the login server out of everything else."""
        signed_in = self._visitors.find(request).signed_in
        there = self._front
        if signed_in:
            there = await asyncio.to_thread(self._login_server.sign_out_url, signed_in.id_token, self._front)
        return self._visitors.forget(request, RedirectResponse(there, 303))

    def _page(self, visitor: Visitor, notice: str = "") -> Response:
        player = visitor.signed_in
        facts = _facts(player) if player else []
        name = str(player.claims.get("name", "")) if player else ""
        return self._templates.page(
            "shop.html",
            title="The demo shop",
            allow=_FORMS,
            notice=notice,
            signed_in=player is not None,
            name=name,
            facts=facts,
        )

    def _failed(self, why: str) -> Response:
        return self._templates.page("failed.html", title="That did not work", status=400, why=why)


def _facts(player: SignedIn) -> list[tuple[str, str]]:
    """What the shop knows of its visitor, for people."""
    titles = {door.name: door.title for door in curl.DOORS}
    platform = str(player.claims.get("idp", ""))
    told = [(label, str(player.claims[name])) for label, name in _SHOWN if name in player.claims]
    return [("Platform", titles.get(platform, platform)), *told]
