"""The emulated Xbox services behind a sign-in: user tokens, and XSTS tokens for our relying party.

Owns the two endpoints and what they demand of a request. Tokens are made in `tokens.py`; cases are listed elsewhere.
"""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.xbox.browser_cases import BROWSER_CASES, BrowserCase, Step, xerr
from authsrv.emulator.xbox.cases import CASES, make
from authsrv.emulator.xbox.login import SignedIn
from authsrv.emulator.xbox.tokens import LIFETIME, RELYING_PARTY, XboxTokens

SANDBOXES = frozenset({"RETAIL", "CERT", "XDKS.1"})
_USER_LIFETIME = 96 * 3600
_NO_SANDBOX = 2148916242
_NO_USER = 2148916262


class XboxServices:
    """`/xbox/user` for user.auth.xboxlive.com, and `/xbox/xsts/xsts/authorize` for xsts.auth.xboxlive.com."""

    def __init__(
        self,
        who: Callable[[str], SignedIn | None],
        tokens: Callable[[], XboxTokens],
        clock: Callable[[], float],
        calls: Counter[str],
    ) -> None:
        """`who` knows whom an access token stands for."""
        self._who = who
        self._tokens = tokens
        self._clock = clock
        self._calls = calls
        self._user_tokens: dict[str, SignedIn] = {}
        self._struck: set[SignedIn] = set()

    def routes(self) -> list[BaseRoute]:
        """Both endpoints."""
        return [
            Route("/xbox/user/authenticate", self._authenticate, methods=["POST"]),
            Route("/xbox/xsts/xsts/authorize", self._authorize, methods=["POST"]),
        ]

    async def _authenticate(self, request: Request) -> Response:
        self._calls["user_token"] += 1
        properties = await _properties(request, "http://auth.xboxlive.com")
        ticket = properties.get("RpsTicket")
        expected = {"AuthMethod": "RPS", "SiteName": "user.auth.xboxlive.com", "RpsTicket": ticket}
        if properties != expected or not isinstance(ticket, str) or not ticket.startswith("d="):
            return Response(status_code=400)
        who = self._who(ticket.removeprefix("d="))
        if who is None:
            return Response(status_code=401)
        if case := self._striking(who, "user"):
            return case.answer()
        token = secrets.token_urlsafe(96)
        self._user_tokens[token] = who
        return self._issued(token, _USER_LIFETIME, secrets.token_hex(8))

    async def _authorize(self, request: Request) -> Response:
        self._calls["xsts"] += 1
        properties = await _properties(request, RELYING_PARTY)
        users, sandbox = properties.get("UserTokens"), properties.get("SandboxId")
        if set(properties) != {"UserTokens", "SandboxId"} or not isinstance(users, list) or len(users) != 1:
            return Response(status_code=400)
        if sandbox not in SANDBOXES:
            return JSONResponse(dict(xerr(_NO_SANDBOX)), 401)
        who = self._user_tokens.get(users[0])
        if who is None:
            return JSONResponse(dict(xerr(_NO_USER)), 401)
        if case := self._striking(who, "xsts"):
            return case.answer()
        return self._xsts_token(who, sandbox)

    def _xsts_token(self, who: SignedIn, sandbox: str) -> Response:
        case = CASES.get(who.case, CASES["good"])
        # An app has no title and no device of its own to be bound to.
        claims = {"xti": None, "xdi": None, "cnf": None, "sbx": sandbox, **case.claims}
        made = make(replace(case, claims=claims), self._tokens(), who.player, self._clock())
        user_hash, _, token = made.text.removeprefix("XBL3.0 x=").partition(";")
        return self._issued(token, LIFETIME, user_hash)

    def _striking(self, who: SignedIn, step: Step) -> BrowserCase | None:
        """The case that was chosen, if it is one of this step and not over yet."""
        case = BROWSER_CASES.get(who.case)
        if case is None or case.step != step or who in self._struck:
            return None
        if case.once:
            self._struck.add(who)
        return case

    def _issued(self, token: str, lifetime: int, user_hash: str) -> Response:
        now = self._clock()
        return JSONResponse(
            {
                "IssueInstant": _instant(now),
                "NotAfter": _instant(now + lifetime),
                "Token": token,
                "DisplayClaims": {"xui": [{"uhs": user_hash}]},
            }
        )


async def _properties(request: Request, relying_party: str) -> Mapping[str, Any]:
    """The properties of a request in the form that both services demand; nothing otherwise."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        return {}
    whole = isinstance(body, dict) and request.headers.get("x-xbl-contract-version") == "1"
    if not whole or body.get("RelyingParty") != relying_party or body.get("TokenType") != "JWT":
        return {}
    properties = body.get("Properties")
    return properties if isinstance(properties, dict) else {}


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
