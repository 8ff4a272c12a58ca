"""Keys and tokens of the emulated Epic: every kind of token it issues, with any claim or header changed or missing.

Owns the layouts and the emulator's own RSA keys. Knows no endpoint and no error case.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from authsrv.emulator.base import TestPlayer
from authsrv.records import dataclass

EAS_ISSUER = "https://api.epicgames.dev/epic/oauth/v1"
CONNECT_ISSUER = "https://api.epicgames.dev/auth/v1/oauth"
EAS_LIFETIME = 7200
REFRESH_LIFETIME = 28800
CONNECT_LIFETIME = 3600
ABSENT = object()
"""As the value of a changed claim or header parameter: leave it out."""


@dataclass(frozen=True, slots=True)
class EpicProduct:
    """An invented product of an invented studio. The secret has the characters that form-encoding clients break."""

    client_id: str = "emulated-epic-client"
    client_secret: str = "Emulated/Epic+secret/with+slashes/0001"
    application_id: str = "emulated-epic-application"
    product_id: str = "emulated-epic-product"
    sandbox_id: str = "emulated-live-sandbox"
    deployment_id: str = "emulated-live-deployment"
    private_deployment_id: str = "emulated-private-deployment"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key pair under the id it is published by."""

    kid: str
    key: rsa.RSAPrivateKey = field(repr=False)

    def jwk(self) -> dict[str, str]:
        """The public entry of a key set, without `alg` and `use`, as Epic publishes it (RFC 7517)."""
        return {"kty": "RSA", "e": "AQAB", "kid": self.kid, "n": _modulus(self.key)}

    def sign(self, signing_input: bytes) -> bytes:
        """RS256 (RFC 7518 section 3.3)."""
        return self.key.sign(signing_input, PKCS1v15(), SHA256())


