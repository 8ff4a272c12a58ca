"""Whose account a request is about: the player of an access token, and whether it may change the account.

Owns the scope that this takes and how recent the sign-in must be. Knows no HTTP framework.
"""

from authsrv.account_models import Doer
from authsrv.errors import InsufficientScope, InvalidToken, ReauthenticationRequired
from authsrv.models import Client, LoadedGrant, Player
from authsrv.oauth.live_tokens import LiveAccess, ban_of
from authsrv.oauth.own_tokens import NotOurs
from authsrv.oauth.request import Sender
from authsrv.oauth.scopes import ACCOUNT
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class AccountSession:
    """The player of an access token, the client it was given to, the grant it belongs to and when they signed in."""

    client: Client
    player: Player
    grant_id: int
    auth_time: int
    sender: Sender

    @property
    def doer(self) -> Doer:
        """The player, for the journal."""
        return Doer("player", "", self.client.client_id, self.sender.cut_address)

    def require_recent(self, now: int) -> None:
        """Raise `ReauthenticationRequired` when the sign-in is older than the project allows (row D46)."""
        rules = self.client.project.accounts
        if self.client.profile == "xsolla" and not rules.xsolla_reauthentication:
            return
        if now - self.auth_time > rules.reauthentication:
            raise ReauthenticationRequired


class AccountAccess:
    """Lets players at their own accounts."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server

    async def session(self, access_token: str, sender: Sender) -> AccountSession:
        """The session that an access token stands for.

        Raises `InvalidToken`, `InsufficientScope`, or `AccessDenied` for a ban.
        """
        live = await self._live(access_token, sender)
        if live.loaded is None or not _may_change(live):
            raise InsufficientScope(f"This needs a player's own access token with the scope {ACCOUNT}.")
        loaded: LoadedGrant = live.loaded
        return AccountSession(live.client, loaded.player, loaded.grant.id, loaded.grant.auth_time, sender)

    async def _live(self, access_token: str, sender: Sender) -> LiveAccess:
        try:
            live = await self._server.live_tokens.access(access_token, either_profile=sender.surface == "xsolla")
        except NotOurs as error:
            raise ban_of(error) or InvalidToken(detail=str(error)) from None
        if live.client.profile != ("xsolla" if sender.surface == "xsolla" else "standard"):
            raise InvalidToken(detail="the client is one of the other surface")
        return live


def _may_change(live: LiveAccess) -> bool:
    """Whether the token is the player's own: not exchanged for somebody's use, and of the studio's own client.

    Tokens of the Xsolla profile cannot have our scopes.
    """
    if live.token.origin is not None or "act" in live.token.claims or not live.client.first_party:
        return False
    return live.client.profile == "xsolla" or ACCOUNT in live.token.scope
