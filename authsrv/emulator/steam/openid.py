"""Steam's browser sign-in, emulated: the page, the assertion it sends the browser back with, and check_authentication.

The key lives as long as the emulator. What a case alters stands in the table beside it.
"""

import base64
import hmac
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.base import PLAYERS, TestPlayer
from authsrv.emulator.page import PAGE_HEADERS, page, problem_page
from authsrv.emulator.steam import answers
from authsrv.emulator.steam.answers import Answer
from authsrv.emulator.steam.openid_cases import CANCELLED, NS, OPENID_CASES, SIGNED, Fields, OpenIdCase, Pairs
from authsrv.records import dataclass

PATH: Final = "/steam/openid/login"

_ANY_ACCOUNT = f"{NS}/identifier_select"
_REMEMBERED = 50_000
_NONCE_REPEATED = 240


class UnusableRequest(Exception):
    """A request that Steam answers with a page of its own, because it knows no way back; the text says why."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Where the browser is to be sent back to, and the address of the provider it came to."""

    return_to: str
    provider: str


class SteamOpenIdProvider:
    """The emulated `https://steamcommunity.com/openid`. `meets` is told who signs in, and with which case."""

    def __init__(
        self,
        *,
        calls: Counter[str],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        meets: Callable[[TestPlayer, OpenIdCase], None],
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._sleep = sleep
        self._meets = meets
        self._key = secrets.token_bytes(20)
        self._unchecked: dict[str, OpenIdCase] = {}
        self._repeated = ""
        self._repeated_until = 0.0

    def routes(self) -> list[BaseRoute]:
        """The one address of the provider."""
        return [
            Route(PATH, self._show, methods=["GET"]),
            Route(PATH, self._receive, methods=["POST"]),
        ]

    def answer(self, player: TestPlayer, case: OpenIdCase, visit: Visit) -> Pairs:
        """What the browser carries back, as name and value."""
        self._meets(player, case)
        account = f"{visit.provider}/id/{player.steam_id}"
        fields = case.says(
            {
                "ns": NS,
                "mode": "id_res",
                "op_endpoint": f"{visit.provider}/login",
                "claimed_id": account,
                "identity": account,
                "return_to": visit.return_to,
                "response_nonce": self._nonce(case),
                "assoc_handle": "1234567890",
                "signed": SIGNED,
            }
        )
        self._remember(fields["response_nonce"], case)
        signed = {**fields, "sig": self._signature(fields)}
        return case.sends([(f"openid.{name}", text) for name, text in signed.items()])

    # Handlers

    async def _show(self, request: Request) -> Response:
        self._calls["SignInPage"] += 1
        fields = dict(request.query_params)
        try:
            _return_to(fields)
        except UnusableRequest as error:
            return _problem(error)
        cases = {name: case.summary for name, case in OPENID_CASES.items()}
        return HTMLResponse(page("Steam", PATH, fields, cases), headers=PAGE_HEADERS)

    async def _receive(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
        if form.get("openid.mode") == "check_authentication":
            return await self._check(request, form)
        try:
            return self._go_back(form, _provider(request))
        except UnusableRequest as error:
            return _problem(error)

    def _go_back(self, form: Mapping[str, str], provider: str) -> Response:
        return_to = _return_to(form)
        if form.get("cancel"):
            return _redirect(return_to, CANCELLED)
        player, case = _player(form.get("player", "")), _case(form.get("case", ""))
        return _redirect(return_to, self.answer(player, case, Visit(return_to, provider)))

    async def _check(self, request: Request, form: Mapping[str, str]) -> Response:
        self._calls["CheckAuthentication"] += 1
        own = f"{request.url.scheme}://{request.url.netloc}"
        sent_as_steam = request.headers.get("origin") == own and request.headers.get("referer", "").startswith(own)
        answer = self._verdict(form) if sent_as_steam else answers.html_answer(403, "Forbidden")
        return await answers.give(answer, self._sleep)

    # Assertions

    def _verdict(self, form: Mapping[str, str]) -> Answer:
        """Each nonce is confirmed once; after that, and for what was not signed here, the answer is no."""
        fields = {name.removeprefix("openid."): text for name, text in form.items()}
        case = self._unchecked.pop(fields.get("response_nonce", ""), None)
        if case is None or self._signature(fields) != fields.get("sig"):
            return answers.key_values(NS, "false")
        if case.repeats_nonce:
            self._remember(fields["response_nonce"], case)
        return case.check or answers.key_values(NS, "true")

    def _signature(self, fields: Fields) -> str:
        """HMAC-SHA1 over the key-value form of the signed fields (OpenID 2.0 section 6.1)."""
        names = fields.get("signed", "").split(",")
        text = "".join(f"{name}:{fields.get(name, '')}\n" for name in names)
        return base64.b64encode(hmac.digest(self._key, text.encode(), "sha1")).decode("ascii")

    def _nonce(self, case: OpenIdCase) -> str:
        now = self._clock()
        if not case.repeats_nonce:
            return _nonce(now - case.age)
        if now >= self._repeated_until:
            self._repeated, self._repeated_until = _nonce(now - case.age), now + _NONCE_REPEATED
        return self._repeated

    def _remember(self, nonce: str, case: OpenIdCase) -> None:
        if len(self._unchecked) >= _REMEMBERED:
            del self._unchecked[next(iter(self._unchecked))]
        self._unchecked[nonce] = case


def _return_to(fields: Mapping[str, str]) -> str:
    """Where a sign-in request wants the browser back (OpenID 2.0 section 9.1). Raises `UnusableRequest`."""
    if fields.get("openid.ns") != NS or fields.get("openid.mode") != "checkid_setup":
        raise UnusableRequest("This is no OpenID 2.0 request with the mode checkid_setup.")
    if {fields.get("openid.claimed_id"), fields.get("openid.identity")} != {_ANY_ACCOUNT}:
        raise UnusableRequest("claimed_id and identity must both be identifier_select.")
    return_to = fields.get("openid.return_to", "")
    if not _is_inside(return_to, fields.get("openid.realm", "")):
        raise UnusableRequest("return_to does not lie inside the realm.")
    return return_to


def _is_inside(return_to: str, realm: str) -> bool:
    """OpenID 2.0 section 9.2, without wildcards."""
    try:
        back, site = urlsplit(return_to), urlsplit(realm)
    except ValueError:
        return False
    same_site = (back.scheme, back.netloc) == (site.scheme, site.netloc) and back.scheme in {"http", "https"}
    return same_site and f"{back.path}/".startswith(f"{site.path.rstrip('/')}/")


def _redirect(return_to: str, answer: Pairs) -> Response:
    link = "&" if urlsplit(return_to).query else "?"
    return RedirectResponse(f"{return_to}{link}{urlencode(answer)}", 303)


def _player(name: str) -> TestPlayer:
    if name not in PLAYERS:
        raise UnusableRequest("There is no player of this name.")
    return PLAYERS[name]


def _case(name: str) -> OpenIdCase:
    """By its name, which may come without its prefix."""
    case = OPENID_CASES.get(name) or OPENID_CASES.get(f"openid-{name or 'good'}")
    if case is None:
        raise UnusableRequest("There is no case of this name.")
    return case


def _provider(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{PATH.removesuffix('/login')}"


def _problem(error: UnusableRequest) -> Response:
    return HTMLResponse(problem_page("Steam", str(error)), status_code=400, headers=PAGE_HEADERS)


def _nonce(made: float) -> str:
    return datetime.fromtimestamp(made, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") + secrets.token_urlsafe(20)
