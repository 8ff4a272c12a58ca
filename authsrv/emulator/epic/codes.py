"""The token endpoint of the emulated Epic: codes that work once, and what redeeming each of them leads to.

Owns the issued codes and access tokens. Case names stand in `cases.py`, tokens come from `forgery.py`.
"""

import asyncio
import base64
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from authsrv.emulator.base import TestPlayer
from authsrv.emulator.epic.binding import Binding
from authsrv.emulator.epic.cases import (
    CORRECTIVE_ACTIONS,
    CORRELATION_ID,
    PAGE_CASES,
    REFUSALS,
    ErrorShape,
    Refusal,
    corrective_action,
)
from authsrv.emulator.epic.forgery import TokenForge
from authsrv.emulator.epic.tokens import ABSENT, EAS_LIFETIME, REFRESH_LIFETIME, EpicProduct

CODE_LIFETIME = 300
CODE_PARAMETER: Mapping[str, str] = MappingProxyType({"exchange_code": "exchange_code", "authorization_code": "code"})
"""Kind of code, which is also its `grant_type` -> the parameter that carries it."""
_NOT_FOUND = {"exchange_code": "exchange-code-not-found", "authorization_code": "authorization-code-not-found"}
_HANG_SECONDS = 30.0
_UNBOUND = Binding()
_ELSEWHERE = Binding(redirect_uri="https://another.example/login/epicgames/callback")


@dataclass(slots=True)
class IssuedCode:
    """A code and what became of it."""

    player: TestPlayer
    kind: str
    case: str
    client_id: str
    expires_at: float
    used: bool = False
    binding: Binding = _UNBOUND


