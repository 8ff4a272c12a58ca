"""An emulated Xbox Live on keys that all its tests share, and a platform wired to it."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.emulator.xbox.emulator import XboxEmulator, XboxKeys
from authsrv.emulator.xbox.tokens import XboxTokens
from authsrv.platforms.base import (
    BrowserTrip,
    CredentialRejected,
    PlatformError,
    PlatformIdentity,
    RequestProof,
    Returned,
    Submission,
    UserActionRequired,
)
from authsrv.platforms.xbox.platform import XboxPlatform, XboxSettings
from tests.support.outbound import BASE_URL, AsgiOutbound

NOW = 1_800_000_000
AMBER, BIRCH = PLAYERS["amber"], PLAYERS["birch"]
ENVIRONMENT = "rp://login.studio.example/|RETAIL"
TARGET = b"/oauth2/social/xbox/cross_auth?state=abcdefgh&x=%41"
TRIP = BrowserTrip("http://authsrv.test/login/xbox/callback", "state-of-one-trip", "n" * 43, "v" * 43)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
DATA = Path(__file__).parent.parent / "platforms" / "data"


@cache
def keys() -> XboxKeys:
    return XboxKeys.generate()


def vendor(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


class Scripted:
    """The emulator, except where a test wants other answers: by path, used up one after the other."""

    def __init__(self, app: ASGIApp) -> None:
        self.answers: dict[str, list[ASGIApp]] = {}
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waiting = self.answers.get(scope["path"])
        await (waiting.pop(0) if waiting else self._app)(scope, receive, send)


async def late(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """No answer in time."""
    raise TimeoutError


class Xbox:
    """One emulator, one platform, one clock. Keyword arguments replace single settings of the project."""

    def __init__(self, **changes: Any) -> None:
        self.now: float = NOW
        self.emulator = XboxEmulator(keys=keys(), clock=self.clock)
        self.app = Scripted(Starlette(routes=self.emulator.routes()))
        self.outbound = AsgiOutbound(self.app)
        block = self.emulator.settings(BASE_URL) | {"min_age_group": None, "required_privileges": ()} | changes
        self.settings = XboxSettings(**block)
        self.platform = XboxPlatform(self.settings, self.outbound, self.clock)

    def clock(self) -> float:
        return self.now

    @property
    def tokens(self) -> XboxTokens:
        return self.emulator.tokens

    @property
    def fetched(self) -> list[str]:
        return [request.url.path.removeprefix("/xbox") for request in self.outbound.requests]

    def good(self, **changes: Any) -> str:
        """A token of amber's with changed claims."""
        return self.tokens.text(self.tokens.user(AMBER), **changes)

    def inner(self, inner: str, user_hash: str = "1") -> str:
        """Any inner token, encrypted to us."""
        return f"XBL3.0 x={user_hash};{self.tokens.encrypt(inner)}"

    async def login(self, text: str, **submission: Any) -> PlatformIdentity:
        return await self.platform.verify(self.platform.parse(Submission(value=text, **submission)))

    async def login_with(self, minted: MintedCredential) -> PlatformIdentity:
        return await self.platform.verify(self.platform.parse(submission(minted)))

    def proof(self, text: str, **changes: Any) -> RequestProof:
        """The signed request that carries this token, with parts that were changed after signing."""
        request = RequestProof("POST", TARGET, text.encode(), b"client_id=launcher")
        signature = self.emulator.signer().sign(request.method, request.target, request.authorization, request.body)
        return replace(request, **({"signatures": (signature.encode(),)} | changes))

    async def signed_login(self, text: str, **changes: Any) -> PlatformIdentity:
        return await self.login(text, proof=self.proof(text, **changes))

    def browser(self) -> httpx.AsyncClient:
        """A browser that can reach the emulator and follows nothing by itself."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE_URL)

    async def returned(self, case: str = "good", button: Mapping[str, str] | None = None) -> Returned:
        """What the browser brings back from the sign-in page after the press of a button, amber's if none is named."""
        async with self.browser() as browser:
            shown = await browser.get(self.platform.sign_in_url(TRIP))
            form = hidden_fields(shown.text) | {"case": case} | dict(button or {"player": "amber"})
            answer = await browser.post(shown.url.copy_with(query=None), data=form)
        return parameters(answer)

    async def sign_in(self, case: str = "good", button: Mapping[str, str] | None = None) -> PlatformIdentity:
        return await self.platform.verify(self.platform.parse_return(TRIP, await self.returned(case, button)))


def submission(minted: MintedCredential) -> Submission:
    by_parameter = Submission(kind=minted.kind, value=minted.parameters.get("session_ticket", ""))
    if not minted.headers:
        return by_parameter
    sent = {name: value.encode() for name, value in minted.headers.items()}
    return replace(by_parameter, proof=RequestProof("POST", TARGET, sent["Authorization"], b"", (sent["Signature"],)))


def hidden_fields(html: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    return {unescape(name): unescape(value) for name, value in _HIDDEN.findall(html)}


def parameters(redirect: httpx.Response) -> Returned:
    """The parameters of the address that a browser is sent to."""
    return parse_qsl(urlsplit(redirect.headers["location"]).query, keep_blank_values=True)


async def failure(xbox: Xbox, case: str = "good") -> PlatformError:
    with pytest.raises(PlatformError) as failed:
        await xbox.sign_in(case)
    return failed.value


async def end(xbox: Xbox, case: str = "good") -> str:
    """The subject, or in one word what a sign-in led to instead."""
    try:
        return (await xbox.sign_in(case)).subject
    except CredentialRejected as error:
        return error.reason
    except UserActionRequired as error:
        return error.reason
    except PlatformError as error:
        return type(error).__name__
