"""From a Microsoft code to an XSTS token for our relying party, in three calls.

Owns the requests and the reading of their answers. The token that comes of it is as unproven as any other until its
signature is checked. Knows no claim.
Source: Microsoft, "Xbox services sign-in for title websites".
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from authsrv.platforms.base import Outbound, OutboundError, OutboundResponse, PlatformUnavailable
from authsrv.platforms.xbox.browser import TENANT, MicrosoftCode
from authsrv.platforms.xbox.errors import (
    StaleUserToken,
    json_object,
    start_again,
    token_refusal,
    unavailable,
    xbox_refusal,
)
from authsrv.platforms.xbox.settings import BrowserSettings, XboxHosts
from authsrv.platforms.xbox.token import MAX_TOKEN

_HEADERS = MappingProxyType({"x-xbl-contract-version": "1"})
_MAX_BODY = 2 * MAX_TOKEN
_TOKEN = re.compile(rf"[!-~]{{1,{MAX_TOKEN}}}")
_BUSY = frozenset({500, 502, 503, 504})


class LiveSignIn:
    """Redeems codes of the studio's app registration. Safe for concurrent use."""

    def __init__(self, app: BrowserSettings, hosts: XboxHosts, relying_party: str, outbound: Outbound) -> None:
        self._app = app
        self._hosts = hosts
        self._relying_party = relying_party
        self._outbound = outbound

    async def xsts_token(self, code: MicrosoftCode) -> str:
        """The encrypted token of whoever the code belongs to. The code is sent once, whatever comes of it.

        Raises any `PlatformError`; `PlatformUnavailable.maybe_consumed` is true unless the code was certainly not sent.
        """
        access_token = await self._access_token(code)
        try:
            return await self._xsts_token(await self._user_token(access_token))
        except StaleUserToken:
            return await self._xsts_token(await self._user_token(access_token))

    async def _access_token(self, code: MicrosoftCode) -> str:
        response = await self._redeem(code)
        if response.status != 200:
            raise token_refusal(response)
        kind = json_object(response).get("token_type")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise unavailable(response, "token endpoint")
        return _text(response, "access_token", "token endpoint")

    async def _redeem(self, code: MicrosoftCode) -> OutboundResponse:
        form = {
            "client_id": self._app.client_id,
            "client_secret": self._app.client_secret.get_secret_value(),
            "grant_type": "authorization_code",
            "code": code.code,
            "redirect_uri": code.callback,
            "code_verifier": code.code_verifier,
        }
        try:
            return await self._outbound.post(f"{self._hosts.login}/{TENANT}/oauth2/v2.0/token", form=form)
        except OutboundError as error:
            raise PlatformUnavailable(
                f"token endpoint: {error}", retry_after=error.retry_after, maybe_consumed=error.sent
            ) from None

    async def _user_token(self, access_token: str) -> str:
        properties = {
            "AuthMethod": "RPS",
            "SiteName": "user.auth.xboxlive.com",
            # The prefix of tokens for app registrations; those of older kinds have "t=".
            "RpsTicket": f"d={access_token}",
        }
        response = await self._ask(f"{self._hosts.user}/user/authenticate", "http://auth.xboxlive.com", properties)
        if response.status != 200:
            raise xbox_refusal(response, self._app.sandbox, {401: start_again}, "user token")
        return _text(response, "Token", "user token")

    async def _xsts_token(self, user_token: str) -> str:
        properties = {"SandboxId": self._app.sandbox, "UserTokens": [user_token]}
        response = await self._ask(f"{self._hosts.xsts}/xsts/authorize", self._relying_party, properties)
        if response.status != 200:
            raise xbox_refusal(response, self._app.sandbox, {}, "XSTS")
        return _text(response, "Token", "XSTS")

    async def _ask(self, url: str, relying_party: str, properties: Mapping[str, Any]) -> OutboundResponse:
        """One of the Xbox steps. They use nothing up, so one that failed at once is tried once more.

        After a timeout there is no time left to try again, and a stated `Retry-After` is obeyed.
        """
        body = {"RelyingParty": relying_party, "TokenType": "JWT", "Properties": properties}
        try:
            response = await self._post(url, body)
        except _NotConnected:
            return await self._post(url, body)
        if response.status not in _BUSY or "retry-after" in response.headers:
            return response
        return await self._post(url, body)

    async def _post(self, url: str, body: Mapping[str, Any]) -> OutboundResponse:
        try:
            return await self._outbound.post(url, json=body, headers=_HEADERS, max_body=_MAX_BODY)
        except OutboundError as error:
            kind = PlatformUnavailable if error.sent or error.retry_after is not None else _NotConnected
            # The code is spent by now, even if this call was not sent.
            raise kind(f"Xbox: {error}", retry_after=error.retry_after, maybe_consumed=True) from None


class _NotConnected(PlatformUnavailable):
    """The call found no connection, and it was not held back either."""


def _text(response: OutboundResponse, name: str, where: str) -> str:
    value = json_object(response).get(name)
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise unavailable(response, where)
    return value
