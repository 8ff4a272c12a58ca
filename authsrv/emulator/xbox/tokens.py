"""A factory for XSTS tokens, genuine and manipulated, and the signer that a console would be.

Written against the published formats alone, so that it and the verifier cannot share a mistake. Knows no routes.
"""

import hashlib
import hmac
import json
import os
import secrets
import struct
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from authsrv.emulator.base import TestPlayer
from authsrv.emulator.xbox.keys import XboxKeys, base64url, proof_jwk, x5t
from authsrv.records import dataclass

RELYING_PARTY = "rp://login.studio.example/"
TITLE = "1999000001"
PRIVILEGES = "188 247 252 254 255"
LIFETIME = 4 * 3600
JKU = "https://xsts-keys.auth.xboxlive.com/psskeys"
X5U = "https://xsts.auth.xboxlive.com/xsts/certificates/"


def raw_deflate(plain: bytes) -> bytes:
    """DEFLATE without a header (RFC 1951)."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(plain) + deflater.flush()


def oaep(algorithm: hashes.HashAlgorithm) -> padding.OAEP:
    """OAEP with one hash for both of its uses, as RFC 7518 section 4.3 has it."""
    return padding.OAEP(padding.MGF1(algorithm), algorithm, None)


OAEP_SHA1 = oaep(hashes.SHA1())  # noqa: S303 - as the platform does


class XboxTokens:
    """Makes tokens of one set of keys. Every part can be replaced by a wrong one."""

    def __init__(self, keys: XboxKeys, clock: Callable[[], float]) -> None:
        self.keys = keys
        self._clock = clock

    def user(self, player: TestPlayer, **changes: Any) -> dict[str, Any]:
        """An entry of `xui`. The user hash is another one in every token."""
        return {
            "gtg": player.display_name,
            "mgt": player.display_name,
            "uhs": str(secrets.randbelow(9 * 10**18) + 10**18),
            "ptx": player.partner_xuid,
            "agg": "Adult",
            "prv": PRIVILEGES,
        } | changes

    def claims(self, *users: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """The claims of a token for these users, given to a title on a console, bound to the console's key."""
        now = int(self._clock())
        return {
            "xdi": {"dty": "XboxOne", "dvr": "10.0.25398.2923", "ddm": "Retail"},
            "xti": {"tid": TITLE, "tvr": "1.0.0.0"},
            "sbx": "RETAIL",
            "cnf": {"jwk": proof_jwk(self.keys.device_key.public_key())},
            "xui": list(users),
            "aud": RELYING_PARTY,
            "iss": "xsts.auth.xboxlive.com",
            "nbf": now - 60,
            "exp": now - 60 + LIFETIME,
        } | changes

    def jku_header(self, **changes: Any) -> dict[str, Any]:
        """The inner header of relying parties with the JKU option."""
        return {"alg": "PS256", "kid": self.keys.jwk_kid, "jku": JKU, "typ": "JWT"} | changes

    def certificate_header(self, **changes: Any) -> dict[str, Any]:
        """The inner header of relying parties without it."""
        name = x5t(self.keys.certificate)
        return {"alg": "RS256", "x5t": name, "x5u": X5U + name, "kid": name, "typ": "JWT"} | changes

    def sign(
        self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None, key: rsa.RSAPrivateKey | None = None
    ) -> str:
        """The inner token. Without a header: the JKU one; without a key: the one that the header names."""
        header = self.jku_header() if header is None else header
        own = self.keys.certificate_key if header.get("alg") == "RS256" else self.keys.jwk_key
        signing_input = f"{_json_part(header)}.{_json_part(claims)}"
        return f"{signing_input}.{base64url(_signature(header.get('alg'), key or own, signing_input.encode()))}"

    def encrypt(
        self,
        inner: str,
        *,
        header: Mapping[str, Any] | None = None,
        public_key: rsa.RSAPublicKey | None = None,
        key_wrapping: padding.OAEP = OAEP_SHA1,
        cek: bytes = b"",
        compress: Callable[[bytes], bytes] = raw_deflate,
    ) -> str:
        """The outer token (RFC 7516, RSA-OAEP and A128CBC-HS256). `header` replaces single members."""
        cek = cek or os.urandom(32)
        outer = {"enc": "A128CBC-HS256", "alg": "RSA-OAEP", "cty": "JWT", "zip": "DEF"}
        aad = _json_part(outer | {"x5t": x5t(self.keys.rp_certificate)} | dict(header or {}))
        key = public_key or self.keys.rp_key.public_key()
        wrapped = key.encrypt(cek, key_wrapping)
        iv, ciphertext, tag = _encrypt(compress(inner.encode()), cek.ljust(32, b"\0")[:32], aad.encode())
        return ".".join((aad, *(base64url(part) for part in (wrapped, iv, ciphertext, tag))))

    def text(self, *users: Mapping[str, Any], **changes: Any) -> str:
        """A whole credential for the first of these users, with changed claims."""
        token = self.encrypt(self.sign(self.claims(*users, **changes)))
        return f"XBL3.0 x={users[0]['uhs']};{token}"


@dataclass(frozen=True, slots=True)
class ClientSigner:
    """Signs requests as a console does. `clock` gives Unix seconds."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    clock: Callable[[], float]
    version: int = 1
    max_body_bytes: int = 8192

    def sign(
        self, method: str, target: bytes, authorization: bytes, body: bytes = b"", extra: Sequence[bytes] = ()
    ) -> str:
        """The value of the `Signature` header. `extra` are the values of the policy's further headers, in order."""
        stamp = struct.pack(">I", self.version), struct.pack(">Q", round(self.clock() * 10**7) + 116444736000000000)
        covered = (*stamp, method.upper().encode(), target, authorization, *extra, body[: self.max_body_bytes])
        signature = self.key.sign(b"\0".join(covered) + b"\0", ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(signature)
        return b64encode(b"".join(stamp) + r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()


def _json_part(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def _signature(alg: Any, key: rsa.RSAPrivateKey, data: bytes) -> bytes:
    if alg == "RS256":
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


def _encrypt(plain: bytes, cek: bytes, aad: bytes) -> tuple[bytes, bytes, bytes]:
    iv = os.urandom(16)
    padder, cipher = PKCS7(128).padder(), Cipher(AES(cek[16:]), CBC(iv)).encryptor()
    ciphertext = cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()
    authenticated = aad + iv + ciphertext + struct.pack(">Q", len(aad) * 8)
    return iv, ciphertext, hmac.new(cek[:16], authenticated, hashlib.sha256).digest()[:16]