class EpicRefuses(Exception):
    """Ends a request with one of Epic's error bodies."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.code)


class TokenEndpoint:
    """`/epic/oauth/v1/token` and `/v2/token`. `tokens` makes the tokens of the answers; v1 has the older spellings."""

    def __init__(
        self,
        product: EpicProduct,
        tokens: TokenForge,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.error_shape: ErrorShape = "api"
        self.access_tokens: dict[str, TestPlayer] = {}
        self._product = product
        self._tokens = tokens
        self._clock = clock
        self._sleep = sleep
        self._codes: dict[str, IssuedCode] = {}

    def issue(self, player: TestPlayer, kind: str, case: str, binding: Binding = _UNBOUND) -> str:
        """A new code of a kind, which will lead to what the case says."""
        code = secrets.token_hex(16)
        if case == "unknown-code" or case in PAGE_CASES:
            return code
        self._codes[code] = IssuedCode(
            player=player,
            kind=kind,
            case=case,
            client_id="another-client" if case == "other-client" else self._product.client_id,
            expires_at=self._clock() + (-1 if case == "expired-code" else CODE_LIFETIME),
            used=case == "used-code",
            binding=_ELSEWHERE if case == "other-redirect-uri" else binding,
        )
        return code

    async def answer(self, request: Request) -> Response:
        """Redeem a code, or refuse to."""
        try:
            self._check_client(request)
            form = await read_form(request)
            issued = self._issued(form)
            return await self._redeem(request, form, issued)
        except EpicRefuses as refused:
            return self.refusal(refused.refusal)

    async def _redeem(self, request: Request, form: Mapping[str, str], issued: IssuedCode) -> Response:
        if issued.case == "server-error-before":
            issued.case = "good"
            return HTMLResponse("<h1>Bad Gateway</h1>", status_code=502)
        issued.used = True
        refusal = self._refusal_of(request, issued.case)
        if refusal:
            raise EpicRefuses(refusal)
        self._check_deployment(form.get("deployment_id", ""), issued.player)
        if issued.case == "hang":
            await self._sleep(_HANG_SECONDS)
        answer = self._answer(form, issued, old=request.path_params["version"] == "v1")
        return _broken(issued.case, answer) or JSONResponse(answer)

    def _refusal_of(self, request: Request, case: str) -> Refusal | None:
        if case in CORRECTIVE_ACTIONS:
            return corrective_action(f"{str(request.base_url).rstrip('/')}/epic/www", case)
        return REFUSALS.get(case)

    def _check_client(self, request: Request) -> None:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or not sent:
            raise EpicRefuses(REFUSALS["invalid-client"])
        expected = base64.b64encode(f"{self._product.client_id}:{self._product.client_secret}".encode())
        if not hmac.compare_digest(sent.encode(), expected):
            raise EpicRefuses(REFUSALS["invalid-client-credentials"])

    def _issued(self, form: Mapping[str, str]) -> IssuedCode:
        kind = form.get("grant_type", "")
        if kind not in CODE_PARAMETER:
            raise EpicRefuses(REFUSALS["unsupported-grant-type"])
        issued = self._codes.get(form.get(CODE_PARAMETER[kind], ""))
        if issued is None or issued.kind != kind or issued.used or issued.expires_at <= self._clock():
            raise EpicRefuses(REFUSALS[_NOT_FOUND[kind]])
        if issued.client_id != self._product.client_id:
            raise EpicRefuses(REFUSALS["authorization-code-not-for-your-client"])
        refusal = issued.binding.refusal(form)
        if refusal:
            raise EpicRefuses(refusal)
        return issued

    def _check_deployment(self, deployment_id: str, player: TestPlayer) -> None:
        if deployment_id not in {"", self._product.deployment_id, self._product.private_deployment_id}:
            raise EpicRefuses(REFUSALS["invalid-deployment"])
        if deployment_id == self._product.private_deployment_id and player.name != "amber":
            raise EpicRefuses(REFUSALS["account-forbidden"])

    def _answer(self, form: Mapping[str, str], issued: IssuedCode, *, old: bool) -> dict[str, Any]:
        now = int(self._clock())
        scope = form.get("scope", "basic_profile")
        access_token = self._tokens.token(issued.player, "access-token")
        self.access_tokens[access_token] = issued.player
        old_spelling = old or issued.case == "old-spelling"
        answer: dict[str, Any] = {
            "access_token": access_token,
            "token_type": "Bearer" if old_spelling else "bearer",
            "expires_in": EAS_LIFETIME,
            "expires_at": now + EAS_LIFETIME if old_spelling else iso_time(now + EAS_LIFETIME),
            "refresh_token": self._tokens.token(issued.player, "refresh-token"),
            "refresh_expires" if old_spelling else "refresh_expires_in": REFRESH_LIFETIME,
            "refresh_expires_at": iso_time(now + REFRESH_LIFETIME),
            "account_id": issued.player.epic_account_id,
            "client_id": self._product.client_id,
            "application_id": self._product.application_id,
            "scope": scope,
            "selected_account_id": issued.player.epic_account_id,
            "merged_accounts": [],
            "acr": "urn:epic:loa:aal1",
            "auth_time": iso_time(now),
        }
        if "openid" in scope.split() and issued.case != "without-id-token":
            answer["id_token"] = self._answered_id_token(form.get("deployment_id"), issued)
        return {**answer, **_changed_answers().get(issued.case, {})}

    def _answered_id_token(self, deployment_id: str | None, issued: IssuedCode) -> str:
        sandbox = "a-development-sandbox" if issued.case == "development-sandbox" else self._product.sandbox_id
        claims: dict[str, Any] = {"pfsid": sandbox, "pfdid": deployment_id, "nonce": _nonce(issued)}
        if not deployment_id:
            claims |= {"pfsid": ABSENT, "pfdid": ABSENT}
        if issued.case == "old-token":
            claims |= {"iat": int(self._clock()) - 86400, "exp": int(self._clock()) - 79200}
        return self._tokens.genuine(issued.player, claims)

    def refusal(self, refusal: Refusal) -> Response:
        """One of Epic's error bodies, in the chosen shape."""
        headers = {"X-Epic-Correlation-ID": CORRELATION_ID}
        if refusal.status == 429:
            headers["Retry-After"] = "7"
        return JSONResponse(refusal.body(self.error_shape), refusal.status, headers)


async def read_form(request: Request) -> Mapping[str, str]:
    """The parameters of a form body."""
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


def iso_time(seconds: int) -> str:
    """A time as Epic writes it (ISO 8601)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _nonce(issued: IssuedCode) -> Any:
    changed = {"wrong-nonce": secrets.token_urlsafe(32), "without-nonce": ABSENT}
    return changed.get(issued.case, issued.binding.nonce or ABSENT)


def _changed_answers() -> Mapping[str, Mapping[str, Any]]:
    return {
        "other-subject": {"account_id": "f" * 32},
        "other-client-answer": {"client_id": "another-studios-client"},
        "other-application-answer": {"application_id": "another-application"},
        "no-account-answer": {"account_id": None},
    }


def _broken(case: str, answer: Mapping[str, Any]) -> Response | None:
    match case:
        case "unknown-shape":
            return JSONResponse({"message": "no"}, status_code=400)
        case "html-refusal":
            return HTMLResponse("<h1>Forbidden</h1>", status_code=403)
        case "server-error-after":
            return JSONResponse(Refusal("common.server_error", 500, 1000).body("api"), status_code=500)
        case "html-200":
            return HTMLResponse("<!doctype html><title>Welcome</title>")
        case "truncated":
            return Response(json.dumps(answer)[:100], media_type="application/json")
    return None
