"""Opaque tokens: authorization codes, refresh tokens, browser cookies, the `state` of a trip, what registered clients
are given, and public row ids.

Owns their format: a prefix for secret scanners, the sealed row id, and a 256-bit secret of which only the SHA-256 is
ever stored. Knows nothing of grants or storage.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authsrv.models import Digest
from authsrv.records import dataclass

OpaqueKind = Literal["code", "refresh", "browser", "trip", "client_secret", "registration"]
PublicId = Literal["gid", "sid", "request", "event", "ban"]
"""A row that others may name: a grant in access tokens, a session in id_tokens, a pending request in our own forms, an
event of the journal, a ban."""

PREFIXES: dict[OpaqueKind, str] = {
    "code": "asc_",
    "refresh": "asr_",
    "browser": "asb_",
    "trip": "ast_",
    "client_secret": "ass_",
    "registration": "asg_",
}
_TAGS: dict[OpaqueKind, bytes] = {
    "code": b"code",
    "refresh": b"refr",
    "browser": b"brow",
    "trip": b"trip",
    "client_secret": b"csec",
    "registration": b"regi",
}
_ID_TAGS: dict[PublicId, bytes] = {
    "gid": b"gid\0",
    "sid": b"sid\0",
    "request": b"requ",
    "event": b"evnt",
    "ban": b"ban\0",
}
_FORM = re.compile(r"(as[crbtsg]_)([A-Za-z0-9_-]{22})[A-Za-z0-9_-]{43}")
_ID_PREFIXES: dict[PublicId, str] = {"gid": "", "sid": "", "request": "", "event": "evt_", "ban": "ban_"}
"""What people type: a sealed id alone may begin with a hyphen, which a command line takes for an option."""
_ID_FORM = re.compile(r"[A-Za-z0-9_-]{22}")
_SUCCESSOR_INFO = b"authsrv refresh successor v1"
_NONCE_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Opaque:
    """A token's text with the row it names. `generation` counts refresh tokens of one grant from 1; else it is 0."""

    text: str
    row_id: int
    generation: int
    digest: Digest


class OpaqueTokens:
    """Makes and reads opaque tokens.

    The row id is encrypted as one AES block together with generation and kind, so a token tells nothing about how many
    there are, one kind cannot be passed off as another, and a made-up id does not reach the database.
    """

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - one block, never repeated with other content
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update
        self._random = random

    def new(self, kind: OpaqueKind, row_id: int, generation: int = 0) -> Opaque:
        """A fresh token of a row."""
        sealed = self._seal(row_id, generation, _TAGS[kind])
        text = f"{PREFIXES[kind]}{sealed}{_encode(self._random(32))}"
        return Opaque(text, row_id, generation, digest(text))

    def read(self, kind: OpaqueKind, text: str) -> Opaque | None:
        """What a presented token claims to be, or None if it cannot be one of ours. The caller compares the digest."""
        form = _FORM.fullmatch(text)
        if form is None or form[1] != PREFIXES[kind]:
            return None
        block = self._open(form[2])
        if block[12:] != _TAGS[kind] or block[0] > 127:
            return None
        return Opaque(text, int.from_bytes(block[:8]), int.from_bytes(block[8:12]), digest(text))

    def public_id(self, kind: PublicId, row_id: int) -> str:
        """A row's id as others see it: always the same, tells nothing, and is useless as part of a token."""
        return _ID_PREFIXES[kind] + self._seal(row_id, 0, _ID_TAGS[kind])

    def row_id(self, kind: PublicId, text: str) -> int | None:
        """The row behind a public id, or None if it is not one of ours."""
        sealed = text.removeprefix(_ID_PREFIXES[kind])
        if not text.startswith(_ID_PREFIXES[kind]) or not _ID_FORM.fullmatch(sealed):
            return None
        block = self._open(sealed)
        genuine = block[8:] == bytes(4) + _ID_TAGS[kind] and block[0] < 128
        return int.from_bytes(block[:8]) if genuine else None

    def seal_successor(self, previous: str, successor: str) -> bytes:
        """Encrypt a refresh token so that only whoever holds the one it replaced can have it again."""
        nonce = self._random(_NONCE_LENGTH)
        return nonce + AESGCM(_successor_key(previous)).encrypt(nonce, successor.encode(), None)

    def open_successor(self, previous: str, sealed: bytes) -> str | None:
        """The sealed refresh token, or None if `previous` is not the token it was sealed under."""
        try:
            return (
                AESGCM(_successor_key(previous)).decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], None).decode()
            )
        except InvalidTag:
            return None

    def _seal(self, row_id: int, generation: int, tag: bytes) -> str:
        return _encode(self._encrypt(row_id.to_bytes(8) + generation.to_bytes(4) + tag))

    def _open(self, sealed: str) -> bytes:
        return self._decrypt(urlsafe_b64decode(sealed + "=="))


def digest(text: str) -> Digest:
    """SHA-256 of a secret's text, the only form in which it is stored or compared."""
    return Digest(hashlib.sha256(text.encode()).digest())


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _successor_key(previous: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_SUCCESSOR_INFO).derive(previous.encode())
