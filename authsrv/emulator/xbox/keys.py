"""The key pairs of the emulated Xbox Live: of the relying party, of XSTS, of a device, and of a forger.

Owns making, storing and publishing them. Knows no token.
"""

import base64
import datetime as dt
import uuid
from dataclasses import field, fields, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class XboxKeys:
    """All of them. `rp_*` belong to the studio; `jwk_*` (PS256) and `certificate*` (RS256) to XSTS."""

    rp_key: rsa.RSAPrivateKey = field(repr=False)
    rp_certificate: x509.Certificate = field(repr=False)
    jwk_key: rsa.RSAPrivateKey = field(repr=False)
    jwk_kid: str
    certificate_key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate = field(repr=False)
    foreign_key: rsa.RSAPrivateKey = field(repr=False)
    device_key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> "XboxKeys":
        """New keys, all of them."""
        rp_key, certificate_key = new_rsa_key(), new_rsa_key()
        return cls(
            rp_key=rp_key,
            rp_certificate=self_signed(rp_key, "authsrv emulator relying party"),
            jwk_key=new_rsa_key(),
            jwk_kid=str(uuid.uuid4()),
            certificate_key=certificate_key,
            certificate=self_signed(certificate_key, "authsrv emulator XSTS"),
            foreign_key=new_rsa_key(),
            device_key=ec.generate_private_key(ec.SECP256R1()),
        )

    def rotated(self) -> "XboxKeys":
        """The same with new keys of XSTS."""
        certificate_key = new_rsa_key()
        return replace(
            self,
            jwk_key=new_rsa_key(),
            jwk_kid=str(uuid.uuid4()),
            certificate_key=certificate_key,
            certificate=self_signed(certificate_key, "authsrv emulator XSTS"),
        )

    def to_json(self) -> dict[str, Any]:
        """The keys in JSON types: PEM texts by field name."""
        return {entry.name: _to_text(getattr(self, entry.name)) for entry in fields(self)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "XboxKeys":
        """Read what `to_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        return cls(
            rp_key=_rsa(document["rp_key"]),
            rp_certificate=x509.load_pem_x509_certificate(document["rp_certificate"].encode()),
            jwk_key=_rsa(document["jwk_key"]),
            jwk_kid=str(document["jwk_kid"]),
            certificate_key=_rsa(document["certificate_key"]),
            certificate=x509.load_pem_x509_certificate(document["certificate"].encode()),
            foreign_key=_rsa(document["foreign_key"]),
            device_key=_ec(document["device_key"]),
        )

    def jwks(self) -> list[dict[str, str]]:
        """The public keys of XSTS as JWKs: the PS256 key, and the certificate's key for RS256 under its `x5t`."""
        ps256 = rsa_jwk(self.jwk_key.public_key(), self.jwk_kid, "PS256")
        return [ps256, rsa_jwk(self.certificate_key.public_key(), x5t(self.certificate), "RS256")]


def new_rsa_key() -> rsa.RSAPrivateKey:
    """An RSA key of 2048 bits."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def self_signed(key: rsa.RSAPrivateKey, name: str) -> x509.Certificate:
    """A certificate as studios make it for Partner Center: self-signed, RSA, SHA-256."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    unsigned = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=begin,
        not_valid_after=begin + dt.timedelta(days=3650),
    )
    return unsigned.sign(key, hashes.SHA256())


def x5t(certificate: x509.Certificate) -> str:
    """SHA-1 over the DER, base64url."""
    return base64url(certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - as RFC 7515 section 4.1.7 defines it


def pem(key: PrivateKeyTypes) -> str:
    """A private key as PKCS#8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate_pem(certificate: x509.Certificate) -> str:
    """A certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM).decode()


def rsa_jwk(key: rsa.RSAPublicKey, kid: str, alg: str) -> dict[str, str]:
    """A public RSA key as XSTS publishes it."""
    numbers = key.public_numbers()
    return {"kty": "RSA", "use": "sig", "alg": alg, "kid": kid, "n": _uint(numbers.n), "e": _uint(numbers.e)}


def proof_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """A device's public key as in the claim `cnf.jwk`."""
    numbers = key.public_numbers()
    x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"crv": "P-256", "x": x, "y": y, "alg": "ES256", "kty": "EC", "use": "sig"}


def base64url(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _uint(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return certificate_pem(value) if isinstance(value, x509.Certificate) else pem(value)


def _rsa(text: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(text.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("not an RSA key")
    return key


def _ec(text: str) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(text.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not an EC key")
    return key
