"""What a key is: how one is made for each algorithm, how it rests in the database, and its JWK (RFC 7517).

Owns generation, sealing under a passphrase, and the refusal of keys that are too weak or used for two algorithms.
Knows neither times nor tokens.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import sha256

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from authsrv.models import NEVER, SigningAlgorithm, StoredKey
from authsrv.records import dataclass

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

RSA_BITS = 2048
SECRET_BYTES = 32
_SALT_LENGTH, _NONCE_LENGTH = 16, 12


class KeyRingError(Exception):
    """The stored keys cannot be used. The text says what the operator must do."""


def _rsa_key() -> PrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


_MAKERS: Mapping[SigningAlgorithm, Callable[[], PrivateKey]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": _rsa_key,
    "PS256": _rsa_key,
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A stored key, ready for use. `private` is None once it was erased; `jwk` is what is published."""

    stored: StoredKey
    alg: SigningAlgorithm
    private: PrivateKey | None
    public: PublicKey
    jwk: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vault:
    """How private keys are kept: sealed under the passphrase, or in clear without one. `random` makes salts."""

    passphrase: str
    random: Callable[[int], bytes]

    def new_key(self, alg: SigningAlgorithm, follows: str, signs_from: int, now: int) -> StoredKey:
        """A fresh key for one algorithm, which follows another in the ring. Takes a while for RSA."""
        private = _MAKERS[alg]()
        kid = _thumbprint(_members(private.public_key()))
        if kid.startswith("-"):  # a command would take it for an option
            return self.new_key(alg, follows, signs_from, now)
        return self.sealed(StoredKey(kid, "sig", alg, _der(private), False, now, signs_from, NEVER, follows))

    def new_secret(self, now: int) -> StoredKey:
        """A fresh secret from which internal keys are derived."""
        return self.sealed(StoredKey("seal", "seal", "HKDF", self.random(SECRET_BYTES), False, now, now, NEVER, "HKDF"))

    def sealed(self, key: StoredKey) -> StoredKey:
        """The key as it is to rest in the database."""
        if not self.passphrase:
            return key
        salt, nonce = self.random(_SALT_LENGTH), self.random(_NONCE_LENGTH)
        box = AESGCM(_stretch(self.passphrase, salt)).encrypt(nonce, key.material, key.kid.encode())
        return replace(key, material=salt + nonce + box, sealed=True)

    def opened(self, key: StoredKey) -> bytes:
        """The key's material in clear. Raises `KeyRingError` when the passphrase is missing or wrong."""
        if not key.sealed:
            return key.material
        if not self.passphrase:
            raise KeyRingError(
                "The keys in the database are encrypted; set keys.passphrase to the passphrase they were made with."
            )
        salt, nonce = key.material[:_SALT_LENGTH], key.material[_SALT_LENGTH : _SALT_LENGTH + _NONCE_LENGTH]
        box = key.material[_SALT_LENGTH + _NONCE_LENGTH :]
        try:
            return AESGCM(_stretch(self.passphrase, salt)).decrypt(nonce, box, key.kid.encode())
        except (InvalidTag, ValueError) as error:
            raise KeyRingError(
                "keys.passphrase is not the one the keys in the database were encrypted with, "
                "or the database is damaged."
            ) from error


def prepared(stored: StoredKey, material: bytes) -> OpenKey:
    """A signing key from its material in clear. Raises `KeyRingError` for one that cannot serve its algorithm."""
    alg = next((known for known in _MAKERS if known == stored.alg), None)
    if alg is None:
        raise KeyRingError(f"The stored key {stored.kid} is of a kind that this version does not know.")
    private, public = _loaded(stored, material)
    if not _serves(alg, public):
        raise KeyRingError(
            f"The stored key {stored.kid} is no key for {alg}, or too weak for it; restore a backup of the database."
        )
    return OpenKey(stored, alg, private, public, {**_members(public), "kid": stored.kid, "use": "sig", "alg": alg})


def check_distinct(keys: Iterable[OpenKey]) -> None:
    """Raise `KeyRingError` if a key is there twice, as it would be under two algorithms (RFC 8725 section 3.1)."""
    seen: dict[str, OpenKey] = {}
    for key in keys:
        twin = seen.setdefault(_thumbprint(_members(key.public)), key)
        if twin is not key:
            raise KeyRingError(
                f"The stored keys {twin.stored.kid} and {key.stored.kid} are one key; restore a backup of the database."
            )


def check_secret(secret: bytes) -> bytes:
    """The internal secret, unless it is too short for its use (RFC 7518 section 3.2)."""
    if len(secret) < SECRET_BYTES:
        raise KeyRingError("The internal secret in the database is too short; restore a backup of the database.")
    return secret


def public_der(key: OpenKey) -> bytes:
    """The public part alone, as the database keeps it when the private part is erased."""
    return key.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _loaded(stored: StoredKey, material: bytes) -> tuple[PrivateKey | None, PublicKey]:
    try:
        if stored.erased_at is not None:
            return None, _public(material)
        private = _private(material)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRingError(f"The stored key {stored.kid} cannot be read; restore a backup of the database.") from error
    return private, private.public_key()


def _private(material: bytes) -> PrivateKey:
    # The server made this key itself; testing its primes anew would be half of a cold start.
    key = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, PrivateKey):
        raise ValueError(type(key).__name__)  # noqa: TRY004 - as for all that cannot be read
    return key


def _public(material: bytes) -> PublicKey:
    key = serialization.load_der_public_key(material)
    if not isinstance(key, PublicKey):
        raise ValueError(type(key).__name__)  # noqa: TRY004 - as for all that cannot be read
    return key


def _serves(alg: SigningAlgorithm, public: PublicKey) -> bool:
    if isinstance(public, rsa.RSAPublicKey):
        return alg in {"RS256", "PS256"} and public.key_size >= RSA_BITS
    if isinstance(public, ec.EllipticCurvePublicKey):
        return alg == "ES256" and isinstance(public.curve, ec.SECP256R1)
    return alg == "EdDSA"


def _members(public: PublicKey) -> dict[str, str]:
    """The members that a JWK of this kind must have: RFC 7518 section 6, RFC 8037 section 2."""
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _b64(_unsigned(numbers.n)), "e": _b64(_unsigned(numbers.e))}
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _b64(point.x.to_bytes(32)), "y": _b64(point.y.to_bytes(32))}
    return {"kty": "OKP", "crv": "Ed25519", "x": _b64(public.public_bytes_raw())}


def _thumbprint(members: Mapping[str, str]) -> str:
    """RFC 7638: SHA-256 over the required members, sorted, without white space."""
    canonical = ",".join(f'"{name}":"{members[name]}"' for name in sorted(members))
    return _b64(sha256(f"{{{canonical}}}".encode()).digest())


def _der(private: PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt, 32, n=2**14, r=8, p=1).derive(passphrase.encode())


def _unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
