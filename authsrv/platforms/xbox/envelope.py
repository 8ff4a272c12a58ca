"""The encryption around an inner token, opened by joserfc under limits of our own.

Imported for the first token, or shortly after the start: joserfc costs a start more than any platform. Knows no header
that `token.py` has not allowed, and believes nothing of what it opens.
Source: RFC 7516, 7518, 1951.
"""

import zlib

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwa import DeflateZipModel, JWEZipModel
from joserfc.jwk import RSAKey

MAX_INFLATED = 250 * 1024


class Sealed(Exception):
    """It does not open. The text is the kind of the error."""


def opened(token: str, key: RSAPrivateKey, longest_header: int) -> bytes:
    """The text inside a token whose header has at most so many bytes. Raises `Sealed`."""
    try:
        plain = jwe.decrypt_compact(token, RSAKey.import_key(key), registry=_registry(longest_header)).plaintext
    except (JoseError, ValueError, TypeError, zlib.error) as error:
        raise Sealed(type(error).__name__) from None
    return plain or b""


class _RawDeflate(DeflateZipModel):
    """DEFLATE without a zlib header (RFC 7516 section 4.1.3), capped, complete and with nothing behind it.

    joserfc's own model takes a zlib header for granted when it sees one, and truncated or trailing data.
    """

    def decompress(self, s: bytes) -> bytes:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        plain = inflater.decompress(s, MAX_INFLATED)
        if not inflater.eof or inflater.unused_data:
            raise ValueError("the compressed text is cut, too large or followed by something")
        return plain


class _Registry(jwe.JWERegistry):
    """joserfc's limits count encoded characters; these leave room for our own limits and for RSA keys of 8192 bits."""

    max_encrypted_key_length = 1368

    def get_zip(self, name: str) -> JWEZipModel:
        super().get_zip(name)
        return _RawDeflate()


def _registry(longest_header: int) -> jwe.JWERegistry:
    registry = _Registry(algorithms=["RSA-OAEP", "A128CBC-HS256", "DEF"], strict_check_header=False)
    registry.max_protected_header_length = longest_header * 4 // 3
    return registry
