"""The platform accounts of a player as games on an Xsolla SDK know them: by platform alone, listed, added in a browser,
and taken away.

Owns which of them those games are told, and the names that their SDKs can read. What an unlink comes to is decided in
`unlinking.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from authsrv.account_models import GUEST, Account, LinkedIdentity
from authsrv.accounts.access import AccountSession
from authsrv.accounts.link_codes import LinkCodes
from authsrv.accounts.naming import Wanted
from authsrv.accounts.own import OwnAccount
from authsrv.accounts.own_unlinking import OwnUnlinking
from authsrv.accounts.ways_in import WaysIn
from authsrv.errors import LastIdentity, NotLinked
from authsrv.oauth.browser.request import Target
from authsrv.oauth.browser.trips import Trips
from authsrv.oauth.parameters import registered_or_only

_KNOWN_TO_ANDROID = frozenset({"steam", "xbox"})
"""Of our platforms those that its SDK has in its closed list. Another name makes it refuse the whole answer."""


class SocialProviders:
    """Lists, links and unlinks."""

    def __init__(
        self, *, own: OwnAccount, ways_in: WaysIn, unlinking: OwnUnlinking, codes: LinkCodes, trips: Trips, issuer: str
    ) -> None:
        self._own = own
        self._ways_in = ways_in
        self._unlinking = unlinking
        self._codes = codes
        self._trips = trips
        self._issuer = issuer

    async def listed(self, session: AccountSession) -> Sequence[Mapping[str, Any]]:
        """The player's platform accounts, those linked longest first. A guest's device is none."""
        account = await self._own.load(session)
        linked = [one for one in account.identities if self._provider_of(one) != GUEST]
        return [self._told(one, account) for one in linked]

    async def link_url(self, session: AccountSession, provider: str, return_to: str) -> str:
        """The address where a browser links an account of this platform to the player, and then goes to `return_to`.

        What it carries is a link code, which is worth nothing but that, once: the page names the player to whoever
        opens it. There is no number to compare, because the game would have nowhere to show it.
        Raises `UnsupportedProvider`, `InvalidRequest`, and what `LinkCodes.issue` raises.
        """
        back = registered_or_only(session.client, return_to, "login_url")
        self._trips.platform(Target(session.client, back), provider)
        issued = await self._codes.issue(session, back, checked=False)
        return f"{self._issuer}/link?{urlencode({'code': issued.text, 'provider': provider})}"

    async def unlink(self, session: AccountSession, provider: str) -> None:
        """Take every account of a platform from the player: one person may have several, by kind and environment.

        Raises `NotLinked` if there is none, `LastIdentity` if nothing else would be left to sign in by, and what
        `OwnUnlinking.unlink` raises.
        """
        account = await self._own.load(session)
        theirs = [one for one in account.identities if self._provider_of(one) == provider != GUEST]
        if not theirs:
            raise NotLinked
        usable = await self._ways_in.usable(account, session.client.project)
        if not usable.difference(one.key for one in theirs):
            raise LastIdentity
        for one in theirs:
            await self._unlinking.unlink(session, Wanted(provider, one.key.subject, one.key.kind, one.key.environment))

    def _told(self, linked: LinkedIdentity, account: Account) -> Mapping[str, Any]:
        provider = self._provider_of(linked)
        return {
            "provider": provider if provider in _KNOWN_TO_ANDROID else None,
            "social_id": linked.key.subject,
            "nickname": account.player.display_name or None,
            "full_name": None,
            "picture": None,
        }

    def _provider_of(self, linked: LinkedIdentity) -> str:
        return self._ways_in.provider_of(linked.key.kind)
