"""From the text a game sends to the bytes of a Steam ticket: hex or Base64, in every spelling seen in the field.

Owns the size limits and the refusal of text with two readings. Knows no layout.
"""

import base64
import re

from authsrv.platforms.base import CredentialRejected

MAX_TICKET = 4096
"""Bytes; Steam's own maximum is 2560, old clients with much downloadable content may exceed 1024."""

_MAX_TEXT = 2 * MAX_TICKET
_MAX_BREAKS = 512  # MIME Base64 of the longest text has 216 characters of line breaks
_BREAKS = str.maketrans("", "", "\r\n\t")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_BASE64 = re.compile(r"([A-Za-z0-9+/]*)(={0,2})")
_BASE64URL = re.compile(r"([A-Za-z0-9_-]*)(={0,2})")
_HINT = (
    "The ticket cannot be read: send its bytes, as many as the callback counted, as hex with two digits for each byte."
)


def decode_ticket_text(text: str, *, prefix: bytes = b"") -> bytes:
    """The bytes behind hex or Base64 text, which begin with `prefix`.

    Line breaks and tabs are dropped, a space is an unescaped `+` of Base64 or a separator of hex.
    Raises `CredentialRejected` (`credential_malformed`).
    """
    if len(text) > _MAX_TEXT + _MAX_BREAKS:
        raise CredentialRejected("credential_malformed", "The ticket is longer than any ticket of Steam.")
    compact = text.translate(_BREAKS).lstrip(" ")
    if not compact:
        raise CredentialRejected("credential_malformed", "The ticket is empty.")
    raw = _hex(compact.replace(" ", ""), prefix)
    if raw is None:
        raw = _base64(compact)
    if raw is None or not raw.startswith(prefix):
        raise CredentialRejected("credential_malformed", _HINT)
    if len(raw) > MAX_TICKET:
        raise CredentialRejected("credential_malformed", "The ticket is longer than any ticket of Steam.")
    return raw


def _hex(text: str, prefix: bytes) -> bytes | None:
    if len(text) % 2 or not _HEX.fullmatch(text) or not text.lower().startswith(prefix.hex()):
        return None
    return bytes.fromhex(text)


def _base64(text: str) -> bytes | None:
    raw = _strict_base64(text.replace(" ", "+"))
    if raw is None and text.endswith(" "):
        raw = _strict_base64(text.rstrip(" ").replace(" ", "+"))
    return raw


def _strict_base64(text: str) -> bytes | None:
    """RFC 4648 section 3.5: one alphabet, padding whole or absent, no stray bits in the last character."""
    match = _BASE64.fullmatch(text) or _BASE64URL.fullmatch(text)
    if match is None:
        return None
    body, padding = match.groups()
    missing = -len(body) % 4
    if missing == 3 or (padding and len(padding) != missing):
        return None
    raw = base64.b64decode(body.replace("-", "+").replace("_", "/") + "=" * missing)
    canonical = base64.b64encode(raw).decode("ascii").rstrip("=")
    return raw if canonical == body.replace("-", "+").replace("_", "/") else None
