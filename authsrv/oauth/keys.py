"""The server's key ring: which key signs now, and which keys are published.

Owns the choice by the clock at each call, and the exchange of all keys at once while it is in use. Knows nothing of
tokens; how keys are made, sealed and retired stands in `key_material.py` and `key_schedule.py`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt import get_algorithm_by_name
from jwt.utils import base64url_encode

from authsrv.models import SigningAlgorithm, StoredKey
from authsrv.oauth.key_material import (
    KeyRingError,
    OpenKey,
    PrivateKey,
    PublicKey,
    Vault,
    check_distinct,
    check_secret,
    prepared,
)
from authsrv.oauth.key_schedule import KeyState, able, in_force, states
from authsrv.platforms.base import Clock
from authsrv.records import dataclass

_PUBLISHED: Sequence[KeyState] = ("active", "next", "retiring")
_as_json: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that may sign from `signs_from` on, with its public part and the JWK of that."""

    kid: str
    alg: SigningAlgorithm
    private: PrivateKey
    public: PublicKey
    jwk: Mapping[str, str]
    signs_from: int

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """A JWT over these claims, in the compact form (RFC 7515 section 7.1), with `typ` in its header."""
        signing_input = _head(self.alg, self.kid, typ) + b"." + base64url_encode(_as_json(claims).encode())
        signature = get_algorithm_by_name(self.alg).sign(signing_input, self.private)
        return (signing_input + b"." + base64url_encode(signature)).decode()


@lru_cache
def _head(alg: SigningAlgorithm, kid: str, typ: str) -> bytes:
    """The same for every token of a kind, so it is made once for each key."""
    return base64url_encode(_as_json({"alg": alg, "kid": kid, "typ": typ}).encode())


@dataclass(frozen=True, slots=True)
class _Keys:
    """One state of the ring, exchanged as a whole. `signers` are newest first, `stored` oldest first."""

    stored: tuple[StoredKey, ...]
    opened: Mapping[str, OpenKey]
    signers: Mapping[SigningAlgorithm, Sequence[SigningKey]]
    secret: bytes


@dataclass(frozen=True, slots=True)
class _Published:
    """The key set as it is throughout one second, as long as the ring holds these very keys."""

    keys: _Keys
    second: int
    jwks: dict[str, list[Mapping[str, str]]]


class KeyRing:
    """The keys of the database, ready for use. `clock` gives Unix seconds."""

    def __init__(self, stored: Iterable[StoredKey], vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock
        self._keys = _Keys((), {}, {}, b"")
        self._published = _Published(self._keys, 0, {})
        self.take(stored)

    @property
    def stored(self) -> tuple[StoredKey, ...]:
        """The keys as the database held them when they were taken."""
        return self._keys.stored

    def take(self, stored: Iterable[StoredKey]) -> None:
        """Go on with these keys; only those that are new are opened, which takes a while.

        May run in another thread. Raises `KeyRingError`, and then nothing has changed.
        """
        keys = tuple(stored)
        found = [self._open(key) for key in keys if key.use == "sig"]
        opened = {key.stored.kid: key for key in found if key is not None}
        check_distinct(opened.values())
        secret = self._keys.secret or _internal_secret(keys, self._vault)
        self._keys = _Keys(keys, opened, _signers(keys, opened), secret)

    def signer(self, alg: SigningAlgorithm) -> SigningKey:
        """The key that signs with this algorithm now. Raises `KeyRingError` if there is none."""
        key = in_force(self._keys.signers.get(alg, ()), self._clock())
        if key is None:
            raise KeyRingError(f"There is no signing key for {alg}.")
        return key

    def known(self, kid: str) -> OpenKey | None:
        """The key of this id that could be read, whatever became of it."""
        return self._keys.opened.get(kid)

    def verifier(self, kid: object) -> OpenKey | None:
        """The published key of this id, whether it signs or not."""
        found = self.witness(kid)
        return found if found and self._clock() < found.stored.retires_at else None

    def witness(self, kid: object) -> OpenKey | None:
        """A key by which something of ours was once signed; it may have retired, but was never given up."""
        found = self.known(kid) if isinstance(kid, str) else None
        return found if found and found.stored.revoked_at is None else None

    def derive(self, purpose: bytes, length: int = 32) -> bytes:
        """An internal key for one purpose (HKDF, RFC 5869), the same on every node and after every restart."""
        return HKDF(SHA256(), length, salt=None, info=purpose).derive(self._keys.secret)

    def jwks(self) -> dict[str, list[Mapping[str, str]]]:
        """The public key set (RFC 7517 section 5): keys that sign, then those that will, then those that did."""
        keys, second = self._keys, int(self._clock())
        if self._published.keys is not keys or self._published.second != second:
            self._published = _Published(keys, second, _key_set(keys, second))
        return self._published.jwks

    def _open(self, key: StoredKey) -> OpenKey | None:
        known = self._keys.opened.get(key.kid)
        if known and known.stored.material == key.material:
            return replace(known, stored=key)
        try:
            return prepared(key, self._vault.opened(key))
        except KeyRingError:
            if self._clock() < key.retires_at:
                raise
            return None  # what nobody needs any more must not keep the server from starting


def _key_set(keys: _Keys, second: int) -> dict[str, list[Mapping[str, str]]]:
    found = states(keys.stored, second)
    return {"keys": [keys.opened[kid].jwk for state in _PUBLISHED for kid in found if found[kid] == state]}


def _signers(
    keys: Sequence[StoredKey], opened: Mapping[str, OpenKey]
) -> dict[SigningAlgorithm, tuple[SigningKey, ...]]:
    algs = {key.alg for key in opened.values()}
    return {alg: tuple(_signer(opened[key.kid]) for key in able(keys, alg) if key.kid in opened) for alg in algs}


def _signer(key: OpenKey) -> SigningKey:
    assert key.private is not None  # noqa: S101 - what was erased is not able to sign
    return SigningKey(key.stored.kid, key.alg, key.private, key.public, key.jwk, key.stored.signs_from)


def _internal_secret(keys: Iterable[StoredKey], vault: Vault) -> bytes:
    for key in keys:
        if key.use == "seal":
            return check_secret(vault.opened(key))
    # Going on with an empty one would let anybody make codes and refresh tokens that look like ours.
    raise KeyRingError("The database has no internal secret beside its signing keys; restore a backup of it.")
