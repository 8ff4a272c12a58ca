"""Every path, its methods and its handler on one screen."""

from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

from authsrv.endpoints.blank import blank
from authsrv.endpoints.discovery import Document
from authsrv.endpoints.endpoint import READ, Endpoint
from authsrv.endpoints.health import live, ready
from authsrv.endpoints.silent import SilentEndpoint, TicketNonceEndpoint
from authsrv.endpoints.token import TokenEndpoint
from authsrv.serving.readiness import Readiness


@dataclass(frozen=True, slots=True)
class Served:
    """What the routes lead to."""

    token: TokenEndpoint
    silent: SilentEndpoint
    ticket_nonce: TicketNonceEndpoint
    metadata: Document
    jwks: Document
    readiness: Readiness


def routes(served: Served) -> list[BaseRoute]:
    """The table of routes. What is not here is 404 in the dialect of its path."""
    return [
        Route("/oauth2/token", Endpoint(served.token, ("POST",), "token")),
        Route("/oauth2/social/{provider}/cross_auth", Endpoint(served.silent, ("GET", "POST"), "silent")),
        Route("/oauth2/social/steam/nonce", Endpoint(served.ticket_nonce, ("POST",))),
        Route("/oauth2/jwks", Endpoint(served.jwks, READ)),
        Route("/.well-known/jwks.json", Endpoint(served.jwks, READ)),
        Route("/.well-known/openid-configuration", Endpoint(served.metadata, READ)),
        Route("/.well-known/oauth-authorization-server", Endpoint(served.metadata, READ)),
        Route("/api/oauth2/token", Endpoint(served.token, ("POST",), "token")),
        Route("/api/oauth2/social/{provider}/cross_auth", Endpoint(served.silent, ("GET", "POST"), "silent")),
        Route("/api/blank", Endpoint(blank, READ)),
        Route("/health/live", Endpoint(live, READ)),
        Route("/health/ready", Endpoint(ready(served.readiness), READ)),
    ]
