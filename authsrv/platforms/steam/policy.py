"""What the studio demands of an account that is already proven, and what it wants to know of it.

Owns ownership and profiles, with an app or (from a browser) without one. Knows no ticket and no assertion.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress

from authsrv.platforms.base import PlatformError, UserActionRequired
from authsrv.platforms.steam.settings import SteamAppSettings
from authsrv.platforms.steam.web_api import SteamWebApi

_LOG = logging.getLogger(__name__)


class SteamPolicy:
    """The policy of one project. Calls raise `PlatformUnavailable` or `PlatformMisconfigured`, except for names."""

    def __init__(self, apps: Mapping[int, SteamAppSettings], web_api: SteamWebApi) -> None:
        self._apps = apps
        self._web_api = web_api

    async def demand_ownership(self, steam_id: int, app_id: int) -> None:
        """Nothing where the app does not demand it. Raises `UserActionRequired`, too."""
        app = self._apps[app_id]
        if not app.require_ownership:
            return
        found = await self._web_api.app_ownership(app, app_id, steam_id)
        if not found.owns_app:
            raise UserActionRequired("account_not_entitled", detail="the account does not own the app")
        if found.owner not in {None, steam_id} and not app.allow_family_sharing:
            raise UserActionRequired("account_not_entitled", detail="the app is borrowed")

    async def demand_any_ownership(self, steam_id: int) -> None:
        """For a sign-in that names no app: some app of the project must let the account in.

        Raises `UserActionRequired`, too.
        """
        if not all(app.require_ownership for app in self._apps.values()):
            return
        for app_id in self._apps:
            with suppress(UserActionRequired):
                await self.demand_ownership(steam_id, app_id)
                return
        raise UserActionRequired("account_not_entitled", detail="no app of the project lets the account in")

    async def display_name(self, steam_id: int, app_id: int | None = None) -> str:
        """The player's name at Steam, empty if none is wanted; a login never fails for want of it."""
        apps = self._apps.values() if app_id is None else [self._apps[app_id]]
        app = next((app for app in apps if app.fetch_profile), None)
        if app is None:
            return ""
        try:
            return await self._web_api.display_name(app, steam_id)
        except PlatformError as error:
            _LOG.warning("no profile from Steam: %s", error)
            return ""
