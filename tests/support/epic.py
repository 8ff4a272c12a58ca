"""An emulated Epic on keys that all its tests share, and a platform wired to it."""

import html
import re
from functools import cache
from typing import Any, NoReturn
from urllib.parse import parse_qsl

import httpx
from starlette.applications import Starlette

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.emulator.epic.emulator import EpicEmulator, EpicKeys
from authsrv.platforms.base import BrowserTrip, PlatformIdentity, Returned, Submission
from authsrv.platforms.epic.platform import EpicCredential, EpicPlatform
from authsrv.platforms.epic.settings import EpicSettings
from tests.support.outbound import BASE_URL, AsgiOutbound

NOW = 1_800_000_000
AMBER, BIRCH = PLAYERS["amber"], PLAYERS["birch"]
WWW = f"{BASE_URL}/epic/www"
TRIP = BrowserTrip(
    callback="https://login.studio.example/login/epicgames/callback",
    state="the-state-of-one-trip-and-no-other-0123456789",
    nonce="the-nonce-of-one-trip-and-no-other-01234567",
    code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",  # RFC 7636 appendix B
)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@cache
def keys() -> EpicKeys:
    return EpicKeys.generate()


async def no_answer(_seconds: float) -> NoReturn:
    raise TimeoutError


class Epic:
    """One emulator, one platform, one clock. Keyword arguments replace single settings of the project."""

    def __init__(self, **changes: Any) -> None:
        self.now: float = NOW
        self.emulator = EpicEmulator(keys=keys(), clock=self.clock, sleep=no_answer)
        self.product = self.emulator.product
        self.app = Starlette(routes=self.emulator.routes())
        self.outbound = AsgiOutbound(self.app)
        self.settings = EpicSettings.model_validate({**self.emulator.settings(BASE_URL), **changes})
        self.platform = EpicPlatform(self.settings, self.outbound, self.clock)

    def clock(self) -> float:
        return self.now

    def mint(self, case: str = "good", kind: str = "") -> MintedCredential:
        return self.emulator.mint(AMBER, kind=kind, case=case)

    def parse(self, text: str, kind: str = "", **parameters: Any) -> EpicCredential:
        return self.platform.parse(Submission(kind=kind, value=text, **parameters))

    async def login(self, text: str, kind: str = "", **parameters: Any) -> PlatformIdentity:
        return await self.platform.verify(self.parse(text, kind, **parameters))

    async def login_with(self, minted: MintedCredential) -> PlatformIdentity:
        return await self.platform.verify(self.platform.parse(submission(minted)))

    async def press(self, url: str, **pressed: str) -> httpx.Response:
        """Open Epic's page and press one of its buttons, as a browser without scripts does it."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE_URL) as browser:
            shown = await browser.get(url)
            return shown if shown.is_redirect else await browser.post(url, data={**hidden_in(shown.text), **pressed})

    async def returned(self, trip: BrowserTrip = TRIP, case: str = "good", **pressed: str) -> Returned:
        """What the browser brings back from Epic's page; Amber signs in, unless another button is pressed."""
        buttons = pressed or {"player": "amber"}
        answer = await self.press(self.platform.sign_in_url(trip), case=case, **buttons)
        target, _, query = answer.headers["location"].partition("?")
        assert target == trip.callback
        return parse_qsl(query, keep_blank_values=True)

    async def sign_in(self, trip: BrowserTrip = TRIP, case: str = "good") -> PlatformIdentity:
        """The whole trip."""
        return await self.platform.verify(self.platform.parse_return(trip, await self.returned(trip, case)))

    async def eas(self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None) -> PlatformIdentity:
        """A login with an id_token of Epic Account Services, some members changed."""
        return await self.login(self.emulator.eas.genuine(AMBER, claims or {}, header or {}), "id_token")

    async def connect(
        self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None
    ) -> PlatformIdentity:
        """A login with an EOS Connect id_token, some members changed."""
        return await self.login(self.emulator.connect.genuine(AMBER, claims or {}, header or {}), "connect_id_token")


def hidden_in(document: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    return {name: html.unescape(value) for name, value in _HIDDEN.findall(document)}


def submission(minted: MintedCredential) -> Submission:
    parameters = minted.parameters
    return Submission(
        kind=parameters.get("credential_type", ""),
        value=parameters.get("session_ticket", ""),
        deployment_id=parameters.get("deployment_id", ""),
    )
