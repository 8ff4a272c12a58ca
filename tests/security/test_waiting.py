"""Repeats that wait for a request in progress are few: one credential cannot make the server poll for a crowd."""

import asyncio
from typing import ClassVar

import pytest

from authsrv.errors import TemporarilyUnavailable
from authsrv.oauth.credentials import MOST_WAITING, CredentialDesk, Presented
from authsrv.platforms.base import Credential, PlatformIdentity, SingleUse, Submission
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.platforms import SilentOnly
from tests.support.storage import NOW, digest


class SlowPlatform(SilentOnly):
    """Answers when it is told to."""

    name: ClassVar[str] = "slow"
    kinds: ClassVar[tuple[str, ...]] = ("code",)

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = asyncio.Event()
        self.calls = 0

    def parse(self, submission: Submission) -> Credential:  # noqa: ARG002 - the contract's
        return Credential("code", SingleUse(digest("code"), keep=3600, take_over=False), "")

    async def verify(self, credential: Credential) -> PlatformIdentity:  # noqa: ARG002 - the contract's
        self.calls += 1
        self.asked.set()
        await self.go_on.wait()
        return PlatformIdentity("slow", "slow", "", "1")


@pytest.fixture
async def storage() -> MemoryStorage:
    opened = MemoryStorage()
    await opened.open()
    return opened


async def test_F16_a_few_repeats_wait_for_the_request_in_progress_and_a_crowd_is_told_to_come_again(
    storage: MemoryStorage,
) -> None:
    platform, asleep = SlowPlatform(), asyncio.Event()
    numbers = iter(range(1000))

    async def sleep(_: float) -> None:
        await asleep.wait()

    desk = CredentialDesk(storage, lambda length: next(numbers).to_bytes(length, "big"), sleep)
    presented = Presented("skyforge", platform, platform.parse(Submission()), digest("launcher"))
    first = asyncio.create_task(desk.redeem(presented, NOW))
    await platform.asked.wait()
    crowd = [asyncio.create_task(desk.redeem(presented, NOW)) for _ in range(3 * MOST_WAITING)]
    while sum(task.done() for task in crowd) < 2 * MOST_WAITING:  # noqa: ASYNC110 - nothing tells of a refusal
        await asyncio.sleep(0)
    done, waiting = await asyncio.wait(crowd, timeout=0)
    assert len(waiting) == MOST_WAITING
    assert {type(task.exception()) for task in done} == {TemporarilyUnavailable}
    platform.go_on.set()
    redeemed = await first
    await storage.apply(list(redeemed.settled(1, NOW)))
    asleep.set()
    assert {(await task).key.subject for task in waiting} == {"1"}
    assert platform.calls == 1
    assert (await desk.redeem(presented, NOW)).is_repeat
