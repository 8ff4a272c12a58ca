"""Lets go of what was kept of players for long enough, and of players who have been away for too long.

Walks no table: `authsrv/jobs/` does. Knows no HTTP framework.
"""

from collections.abc import Callable, Mapping, Sequence

from authsrv.account_models import Doer
from authsrv.accounts.forgetting import Forgetting, Order
from authsrv.accounts.retention import kept_for, last_seen, seems_inactive
from authsrv.models import AccountRules, Player, Project, Retention
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import TokenServer
from authsrv.storage.changes import Change
from authsrv.storage.privacy_changes import TrimAccount

_INACTIVE = Order(Doer("system"), "inactive")


class Keeping:
    """Looks at players, and lets go of what was kept long enough."""

    def __init__(
        self,
        server: TokenServer,
        forgetting: Forgetting,
        projects: Callable[[], Mapping[str, Project]],
        retention: Callable[[], Retention],
    ) -> None:
        self._server = server
        self._forgetting = forgetting
        self._projects = projects
        self._retention = retention

    async def look_at(self, players: Sequence[Player]) -> int:
        """How many of them were erased. Raises `AuthsrvError`."""
        usual, now = self._retention(), self._server.now()
        kept = {player: kept_for(player, self._rules(player), usual) for player in players}
        trimmed: list[Change] = [TrimAccount(one.id, now, kept[one]) for one in players if kept[one] != usual]
        await self._server.apply(trimmed)
        away = [player for player in players if seems_inactive(player, kept[player], now)]
        return sum([await self._erased(player, now - kept[player].inactive_accounts) for player in away])

    def _rules(self, player: Player) -> AccountRules:
        project = self._projects().get(player.project)
        return project.accounts if project else AccountRules()

    async def _erased(self, player: Player, unseen_since: int) -> bool:
        with outages_answered():
            dossier = await self._server.storage.load_dossier(player.id)
        if dossier is None or last_seen(dossier) >= unseen_since:
            return False
        await self._forgetting.erase(player.sub, _INACTIVE)
        return True
