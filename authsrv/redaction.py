"""What never appears in a log line: secrets by the name they stand under and by the look they have.

Pure text in, text out. Every pattern is linear in its input. Knows no logger.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

REDACTED: Final = "[redacted]"
MAX_TEXT: Final = 8 * 1024
_MAX_DEPTH = 6

SECRET_NAMES: Final = frozenset(
    {
        "access_token",
        "actor_token",
        "api_key",
        "apikey",
        "assertion",
        "authorization",
        "authsrv_sid",
        "authtoken",
        "client_assertion",
        "client_secret",
        "confirmation_token",
        "code",
        "code_verifier",
        "cookie",
        "credential",
        "device_code",
        "dpop",
        "entity_token",
        "exchange_code",
        "id_token",
        "id_token_hint",
        "initial_access_token",
        "login_url",
        "openid.sig",
        "password",
        "private_key",
        "proof",
        "proxy_authorization",
        "refresh_token",
        "registration_access_token",
        "secret",
        "secret_key",
        "session_id",
        "session_ticket",
        "set_cookie",
        "signature",
        "subject_token",
        "ticket",
        "token",
        "web_api_key",
        "x_secretkey",
        "x_server_authorization",
    }
)

_NAMES_IN_TEXT: Final = SECRET_NAMES | {"key", "nonce", "state"}  # harmless as a fact of ours, not in an address
_NAMES = "|".join(sorted((re.escape(name).replace("_", "[_-]") for name in _NAMES_IN_TEXT), key=len, reverse=True))
_SECRETS = re.compile(
    rf"""
      (?P<name>(?<![A-Za-z0-9])(?:{_NAMES})(?:=|(?P<quote>["'])\s{{0,2}}[:=]\s{{0,2}}))
          (?:b?"[^"]*"?|b?'[^']*'?|[^\s&"',;)}}\]]+)           # name=value, "name": "value", 'name': b'value'
    | (?P<scheme>(?<![A-Za-z0-9])(?:bearer|basic|dpop)\s{{1,2}})[A-Za-z0-9+/=._~-]{{8,}}
    | XBL3\.0\s{{0,2}}x=\S+
    | eyJ[A-Za-z0-9_-]{{4,}}\.[A-Za-z0-9_.-]+                  # JWS and JWE in compact form (RFC 7515, 7516)
    | (?<![A-Za-z0-9])as[a-z]_[A-Za-z0-9_-]{{16,}}             # our own codes, refresh tokens and session ids
    | authsrv_guest_[A-Za-z0-9_-]{{16,}}                       # secrets of guests
    | [A-Za-z0-9+/_=-]{{100,}}                                 # platform tickets in hex or Base64
    """,
    re.IGNORECASE | re.VERBOSE,
)


_SHORT: Final = 100
_HARMLESS: Final = re.compile(r"[A-Za-z0-9/:.-]*")
"""Letters of which no short text is a secret, unless it is a JWS: each of the other patterns needs one more."""
_NUMBERS: Final = (int, float)
_HINTS: Final = ("=", '"', "'", "eyj", "bearer", "basic", "dpop", "xbl3", "authsrv_guest_")


def redact_text(text: str) -> str:
    """The text with everything that is or looks like a secret replaced, cut at `MAX_TEXT` characters."""
    # Nearly all facts are short words, and looking for a few substrings is far cheaper than a pattern.
    if len(text) < _SHORT and (text.isalnum() or not _may_hold_secret(text.lower())):
        return text
    return _SECRETS.sub(_replacement, text[:MAX_TEXT])


def _may_hold_secret(lowered: str) -> bool:
    if _HARMLESS.fullmatch(lowered):
        return "eyj" in lowered
    if "_" in lowered and "as" in lowered:
        return True
    return any([hint in lowered for hint in _HINTS])  # noqa: C419 - a list is faster than a generator here


def _replacement(match: re.Match[str]) -> str:
    return f"{match['name'] or match['scheme'] or ''}{REDACTED}"


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    return name.lower().replace("-", "_") in SECRET_NAMES


def redact(value: Any, *, name: str = "", depth: int = 0) -> Any:
    """A JSON-ready copy of a value without secrets; what stands under a secret's name goes whole."""
    if name and _is_secret_name(name):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, _NUMBERS):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    return _redact_group(value, depth + 1)


def _redact_group(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return "[too deep]"
    if isinstance(value, Mapping):
        return {redact_text(str(key)): redact(item, name=str(key), depth=depth) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth=depth) for item in value]
    return redact_text(str(value))
