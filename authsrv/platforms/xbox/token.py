"""The `XBL3.0` text and the token in it: reading, decrypting, and where the inner signature's key is published.

Pure: no I/O and no clock. Nothing read here is believed: the certificate of the relying party is public, so anybody
can encrypt to us; only `xbox_keys` turns unverified claims into verified ones.
Source: Microsoft, "Xbox services security tokens (XSTS tokens)"; RFC 7515, 7516, 7518, 1951.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, NewType

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from authsrv.platforms.base import CredentialRejected
from authsrv.records import dataclass
from authsrv.strict_json import strict_json

UnverifiedClaims = NewType("UnverifiedClaims", Mapping[str, Any])
"""Claims whose signature nobody has checked; good for rate limits and for finding a key, for nothing else."""

MAX_TOKEN = 64 * 1024
_MAX_OUTER_HEADER = 1024
_MAX_PARAMETER = (MAX_TOKEN + 64) * 4 // 3 + 4
_MAX_INNER_HEADER = 2048
_MAX_PATH = 128
_MAX_KID = 256

_JWE = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){4}"
_XBL3 = re.compile(rf"(?i:XBL3\.0) x=([0-9]{{1,32}});({_JWE})", re.ASCII)
_WITH_XUID = re.compile(rf"[0-9]{{1,20}};([0-9]{{1,32}});({_JWE})")
_BARE = re.compile(_JWE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_INNER = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_PATH = r"(?::443)?(/[A-Za-z0-9._~/-]*(?:\?[A-Za-z0-9._~=&-]*)?)"
_JKU = re.compile(rf"(?i:https://xsts-keys\.auth\.xboxlive\.com){_PATH}", re.ASCII)
_X5U = re.compile(rf"(?i:https://xsts\.auth\.xboxlive\.com){_PATH}", re.ASCII)
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:[/?]|\Z)")

_OUTER = {"alg": "RSA-OAEP", "enc": "A128CBC-HS256", "zip": "DEF", "cty": "JWT"}
_OUTER_FORBIDDEN = frozenset({"crit", "jwk", "jku", "x5c", "x5u", "p2c", "p2s", "epk"})
_INNER_FORBIDDEN = frozenset({"crit", "b64", "jwk", "x5c"})
_LEGACY = frozenset({"A128CBC+HS256"})
_WRONG_KIND = (
    "the game asked for a token for the wrong URL, its endpoint is missing in Partner Center, or the relying party "
    "still uses a legacy option"
)


@dataclass(frozen=True, slots=True)
class Presented:
    """An encrypted token and the user hash that came with it; None for a bare token."""

    user_hash: str | None
    jwe: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the key of an inner signature is published: a path on one of the two fixed hosts, and the key's id there.

    `key_id` is the `kid` of a JWK, or the SHA-1 thumbprint of a certificate in hex. An empty `path` means the host's
    standing list.
    """

    host: Literal["keys", "xsts"]
    path: str
    key_id: str
    alg: Literal["PS256", "RS256"]


@dataclass(frozen=True, slots=True)
class InnerToken:
    """The signed token inside the encrypted one, with claims that nobody has verified yet."""

    place: KeyPlace
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    unverified: UnverifiedClaims = field(repr=False)


def malformed(detail: str) -> CredentialRejected:
    """The credential cannot be read, or does not say which user it is for."""
    return CredentialRejected(
        "credential_malformed",
        "Send the token as XBL3.0 x=<user hash>;<token> for one user, exactly as the platform returned it.",
        detail=detail,
    )


def rejected(detail: str) -> CredentialRejected:
    """Every cryptographic failure: one text, so that the answer tells nothing about the step."""
    return CredentialRejected(
        "credential_rejected", "The token is not genuine; ask the platform for a new one.", detail=detail
    )


def _unsupported(detail: str) -> CredentialRejected:
    return CredentialRejected(
        "credential_unsupported",
        "This is no token for our relying party; ask the platform for a token for this address.",
        detail=detail,
    )


def read_authorization(text: str) -> Presented:
    """Read `XBL3.0 x=<user hash>;<token>`, the value of an Authorization header. Raises `CredentialRejected`."""
    found = _XBL3.fullmatch(text)
    if found is None or len(found[2]) > MAX_TOKEN:
        raise malformed("not XBL3.0 with one user hash and a token of five parts, or too long")
    return Presented(found[1], found[2])


def read_parameter(text: str) -> Presented:
    """Read a token that came as a request parameter. Raises `CredentialRejected`.

    Beside the header's form: Base64 of it, `<XUID>;<user hash>;<token>` (the XUID is ignored), and a bare token.
    """
    if len(text) > _MAX_PARAMETER:
        raise malformed("too long")
    with_xuid = _WITH_XUID.fullmatch(text)
    if with_xuid and len(with_xuid[2]) <= MAX_TOKEN:
        return Presented(with_xuid[1], with_xuid[2])
    if len(text) <= MAX_TOKEN and _BARE.fullmatch(text):
        return Presented(None, text)
    return read_authorization(_without_base64(text))


