"""Who asks for something about a platform account: a client that proved itself, and perhaps a player who is signed in.

Owns that both are the same client, and the studio's own. Knows no HTTP framework.
"""

from authsrv.accounts.access import AccountAccess, AccountSession
from authsrv.errors import InvalidToken, UnauthorizedClient
from authsrv.models import Client
from authsrv.oauth.request import Sender, TokenRequest
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """How a request says who sends it. `access_token` is the player's, empty without one."""

    client: TokenRequest
    access_token: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent it. `session` is None for a player who is not signed in."""

    client: Client
    session: AccountSession | None
    sender: Sender


class Callers:
    """Finds out."""

    def __init__(self, server: TokenServer, access: AccountAccess) -> None:
        self._server = server
        self._access = access

    async def identified(self, call: Call) -> Caller:
        """Who sends a request. Raises `AuthsrvError`."""
        sender = call.client.sender
        client = self._server.authenticate(call.client).client
        if not client.first_party:
            raise UnauthorizedClient("Only first-party clients connect platform accounts.")
        session = await self._access.session(call.access_token, sender) if call.access_token else None
        if session is not None and session.client.client_id != client.client_id:
            raise InvalidToken("The access token was given to another client.")
        return Caller(client, session, sender)
