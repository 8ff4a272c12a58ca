"""The demo's single-page application: one page and one JavaScript module; everything else happens in the browser.

Owns its addresses. How signing in works stands in `templates/demo/spa.js`.
"""

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from authsrv.config import Config
from authsrv.demo.templates import Templates, directory

CLIENT = "spa"
PAGE = "/demo/spa"
_POLICY = "script-src 'self'; connect-src 'self'; form-action 'none'"


def routes(config: Config, templates: Templates) -> list[Route]:
    """The application's addresses; none for a configuration that does not have the demo's application."""
    client = config.clients().get(CLIENT)
    if client is None or f"{config.issuer}{PAGE}" not in client.redirect_uris:
        return []
    application = Application(templates)
    return [
        Route(PAGE, application.page, methods=["GET"]),
        Route(f"{PAGE}.js", application.module, methods=["GET"]),
    ]


class Application:
    """The handlers."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    async def page(self, _: Request) -> Response:
        """The page, also when the browser comes back with a code: the module reads that."""
        return self._templates.page("spa.html", title="The demo single-page application", allow=_POLICY)

    async def module(self, _: Request) -> Response:
        """The program."""
        return FileResponse(directory() / "spa.js", media_type="text/javascript", headers={"Cache-Control": "no-store"})
