"""Encrypted app tickets: decryption, and the one safe way to read what is inside.

The outer message is not covered by the encryption and the player chooses the user data, which lies first: every length
is therefore anchored at the end of the plaintext, which only version 2 allows. Knows no settings.
"""

import hashlib
import hmac
import re
import zlib
from collections.abc import Iterator
from dataclasses import field

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

from authsrv.models import Digest
from authsrv.platforms.base import CredentialRejected
from authsrv.platforms.steam.tickets import LayoutError, Ownership, read_ownership
from authsrv.records import dataclass

_BLOCK = 16
_VERSION = 2
_SHA1 = 20
_TAIL = _SHA1 + 4  # digest and version word
_LENGTHS = 52  # the five words of version 2 stand this far before the end
_VARINT, _BYTES = 0, 2  # protobuf wire types
_U32 = 2**32
_CLOCK_SKEW = 60
_HEX = re.compile(r"([0-9A-Fa-f]{2})+")


class UndecipherableTicket(CredentialRejected):
    """Decryption or the checks over its result failed. One text for all of them, so that nobody can ask what was wrong.

    A sender who learnt which check failed could decrypt, and even make, tickets without the key (a padding oracle).
    """

    def __init__(self) -> None:
        super().__init__(
            "credential_rejected",
            "The encrypted ticket is not one that Steam made for this app and key, or was changed.",
        )


@dataclass(frozen=True, slots=True)
class EncryptedTicket:
    """What an authentic ticket says. `digest` is the SHA-256 of the plaintext, `user_data` what the game put in."""

    digest: Digest
    user_data: bytes = field(repr=False)
    ownership: Ownership


@dataclass(frozen=True, slots=True)
class _Outer:
    """The outer message: version, CRC-32 of the plaintext, length of the user data (U), hashed length (H), the rest."""

    version: int
    crc: int
    user_data: int
    hashed: int
    sealed: bytes


def open_encrypted_ticket(raw: bytes, key: bytes) -> EncryptedTicket:
    """Decrypt a ticket with the app's 32-byte key and read it.

    Raises `CredentialRejected`: `credential_malformed` for an unreadable outer message, `credential_unsupported` for
    another version than 2, else `UndecipherableTicket`.
    """
    outer = _read_outer(raw)
    if outer.version != _VERSION:
        raise CredentialRejected("credential_unsupported", "Only encrypted app tickets of version 2 are accepted.")
    if len(outer.sealed) < 2 * _BLOCK or len(outer.sealed) % _BLOCK:
        raise UndecipherableTicket
    padded = _decrypt(outer.sealed, key)
    padding = _padding(padded)
    plain = padded[: len(padded) - padding]
    if not _anchored(plain, outer) or not padding:
        raise UndecipherableTicket
    end = outer.hashed - 28
    try:
        ownership = read_ownership(plain[:end], outer.user_data)
    except LayoutError:
        raise UndecipherableTicket from None
    return EncryptedTicket(Digest(hashlib.sha256(plain).digest()), plain[: outer.user_data], ownership)


def check_age(ticket: EncryptedTicket, now: float, max_age: int) -> None:
    """Demand that Steam issued the ticket at most `max_age` seconds ago. Raises `CredentialRejected`."""
    if ticket.ownership.issued > now + _CLOCK_SKEW:
        raise CredentialRejected("credential_not_yet_valid", "The encrypted ticket was issued in the future.")
    if now - ticket.ownership.issued > max_age or ticket.ownership.expires <= now:
        raise CredentialRejected(
            "credential_expired", "The encrypted ticket is too old: call RequestEncryptedAppTicket for each login."
        )


