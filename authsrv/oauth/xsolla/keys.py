"""The public keys as Xsolla's servers list them: a bare array, numbers in hexadecimal.

Owns that shape and its order. Which keys there are is the key ring's to say.
"""

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping, Sequence


def key_list(jwks: Iterable[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    """The keys that tokens of this surface are signed by, of a key set whose signing keys come first.

    The order is all that Xsolla's Go SDK goes by: it looks for the `kid`, and then takes the first key all the same.
    """
    return [_listed(jwk) for jwk in jwks if jwk["alg"] == "RS256"]


def _listed(jwk: Mapping[str, str]) -> Mapping[str, str]:
    told = {name: jwk[name] for name in ("alg", "kty", "use", "kid")}
    return told | {name: _in_hex(jwk[name]) for name in ("e", "n")}


def _in_hex(number: str) -> str:
    """Base64url (RFC 7518 section 2) as lower-case hexadecimal without leading zeros: 65537 is 10001."""
    return f"{int.from_bytes(urlsafe_b64decode(number + '==')):x}"
