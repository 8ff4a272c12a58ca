"""Secrets for the devices of guests: which client may have one made, and how often.

Owns those rules. Knows neither what a secret looks like nor what becomes of it, and keeps nothing.
"""

from collections.abc import Callable

from authsrv.errors import UnauthorizedClient
from authsrv.limits import Rule
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.request import Sender
from authsrv.oauth.server import TokenServer


class Guests:
    """Makes secrets. `platform` is the name of the platform that takes them."""

    def __init__(
        self, server: TokenServer, platforms: PlatformDirectory, platform: str, new_secret: Callable[[], str]
    ) -> None:
        self._server = server
        self._platforms = platforms
        self._platform = platform
        self._new_secret = new_secret

    def new_secret(self, client_id: str, sender: Sender) -> str:
        """A secret for a device on which the client runs. Raises `AuthsrvError`."""
        self._server.limits.check(Rule.ADDRESS_GUESTS, sender.address)
        client = self._server.registry.named(client_id, surface=None)
        if not client.first_party:
            raise UnauthorizedClient("Only first-party clients let players in as guests.")
        self._platforms.find(client.project.key, self._platform)
        return self._new_secret()
