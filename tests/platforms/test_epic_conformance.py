import pytest

from tests.conformance.platform import *  # noqa: F403 - the suite's tests are collected here
from tests.conformance.upstream import *  # noqa: F403 - and those of platforms that ask others
from tests.conformance.upstream import Rejection, UpstreamUnderTest
from tests.support.epic import AMBER, Epic, submission


@pytest.fixture
def subject() -> UpstreamUnderTest:
    epic = Epic()
    return UpstreamUnderTest(
        platform=epic.platform,
        source=epic.emulator,
        outbound=epic.outbound,
        submit=submission,
        player=AMBER,
        rejections={
            "expired": Rejection("expired", "credential_expired", "id_token"),
            "wrong_app": Rejection("wrong-audience", "credential_wrong_audience", "connect_id_token"),
            "bad_signature": Rejection("bad-signature", "credential_rejected", "id_token"),
            "truncated": Rejection("truncated-token", "credential_malformed", "id_token"),
            "other_product": Rejection("wrong-product", "credential_wrong_deployment", "connect_id_token"),
        },
        secrets=(epic.product.client_secret,),
    )
