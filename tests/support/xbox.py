"""An emulated Xbox Live on keys that all its tests share, and a platform wired to it."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from authsrv.emulator.base import PLAYERS
from authsrv.emulator.xbox.emulator import XboxEmulator, XboxKeys
from authsrv.emulator.xbox.tokens import XboxTokens
from authsrv.platforms.base import PlatformIdentity, RequestProof, Submission
from authsrv.platforms.xbox.platform import XboxPlatform, XboxSettings
from tests.support.outbound import BASE_URL, AsgiOutbound

NOW = 1_800_000_000
AMBER, BIRCH = PLAYERS["amber"], PLAYERS["birch"]
ENVIRONMENT = "rp://login.studio.example/|RETAIL"
TARGET = b"/oauth2/social/xbox/cross_auth?state=abcdefgh&x=%41"
DATA = Path(__file__).parent.parent / "platforms" / "data"


@cache
def keys() -> XboxKeys:
    return XboxKeys.generate()


def vendor(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


class Xbox:
    """One emulator, one platform, one clock. Keyword arguments replace single settings of the project."""

    def __init__(self, **changes: Any) -> None:
        self.now: float = NOW
        self.emulator = XboxEmulator(keys=keys(), clock=self.clock)
        self.outbound = AsgiOutbound(Starlette(routes=self.emulator.routes()))
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

    def proof(self, text: str, **changes: Any) -> RequestProof:
        """The signed request that carries this token, with parts that were changed after signing."""
        request = RequestProof("POST", TARGET, text.encode(), b"client_id=launcher")
        signature = self.emulator.signer().sign(request.method, request.target, request.authorization, request.body)
        return replace(request, **({"signatures": (signature.encode(),)} | changes))

    async def signed_login(self, text: str, **changes: Any) -> PlatformIdentity:
        return await self.login(text, proof=self.proof(text, **changes))
