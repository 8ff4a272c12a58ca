"""The `[retention]` block: for how long things are kept that are of no more use than to be looked up.

Owns names, defaults and the longest times. What has a lifetime of its own, as sessions have, is set elsewhere.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from authsrv.config.client_secrets import DAY
from authsrv.config.clients import Flag
from authsrv.models import Retention
from authsrv.settings import Settings

Days = Annotated[int, Field(strict=True, ge=1, le=3650)]

LONGEST: Mapping[str, int] = {
    "journal_days": 3 * 366,
    "address_days": 30,
    "ban_days": 366,
    "withdrawn_consent_days": 3 * 366,
    "erasure_days": 30,
}
"""How many days each may be without `beyond_limits`."""


class RetentionSettings(Settings):
    """The `[retention]` block. Nothing here can be kept for ever."""

    journal_days: Days = Field(365, description="For how many days it is known what was done to an account.")
    address_days: Days = Field(7, description="For how many days the journal has the address it was done from, cut.")
    ban_days: Days = Field(90, description="For how many days after its end, or after it was lifted, a ban is known.")
    withdrawn_consent_days: Days = Field(365, description="For how many days it is known that a consent was withdrawn.")
    erasure_days: Days = Field(
        30, description="For how many days it is known who was erased: the age of the oldest backup."
    )
    inactive_account_days: Annotated[int, Field(strict=True, ge=0, le=3650)] = Field(
        0, description="After how many days without a login a player is erased; 0 for never."
    )
    beyond_limits: Flag = Field(False, description="Let the times above be longer than this document says.")

    def rules(self) -> Retention:
        """What the rest of the server takes."""
        return Retention(
            journal=self.journal_days * DAY,
            addresses=self.address_days * DAY,
            bans=self.ban_days * DAY,
            withdrawn_consents=self.withdrawn_consent_days * DAY,
            erasures=self.erasure_days * DAY,
            inactive_accounts=self.inactive_account_days * DAY,
        )
