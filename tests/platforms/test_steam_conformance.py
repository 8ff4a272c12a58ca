"""Steam against the suite of all platforms."""

import pytest

from tests.conformance.platform import *  # noqa: F403 - the suite's tests
from tests.conformance.platform import PlatformUnderTest, Rejection
from tests.support.steam import AMBER, steam_setup, submission


@pytest.fixture
def subject() -> PlatformUnderTest:
    steam = steam_setup()
    return PlatformUnderTest(
        platform=steam.platform,
        emulator=steam.emulator,
        outbound=steam.outbound,
        submit=submission,
        player=AMBER,
        rejections={
            "expired": Rejection("encrypted-expired", "credential_expired", kind="encrypted_app_ticket"),
            "wrong_app": Rejection("other-app", "credential_wrong_app"),
            "bad_signature": Rejection("forged", "credential_rejected"),
            "truncated": Rejection("truncated", "credential_malformed"),
            "other_product": Rejection("identity-mismatch", "credential_rejected"),
        },
        secrets=(steam.block["web_api_key"], steam.block["encrypted_ticket_key"]),
    )
