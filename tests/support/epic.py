"""An emulated Epic on keys that all its tests share, and a platform wired to it."""

from functools import cache
from typing import Any, NoReturn

from starlette.applications import Starlette

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.emulator.epic.emulator import EpicEmulator, EpicKeys
from authsrv.platforms.base import PlatformIdentity, Submission
from authsrv.platforms.epic.platform import EpicCredential, EpicPlatform
from authsrv.platforms.epic.settings import EpicSettings
from tests.support.outbound import BASE_URL, AsgiOutbound

NOW = 1_800_000_000
AMBER, BIRCH = PLAYERS["amber"], PLAYERS["birch"]
WWW = f"{BASE_URL}/epic/www"


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
        self.outbound = AsgiOutbound(Starlette(routes=self.emulator.routes()))
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

    async def eas(self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None) -> PlatformIdentity:
        """A login with an id_token of Epic Account Services, some members changed."""
        return await self.login(self.emulator.eas.genuine(AMBER, claims or {}, header or {}), "id_token")

    async def connect(
        self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None
    ) -> PlatformIdentity:
        """A login with an EOS Connect id_token, some members changed."""
        return await self.login(self.emulator.connect.genuine(AMBER, claims or {}, header or {}), "connect_id_token")


def submission(minted: MintedCredential) -> Submission:
    parameters = minted.parameters
    return Submission(
        kind=parameters.get("credential_type", ""),
        value=parameters.get("session_ticket", ""),
        deployment_id=parameters.get("deployment_id", ""),
    )
