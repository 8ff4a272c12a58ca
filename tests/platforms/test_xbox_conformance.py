"""Xbox against the demands that every platform must meet."""

from dataclasses import replace

import pytest

from authsrv.emulator.base import MintedCredential
from authsrv.platforms.base import RequestProof, Submission
from tests.conformance.platform import *  # noqa: F403 - the suite is the list of its tests
from tests.conformance.upstream import *  # noqa: F403 - and those of platforms that ask others
from tests.conformance.upstream import Rejection, UpstreamUnderTest
from tests.support.xbox import AMBER, TARGET, Xbox


@pytest.fixture
def subject() -> UpstreamUnderTest:
    xbox = Xbox(min_age_group="teen", required_privileges=[254])
    return UpstreamUnderTest(
        platform=xbox.platform,
        source=xbox.emulator,
        outbound=xbox.outbound,
        submit=submit,
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


def submit(minted: MintedCredential) -> Submission:
    by_parameter = Submission(kind=minted.kind, value=minted.parameters.get("session_ticket", ""))
    if not minted.headers:
        return by_parameter
    sent = {name: value.encode() for name, value in minted.headers.items()}
    return replace(by_parameter, proof=RequestProof("POST", TARGET, sent["Authorization"], b"", (sent["Signature"],)))