def _without_base64(text: str) -> str:
    if not _BASE64.fullmatch(text):
        return text
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except ValueError:
        raise malformed("Base64 of something else") from None


def thumbprint(text: Any) -> bytes | None:
    """The 20 bytes of an `x5t`, with or without padding; None if it is something else."""
    raw = _decoded(text.rstrip("=").encode("ascii", "replace")) if isinstance(text, str) else None
    return raw if raw is not None and len(raw) == 20 else None


def decrypt(token: str, ring: Mapping[bytes, RSAPrivateKey]) -> bytes:
    """The text of the inner token, by the key of the ring that the header names. Raises `CredentialRejected`."""
    header = _outer_header(token.split(".", 1)[0])
    x5t = thumbprint(header.get("x5t"))
    if x5t is None:
        raise _unsupported("the header names no certificate")
    key = ring.get(x5t)
    if key is None:
        raise CredentialRejected(
            "credential_wrong_audience",
            "The token is for another service; ask the platform for a token for this address.",
            detail="unknown x5t: another relying party, or its certificate was changed in Partner Center",
        )
    from authsrv.platforms.xbox import envelope  # noqa: PLC0415 - loads joserfc

    try:
        return envelope.opened(token, key, _MAX_OUTER_HEADER)
    except envelope.Sealed as error:
        raise rejected(f"the token cannot be decrypted: {error}") from None


def _outer_header(segment: str) -> Mapping[str, Any]:
    header = _header(segment.encode("ascii"), _MAX_OUTER_HEADER)
    if header is None:
        raise _unsupported("the outer header is not a JSON object of moderate size")
    if header.get("enc") in _LEGACY:
        raise _unsupported(f"legacy encryption A128CBC+HS256; {_WRONG_KIND}")
    if any(header.get(name) != value for name, value in _OUTER.items()) or _OUTER_FORBIDDEN & set(header):
        raise _unsupported(f"an unexpected algorithm or member of the outer header; {_WRONG_KIND}")
    return header


def read_inner(text: bytes) -> InnerToken:
    """Take the inner token apart and find out where its key is. Raises `CredentialRejected`."""
    parts = _INNER.fullmatch(text)
    header = _header(parts[1], _MAX_INNER_HEADER) if parts else None
    signature = _decoded(parts[3]) if parts else None
    claims = _json_object(_decoded(parts[2])) if parts else None
    if parts is None or header is None or signature is None or claims is None:
        raise rejected("the decrypted text is not a signed token")
    if _INNER_FORBIDDEN & set(header) or header.get("typ", "JWT") != "JWT":
        raise rejected("a member of the inner header is not allowed")
    signing_input = parts[1] + b"." + parts[2]
    return InnerToken(_key_place(header), signing_input, signature, UnverifiedClaims(claims))


def _key_place(header: Mapping[str, Any]) -> KeyPlace:
    return _jwk_place(header) if header.get("x5t") is None else _certificate_place(header)


def _jwk_place(header: Mapping[str, Any]) -> KeyPlace:
    alg, kid = header.get("alg"), header.get("kid")
    if alg not in ("PS256", "RS256"):
        raise rejected("unexpected inner algorithm")
    if not (isinstance(kid, str) and 0 < len(kid) <= _MAX_KID):
        raise rejected("the inner header names no key")
    return KeyPlace("keys", _path(_JKU, header.get("jku")), kid, "PS256" if alg == "PS256" else "RS256")


def _certificate_place(header: Mapping[str, Any]) -> KeyPlace:
    x5t = thumbprint(header["x5t"])
    if header.get("alg") != "RS256" or x5t is None:
        raise rejected("unexpected inner algorithm or thumbprint")
    path = "" if header.get("x5u") is None else _path(_X5U, header["x5u"])
    return KeyPlace("xsts", path, x5t.hex(), "RS256")


def _path(address: re.Pattern[str], url: Any) -> str:
    found = address.fullmatch(url) if isinstance(url, str) else None
    if found is None or len(found[1]) > _MAX_PATH or _DOT_SEGMENT.search(found[1]):
        raise rejected("the inner header names a key address that is not allowed")
    return found[1]


def _header(segment: bytes, limit: int) -> Mapping[str, Any] | None:
    return _json_object(_decoded(segment)) if len(segment) <= limit * 4 // 3 else None


def _decoded(segment: bytes) -> bytes | None:
    if not _BASE64URL.fullmatch(segment.decode("ascii")):
        return None
    try:
        return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except binascii.Error:
        return None


def _json_object(data: bytes | None) -> Mapping[str, Any] | None:
    try:
        value = strict_json(data or b"")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
