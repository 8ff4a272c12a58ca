"""Lets go of what was kept of players for long enough, and of players who have been away for too long.

Walks no table: `authsrv/jobs/` does. Knows no HTTP framework.
"""

from collections.abc import Callable, Sequence

from authsrv.account_models import Doer
from authsrv.accounts.forgetting import Forgetting, Order
from authsrv.accounts.retention import is_minor, kept_for, last_seen, seems_inactive
from authsrv.models import Player, Retention
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import TokenServer
from authsrv.storage.changes import Change
from authsrv.storage.privacy_changes import TrimAccount

_INACTIVE = Order(Doer("system"), "inactive")


class Keeping:
    """Looks at players, and lets go of what was kept long enough."""

    def __init__(self, server: TokenServer, forgetting: Forgetting, retention: Callable[[], Retention]) -> None:
        self._server = server
        self._forgetting = forgetting
        self._retention = retention

    async def look_at(self, players: Sequence[Player]) -> int:
        """How many of them were erased. Raises `AuthsrvError`."""
        retention, now = self._retention(), self._server.now()
        minors = [player for player in players if is_minor(player)]
        trimmed: list[Change] = [TrimAccount(one.id, now, kept_for(one, retention)) for one in minors]
        await self._server.apply(trimmed)
        away = [player for player in players if seems_inactive(player, retention, now)]
        return sum([await self._erased(player, retention, now) for player in away])

    async def _erased(self, player: Player, retention: Retention, now: int) -> bool:
        with outages_answered():
            dossier = await self._server.storage.load_dossier(player.id)
        if dossier is None or last_seen(dossier) >= now - kept_for(player, retention).inactive_accounts:
            return False
        await self._forgetting.erase(player.sub, _INACTIVE)
        return True
