"""A request gives its credential up before its lease ends, so that nobody takes it over while it is being verified."""

import asyncio
from typing import ClassVar

import pytest

from authsrv.errors import InvalidGrant, TemporarilyUnavailable
from authsrv.oauth import credentials
from authsrv.oauth.credentials import LEASE, VERIFY_SECONDS, CredentialDesk, Presented
from authsrv.platforms.base import Credential, PlatformIdentity, SingleUse, Submission
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.platforms import SilentOnly
from tests.support.storage import NOW, digest


class StuckPlatform(SilentOnly):
    """Does not answer the first time."""

    name: ClassVar[str] = "stuck"

    def __init__(self, *, take_over: bool) -> None:
        self.take_over = take_over
        self.calls = 0

    def parse(self, submission: Submission) -> Credential:  # noqa: ARG002 - the contract's
        return Credential("ticket", SingleUse(digest("ticket"), keep=3600, take_over=self.take_over), "")

    async def verify(self, credential: Credential) -> PlatformIdentity:  # noqa: ARG002 - the contract's
        self.calls += 1
        if self.calls == 1:
            await asyncio.Event().wait()
        return PlatformIdentity("stuck", "stuck", "", "1")


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> CredentialDesk:
    monkeypatch.setattr(credentials, "VERIFY_SECONDS", 0.02)
    storage = MemoryStorage()
    await storage.open()
    numbers = iter(range(1000))
    return CredentialDesk(storage, lambda length: next(numbers).to_bytes(length, "big"))


def presented(platform: StuckPlatform, requester: str = "launcher") -> Presented:
    return Presented("skyforge", platform, platform.parse(Submission()), digest(requester))


def test_verification_ends_with_time_left_to_write_what_it_found_before_the_lease_ends() -> None:
    assert LEASE - VERIFY_SECONDS >= 3


async def test_D01_a_verification_that_takes_too_long_is_an_outage_and_the_ticket_may_come_again(
    desk: CredentialDesk,
) -> None:
    platform = StuckPlatform(take_over=True)
    with pytest.raises(TemporarilyUnavailable):
        await desk.redeem(presented(platform), NOW)
    assert (await desk.redeem(presented(platform), NOW)).key.subject == "1"


async def test_D01_a_code_whose_redemption_took_too_long_is_not_redeemed_again(desk: CredentialDesk) -> None:
    platform = StuckPlatform(take_over=False)
    with pytest.raises(TemporarilyUnavailable):
        await desk.redeem(presented(platform), NOW)
    for requester in ("launcher", "stranger"):
        with pytest.raises(InvalidGrant):
            await desk.redeem(presented(platform, requester), NOW)
    assert platform.calls == 1
