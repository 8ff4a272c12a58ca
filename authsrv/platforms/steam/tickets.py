"""The byte layout of Steam's session and Web API tickets, and what they show without asking Steam.

Owns the ownership part's parser and its signature check. A ticket without contradictions is not yet believed: only
Steam knows whether it is its sender's. Knows no settings and no network.
"""

from collections.abc import Iterator
from dataclasses import field
from typing import Literal

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from authsrv.platforms.base import CredentialRejected
from authsrv.records import dataclass

TICKET_PREFIX = bytes.fromhex("14000000")
SESSION_TICKET = 2
"""Made by `GetAuthSessionTicket`."""
WEB_API_TICKET = 5
"""Made by `GetAuthTicketForWebApi`."""
AUTHENTICATED = 52
"""Bytes of the ticket that Steam itself registers; everything after them can be changed freely."""
SIGNATURE = 128

_HEADER = 24
_OWNERSHIP_START = 56
_OWNERSHIP_VERSION = 4
_PLAYER = 0x01100001  # universe public, type individual, instance desktop

Finding = Literal["layout", "steam_id", "app_id", "expired", "signature"]
"""A contradiction inside a ticket: unreadable ownership, another player, another app, too old, not signed by Steam."""
SignatureCheck = Literal["valid", "invalid", "not_checked"]


class LayoutError(ValueError):
    """Bytes that are not an ownership ticket."""


@dataclass(frozen=True, slots=True)
class SessionTicket:
    """A ticket whose header was read. `token_time` is Unix seconds, by the ticket's own word."""

    raw: bytes = field(repr=False)
    steam_id: int
    token_time: int
    type: int


@dataclass(frozen=True, slots=True)
class Ownership:
    """The ownership part: bytes `start` to `end` (without signature) say this; times are Unix seconds."""

    start: int
    end: int
    steam_id: int
    app_id: int
    issued: int
    expires: int


def is_player(steam_id: int) -> bool:
    """Whether a SteamID64 is a person's: no game server, clan or other universe."""
    return steam_id >> 32 == _PLAYER


def load_system_key(pem: str) -> RSAPublicKey:
    """Steam's RSA public key from PEM. Raises ValueError."""
    key = load_pem_public_key(pem.encode("ascii"))
    if not isinstance(key, RSAPublicKey) or key.key_size != SIGNATURE * 8:
        raise ValueError("not an RSA public key of 1024 bits")
    return key


def read_session_ticket(raw: bytes) -> SessionTicket:
    """The header of a ticket. Raises `CredentialRejected` (`credential_malformed`)."""
    if len(raw) < _OWNERSHIP_START:
        raise CredentialRejected("credential_malformed", "The ticket is cut off: send all bytes the callback counted.")
    if not raw.startswith(TICKET_PREFIX) or _u32(raw, 24) != _HEADER:
        raise CredentialRejected("credential_malformed", "This is not a ticket made by GetAuthTicketForWebApi.")
    steam_id = _u64(raw, 12)
    if not is_player(steam_id):
        raise CredentialRejected("credential_malformed", "The ticket does not belong to a player account.")
    return SessionTicket(raw=raw, steam_id=steam_id, token_time=_u32(raw, 20), type=_u32(raw, 32))


def read_signed_ownership(raw: bytes) -> Ownership:
    """The ownership part of a ticket, with room for its signature; bytes after that are ignored.

    Raises `LayoutError`.
    """
    if len(raw) < _OWNERSHIP_START + 4:
        raise LayoutError("no ownership part")
    length = _u32(raw, _OWNERSHIP_START)
    if _u32(raw, 52) != length + SIGNATURE or len(raw) < _OWNERSHIP_START + length + SIGNATURE:
        raise LayoutError("the lengths contradict each other")
    return read_ownership(raw[: _OWNERSHIP_START + length], _OWNERSHIP_START)


def read_ownership(data: bytes, start: int) -> Ownership:
    """The ownership ticket that fills `data` from `start` to the end exactly. Raises `LayoutError`."""
    if len(data) < start + 46 or _u32(data, start) != len(data) - start:
        raise LayoutError("the length is wrong")
    if _u32(data, start + 4) != _OWNERSHIP_VERSION:
        raise LayoutError("the version is unknown")
    if _end_of_lists(data, start + 40) + 2 != len(data):
        raise LayoutError("the lists do not fill the ticket")
    return Ownership(
        start=start,
        end=len(data),
        steam_id=_u64(data, start + 8),
        app_id=_u32(data, start + 16),
        issued=_u32(data, start + 32),
        expires=_u32(data, start + 36),
    )


def contradictions(ticket: SessionTicket, *, app_id: int, now: float, key: RSAPublicKey) -> tuple[Finding, ...]:
    """What speaks against a ticket, without asking Steam. A signature that cannot be checked here is none."""
    try:
        ownership = read_signed_ownership(ticket.raw)
    except LayoutError:
        return ("layout",)
    return tuple(_contradictions(ticket, ownership, app_id, now, key))


def check_signature(ticket: SessionTicket, ownership: Ownership, key: RSAPublicKey) -> SignatureCheck:
    """RSASSA-PKCS1-v1_5 with SHA-1 over the ownership part (RFC 8017 section 8.2).

    `not_checked` where the machine's cryptographic policy forbids SHA-1 or keys of this size.
    """
    signature = ticket.raw[ownership.end : ownership.end + SIGNATURE]
    return _verify(key, signature, ticket.raw[ownership.start : ownership.end])


def sha1_signatures_checkable(key: RSAPublicKey) -> bool:
    """Whether this machine's cryptographic policy lets SHA-1 signatures be checked at all."""
    return _verify(key, bytes(SIGNATURE), b"") != "not_checked"


def _verify(key: RSAPublicKey, signature: bytes, message: bytes) -> SignatureCheck:
    try:
        key.verify(signature, message, PKCS1v15(), SHA1())  # noqa: S303 - Valve's
    except InvalidSignature:
        return "invalid"
    except (UnsupportedAlgorithm, InternalError, ValueError):
        return "not_checked"
    return "valid"


def _contradictions(
    ticket: SessionTicket, ownership: Ownership, app_id: int, now: float, key: RSAPublicKey
) -> Iterator[Finding]:
    if ownership.app_id != app_id:
        yield "app_id"
    if ownership.steam_id != ticket.steam_id:
        yield "steam_id"
    if check_signature(ticket, ownership, key) == "invalid":
        yield "signature"
    if ownership.expires <= now:
        yield "expired"


def _end_of_lists(data: bytes, at: int) -> int:
    """Where the licences and the downloadable content end: u16 n, n x u32; u16 m, m x (u32 app, u16 k, k x u32)."""
    at += 2 + 4 * _u16(data, at)
    entries = _u16(data, at)
    at += 2
    for _ in range(entries):
        at += 6 + 4 * _u16(data, at + 4)
    return at


def _u16(data: bytes, at: int) -> int:
    return _uint(data, at, 2)


def _u32(data: bytes, at: int) -> int:
    return _uint(data, at, 4)


def _u64(data: bytes, at: int) -> int:
    return _uint(data, at, 8)


def _uint(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise LayoutError("the data is cut off")
    return int.from_bytes(data[at : at + size], "little")
