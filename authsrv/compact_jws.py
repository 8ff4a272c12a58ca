"""The compact form of a JWS (RFC 7515 section 3.1), taken apart: one text is one token, and has one meaning or none.

Owns the refusal of every other spelling. Believes nothing: keys, algorithms and claims are the reader's to judge.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authsrv.strict_json import strict_json

_COMPACT = re.compile(r"([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]++)")
_LONGEST_HEADER = 8192
"""Characters; room for a chain of certificates. A longer one would be read for nothing: nobody has signed it yet."""


@dataclass(frozen=True, slots=True)
class CompactJws:
    """A token whose signature nobody has verified yet."""

    header: Mapping[str, Any]
    unverified: Mapping[str, Any] = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def take_apart(text: str, longest: int) -> CompactJws:
    """The parts of a token of at most `longest` characters, whose header and payload are strict JSON objects.

    A header has 8,192 characters at most. Raises ValueError, whose text never holds a part of the token.
    """
    parts = _COMPACT.fullmatch(text) if len(text) <= longest else None
    if parts is None or parts.end(1) > _LONGEST_HEADER:
        raise ValueError("not a compact JWS, or too long")
    head, body, tail = parts.groups()
    return CompactJws(_object(head), _object(body), f"{head}.{body}".encode("ascii"), _decoded(tail))


def _object(part: str) -> Mapping[str, Any]:
    value = strict_json(_decoded(part))
    if not isinstance(value, dict):
        raise ValueError("a part is not a JSON object")  # noqa: TRY004 - a foreign text, not a caller's mistake
    return value


def _decoded(part: str) -> bytes:
    """base64url in its only spelling: no padding, and nothing in the bits that a last character has left over."""
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise ValueError("a part is not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode("ascii"):
        raise ValueError("a part is not canonical base64url")
    return data
