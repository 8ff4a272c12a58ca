"""Xbox against the demands that every platform must meet."""

import pytest

from tests.conformance.platform import *  # noqa: F403 - the suite is the list of its tests
from tests.conformance.upstream import *  # noqa: F403 - and those of platforms that ask others
from tests.conformance.upstream import Rejection, UpstreamUnderTest
from tests.support.xbox import AMBER, Xbox, submission


@pytest.fixture
def subject() -> UpstreamUnderTest:
    xbox = Xbox(min_age_group="teen", required_privileges=[254])
    return UpstreamUnderTest(
        platform=xbox.platform,
        source=xbox.emulator,
        outbound=xbox.outbound,
        submit=submission,
        player=AMBER,
        rejections={
            "expired": Rejection("expired", "credential_expired"),
            "wrong_app": Rejection("wrong-title", "credential_wrong_title"),
            "bad_signature": Rejection("bad-inner-signature", "credential_rejected"),
            "truncated": Rejection("truncated", "credential_malformed"),
            "other_product": Rejection("wrong-audience", "credential_wrong_audience"),
        },
        secrets=tuple(block.key.get_secret_value() for block in xbox.settings.rp_private_keys),
    )
