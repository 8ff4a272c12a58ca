"""The registry of platforms: one line for each. Knows the verifiers by name only.

A new platform is a module with a verifier and its settings, a line here, and its test vectors.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from authsrv.platforms.base import Clock, Outbound, Platform, PlatformSettings
from authsrv.platforms.epic.platform import EpicPlatform
from authsrv.platforms.guest.platform import GuestPlatform
from authsrv.platforms.steam.platform import SteamPlatform
from authsrv.platforms.xbox.platform import XboxPlatform


class PlatformType(Protocol):
    """What the class of a platform offers besides its instances: its settings, and how one is made."""

    @property
    def Settings(self) -> type[PlatformSettings]:  # noqa: N802 - a class, kept as an attribute
        """The model of the platform's block in the configuration."""

    @property
    def title(self) -> str:
        """What players call the platform."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Accepted values of `credential_type`, the default first."""

    @property
    def identity_kinds(self) -> tuple[str, ...]:
        """The kinds of the identities that it vouches for; no other platform has any of them."""

    @property
    def denials_are_ours(self) -> bool:
        """Whether a 401 or 403 from the platform concerns our own key, rather than a player."""

    def __call__(self, settings: Any, outbound: Outbound, clock: Clock) -> Platform[Any]:
        """The verifier of one project; `settings` is an instance of `Settings`."""


PLATFORMS: Mapping[str, PlatformType] = MappingProxyType(
    {
        "steam": SteamPlatform,
        "xbox": XboxPlatform,
        "epicgames": EpicPlatform,
        "guest": GuestPlatform,
    }
)
"""By the name in URLs and in the configuration."""
