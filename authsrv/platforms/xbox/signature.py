"""The `Signature` header: a proof, fresh for each request, that the sender holds the key its token is bound to.

Pure. Owns the header's form, the signed bytes and the proof key. Knows no token but its `cnf` claim.
Source: Microsoft, "Xbox services authentication for title services"; RFC 7638 and 7800 for the key.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from authsrv.platforms.base import CredentialRejected, RequestProof
from authsrv.records import dataclass

_HEADER = re.compile(rb"[A-Za-z0-9+/]{102}==")  # 76 bytes
_COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes
_EPOCH = 116444736000000000  # of FILETIME (1601) to that of Unix, in ticks
_TICKS = 10_000_000  # a second


@dataclass(frozen=True, slots=True)
class Policy:
    """The endpoint's signature policy. `extra_headers` are lower-case names in the policy's order."""

    version: int = 1
    max_body_bytes: int = 8192
    extra_headers: tuple[str, ...] = ()
    path_prefix: bytes = b""


@dataclass(frozen=True, slots=True)
class SignatureHeader:
    """The header's value taken apart. `filetime` is in ticks of 100 ns since 1601."""

    version: int
    filetime: int
    r: int
    s: int

    @property
    def unix_time(self) -> float:
        """When the client says it signed, in Unix seconds."""
        return (self.filetime - _EPOCH) / _TICKS


@dataclass(frozen=True, slots=True)
class ProofKey:
    """The public key a token is bound to. `thumbprint` is that of RFC 7638 (SHA-256)."""

    public: ec.EllipticCurvePublicKey = field(repr=False)
    thumbprint: bytes


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request with the signature that came with it, not verified yet."""

    header: SignatureHeader
    data: bytes = field(repr=False)
    key: ProofKey

    @property
    def digest(self) -> bytes:
        """What this request is remembered by. Not the header: of (r, s) anybody makes (r, n - s), as valid as it."""
        return hashlib.sha256(hashlib.sha256(self.data).digest() + self.key.thumbprint).digest()

    def verify(self, now: float, skew: int) -> None:
        """Raises `CredentialRejected`: `signature_clock_skew` before `signature_invalid`."""
        if abs(now - self.header.unix_time) > skew:
            raise CredentialRejected(
                "signature_clock_skew",
                "The clock of the device differs too much from ours; sign again with the time of our Date header.",
                detail="the signature's timestamp is outside the window",
            )
        try:
            signature = encode_dss_signature(self.header.r, self.header.s)
            self.key.public.verify(signature, self.data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise invalid("the signature does not fit the request") from None


def invalid(detail: str) -> CredentialRejected:
    """The header is there and does not verify."""
    return CredentialRejected(
        "signature_invalid", "The Signature header does not fit this request; sign each request anew.", detail=detail
    )


def read_request(proof: RequestProof, key: ProofKey, policy: Policy) -> SignedRequest:
    """The signed request as the policy sees it. Raises `CredentialRejected` (`signature_invalid`)."""
    if len(proof.signatures) != 1:
        raise invalid("not exactly one Signature header")
    header = read_header(proof.signatures[0])
    if header.version != policy.version:
        raise invalid("the signature follows another policy version")
    return SignedRequest(header, signed_data(proof, header.filetime, policy), key)


def read_header(value: bytes) -> SignatureHeader:
    """Take a header value apart: strict Base64 of exactly 76 bytes. Raises `CredentialRejected`."""
    if not _HEADER.fullmatch(value):
        raise invalid("the Signature header is not Base64 of 76 bytes")
    raw = base64.b64decode(value)
    version, filetime, r, s = (int.from_bytes(part, "big") for part in (raw[:4], raw[4:12], raw[12:44], raw[44:]))
    return SignatureHeader(version, filetime, r, s)


def signed_data(proof: RequestProof, filetime: int, policy: Policy) -> bytes:
    """The bytes under the signature: every element is followed by a zero byte, the last one and empty ones too."""
    elements = (
        policy.version.to_bytes(4, "big"),
        filetime.to_bytes(8, "big"),
        proof.method.upper().encode(),
        policy.path_prefix + proof.target,
        proof.authorization,
        *(proof.extra.get(name, b"") for name in policy.extra_headers),
        proof.body[: policy.max_body_bytes],
    )
    return b"".join(element + b"\0" for element in elements)


def proof_key(claims: Mapping[str, Any]) -> ProofKey | None:
    """The key in `cnf.jwk`, or None if the token is not bound to a usable one (EC P-256, public)."""
    cnf = claims.get("cnf")
    jwk = cnf.get("jwk") if isinstance(cnf, dict) else None
    if not isinstance(jwk, dict) or "d" in jwk or (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
        return None
    if jwk.get("alg", "ES256") != "ES256" or jwk.get("use", "sig") != "sig":
        return None
    x, y = _coordinate(jwk.get("x")), _coordinate(jwk.get("y"))
    if x is None or y is None:
        return None
    return _key_at(x, y)


def _key_at(x: bytes, y: bytes) -> ProofKey | None:
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    try:
        public = numbers.public_key()
    except ValueError:  # not on the curve
        return None
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{_base64url(x)}","y":"{_base64url(y)}"}}'
    return ProofKey(public, hashlib.sha256(canonical.encode()).digest())


def _coordinate(text: Any) -> bytes | None:
    if not isinstance(text, str) or not _COORDINATE.fullmatch(text):
        return None
    return base64.urlsafe_b64decode(text + "=")


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
