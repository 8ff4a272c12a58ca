"""Guests: the shape of their secrets, how they are made, and what is taken for one."""

from collections import Counter
from dataclasses import replace

import pytest
from starlette.applications import Starlette

from authsrv.platforms.base import (
    BrowserTrip,
    CredentialRejected,
    PlatformIdentity,
    PlatformMisconfigured,
    Submission,
)
from authsrv.platforms.guest.platform import GuestPlatform, GuestSettings
from authsrv.platforms.guest.secret import is_secret, new_secret, subject_of
from tests.support.outbound import AsgiOutbound

SECRET = "authsrv_guest_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
SUBJECT = "ZR5SAeV3Nm4Cq38vDGwciRqKaNgIAZT-XWM1ZW8pV2Y"
GUEST = PlatformIdentity("guest", kind="guest", environment="", subject=SUBJECT)
TRIP = BrowserTrip("https://login.studio.example/login/guest/callback", "state", "nonce", "verifier")


def platform() -> GuestPlatform:
    return GuestPlatform(GuestSettings(), AsgiOutbound(Starlette()), lambda: 0.0)


async def identity_of(submission: Submission) -> PlatformIdentity:
    return await platform().verify(platform().parse(submission))


def refusal_of(submission: Submission) -> str:
    with pytest.raises(CredentialRejected) as refused:
        platform().parse(submission)
    return refused.value.reason


def test_a_secret_is_256_bits_behind_a_prefix_that_scanners_know() -> None:
    asked = Counter[int]()

    def random(length: int) -> bytes:
        asked[length] += 1
        return bytes(range(length))

    assert new_secret(random) == SECRET
    assert asked == {32: 1}
    assert is_secret(SECRET)


async def test_the_subject_is_the_sha_256_of_the_whole_secret() -> None:
    assert subject_of(SECRET) == SUBJECT
    assert await identity_of(Submission(value=SECRET)) == GUEST
    assert await identity_of(Submission(kind="device_secret", value=SECRET)) == GUEST


async def test_a_guest_may_be_linked_and_has_no_name() -> None:
    identity = await identity_of(Submission(value=SECRET))
    assert (identity.anonymous, identity.display_name, identity.age_group) == (False, "", "")


def test_a_secret_is_good_for_any_number_of_logins_and_counted_by_whose_it_is() -> None:
    credential = platform().parse(Submission(value=SECRET))
    assert (credential.kind, credential.single_use, credential.claimed_subject) == ("device_secret", None, SUBJECT)
    assert SECRET[14:] not in repr(credential)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param(SECRET[:-1], id="a character short"),
        pytest.param(SECRET + "A", id="a character more"),
        pytest.param(SECRET + "=", id="padded"),
        pytest.param(SECRET + "\n", id="a line feed behind it"),
        pytest.param(" " + SECRET, id="a space before it"),
        pytest.param(SECRET[14:], id="no prefix"),
        pytest.param(SECRET.replace("authsrv", "AUTHSRV"), id="prefix in capitals"),
        pytest.param(SECRET.replace("AAEC", "AA+/"), id="the other alphabet"),
        pytest.param(SECRET.replace("AAEC", "\uff21AEC"), id="a letter of another script"),
    ],
)
def test_anything_else_is_malformed(value: str) -> None:
    assert refusal_of(Submission(value=value)) == "credential_malformed"


def test_a_secret_is_taken_as_session_ticket_and_nowhere_else() -> None:
    assert refusal_of(Submission(code=SECRET)) == "credential_malformed"


def test_another_kind_is_not_supported() -> None:
    assert refusal_of(Submission(kind="session_ticket", value=SECRET)) == "credential_unsupported"


def test_D56_a_secret_in_an_address_is_refused_because_it_never_expires() -> None:
    assert refusal_of(replace(Submission(value=SECRET), in_address=True)) == "credential_unsupported"


async def test_guests_have_no_page_to_sign_in_at() -> None:
    guests = platform()
    assert not guests.signs_in_browsers
    with pytest.raises(PlatformMisconfigured):
        guests.sign_in_url(TRIP)
    with pytest.raises(PlatformMisconfigured):
        guests.parse_return(TRIP, [("session_ticket", SECRET)])
    await guests.start()
    await guests.stop()
