"""Guests against the demands that every platform must meet; nobody stands behind them who could fail."""

import pytest
from starlette.applications import Starlette

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.platforms.base import Submission
from authsrv.platforms.guest.platform import GuestPlatform, GuestSettings
from tests.conformance.platform import *  # noqa: F403 - the suite's tests
from tests.conformance.platform import PlatformUnderTest
from tests.support.outbound import AsgiOutbound
from tests.support.sources import GuestDevices


@pytest.fixture
def subject() -> PlatformUnderTest:
    outbound = AsgiOutbound(Starlette())
    return PlatformUnderTest(
        platform=GuestPlatform(GuestSettings(), outbound, lambda: 0.0),
        source=GuestDevices(),
        outbound=outbound,
        submit=submit,
        player=PLAYERS["amber"],
        secrets=(),
    )


def submit(minted: MintedCredential) -> Submission:
    return Submission(kind=minted.kind, value=minted.parameters["session_ticket"])
