"""The server's key ring: which key signs, which keys are published, and how private keys rest in the database.

Owns generation, sealing under a passphrase and the JWK form (RFC 7517). Knows nothing of tokens.
"""

import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from authsrv.models import NEVER, SigningAlgorithm, StoredKey
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import AddKeys

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_log = logging.getLogger(__name__)

_SALT_LENGTH, _NONCE_LENGTH = 16, 12


class KeyRingError(Exception):
    """The stored keys cannot be used. The text says what the operator must do."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A prepared private key with its public JWK."""

    kid: str
    alg: SigningAlgorithm
    private: PrivateKey
    public: PublicKey
    jwk: Mapping[str, str]


class KeyRing:
    """Prepared keys. The newest key that may sign already is the one that signs; every unretired key is published."""

    def __init__(self, stored: Iterable[StoredKey], passphrase: str, now: int) -> None:
        keys = sorted(stored, key=lambda key: (key.signs_from, key.kid), reverse=True)
        usable = [(key, unseal(key, passphrase)) for key in keys if key.retires_at > now]
        self._signing = [_prepare(key, material) for key, material in usable if key.use == "sig"]
        self._signs_from = {key.kid: key.signs_from for key in keys}
        self._secret = _internal_secret(usable)
        self._now = now

    def signer(self, alg: SigningAlgorithm) -> SigningKey:
        """The key that signs with this algorithm now. Raises `KeyRingError` if there is none."""
        for key in self._signing:
            if key.alg == alg and self._signs_from[key.kid] <= self._now:
                return key
        raise KeyRingError(f"There is no signing key for {alg}.")

    def verifier(self, kid: object) -> SigningKey | None:
        """The published key of this id, whether it signs or no longer does."""
        return next((key for key in self._signing if key.kid == kid), None)

    def derive(self, purpose: bytes, length: int = 32) -> bytes:
        """An internal key for one purpose (HKDF, RFC 5869), the same on every node and after every restart."""
        return HKDF(SHA256(), length, salt=None, info=purpose).derive(self._secret)

    def jwks(self) -> dict[str, list[Mapping[str, str]]]:
        """The public key set (RFC 7517 section 5), signing keys first."""
        return {"keys": [key.jwk for key in sorted(self._signing, key=self._is_waiting)]}

    def _is_waiting(self, key: SigningKey) -> bool:
        return self._signs_from[key.kid] > self._now


def _internal_secret(usable: Iterable[tuple[StoredKey, bytes]]) -> bytes:
    for key, material in usable:
        if key.use == "seal":
            return material
    # Going on with an empty one would let anybody make codes and refresh tokens that look like ours.
    raise KeyRingError("The database has no internal secret beside its signing keys; restore a backup of it.")


async def load_or_create(storage: Storage, passphrase: str, now: int, random: Callable[[int], bytes]) -> KeyRing:
    """The stored ring; at the very first start a new one. Two nodes that start at once end with the same ring."""
    stored = await storage.load_keys()
    if not stored:
        with suppress(Conflict):  # another node was first; its keys are the ring
            await storage.apply([AddKeys(first_keys(passphrase, now, random))])
        stored = await storage.load_keys()
    if passphrase and not all(key.sealed for key in stored):
        _log.warning("keys.passphrase is set, but the database holds keys that were made without one and stay in clear")
    return KeyRing(stored, passphrase, now)


def first_keys(passphrase: str, now: int, random: Callable[[int], bytes]) -> tuple[StoredKey, ...]:
    """One key for each algorithm and the secret for internal keys. They sign at once: nobody can have cached a set."""
    return (
        _stored("ES256", ec.generate_private_key(ec.SECP256R1()), passphrase, now, random),
        _stored("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048), passphrase, now, random),
        _seal_into(StoredKey("seal", "seal", "HKDF", random(32), False, now, now, NEVER, "HKDF"), passphrase, random),
    )


def _stored(
    alg: SigningAlgorithm, private: PrivateKey, passphrase: str, now: int, random: Callable[[int], bytes]
) -> StoredKey:
    material = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _seal_into(
        StoredKey(_thumbprint(private), "sig", alg, material, False, now, now, NEVER, alg), passphrase, random
    )


def _seal_into(key: StoredKey, passphrase: str, random: Callable[[int], bytes]) -> StoredKey:
    if not passphrase:
        return key
    salt, nonce = random(_SALT_LENGTH), random(_NONCE_LENGTH)
    box = AESGCM(_stretch(passphrase, salt)).encrypt(nonce, key.material, key.kid.encode())
    return replace(key, material=salt + nonce + box, sealed=True)


def unseal(key: StoredKey, passphrase: str) -> bytes:
    """The key's material in clear. Raises `KeyRingError` when the passphrase is missing or wrong."""
    if not key.sealed:
        return key.material
    if not passphrase:
        raise KeyRingError(
            "The keys in the database are encrypted; set keys.passphrase to the passphrase they were made with."
        )
    salt, nonce = key.material[:_SALT_LENGTH], key.material[_SALT_LENGTH : _SALT_LENGTH + _NONCE_LENGTH]
    box = key.material[_SALT_LENGTH + _NONCE_LENGTH :]
    try:
        return AESGCM(_stretch(passphrase, salt)).decrypt(nonce, box, key.kid.encode())
    except (InvalidTag, ValueError) as error:
        raise KeyRingError(
            "keys.passphrase is not the one the keys in the database were encrypted with, or the database is damaged."
        ) from error


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt, 32, n=2**14, r=8, p=1).derive(passphrase.encode())


def _prepare(stored: StoredKey, material: bytes) -> SigningKey:
    # The server made this key itself; testing its primes anew would be half of a cold start.
    private = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return SigningKey(stored.kid, "ES256", private, private.public_key(), _published(stored, _ec_members(private)))
    if isinstance(private, rsa.RSAPrivateKey):
        return SigningKey(stored.kid, "RS256", private, private.public_key(), _published(stored, _rsa_members(private)))
    raise KeyRingError(f"The stored key {stored.kid} is of a kind that this version does not know.")


def _published(stored: StoredKey, members: Mapping[str, str]) -> Mapping[str, str]:
    return {**members, "kid": stored.kid, "use": "sig", "alg": stored.alg}


def _thumbprint(private: PrivateKey) -> str:
    """RFC 7638: SHA-256 over the required members, sorted, without white space."""
    members: Mapping[str, Any] = (
        _ec_members(private) if isinstance(private, ec.EllipticCurvePrivateKey) else _rsa_members(private)
    )
    canonical = ",".join(f'"{name}":"{members[name]}"' for name in sorted(members))
    return _b64(sha256(f"{{{canonical}}}".encode()).digest())


def _ec_members(private: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = private.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _b64(numbers.x.to_bytes(32)), "y": _b64(numbers.y.to_bytes(32))}


def _rsa_members(private: rsa.RSAPrivateKey) -> dict[str, str]:
    numbers = private.public_key().public_numbers()
    return {"kty": "RSA", "n": _b64(_unsigned(numbers.n)), "e": _b64(_unsigned(numbers.e))}


def _unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
