"""The demo's pages: what runs here, commands to paste, and where the demo's web clients come back to.

Served with `dev = true` only. Plain HTML, no script, no resource from elsewhere.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Route

from authsrv.config import Config
from authsrv.demo import curl
from authsrv.demo.logins import Login, fresh_logins
from authsrv.emulator import client as emulator
from authsrv.emulator.base import PLAYERS
from authsrv.models import Client

if TYPE_CHECKING:
    from jinja2 import Environment

_ARRIVALS = ("code", "state", "iss", "error", "error_description")


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client in the page's table."""

    id: str
    what: str
    redirect_uris: tuple[str, ...]


def routes(config: Config) -> list[BaseRoute]:
    """`/demo`, and the redirect URIs `/demo/callback` and `/demo/spa`."""
    pages = Pages(config)
    return [
        Route("/demo", pages.overview, methods=["GET"]),
        Route("/demo/callback", pages.arrival, methods=["GET"]),
        Route("/demo/spa", pages.arrival, methods=["GET"]),
    ]


class Pages:
    """The handlers; synchronous, so that a call to the emulator waits in a thread of its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        templates = _templates()
        self._style = (templates / "page.css").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode("ascii")
        self._headers = {
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    def overview(self, _: Request) -> HTMLResponse:
        """What runs here, with fresh credentials in the commands."""
        pkce = curl.Pkce.fresh()
        logins, trouble = _logins(self._config.issuer, pkce)
        return self._page(
            "overview.html",
            title="The authsrv demo",
            issuer=self._config.issuer,
            logins=logins,
            trouble=trouble,
            mint=[curl.mint(door) for door in curl.DOORS],
            exchange=curl.exchange(self._config.issuer, pkce),
            clients=[_row(client) for client in self._config.clients().values()],
            players=PLAYERS.values(),
            program=curl.PROGRAM,
        )

    def arrival(self, request: Request) -> HTMLResponse:
        """What a browser brought back to a web client."""
        received = [(name, request.query_params[name]) for name in _ARRIVALS if name in request.query_params]
        name = "spa" if request.url.path.endswith("/spa") else "shop"
        return self._page("callback.html", title="Back from the login", client=name, received=received)

    @cached_property
    def _templates(self) -> "Environment":
        """Loaded by the first view: the engine takes a tenth of a start to import."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

        loader = FileSystemLoader(_templates())
        return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)

    def _page(self, template: str, **context: object) -> HTMLResponse:
        text = self._templates.get_template(template).render(style=self._style, **context)
        return HTMLResponse(text, headers=self._headers)


def _templates() -> Path:
    """The demo's templates: inside the package when installed, at the top level of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_templates"
    return (installed if installed.is_dir() else package.parent / "templates") / "demo"


def _logins(issuer: str, pkce: curl.Pkce) -> tuple[list[Login], str]:
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
    if client.profile == "xsolla":
        yield "Xsolla paths below /api, no PKCE"
