"""What a platform of a test's own need not write: settings of its own, background work, and a page to sign in at."""

from typing import ClassVar

from authsrv.platforms.base import BrowserTrip, Credential, Platform, PlatformSettings, Returned


class SilentOnly(Platform[Credential]):
    """A platform for silent logins."""

    title: ClassVar[str] = "Test"
    kinds: ClassVar[tuple[str, ...]] = ("ticket",)
    identity_kinds: ClassVar[tuple[str, ...]] = ("test",)
    Settings: ClassVar[type[PlatformSettings]] = PlatformSettings
    denials_are_ours: ClassVar[bool] = False

    @property
    def signs_in_browsers(self) -> bool:
        return False

    def sign_in_url(self, trip: BrowserTrip) -> str:
        raise LookupError(f"{self.name} has no page for {trip.callback}")

    def parse_return(self, trip: BrowserTrip, returned: Returned) -> Credential:
        raise LookupError(f"nobody comes back from {self.name} to {trip.callback} with {returned}")

    async def start(self) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Nothing to end."""
