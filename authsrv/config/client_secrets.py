"""A client's secrets in the configuration file: the hash of one with the day it ends, and what a digest is.

Owns how times and hashes are written in TOML. What is sensible between several stands in `client_secret_checks.py`.
"""

import hashlib
import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from authsrv.models import ClientSecret, Digest
from authsrv.settings import Settings

DAY = 86400
_LENGTH = 64
_HEX_DIGITS = re.compile(r"[0-9A-Fa-f]{64}")
_REMEDY = "write the hex digits that authsrv clients secret new showed, in quotes, and never the secret itself"


def read_digest(value: Any) -> bytes:
    """The 32 bytes that 64 hex digits stand for. Raises ValueError, and never repeats the value."""
    if isinstance(value, str) and _HEX_DIGITS.fullmatch(value):
        return bytes.fromhex(value)
    raise ValueError(f"{_digest_fault(value)}; {_REMEDY}")


def _digest_fault(value: Any) -> str:
    if not isinstance(value, str):
        return "this is not a text"
    if len(value) != _LENGTH:
        return f"this is no SHA-256: it has {len(value)} characters instead of {_LENGTH}"
    return "this is no SHA-256: it has characters that are no hex digits"


def read_moment(value: Any) -> int:
    """Unix seconds of a TOML date, which begins at midnight in UTC, or of a date-time with its offset.

    Raises ValueError. A local date-time is refused: it means another moment on every machine.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("this time could be in any time zone; write Z at its end, which is UTC, or +01:00")
        return int(value.timestamp())
    if isinstance(value, date):
        return int(datetime.combine(value, time(), UTC).timestamp())
    raise ValueError("this is no date; write one without quotes: expires = 2027-03-01")


def moment_text(moment: int) -> str:
    """A moment as TOML writes it in UTC: `2027-03-01` for midnight, else `2027-03-01T09:30:00Z`."""
    found = datetime.fromtimestamp(moment, UTC)
    return f"{found:%Y-%m-%dT%H:%M:%S}Z" if moment % DAY else found.date().isoformat()


HexDigest = Annotated[
    bytes, BeforeValidator(read_digest, json_schema_input_type=Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")])
]
Moment = Annotated[int, BeforeValidator(read_moment, json_schema_input_type=date | datetime)]


class SecretHash(Settings):
    """A secret that only its client knows."""

    sha256: HexDigest = Field(description="SHA-256 of the secret, as 64 hex digits.")
    expires: Moment | None = Field(
        None, description="When it stops to work: a date (at its midnight, UTC), or a date-time with Z or an offset."
    )

    @property
    def model(self) -> ClientSecret:
        """The secret as the rest of the server knows it."""
        return ClientSecret(Digest(self.sha256), self.expires)


def secret_digest(secret: str) -> Digest:
    """SHA-256 of a secret's UTF-8, as models and storage hold it."""
    return Digest(hashlib.sha256(secret.encode()).digest())
