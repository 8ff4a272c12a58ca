"""The pages of the emulated Epic: the sign-in page, and the page behind a corrective action.

Owns what a browser may ask for and what it is sent back with. Codes are issued in `codes.py`, cases named in
`cases.py`.
"""

import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.base import PLAYERS, TestPlayer
from authsrv.emulator.epic.binding import Binding
from authsrv.emulator.epic.cases import (
    BROWSER_CASES,
    CODE_CASES,
    CORRECTIVE_ACTIONS,
    GOOD,
    PAGE_CASES,
    PAGE_ERRORS,
    REFUSED,
)
from authsrv.emulator.epic.codes import TokenEndpoint, read_form
from authsrv.emulator.epic.tokens import EpicProduct
from authsrv.emulator.page import PAGE_HEADERS, page, problem_page

_ALL = {**GOOD, **BROWSER_CASES, **PAGE_CASES, **CORRECTIVE_ACTIONS, **CODE_CASES, **REFUSED}
_OF_GAMES = {"unlisted-deployment"}
CASES: Mapping[str, str] = MappingProxyType({case: text for case, text in _ALL.items() if case not in _OF_GAMES})
"""What can be chosen on the sign-in page."""

_EPIC = "Epic Games"
_TRUSTED = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/login/epicgames/callback"
)
_PARAMETERS = (
    "client_id",
    "response_type",
    "scope",
    "redirect_uri",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)
_RESTRICTED = (
    "Access to the application is restricted: before brand review only members of the studio's organisation can log in."
)
_ACTION = "Here the player would accept what Epic asks for: a privacy policy, a licence, or a consent."

Asked = Mapping[str, str]


class Pages:
    """`/id/authorize` and `/id/login` below `/epic/www`. Counts a page shown as `authorize`, a choice as `sign_in`."""

    def __init__(self, product: EpicProduct, codes: TokenEndpoint, calls: Counter[str]) -> None:
        self._product = product
        self._codes = codes
        self._calls = calls

    def routes(self) -> list[BaseRoute]:
        """The two pages."""
        return [
            Route("/epic/www/id/authorize", self._show, methods=["GET"]),
            Route("/epic/www/id/authorize", self._choose, methods=["POST"]),
            Route("/epic/www/id/login", self._act, methods=["GET"]),
        ]

    async def _show(self, request: Request) -> Response:
        self._calls["authorize"] += 1
        asked = _asked(request.query_params)
        return self._refused(asked) or _document(page(_EPIC, request.url.path, asked, CASES))

    async def _choose(self, request: Request) -> Response:
        self._calls["sign_in"] += 1
        form = await read_form(request)
        asked = _asked(form)
        player, case = PLAYERS.get(form.get("player", "")), form.get("case", "good")
        refused = self._refused(asked)
        if refused:
            return refused
        if "cancel" in form:
            return _back(asked, [("error", "access_denied")])
        if player is None or case not in CASES:
            return _problem("There is no such test player or case.")
        if case == "page-restricted":
            return _problem(_RESTRICTED, 403)
        return self._signed_in(player, case, asked)

    async def _act(self, _: Request) -> Response:
        return _problem(_ACTION, 200)

    def _refused(self, asked: Asked) -> Response | None:
        """Nobody is sent to an address that the client does not own (RFC 6749 section 4.1.2.1)."""
        if asked.get("client_id") != self._product.client_id:
            return _problem("No Epic client has this client_id.")
        if not _TRUSTED.fullmatch(asked.get("redirect_uri", "")):
            return _problem("The redirect_uri is no trusted redirect URL; those end with /login/epicgames/callback.")
        error = _error_of(asked)
        return _back(asked, [("error", error)]) if error else None

    def _signed_in(self, player: TestPlayer, case: str, asked: Asked) -> Response:
        binding = Binding(asked["redirect_uri"], asked.get("nonce", ""), asked.get("code_challenge", ""))
        # What goes wrong on the page is the only thing wrong: a reader that lets it pass gets a login.
        code = self._codes.issue(player, "authorization_code", "good" if case in PAGE_CASES else case, binding)
        if case == "page-foreign-state":
            asked = {**asked, "state": secrets.token_urlsafe(32)}
        return _back(asked, _returned(case, code))


def _asked(parameters: Mapping[str, str]) -> Asked:
    return {name: parameters[name] for name in _PARAMETERS if name in parameters}


def _error_of(asked: Asked) -> str:
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    if {*asked.get("scope", "").split()} - {"openid"} != {"basic_profile"}:
        return "invalid_scope"
    if "code_challenge" in asked and asked.get("code_challenge_method") != "S256":
        return "invalid_request"
    return ""


def _returned(case: str, code: str) -> Sequence[tuple[str, str]]:
    if case in PAGE_ERRORS:
        return [("error", PAGE_ERRORS[case])]
    odd = {
        "page-nothing": [],
        "page-odd-code": [("code", "an odd code")],
        "page-long-code": [("code", "x" * 4096)],
        "page-two-codes": [("code", code), ("code", secrets.token_hex(16))],
        "page-code-and-error": [("code", code), ("error", "access_denied")],
    }
    return odd.get(case, [("code", code)])


def _back(asked: Asked, returned: Sequence[tuple[str, str]]) -> Response:
    state = [("state", asked["state"])] if "state" in asked else []
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode([*returned, *state])}", 303, PAGE_HEADERS)


def _document(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, PAGE_HEADERS)


def _problem(text: str, status: int = 400) -> Response:
    return _document(problem_page(_EPIC, text), status)
