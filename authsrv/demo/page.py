"""The demo's pages: what runs here, commands to paste, and the small print that every client links to.

Served with `dev = true` only. Plain HTML, no resource from elsewhere.
"""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from authsrv.config import Config
from authsrv.demo import curl, shop, spa
from authsrv.demo.logins import Login, fresh_logins, guest_commands
from authsrv.demo.one_host import at_one_host
from authsrv.demo.pkce import Pkce
from authsrv.demo.templates import Templates
from authsrv.emulator import client as emulator
from authsrv.emulator.base import PLAYERS
from authsrv.models import TOKEN_EXCHANGE, Client
from authsrv.platforms.guest.platform import GuestPlatform
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client in the page's table."""

    id: str
    what: str
    redirect_uris: tuple[str, ...]


def routes(config: Config) -> list[BaseRoute]:
    """`/demo` and everything below it, and the way there from `/`."""
    templates = Templates()
    web_clients = [*shop.routes(config, templates), *spa.routes(config, templates)]
    pages = Pages(config, templates, {route.path for route in web_clients})
    table = [
        Route("/", pages.entrance, methods=["GET"]),
        Route("/demo", pages.overview, methods=["GET"]),
        Route("/demo/privacy", pages.privacy, methods=["GET"]),
        Route("/demo/terms", pages.terms, methods=["GET"]),
        *web_clients,
    ]
    return [at_one_host(route, config.issuer) for route in table]


class Pages:
    """The handlers; synchronous, so that a call to the emulator waits in a thread of its own."""

    def __init__(self, config: Config, templates: Templates, doors: set[str]) -> None:
        self._config = config
        self._templates = templates
        self._doors = doors

    def entrance(self, _: Request) -> Response:
        """From the address that people type to where there is something to see."""
        return RedirectResponse("/demo", 302)

    def overview(self, _: Request) -> Response:
        """What runs here, with fresh credentials in the commands."""
        pkce = Pkce.fresh()
        logins, trouble = _logins(self._config.issuer, pkce)
        return self._templates.page(
            "overview.html",
            title="The authsrv demo",
            issuer=self._config.issuer,
            has_shop=shop.LOGIN in self._doors,
            has_spa=spa.PAGE in self._doors,
            logins=logins,
            trouble=trouble,
            guest=guest_commands(self._config.issuer, pkce) if _has_guests(self._config) else (),
            mint=[curl.mint(door) for door in curl.DOORS],
            exchange=curl.exchange(self._config.issuer, pkce),
            clients=[_row(client) for client in self._config.clients().values()],
            players=PLAYERS.values(),
            program=curl.PROGRAM,
        )

    def privacy(self, _: Request) -> Response:
        """What the demo does with what it learns."""
        return self._templates.page("privacy.html", title="Privacy in this demo")

    def terms(self, _: Request) -> Response:
        """The demo's terms."""
        return self._templates.page("terms.html", title="Terms of this demo")


def _has_guests(config: Config) -> bool:
    return any(GuestPlatform.name in project.platforms for project in config.projects.values())


def _logins(issuer: str, pkce: Pkce) -> tuple[list[Login], str]:
    """The commands, or why there are none."""
    try:
        return fresh_logins(issuer, emulator.find_port(), pkce), ""
    except emulator.EmulatorError as error:
        return [], str(error)


def _row(client: Client) -> ClientRow:
    return ClientRow(client.client_id, ", ".join(_traits(client)), client.redirect_uris)


def _traits(client: Client) -> Iterator[str]:
    yield client.name
    yield "public" if client.public else "confidential"
    if client.native:
        yield "native: any port of the loopback address"
    if client.cors_origins:
        yield "in the browser"
    if "client_credentials" in client.grant_types:
        yield "client_credentials"
    if TOKEN_EXCHANGE in client.grant_types:
        yield "token exchange"
    if client.introspect:
        yield "introspection"
    if client.profile == "xsolla":
        yield "Xsolla paths below /api, no PKCE"