def check_nonce(ticket: EncryptedTicket, nonce: str, *, required: bool) -> None:
    """Demand that the game put the nonce into the ticket, as its text or as the bytes its hex digits stand for.

    Raises `CredentialRejected`.
    """
    if not nonce and not required:
        return
    if not nonce:
        raise CredentialRejected(
            "credential_malformed", "Get a nonce, pass it to RequestEncryptedAppTicket, and send it with the ticket."
        )
    accepted = (nonce.encode("utf-8", "surrogatepass"), canonical_nonce(nonce))
    if not any(hmac.compare_digest(ticket.user_data, spelling) for spelling in accepted):
        raise CredentialRejected(
            "credential_rejected", "The encrypted ticket was not made with this nonce as its user data."
        )


def canonical_nonce(nonce: str) -> bytes:
    """The bytes of a nonce, the same for each of its spellings."""
    return bytes.fromhex(nonce) if _HEX.fullmatch(nonce) else nonce.encode("utf-8", "surrogatepass")


def _decrypt(sealed: bytes, key: bytes) -> bytes:
    """AES-256-CBC whose initial vector is the first block, decrypted alone."""
    algorithm = AES256(key)
    vector = Cipher(algorithm, ECB()).decryptor().update(sealed[:_BLOCK])  # noqa: S305 - Valve's construction
    return Cipher(algorithm, CBC(vector)).decryptor().update(sealed[_BLOCK:])


def _padding(padded: bytes) -> int:
    """The length of the PKCS#7 padding, 0 if it is wrong.

    The caller goes on all the same, at the same cost, so that time tells nothing about the padding.
    """
    count = padded[-1]
    right = 1 <= count <= _BLOCK and hmac.compare_digest(padded[-count:], bytes([count]) * count)
    return count if right else 0


def _anchored(plain: bytes, outer: _Outer) -> bool:
    """Whether everything the outer message says agrees with the end of the plaintext. All checks run, always."""
    user_data, hashed = outer.user_data, outer.hashed
    words = (_LENGTHS, 0, user_data, hashed - 28 - user_data, hashed)
    lengths = b"".join((word % _U32).to_bytes(4, "little") for word in words)
    checks = (
        zlib.crc32(plain) == outer.crc,
        len(plain) == hashed + _TAIL,
        hmac.compare_digest(hashlib.sha1(plain[:hashed]).digest(), plain[-_TAIL:-4]),  # noqa: S324 - Valve's
        plain[-4:] == _VERSION.to_bytes(4, "little"),
        plain[-_LENGTHS:-32] == lengths,
    )
    return all(checks)


def _read_outer(raw: bytes) -> _Outer:
    try:
        return _outer(raw)
    except (LayoutError, KeyError):
        raise CredentialRejected(
            "credential_malformed", "This is not an encrypted app ticket: send the bytes of GetEncryptedAppTicket."
        ) from None


def _outer(raw: bytes) -> _Outer:
    numbers: dict[int, int] = {}
    sealed: bytes | None = None
    for field_number, value in _fields(raw):
        if isinstance(value, bytes) and field_number == 5 and sealed is None:
            sealed = value
        elif isinstance(value, int) and 1 <= field_number <= 4 and field_number not in numbers:
            numbers[field_number] = value
        else:
            raise LayoutError("a field is unknown, repeated or of another type")
    if sealed is None:
        raise LayoutError("the ciphertext is missing")
    return _Outer(version=numbers[1], crc=numbers[2], user_data=numbers[3], hashed=numbers[4], sealed=sealed)


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message with numbers of 32 bits and byte strings, and nothing else."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        wire, number = tag & 7, tag >> 3
        value, at = _varint(raw, at)
        if wire == _VARINT:
            yield number, value
        elif wire == _BYTES and at + value <= len(raw):
            yield number, raw[at : at + value]
            at += value
        else:
            raise LayoutError("a field of another type, or cut off")


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A 32-bit number in its shortest spelling, and where it ends."""
    value = 0
    for index, byte in enumerate(raw[at : at + 5]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value >= _U32 or (byte == 0 and index):
                break
            return value, at + index + 1
    raise LayoutError("a number is cut off, too large or not in its shortest form")
