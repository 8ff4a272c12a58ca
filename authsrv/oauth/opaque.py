"""Opaque tokens: authorization codes, refresh tokens and the public id of a grant.

Owns their format: a prefix for secret scanners, the sealed row id, and a 256-bit secret of which only the SHA-256 is
ever stored. Knows nothing of grants or storage.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authsrv.models import Digest

OpaqueKind = Literal["code", "refresh"]

PREFIXES: dict[OpaqueKind, str] = {"code": "asc_", "refresh": "asr_"}
_TAGS: dict[OpaqueKind, bytes] = {"code": b"code", "refresh": b"refr"}
_GID_TAG = b"gid\0"
_FORM = re.compile(r"(as[cr]_)([A-Za-z0-9_-]{22})[A-Za-z0-9_-]{43}")
_SUCCESSOR_INFO = b"authsrv refresh successor v1"
_NONCE_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Opaque:
    """A token's text with what it stands for. `generation` counts refresh tokens of one grant from 1; 0 for codes."""

    text: str
    grant_id: int
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

    def new(self, kind: OpaqueKind, grant_id: int, generation: int = 0) -> Opaque:
        """A fresh token of a grant."""
        sealed = self._seal(grant_id, generation, _TAGS[kind])
        text = f"{PREFIXES[kind]}{sealed}{_encode(self._random(32))}"
        return Opaque(text, grant_id, generation, digest(text))

    def read(self, kind: OpaqueKind, text: str) -> Opaque | None:
        """What a presented token claims to be, or None if it cannot be one of ours. The caller compares the digest."""
        form = _FORM.fullmatch(text)
        if form is None or form[1] != PREFIXES[kind]:
            return None
        block = self._decrypt(urlsafe_b64decode(form[2] + "=="))
        if block[12:] != _TAGS[kind]:
            return None
        return Opaque(text, int.from_bytes(block[:8]), int.from_bytes(block[8:12]), digest(text))

    def gid(self, grant_id: int) -> str:
        """The id of a grant as access tokens carry it; useless as part of a code or refresh token."""
        return self._seal(grant_id, 0, _GID_TAG)

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

    def _seal(self, grant_id: int, generation: int, tag: bytes) -> str:
        return _encode(self._encrypt(grant_id.to_bytes(8) + generation.to_bytes(4) + tag))


def digest(text: str) -> Digest:
    """SHA-256 of a secret's text, the only form in which it is stored or compared."""
    return Digest(hashlib.sha256(text.encode()).digest())


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _successor_key(previous: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_SUCCESSOR_INFO).derive(previous.encode())
