"""What every platform must do that asks others, or relies on what they signed: faults they find, and their outages.

A suite beside that of all platforms. A test file imports both, and its fixture `subject` returns an
`UpstreamUnderTest`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import pytest

from authsrv.platforms.base import CredentialRejected, PlatformUnavailable, RejectionReason
from tests.conformance.platform import PlatformUnderTest, is_public_text
from tests.support.outbound import OUTAGES, Outage

__all__ = [
    "test_a_credential_of_one_fault_is_rejected_for_that_reason",
    "test_an_outage_is_never_a_login_and_never_the_players_fault",
    "test_every_fault_is_covered",
]

Fault = Literal["expired", "wrong_app", "bad_signature", "truncated", "other_product"]
FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True, slots=True)
class Rejection:
    """The emulator's case (and kind, if not the default) that shows a fault, and the reason it must be refused for."""

    case: str
    reason: RejectionReason
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamUnderTest(PlatformUnderTest):
    """A platform wired to its emulator through `outbound`. `rejections` names a case per fault."""

    rejections: Mapping[Fault, Rejection]


def test_every_fault_is_covered(subject: UpstreamUnderTest) -> None:
    assert set(subject.rejections) == set(FAULTS)
    assert {rejection.case for rejection in subject.rejections.values()} <= set(subject.source.cases)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_credential_of_one_fault_is_rejected_for_that_reason(subject: UpstreamUnderTest, fault: Fault) -> None:
    expected = subject.rejections[fault]
    minted = subject.source.mint(subject.player, kind=expected.kind, case=expected.case)
    with pytest.raises(CredentialRejected) as refused:
        await subject.login(minted)
    assert refused.value.reason == expected.reason
    assert is_public_text(refused.value.hint)


@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_is_never_a_login_and_never_the_players_fault(
    subject: UpstreamUnderTest, outage: Outage
) -> None:
    minted = subject.source.mint(subject.player)
    subject.outbound.outage = outage
    with pytest.raises(PlatformUnavailable):
        await subject.login(minted)
    assert subject.outbound.requests
