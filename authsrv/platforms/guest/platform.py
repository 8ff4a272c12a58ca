"""Guests: whoever shows a device's secret is the guest to whom it was given. Nobody is asked, and nothing is kept.

Owns how a secret is read, and that it never comes by an address. Knows no OAuth, no players and no other platform.
"""

from typing import ClassVar, Final

from authsrv.platforms.base import (
    BrowserTrip,
    Clock,
    Credential,
    CredentialRejected,
    Outbound,
    Platform,
    PlatformIdentity,
    PlatformMisconfigured,
    PlatformSettings,
    Returned,
    Submission,
)
from authsrv.platforms.guest.secret import is_secret, subject_of

DEVICE_SECRET: Final = "device_secret"


class GuestSettings(PlatformSettings):
    """The `[projects.<name>.platforms.guest]` block: where it stands, there are guests."""


class GuestPlatform(Platform[Credential]):
    """Vouches for guests (identity kind `guest`). The secret may be shown any number of times, as long as it lives."""

    name: ClassVar[str] = "guest"
    title: ClassVar[str] = "Guest"
    kinds: ClassVar[tuple[str, ...]] = (DEVICE_SECRET,)
    identity_kinds: ClassVar[tuple[str, ...]] = ("guest",)
    Settings: ClassVar[type[GuestSettings]] = GuestSettings
    denials_are_ours: ClassVar[bool] = False

    def __init__(self, settings: GuestSettings, outbound: Outbound, clock: Clock) -> None:
        """As every platform is made; a guest needs none of it."""

    def parse(self, submission: Submission) -> Credential:
        """Read the secret; only its digest is left, as `claimed_subject`. Raises `CredentialRejected`."""
        if submission.kind not in {"", DEVICE_SECRET}:
            raise CredentialRejected("credential_unsupported", "Guests log in with the credential type device_secret.")
        if submission.in_address:
            raise CredentialRejected(
                "credential_unsupported",
                "Send the secret in the body of a POST request: it never expires, and addresses end up in logs.",
            )
        if not is_secret(submission.value):
            raise CredentialRejected(
                "credential_malformed", "Send the secret as POST /v1/guests gave it: authsrv_guest_ and 43 characters."
            )
        return Credential(DEVICE_SECRET, single_use=None, claimed_subject=subject_of(submission.value))

    async def verify(self, credential: Credential) -> PlatformIdentity:
        """The guest. Whoever has the secret is believed."""
        return PlatformIdentity(self.name, kind="guest", environment="", subject=credential.claimed_subject)

    @property
    def signs_in_browsers(self) -> bool:
        """Never: a browser keeps no secret as a device does."""
        return False

    def sign_in_url(self, trip: BrowserTrip) -> str:
        """Guests have no page. Raises `PlatformMisconfigured`."""
        raise _no_page(trip)

    def parse_return(self, trip: BrowserTrip, returned: Returned) -> Credential:  # noqa: ARG002 - refused unread
        """Nobody comes back from where nobody was sent. Raises `PlatformMisconfigured`."""
        raise _no_page(trip)

    async def start(self) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Nothing to end."""


def _no_page(trip: BrowserTrip) -> PlatformMisconfigured:
    return PlatformMisconfigured(f"guests do not sign in by the browser, but one came to {trip.callback}")