@dataclass(frozen=True, slots=True)
class EpicKeys:
    """The keys of both token families."""

    eas: SigningKey
    connect: SigningKey

    @classmethod
    def generate(cls) -> Self:
        """Fresh keys; takes about a tenth of a second."""
        return cls(eas=eas_key(), connect=connect_key())

    def to_json(self) -> dict[str, Any]:
        """Both keys in JSON types, private parts included."""
        return {name: {"kid": key.kid, "pkcs8": _pkcs8(key.key)} for name, key in self._named().items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The keys that `to_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        return cls(eas=_stored_key(data["eas"]), connect=_stored_key(data["connect"]))

    def _named(self) -> dict[str, SigningKey]:
        return {"eas": self.eas, "connect": self.connect}


def eas_key() -> SigningKey:
    """A new key of Epic Account Services; its id is the RFC 7638 thumbprint."""
    key = _new_key()
    members = f'{{"e":"AQAB","kty":"RSA","n":"{_modulus(key)}"}}'
    return SigningKey(base64url(hashlib.sha256(members.encode()).digest()), key)


def connect_key() -> SigningKey:
    """A new key of EOS Connect; its id looks like a time stamp."""
    return SigningKey(f"2026-01-02T03:04:05.{secrets.randbelow(10**9):09d}Z", _new_key())


class EpicTokens:
    """Makes tokens for test players. `claims` and `header` change what a genuine token has; ABSENT removes it."""

    def __init__(self, product: EpicProduct, clock: Callable[[], float]) -> None:
        self._product = product
        self._clock = clock

    def eas_id_token(
        self, key: SigningKey, player: TestPlayer, claims: Mapping[str, Any] = {}, header: Mapping[str, Any] = {}
    ) -> str:
        """As `EOS_Auth_CopyIdToken` gives it."""
        return self._eas(key, player, "id_token", EAS_LIFETIME, claims=claims, header=header)

    def eas_access_token(self, key: SigningKey, player: TestPlayer, claims: Mapping[str, Any] = {}) -> str:
        """A bearer token for Epic's own services."""
        extra = {"scope": "basic_profile", "sec": 1, **claims}
        return self._eas(key, player, "epic_id", EAS_LIFETIME, claims=extra, header={})

    def eas_refresh_token(self, key: SigningKey, player: TestPlayer, t: str = "epic_id") -> str:
        """`t` is "epic_id" in some versions, which only the lifetime tells from an access token, or "epic_id_r"."""
        return self._eas(key, player, t, REFRESH_LIFETIME, claims={"scope": "basic_profile"}, header={})

    def connect_id_token(
        self, key: SigningKey, player: TestPlayer, claims: Mapping[str, Any] = {}, header: Mapping[str, Any] = {}
    ) -> str:
        """As `EOS_Connect_CopyIdToken` gives it, for a player who came through an Epic account."""
        now = int(self._clock())
        genuine = {
            "iss": CONNECT_ISSUER,
            "sub": player.product_user_id,
            "aud": self._product.client_id,
            "iat": now,
            "exp": now + CONNECT_LIFETIME,
            "pfpid": self._product.product_id,
            "pfsid": self._product.sandbox_id,
            "pfdid": self._product.deployment_id,
            "tokenType": "idToken",
            "act": {"eat": "epicgames", "eaid": player.epic_account_id, "pltfm": "other"},
        }
        genuine_header = {"kid": key.kid, "typ": "JWT", "alg": "RS256"}
        return compact(changed(genuine_header, header), changed(genuine, claims), key.sign)

    def connect_access_token(self, key: SigningKey, player: TestPlayer) -> str:
        """A bearer token for Epic's services; nobody else should ever see one."""
        now = int(self._clock())
        claims = {
            "iss": "eos",
            "tokenType": "userToken",
            "clientId": self._product.client_id,
            "productId": self._product.product_id,
            "productUserId": player.product_user_id,
            "deploymentId": self._product.deployment_id,
            "sandboxId": self._product.sandbox_id,
            "env": "prod",
            "features": ["Connect"],
            "clientIp": "192.0.2.7",
            "account": {"idp": "epicgames", "id": player.epic_account_id, "displayName": player.display_name},
            "iat": now,
            "exp": now + CONNECT_LIFETIME,
            "jti": secrets.token_hex(16),
        }
        return compact({"kid": key.kid, "typ": "JWT", "alg": "RS256"}, claims, key.sign)

    def _eas(
        self,
        key: SigningKey,
        player: TestPlayer,
        t: str,
        lifetime: int,
        *,
        claims: Mapping[str, Any],
        header: Mapping[str, Any],
    ) -> str:
        now = int(self._clock())
        genuine = {
            "iss": EAS_ISSUER,
            "sub": player.epic_account_id,
            "aud": self._product.client_id,
            "iat": now,
            "exp": now + lifetime,
            "jti": secrets.token_hex(16),
            "t": t,
            "appid": self._product.application_id,
            "pfpid": self._product.product_id,
            "pfsid": self._product.sandbox_id,
            "pfdid": self._product.deployment_id,
            "dn": player.display_name,
        }
        genuine_header = {"t": t, "alg": "RS256", "kid": key.kid}
        return compact(changed(genuine_header, header), changed(genuine, claims), key.sign)


def changed(genuine: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The members with some replaced, added, or left out (ABSENT)."""
    merged = {**genuine, **changes}
    return {name: value for name, value in merged.items() if value is not ABSENT}


def compact(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A JWS in compact form (RFC 7515 section 7.1). Slashes are escaped, as in old tokens of Epic."""
    return compact_text(json.dumps(header), json.dumps(claims).replace("/", "\\/"), sign)


def compact_text(header: str, claims: str, sign: Callable[[bytes], bytes]) -> str:
    """A JWS of two JSON texts exactly as they are."""
    signing_input = f"{base64url(header.encode())}.{base64url(claims.encode())}"
    return f"{signing_input}.{base64url(sign(signing_input.encode('ascii')))}"


def base64url(data: bytes) -> str:
    """Without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _modulus(key: rsa.RSAPrivateKey) -> str:
    modulus = key.public_key().public_numbers().n
    return base64url(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big"))


def _pkcs8(key: rsa.RSAPrivateKey) -> str:
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode("ascii")


def _stored_key(data: dict[str, Any]) -> SigningKey:
    key = load_der_private_key(base64.b64decode(data["pkcs8"], validate=True), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("not an RSA key")
    return SigningKey(str(data["kid"]), key)
