"""A project's `[projects.KEY.playfab]` block: which title its players have, and the key that speaks for it.

Owns the start checks of these settings. Makes no call.
"""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from authsrv.platforms.base import PlatformSettings
from authsrv.settings import Secret, check_base_address

_TITLE = re.compile(r"[0-9A-Za-z]{1,16}")
_KEY_TEXT = re.compile(r"[!-~]{1,256}")


class PlayFabSettings(PlatformSettings):
    """The PlayFab title of a project."""

    title_id: str = Field(description="The title's id, as PlayFab's Game Manager shows it.")
    secret_key: Secret = Field(
        description="A secret key of the title (Game Manager, Settings, Secret Keys); one of its own can be revoked."
    )
    base_url: Annotated[str, AfterValidator(lambda text: text and check_base_address(text))] = Field(
        "", description="Base URL of the title's API, for an emulator; made of title_id unless dev = true."
    )

    @property
    def api(self) -> str:
        """The title's API, without a slash at its end."""
        return self.base_url or f"https://{self.title_id.lower()}.playfabapi.com"

    def addresses(self) -> tuple[str, ...]:
        """The one base address that is ever called."""
        return (self.api,)

    def problems(self, *, dev: bool) -> list[str]:
        """The start checks that end the start."""
        return [*self._problems(dev=dev)]

    def _problems(self, *, dev: bool) -> Iterator[str]:
        if not _TITLE.fullmatch(self.title_id):
            yield "title_id is no id of a title, which has up to 16 letters and digits; copy it from the Game Manager"
        if not _KEY_TEXT.fullmatch(self.secret_key.get_secret_value()):
            yield "secret_key has characters that no key has, or none at all; copy it from the Game Manager"
        if self.base_url and not dev:
            yield "base_url may be set only with dev = true; leave it out"
