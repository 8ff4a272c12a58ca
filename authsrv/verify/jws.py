"""A JWT of the issuer: no header that changes the rules, and one signature by a known key.

Owns what RFC 8725 says about algorithms and keys. Knows no claim.
"""

from dataclasses import dataclass

from authsrv.compact_jws import CompactJws, take_apart
from authsrv.verify.claims import Claims
from authsrv.verify.errors import InvalidToken
from authsrv.verify.keys import ALGORITHMS, Keys

_REFUSED_MEMBERS = frozenset({"crit", "b64", "jwk", "jku", "x5c", "x5u", "zip", "enc"})
"""Members that would change what is signed, or bring a key along. The issuer never sends them."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A compact JWS taken apart. Nothing in it is to be believed before `claims` has returned."""

    typ: str
    alg: str
    kid: str
    _parts: CompactJws

    @classmethod
    def read(cls, body: object, longest: int) -> "Jws":
        """Take a text of at most so many characters apart, without looking at its signature. Raises `InvalidToken`."""
        parts = _taken_apart(body, longest)
        if not _REFUSED_MEMBERS.isdisjoint(parts.header):
            raise InvalidToken("a header member that is not allowed")
        alg, kid, typ = (_text(parts, name) for name in ("alg", "kid", "typ"))
        if alg not in ALGORITHMS:
            raise InvalidToken("an algorithm that is not allowed")
        return cls(typ, alg, kid, parts)

    def claims(self, keys: Keys) -> Claims:
        """The claims, once the key of that `kid` and its algorithm have made the signature. Raises `InvalidToken`."""
        key = keys.get(self.kid)
        if key is None:
            raise InvalidToken("an unknown key")
        if key.alg != self.alg:
            raise InvalidToken("another algorithm than the key is for")
        if not key.made(self._parts.signature, self._parts.signing_input):
            raise InvalidToken("a wrong signature")
        return self._parts.unverified


def _taken_apart(body: object, longest: int) -> CompactJws:
    if not isinstance(body, str):
        raise InvalidToken("not a text")
    try:
        return take_apart(body, longest)
    except ValueError as error:
        raise InvalidToken(str(error)) from None


def _text(parts: CompactJws, name: str) -> str:
    found = parts.header.get(name)
    if not isinstance(found, str):
        raise InvalidToken("a header member is missing or no text")
    return found
