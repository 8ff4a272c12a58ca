"""A factory of Steam tickets: every layout, genuine or wrong, signed and sealed with keys of its own.

Written from the layout alone and shares no code with the verifier, so that a mistake cannot hide in both.
"""

import hashlib
import math
import secrets
import struct
import zlib
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    generate_private_key,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from authsrv.records import dataclass

_EXPONENT = 17
_SIGNATURE = 128
WEB_API_BUFFER = 2560
"""Bytes of the buffer in which a game gets a Web API ticket."""


@dataclass(frozen=True, slots=True)
class SteamKeys:
    """The emulator's own system key (RSA 1024, exponent 17, like Steam's) and the app's key for encrypted tickets."""

    system: RSAPrivateKey
    app: bytes

    @classmethod
    def generate(cls) -> Self:
        """New keys; takes some tens of milliseconds."""
        return cls(_generate_system_key(), secrets.token_bytes(32))

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The keys `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        system = load_pem_private_key(str(document["system"]).encode("ascii"), None)
        app = bytes.fromhex(document["app"])
        if not isinstance(system, RSAPrivateKey) or len(app) != 32:
            raise ValueError("not the keys of an emulated Steam")
        return cls(system, app)

    def to_json(self) -> dict[str, Any]:
        """The keys in JSON types."""
        pem = self.system.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {"system": pem.decode("ascii"), "app": self.app.hex()}

    @property
    def system_public_key(self) -> str:
        """PEM, for the setting of the same name."""
        return self.system.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """What a ticket says. Times are Unix seconds; `dlc` are the app ids of downloadable content, 4 + 2 bytes each."""

    steam_id: int
    app_id: int
    issued: int
    expires: int
    token_time: int
    type: int = 5
    licences: tuple[int, ...] = (90210,)
    dlc: tuple[int, ...] = ()
    owned_by: int | None = None
    """The SteamID of the ownership part, if it is to differ."""


def session_ticket(facts: TicketFacts, keys: SteamKeys) -> bytes:
    """A whole ticket with a fresh GC token and random addresses, without padding."""
    ownership = ownership_part(facts)
    section = struct.pack("<I", len(ownership) + _SIGNATURE)
    # The algorithm and its weakness are Steam's.
    signature = keys.system.sign(ownership, PKCS1v15(), SHA1())  # noqa: S303
    return auth_part(facts) + section + ownership + signature


def auth_part(facts: TicketFacts) -> bytes:
    """The first 52 bytes, which Steam registers."""
    token = struct.pack("<I8sQI", 20, secrets.token_bytes(8), facts.steam_id, facts.token_time)
    addresses = secrets.token_bytes(8)
    clock, count = secrets.randbits(31), 1
    return token + struct.pack("<III8sII", 24, 1, facts.type, addresses, clock, count)


def ownership_part(facts: TicketFacts) -> bytes:
    """The ownership ticket, its own length word included, without signature."""
    licences = struct.pack(f"<H{len(facts.licences)}I", len(facts.licences), *facts.licences)
    dlc = struct.pack("<H", len(facts.dlc)) + b"".join(struct.pack("<IH", app_id, 0) for app_id in facts.dlc)
    owner = facts.steam_id if facts.owned_by is None else facts.owned_by
    head = struct.pack("<IQI4s4sI", 4, owner, facts.app_id, secrets.token_bytes(4), secrets.token_bytes(4), 0)
    body = head + struct.pack("<II", facts.issued, facts.expires) + licences + dlc + bytes(2)
    return struct.pack("<I", len(body) + 4) + body


def padded(ticket: bytes, size: int = WEB_API_BUFFER, *, zeros: bool = False) -> bytes:
    """A ticket in the whole buffer it came in, with leftover memory or zeros behind it."""
    missing = size - len(ticket)
    return ticket + (bytes(missing) if zeros else secrets.token_bytes(missing))


def encrypted_ticket(facts: TicketFacts, key: bytes, *, user_data: bytes = b"", version: int = 2) -> bytes:
    """An encrypted app ticket of version 1 or 2."""
    ownership = ownership_part(facts)
    plain, hashed = _plaintext(user_data, ownership, version)
    return outer_message(plain, key, version=version, user_data=len(user_data), hashed=hashed)


def forged_encrypted_ticket(
    genuine: TicketFacts, forged: TicketFacts, key: bytes, *, version: int = 2, claimed_version: int | None = None
) -> bytes:
    """What a player can make of the own genuine ticket: a whole forged one as user data, and lengths that point at it.

    The inner plaintext is complete, so a reader that trusts the outer message finds salt, digest and version in place.
    """
    inner, inner_hashed = _plaintext(b"", ownership_part(forged), version)
    plain, _ = _plaintext(inner, ownership_part(genuine), version)
    claimed = version if claimed_version is None else claimed_version
    return outer_message(plain, key, version=claimed, user_data=0, hashed=inner_hashed)


def outer_message(plain: bytes, key: bytes, *, version: int, user_data: int, hashed: int) -> bytes:
    """The protobuf message around a sealed plaintext."""
    numbers = (version, zlib.crc32(plain), user_data, hashed)
    fields = b"".join(_varint(number << 3) + _varint(value) for number, value in enumerate(numbers, start=1))
    sealed = seal(plain, key)
    return fields + _varint(5 << 3 | 2) + _varint(len(sealed)) + sealed


def seal(plain: bytes, key: bytes) -> bytes:
    """AES-256-CBC with PKCS#7; the initial vector goes in front, encrypted alone."""
    algorithm, vector = AES256(key), secrets.token_bytes(16)
    first = Cipher(algorithm, ECB()).encryptor().update(vector)  # noqa: S305 - Valve's construction
    padder = PKCS7(128).padder()
    return first + Cipher(algorithm, CBC(vector)).encryptor().update(padder.update(plain) + padder.finalize())


def _plaintext(user_data: bytes, ownership: bytes, version: int) -> tuple[bytes, int]:
    """The plaintext of an encrypted ticket, and how much of it the SHA-1 covers."""
    hashed = len(user_data) + len(ownership) + (28 if version == 2 else 8)
    lengths = struct.pack("<5I", 52, 0, len(user_data), len(ownership), hashed) if version == 2 else b""
    covered = user_data + ownership + lengths + secrets.token_bytes(8)
    digest = hashlib.sha1(covered).digest()  # noqa: S324 - Valve's construction
    return covered + digest + struct.pack("<I", version), hashed


def _varint(value: int) -> bytes:
    groups = []
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _generate_system_key() -> RSAPrivateKey:
    """The library makes no keys with exponent 17: take the primes of an ordinary key that allow it."""
    while True:
        ordinary = generate_private_key(65537, 8 * _SIGNATURE).private_numbers()
        p, q = ordinary.p, ordinary.q
        order = math.lcm(p - 1, q - 1)
        if math.gcd(_EXPONENT, order) == 1:
            break
    d = pow(_EXPONENT, -1, order)
    public = RSAPublicNumbers(_EXPONENT, p * q)
    return RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), rsa_crt_iqmp(p, q), public).private_key()
