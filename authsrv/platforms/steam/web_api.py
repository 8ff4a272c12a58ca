"""The calls to Steam's Web API. Owns paths and parameters, and keeps the key out of addresses, which end up in logs."""

from collections.abc import Mapping

from authsrv.platforms.base import Outbound, OutboundError, OutboundResponse, PlatformUnavailable
from authsrv.platforms.steam.answers import (
    AppOwnership,
    Authenticated,
    read_app_ownership,
    read_authentication,
    read_display_name,
)
from authsrv.platforms.steam.settings import SteamAppSettings, SteamHosts


class SteamWebApi:
    """Steam as its Web API. Every call raises `PlatformUnavailable` or `PlatformMisconfigured`."""

    def __init__(self, hosts: SteamHosts, outbound: Outbound) -> None:
        self._hosts = hosts
        self._outbound = outbound

    async def authenticate(self, app: SteamAppSettings, app_id: int, ticket: bytes, identity: str) -> Authenticated:
        """Whose ticket it is. An empty `identity` is not sent. Raises `TicketRefused`, too."""
        params = {"appid": str(app_id), "ticket": ticket.hex()}
        if identity:
            params["identity"] = identity
        return read_authentication(await self._get(app, "ISteamUserAuth/AuthenticateUserTicket/v1", params))

    async def app_ownership(self, app: SteamAppSettings, app_id: int, steam_id: int) -> AppOwnership:
        """Whether a player owns an app; Steam demands the key of the app's publisher."""
        params = {"steamid": str(steam_id), "appid": str(app_id)}
        return read_app_ownership(await self._get(app, "ISteamUser/CheckAppOwnership/v4", params))

    async def display_name(self, app: SteamAppSettings, steam_id: int) -> str:
        """The name a player shows now; empty if Steam gives none."""
        response = await self._get(app, "ISteamUser/GetPlayerSummaries/v2", {"steamids": str(steam_id)})
        return read_display_name(response, steam_id)

    async def _get(self, app: SteamAppSettings, call: str, params: Mapping[str, str]) -> OutboundResponse:
        host = self._hosts.partner if app.host == "partner" else self._hosts.public
        key = app.web_api_key.get_secret_value() if app.web_api_key else ""
        try:
            return await self._outbound.get(f"{host}/{call}/", params=params, headers={"x-webapi-key": key}, retry=True)
        except OutboundError as error:
            raise PlatformUnavailable(f"no answer from Steam: {error}", retry_after=error.retry_after) from None
