"""By which platform accounts a player can still sign in.

Owns what counts as a way in: of a platform that the project has, not banned itself, and a guest's device only where
the project lets players stay guests. Knows no platform by name but the guest's.
"""

from collections.abc import Callable

from authsrv.account_models import GUEST, Account, LinkedIdentity
from authsrv.models import IdentityKey, Project
from authsrv.oauth.server import TokenServer


class WaysIn:
    """Looks for them. `provider_of` gives the name of the platform that vouches for a kind of identity."""

    def __init__(self, server: TokenServer, provider_of: Callable[[str], str]) -> None:
        self._server = server
        self.provider_of = provider_of

    async def usable(self, account: Account, project: Project) -> frozenset[IdentityKey]:
        """The identities that are ways in now."""
        open_ones = [linked for linked in account.identities if self._counts(linked, project)]
        return frozenset([linked.key for linked in open_ones if not await self._is_banned(linked, account)])

    def _counts(self, linked: LinkedIdentity, project: Project) -> bool:
        provider = self.provider_of(linked.key.kind)
        return provider in project.platforms and (provider != GUEST or project.accounts.guests_may_stay)

    async def _is_banned(self, linked: LinkedIdentity, account: Account) -> bool:
        """Whether by itself: a ban of its player holds for all that they have, and ends for all."""
        found = await self._server.proofs.logins.ownership(linked.key, self._server.now())
        own = {one.id for one in (account.player, *account.aliases)}
        return found.ban is not None and found.ban.player_id not in own
