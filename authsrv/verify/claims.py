"""Claims read one by one: present and of the one type they may have, never turned into it (RFC 8725 section 3.10).

Owns types and times. Knows no kind of token.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.verify.errors import InvalidToken

Claims = Mapping[str, Any]
MAX_LEEWAY = 60
"""Seconds by which the issuer's clock and ours may differ; more would keep ended tokens alive."""


def text(claims: Claims, name: str) -> str:
    """A claim that must be there and say something. This and the others raise `InvalidToken`."""
    found = claims.get(name)
    if not isinstance(found, str) or not found:
        raise InvalidToken(f"{name} is missing or no text")
    return found


def texts(claims: Claims, name: str) -> list[str]:
    """A list of texts that must be there; it may be empty."""
    found = claims.get(name)
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise InvalidToken(f"{name} is missing or no list of texts")
    return found


def whole(claims: Claims, name: str) -> int:
    """A whole number that must be there: Unix time, or seconds."""
    return _whole(claims.get(name), name)


def times(claims: Claims, name: str) -> dict[str, int]:
    """An object that must be there, with a time under each name."""
    found = claims.get(name)
    if not isinstance(found, dict):
        raise InvalidToken(f"{name} is missing or no object")
    return {each: _whole(time, name) for each, time in found.items()}


def check_times(claims: Claims, now: float, leeway: int) -> None:
    """`exp` in the future, `iat` and a `nbf` in the past, each with the leeway."""
    if whole(claims, "exp") + leeway <= now:
        raise InvalidToken("expired")
    begins = max(whole(claims, name) for name in ("iat", "nbf") if name == "iat" or name in claims)
    if begins - leeway > now:
        raise InvalidToken("not valid yet")


def _whole(found: object, name: str) -> int:
    if type(found) is not int:  # True is an int to isinstance
        raise InvalidToken(f"{name} is missing or no whole number")
    return found
