"""Steam against the suite of all platforms."""

import pytest

from tests.conformance.platform import *  # noqa: F403 - the suite's tests
from tests.conformance.upstream import *  # noqa: F403 - and those of platforms that ask others
from tests.conformance.upstream import Rejection, UpstreamUnderTest
from tests.support.steam import AMBER, steam_setup, submission


@pytest.fixture
def subject() -> UpstreamUnderTest:
    steam = steam_setup()
    return UpstreamUnderTest(
        platform=steam.platform,
        source=steam.emulator,
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
