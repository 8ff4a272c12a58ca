"""What players ask for by themselves about their data, over HTTP with an access token: all of it, or that it goes.

Owns that they signed in a moment ago, and that nobody deletes an account by mistake. Knows no HTTP framework.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.accounts.access import AccountSession
from authsrv.accounts.forgetting import Forgetting, Order
from authsrv.accounts.summaries import moment
from authsrv.errors import InvalidRequest
from authsrv.limits import Rule
from authsrv.oauth.server import TokenServer


class OwnData:
    """Tells players everything about themselves, and forgets them."""

    def __init__(self, server: TokenServer, forgetting: Forgetting) -> None:
        self._server = server
        self._forgetting = forgetting

    async def export(self, session: AccountSession) -> Mapping[str, Any]:
        """Everything that is stored about the player."""
        self._require(session)
        return await self._forgetting.export(session.player.sub, self._order(session))

    async def erase(self, session: AccountSession, confirm: str, *, preview: bool) -> Mapping[str, Any]:
        """Forget the player. `confirm` is their `sub`, which no client sends by mistake. Raises `InvalidRequest`."""
        self._require(session)
        if confirm != session.player.sub:
            raise InvalidRequest("Send the player's sub as confirm; it cannot be undone.", parameter="confirm")
        erased = await self._forgetting.erase(session.player.sub, self._order(session, preview=preview))
        return {
            "outcome": "would_erase" if preview else "erased",
            "erased": list(erased.subs),
            "erased_at": None if preview else moment(erased.erased_at),
        }

    def _require(self, session: AccountSession) -> None:
        session.require_recent(self._server.now())
        self._server.limits.check(Rule.DATA_REQUESTS, session.player.sub)

    def _order(self, session: AccountSession, *, preview: bool = False) -> Order:
        return Order(session.doer, sender=session.sender, preview=preview)
