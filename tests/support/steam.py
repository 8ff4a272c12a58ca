"""A Steam platform wired to its emulator, on a clock that only the test moves."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from starlette.applications import Starlette

from authsrv.emulator.base import PLAYERS, MintedCredential, TestPlayer
from authsrv.emulator.steam.emulator import SteamEmulator, SteamKeys
from authsrv.emulator.steam.openid import Visit
from authsrv.emulator.steam.openid_cases import OPENID_CASES
from authsrv.platforms.base import (
    BrowserTrip,
    CredentialRejected,
    PlatformIdentity,
    Returned,
    Submission,
)
from authsrv.platforms.steam.platform import SteamCredential, SteamPlatform
from authsrv.platforms.steam.settings import SteamSettings
from tests.support.outbound import BASE_URL, AsgiOutbound

AMBER = PLAYERS["amber"]
PATIENCE = 5.0  # seconds an outgoing call may take
CALLBACK = "https://login.studio.test/login/steam/callback"
STATE = "kX3w5p0V1u8Yd7mS9qT2bN4cR6eG0hJfLaZiOoUxWvE"
TRIP = BrowserTrip(callback=CALLBACK, state=STATE, nonce="n" * 43, code_verifier="v" * 43)


@cache
def steam_keys() -> SteamKeys:
    """One pair of keys for the whole run: making them takes long."""
    return SteamKeys.generate()


@dataclass
class ManualClock:
    now: float = 1_790_000_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class SteamSetup:
    """Everything of one test. `block` is the configuration block as the emulator proposes it, with changes."""

    clock: ManualClock
    emulator: SteamEmulator
    outbound: AsgiOutbound
    block: dict[str, Any]
    platform: SteamPlatform

    def parse(self, text: str, *, app_id: str = "", kind: str = "", nonce: str = "") -> SteamCredential:
        return self.platform.parse(Submission(kind=kind, value=text, app_id=app_id, nonce=nonce))

    async def login(self, minted: MintedCredential) -> PlatformIdentity:
        return await self.platform.verify(self.platform.parse(submission(minted)))

    async def login_as(self, case: str = "good", player: TestPlayer = AMBER) -> PlatformIdentity:
        return await self.login(self.emulator.mint(player, case=case))

    def brought_back(self, case: str = "openid-good", player: TestPlayer = AMBER, trip: BrowserTrip = TRIP) -> Returned:
        """What the browser carries from the emulated page to the callback."""
        visit = Visit(f"{trip.callback}?state={trip.state}", f"{BASE_URL}/steam/openid")
        return [("state", trip.state), *self.emulator.openid.answer(player, OPENID_CASES[case], visit)]

    async def sign_in(self, case: str = "openid-good", player: TestPlayer = AMBER) -> PlatformIdentity:
        return await self.platform.verify(self.platform.parse_return(TRIP, self.brought_back(case, player)))

    @property
    def asked(self) -> int:
        """How often Steam was asked about a ticket."""
        return self.emulator.calls["AuthenticateUserTicket"]

    def with_settings(self, **changes: Any) -> "SteamSetup":
        block = {**self.block, **changes}
        platform = SteamPlatform(SteamSettings(**block), self.outbound, self.clock, self.clock.sleep)
        return replace(self, block=block, platform=platform)


def steam_setup(**changes: Any) -> SteamSetup:
    clock = ManualClock()

    async def patience(seconds: float) -> None:
        if seconds >= PATIENCE:
            raise TimeoutError

    emulator = SteamEmulator(steam_keys(), clock=clock, sleep=patience)
    outbound = AsgiOutbound(Starlette(routes=emulator.routes()))
    block = {**emulator.settings(BASE_URL), **changes}
    platform = SteamPlatform(SteamSettings(**block), outbound, clock, clock.sleep)
    return SteamSetup(clock, emulator, outbound, block, platform)


def submission(minted: MintedCredential) -> Submission:
    return Submission(
        kind=minted.parameters.get("credential_type", ""),
        value=minted.parameters["session_ticket"],
        app_id=minted.parameters["app_id"],
    )


def refusal(check: Callable[[], object]) -> str:
    """The reason a check refuses for; empty if it does not."""
    try:
        check()
    except CredentialRejected as refused:
        return refused.reason
    return ""
