"""The emulated sign-in of Microsoft accounts: its page, its codes, and the token endpoint that redeems them.

Owns the app registration, and which access token stands for whom. Knows nothing of Xbox; cases are listed elsewhere.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.base import PLAYERS, TestPlayer
from authsrv.emulator.page import PAGE_HEADERS, page, problem_page
from authsrv.emulator.xbox.browser_cases import BROWSER_CASES, ON_PAGE, oauth_error

CLIENT_ID = "5eed5eed-0000-4000-8000-0000000a9901"
CLIENT_SECRET = "emulated~secret-of-the-app-registration"
CALLBACK = "/login/xbox/callback"
"""How the address that the emulated app registration lists ends, whatever the server in front of it is called."""
CODE_LIFETIME = 600
TOKEN_LIFETIME = 3600
_NAME = "Xbox"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, eq=False)  # each sign-in is one of its own
class SignedIn:
    """Who signed in, and the case that was chosen for them."""

    player: TestPlayer
    case: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for."""

    who: SignedIn
    redirect_uri: str
    challenge: str
    expires_at: float


class Problem(Exception):
    """A request that Microsoft answers with a page of its own instead of a redirect. The text says why."""


class MicrosoftLogin:
    """`/xbox/consumers/oauth2/v2.0`, for login.microsoftonline.com."""

    def __init__(self, clock: Callable[[], float], calls: Counter[str]) -> None:
        self._clock = clock
        self._calls = calls
        self._grants: dict[str, Grant] = {}
        self._access_tokens: dict[str, SignedIn] = {}

    def routes(self) -> list[BaseRoute]:
        """The page and the token endpoint."""
        base = "/xbox/consumers/oauth2/v2.0"
        return [
            Route(f"{base}/authorize", self._show, methods=["GET"]),
            Route(f"{base}/authorize", self._chosen, methods=["POST"]),
            Route(f"{base}/token", self._token, methods=["POST"]),
        ]

    def who(self, access_token: str) -> SignedIn | None:
        """Whom an access token stands for."""
        return self._access_tokens.get(access_token)

    async def _show(self, request: Request) -> Response:
        self._calls["authorize"] += 1
        asked = dict(request.query_params)
        try:
            error = _checked(asked)
        except Problem as problem:
            return _problem(problem)
        if error:
            return _back(asked, {"error": error, "error_description": "The request is not as it should be."})
        return HTMLResponse(page(_NAME, request.url.path, asked, ON_PAGE), headers=dict(PAGE_HEADERS))

    async def _chosen(self, request: Request) -> Response:
        self._calls["sign_in"] += 1
        form = await _form(request)
        try:
            error = _checked(form)
            answer = {"error": error} if error else self._answer(form)
        except Problem as problem:
            return _problem(problem)
        return _back(form, answer)

    def _answer(self, form: Mapping[str, str]) -> Mapping[str, str]:
        if "cancel" in form:
            return {
                "error": "access_denied",
                "error_description": "The user has denied access.",
                "error_subcode": "cancel",
            }
        player, case = PLAYERS.get(form.get("player", "")), form.get("case", "good")
        if player is None or case not in ON_PAGE:
            raise Problem("There is no such player, or no such case.")
        if case in BROWSER_CASES and BROWSER_CASES[case].step == "page":
            return BROWSER_CASES[case].body
        code = f"M.C5EED_BAY.2.U.{secrets.token_urlsafe(32)}"
        self._grants[code] = Grant(
            SignedIn(player, case), form["redirect_uri"], form["code_challenge"], self._clock() + CODE_LIFETIME
        )
        return {"code": code}

    async def _token(self, request: Request) -> Response:
        self._calls["token"] += 1
        form = await _form(request)
        if refusal := _client_refusal(form):
            return refusal
        grant = self._grants.pop(form.get("code", ""), None)
        if grant is None or self._clock() >= grant.expires_at:
            return _refusal("invalid_grant", 70000, "The code is not valid, was redeemed or has expired.")
        return _misfit(form, grant) or self._granted(grant.who)

    def _granted(self, who: SignedIn) -> Response:
        case = BROWSER_CASES.get(who.case)
        if case is not None and case.step == "token":
            return case.answer()
        access_token = f"EwB{secrets.token_urlsafe(48)}"
        self._access_tokens[access_token] = who
        return JSONResponse(
            {
                "token_type": "Bearer",
                "scope": "XboxLive.signin",
                "expires_in": TOKEN_LIFETIME,
                "ext_expires_in": TOKEN_LIFETIME,
                "access_token": access_token,
            }
        )


def _checked(asked: Mapping[str, str]) -> str:
    """The `error` to go back with, or an empty text. Raises `Problem` where nobody knows whom that would be to."""
    if asked.get("client_id") != CLIENT_ID:
        raise Problem(f"unauthorized_client: no app registration has this client_id; the emulated one is {CLIENT_ID}.")
    if not re.fullmatch(rf"https?://[^\s?#]+{CALLBACK}", asked.get("redirect_uri", "")):
        raise Problem(f"invalid_request: the redirect_uri is not registered; the emulated one ends with {CALLBACK}.")
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    if "XboxLive.signin" not in asked.get("scope", "").split():
        return "invalid_scope"
    proven = asked.get("code_challenge_method") == "S256" and _CHALLENGE.fullmatch(asked.get("code_challenge", ""))
    return "" if proven else "invalid_request"


def _back(asked: Mapping[str, str], answer: Mapping[str, str]) -> Response:
    state = {"state": asked["state"]} if "state" in asked else {}
    query = urlencode({**answer, **state})
    return RedirectResponse(f"{asked['redirect_uri']}?{query}", status_code=303)


def _problem(problem: Problem) -> Response:
    return HTMLResponse(problem_page(_NAME, str(problem)), status_code=400, headers=dict(PAGE_HEADERS))


def _client_refusal(form: Mapping[str, str]) -> Response | None:
    if form.get("client_id") != CLIENT_ID:
        return _refusal("unauthorized_client", 700016, "The application was not found in the directory.")
    if not hmac.compare_digest(form.get("client_secret", "").encode(), CLIENT_SECRET.encode()):
        return _refusal("invalid_client", 7000215, "Invalid client secret provided.", 401)
    if form.get("grant_type") != "authorization_code":
        return _refusal("unsupported_grant_type", 70003, "The grant type is not supported.")
    return None


def _misfit(form: Mapping[str, str], grant: Grant) -> Response | None:
    if form.get("redirect_uri") != grant.redirect_uri:
        return _refusal("invalid_grant", 70000, "The redirect_uri is not the one of the code.")
    if _s256(form.get("code_verifier", "")) != grant.challenge:
        return _refusal("invalid_grant", 501481, "The code_verifier does not fit the code_challenge.")
    return None


def _refusal(error: str, number: int, text: str, status: int = 400) -> Response:
    return JSONResponse(dict(oauth_error(error, number, text)), status)


async def _form(request: Request) -> Mapping[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
