"""A signed JWT in its one accepted form: compact, strict JSON, one signature by a known key.

Owns everything that RFC 7515 and RFC 8725 say about the envelope. Knows no claim.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from authsrv.strict_json import strict_json
from authsrv.verify.errors import InvalidToken
from authsrv.verify.keys import ALGORITHMS, Keys

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_REFUSED_MEMBERS = frozenset({"crit", "b64", "jwk", "jku", "x5c", "x5u", "zip", "enc"})
"""Members that would change what is signed, or bring a key along. The issuer never sends them."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A compact JWS taken apart. Nothing in it is to be believed before `claims` has returned."""

    typ: str
    alg: str
    kid: str
    _payload: str
    _signed: bytes
    _signature: bytes

    @classmethod
    def read(cls, text: object, max_length: int) -> "Jws":
        """Take a text apart without looking at its signature. Raises `InvalidToken`."""
        if not isinstance(text, str) or len(text) > max_length:
            raise InvalidToken("not a text, or too long")
        parts = _COMPACT.fullmatch(text)
        if parts is None:
            raise InvalidToken("not a compact JWS")
        header = _object(parts[1], "header")
        if not _REFUSED_MEMBERS.isdisjoint(header):
            raise InvalidToken("a header member that is not allowed")
        alg, kid, typ = (_text(header, name) for name in ("alg", "kid", "typ"))
        if alg not in ALGORITHMS:
            raise InvalidToken("an algorithm that is not allowed")
        return cls(typ, alg, kid, parts[2], text[: parts.end(2)].encode(), _bytes(parts[3]))

    def claims(self, keys: Keys) -> dict[str, Any]:
        """The claims, once the key of that `kid` and its algorithm have made the signature. Raises `InvalidToken`."""
        key = keys.get(self.kid)
        if key is None:
            raise InvalidToken("an unknown key")
        if key.alg != self.alg:
            raise InvalidToken("another algorithm than the key is for")
        if not key.made(self._signature, self._signed):
            raise InvalidToken("a wrong signature")
        return _object(self._payload, "payload")


def _text(header: dict[str, Any], name: str) -> str:
    found = header.get(name)
    if not isinstance(found, str):
        raise InvalidToken("a header member is missing or no text")
    return found


def _object(part: str, name: str) -> dict[str, Any]:
    try:
        found = strict_json(_bytes(part))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidToken(f"the {name} is not a JSON object")
    return found


def _bytes(part: str) -> bytes:
    """Base64url with exactly one spelling for each value (RFC 4648 section 3.5)."""
    padding = "=" * (-len(part) % 4)
    try:
        data = urlsafe_b64decode(part + padding)
    except ValueError:
        raise InvalidToken("not base64url") from None
    if urlsafe_b64encode(data) != (part + padding).encode():
        raise InvalidToken("not base64url")
    return data
