"""The issuer's public keys: reading a JWK set (RFC 7517) into keys with one algorithm each.

Owns which keys may verify at all. Knows neither tokens nor where a set comes from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from authsrv.strict_json import strict_json

ALGORITHMS = frozenset({"ES256", "RS256", "PS256", "EdDSA"})
"""Nothing symmetric: a public key that passes for a shared secret is the oldest forgery (RFC 8725 section 2.1)."""

_MAX_KID = 256
_MIN_RSA_BITS = 2048
_NEVER_PUBLIC = ("d", "k")


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the one algorithm it is for (RFC 8725 section 3.1)."""

    kid: str
    alg: str
    _jwk: jwt.PyJWK

    def made(self, signature: bytes, signed: bytes) -> bool:
        """Whether this key made the signature over these bytes."""
        verified: bool = self._jwk.Algorithm.verify(signed, self._jwk.key, signature)
        return verified


Keys = Mapping[str, Key]
"""Keys by `kid`."""


def read_key_set(body: bytes) -> Keys:
    """The keys of a JWK set that may verify, by `kid`.

    Left out are keys without a text `kid`, without one of `ALGORITHMS` as `alg`, for another use than signatures, too
    weak, or published with their private part. Raises ValueError if the document is not a JWK set, holds no key that
    may verify, or two of one `kid`.
    """
    document = strict_json(body)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("the document is not a JWK set")  # noqa: TRY004 - a foreign document, not a caller's mistake
    keys = [key for entry in entries if (key := _key(entry))]
    if not keys:
        raise ValueError("the JWK set holds no key that may verify")
    by_kid = {key.kid: key for key in keys}
    if len(by_kid) != len(keys):
        raise ValueError("the JWK set holds two keys of one kid")
    return by_kid


def _key(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or any(member in entry for member in _NEVER_PUBLIC):
        return None
    kid, alg, use = entry.get("kid"), entry.get("alg"), entry.get("use", "sig")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID or use != "sig":
        return None
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        return None
    jwk = _usable(entry)
    return Key(kid, alg, jwk) if jwk else None


def _usable(entry: dict[str, Any]) -> jwt.PyJWK | None:
    try:
        jwk = jwt.PyJWK(entry)
        jwk.key = jwk.Algorithm.prepare_key(jwk.key)  # an ECDSA key on the curve of another algorithm
    except jwt.PyJWTError:
        return None
    is_weak = entry["kty"] == "RSA" and jwk.key.key_size < _MIN_RSA_BITS
    return None if is_weak else jwk
