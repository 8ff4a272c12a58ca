"""Epic Games, emulated: key sets, the token endpoint with its codes, and the small calls around it.

Owns the routes, the minting by kind and case, and the count of calls. Codes are redeemed in `codes.py`, tokens
made in `forgery.py`, cases listed in `cases.py`; browsers are served by `pages.py`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.base import PLAYERS, MintedCredential, TestPlayer, UnknownCase
from authsrv.emulator.epic.cases import (
    BROWSER_CASES,
    CODE_CASES,
    CONNECT_CASES,
    CORRECTIVE_ACTIONS,
    EAS_CASES,
    GOOD,
    PAGE_CASES,
    REFUSALS,
    REFUSED,
    TOKEN_CASES,
)
from authsrv.emulator.epic.codes import CODE_PARAMETER, TokenEndpoint, iso_time, read_form
from authsrv.emulator.epic.forgery import Family, KeyRing, TokenForge
from authsrv.emulator.epic.pages import Pages
from authsrv.emulator.epic.tokens import EAS_ISSUER, EAS_LIFETIME, EpicKeys, EpicProduct

__all__ = ["EpicEmulator", "EpicKeys"]

_CODES = {**GOOD, **REFUSED, **CORRECTIVE_ACTIONS, **CODE_CASES}
_CASES_OF_KIND: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "exchange_code": _CODES,
        "id_token": {**GOOD, **TOKEN_CASES, **EAS_CASES},
        "connect_id_token": {**GOOD, **TOKEN_CASES, **CONNECT_CASES},
        "authorization_code": {**_CODES, **BROWSER_CASES, **PAGE_CASES},
    }
)


class EpicEmulator:
    """Epic below `/epic/api` (api.epicgames.dev); `/epic/www` stands for www.epicgames.com.

    `calls` counts by `token`, `eas_keys`, `connect_keys`, `discovery`, `token_info`, `revoke`, `user_info`, `accounts`,
    and what `Pages` says.
    """

    name = "epic"
    everywhere: Mapping[str, str] = MappingProxyType(
        {
            "expired": "expired-code",
            "forged": "bad-signature",
            "other-app": "wrong-audience",
            "replayed": "used-code",
            "banned": "account-locked",
        }
    )
    kinds: Sequence[str] = tuple(_CASES_OF_KIND)
    cases: Mapping[str, str] = MappingProxyType(
        {case: text for cases in _CASES_OF_KIND.values() for case, text in cases.items()}
    )

    def __init__(
        self,
        keys: EpicKeys,
        clock: Callable[[], float],
        *,
        product: EpicProduct | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.product = product or EpicProduct()
        self.ring = KeyRing(keys)
        self.eas = TokenForge("eas", self.ring, self.product, clock)
        self.connect = TokenForge("connect", self.ring, self.product, clock)
        self._clock = clock
        self.codes = TokenEndpoint(self.product, self.eas, clock, sleep)
        self._pages = Pages(self.product, self.codes, self.calls)

    def routes(self) -> list[BaseRoute]:
        """Epic's endpoints. There is no discovery document for EOS Connect, and so no route."""
        api = "/epic/api"
        return [
            *self._pages.routes(),
            Route(f"{api}/epic/oauth/v1/.well-known/jwks.json", self._eas_key_set),
            Route(f"{api}/epic/oauth/v2/.well-known/jwks.json", self._eas_key_set),
            Route(f"{api}/auth/v1/oauth/jwks", self._connect_key_set),
            Route(f"{api}/epic/oauth/v1/.well-known/openid-configuration", self._discovery),
            Route(f"{api}/epic/oauth/{{version:str}}/token", self._token, methods=["POST"]),
            Route(f"{api}/epic/oauth/{{version:str}}/tokenInfo", self._token_info, methods=["POST"]),
            Route(f"{api}/epic/oauth/{{version:str}}/revoke", self._revoke, methods=["POST"]),
            Route(f"{api}/epic/oauth/{{version:str}}/userInfo", self._user_info),
            Route(f"{api}/epic/id/{{version:str}}/accounts", self._accounts),
        ]

    def mint(self, player: TestPlayer, *, kind: str = "", case: str = "good") -> MintedCredential:
        """A fresh code or token. Without `kind` it is the first kind that has the case."""
        chosen = kind or next((known for known, cases in _CASES_OF_KIND.items() if case in cases), self.kinds[0])
        if chosen not in _CASES_OF_KIND:
            raise UnknownCase(f"Epic has no kind of this name; choose one of: {', '.join(self.kinds)}")
        if case in PAGE_CASES:
            raise UnknownCase(f"{case} shows itself in a browser: choose it on the emulated sign-in page")
        if case not in _CASES_OF_KIND[chosen]:
            known = _CASES_OF_KIND[chosen] if kind else self.cases
            raise UnknownCase(f"there is no case of this name; choose one of: {', '.join(known)}")
        text = self._text(player, chosen, case)
        return MintedCredential("epic", chosen, case, text, self._parameters(chosen, case, text))

    def settings(self, base_url: str) -> dict[str, Any]:
        """The block `[projects.X.platforms.epicgames]` for a project with `dev = true`."""
        product = self.product
        return {
            "client_ids": [product.client_id],
            "client_id": product.client_id,
            "client_secret": product.client_secret,
            "application_id": product.application_id,
            "product_ids": [product.product_id],
            "sandbox_ids": [product.sandbox_id],
            "deployment_ids": [product.deployment_id],
            "default_deployment_id": product.deployment_id,
            "hosts": {"api": f"{base_url}/epic/api", "www": f"{base_url}/epic/www"},
        }

    def launcher_arguments(self, player: TestPlayer) -> list[str]:
        """The command line that Epic's launcher starts a game with. Everything in it but the code is mere talk."""
        return [
            "-AUTH_LOGIN=unused",
            f"-AUTH_PASSWORD={self.mint(player).text}",
            "-AUTH_TYPE=exchangecode",
            f"-epicapp={self.product.application_id}",
            "-epicenv=Prod",
            "-EpicPortal",
            f"-epicusername={player.display_name}",
            f"-epicuserid={player.epic_account_id}",
            "-epiclocale=en-US",
            f"-epicsandboxid={self.product.sandbox_id}",
            f"-epicdeploymentid={self.product.deployment_id}",
        ]

    def _text(self, player: TestPlayer, kind: str, case: str) -> str:
        if kind in CODE_PARAMETER:
            return self.codes.issue(player, kind, case)
        return (self.eas if kind == "id_token" else self.connect).token(player, case)

    def _parameters(self, kind: str, case: str, text: str) -> dict[str, str]:
        parameters = {"session_ticket": text}
        if kind != self.kinds[0]:
            parameters["credential_type"] = kind
        if case == "invalid-deployment":
            parameters["deployment_id"] = self.product.deployment_id
        if case == "unlisted-deployment":
            parameters["deployment_id"] = "a-deployment-of-nobody"
        return parameters

    async def _eas_key_set(self, _: Request) -> Response:
        return self._key_set("eas")

    async def _connect_key_set(self, _: Request) -> Response:
        return self._key_set("connect")

    def _key_set(self, family: Family) -> Response:
        self.calls[f"{family}_keys"] += 1
        if self.ring.failures[family]:
            self.ring.failures[family] -= 1
            return Response(status_code=503)
        return JSONResponse(self.ring.replaced.get(family) or self.ring.jwk_set(family))

    async def _discovery(self, _: Request) -> Response:
        self.calls["discovery"] += 1
        base = "https://api.epicgames.dev/epic/oauth/v1"
        return JSONResponse(
            {
                "issuer": EAS_ISSUER,
                "authorization_endpoint": "https://www.epicgames.com/id/authorize",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/.well-known/jwks.json",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "subject_types_supported": ["public", "pairwise"],
            }
        )

    async def _token(self, request: Request) -> Response:
        self.calls["token"] += 1
        return await self.codes.answer(request)

    async def _token_info(self, request: Request) -> Response:
        self.calls["token_info"] += 1
        player = self.codes.access_tokens.get((await read_form(request)).get("token", ""))
        if player is None:
            return JSONResponse({"active": False})
        expires_at = iso_time(int(self._clock()) + EAS_LIFETIME)
        return JSONResponse(
            {
                "active": True,
                "scope": "basic_profile",
                "token_type": "bearer",
                "expires_in": EAS_LIFETIME,
                "expires_at": expires_at,
                "account_id": player.epic_account_id,
                "client_id": self.product.client_id,
                "application_id": self.product.application_id,
            }
        )

    async def _revoke(self, request: Request) -> Response:
        self.calls["revoke"] += 1
        self.codes.access_tokens.pop((await read_form(request)).get("token", ""), None)
        return Response(status_code=204)

    async def _user_info(self, request: Request) -> Response:
        self.calls["user_info"] += 1
        player = self._bearer(request)
        if player is None:
            return self.codes.refusal(REFUSALS["invalid-token"])
        return JSONResponse({"sub": player.epic_account_id, "preferred_username": player.display_name})

    async def _accounts(self, request: Request) -> Response:
        self.calls["accounts"] += 1
        if self._bearer(request) is None:
            return self.codes.refusal(REFUSALS["invalid-token"])
        asked = request.query_params.getlist("accountId")[:50]
        found = [player for player in PLAYERS.values() if player.epic_account_id in asked]
        return JSONResponse([{"accountId": p.epic_account_id, "displayName": p.display_name} for p in found])

    def _bearer(self, request: Request) -> TestPlayer | None:
        return self.codes.access_tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
