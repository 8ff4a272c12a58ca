"""Confirmation tokens: that somebody proved a platform account a moment ago, and was shown what a link code is about.

Owns their form: sealed, so that they tell nothing and cannot be made elsewhere, and bound to the code and to the client
that was answered. What they allow happens once, because a code links once.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import asdict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authsrv.accounts.cases import Proof
from authsrv.accounts.link_codes import FoundCode
from authsrv.errors import InvalidGrant
from authsrv.models import Client, IdentityKey

LIFETIME = 300
"""Seconds from the check of the credential."""

_NONCE_LENGTH = 12
_NOT_OURS = "This confirmation_token is not of this code and client, or too old; show the code again."


class ConfirmationTokens:
    """Makes and reads them. `key` is a secret of this server; `random` gives that many bytes."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._random = random

    def issue(self, proof: Proof, found: FoundCode, client: Client) -> str:
        """A token for what was proven."""
        nonce = self._random(_NONCE_LENGTH)
        sealed = self._cipher.encrypt(nonce, written(proof).encode(), _bound_to(found, client))
        return _encoded(nonce + sealed)

    def read(self, text: str, found: FoundCode, client: Client, now: int) -> Proof:
        """What was proven. Raises `InvalidGrant`."""
        try:
            raw = _decoded(text)
            told = self._cipher.decrypt(raw[:_NONCE_LENGTH], raw[_NONCE_LENGTH:], _bound_to(found, client))
        except (ValueError, InvalidTag):
            raise _invalid() from None
        proof = read_proof(told.decode())
        if now >= proof.checked_at + LIFETIME:
            raise _invalid()
        return proof


def written(proof: Proof) -> str:
    """A proof as a text that only this server reads."""
    return json.dumps(asdict(proof), separators=(",", ":"))


def read_proof(text: str) -> Proof:
    """The proof of such a text."""
    told = json.loads(text)
    return Proof(**{**told, "key": IdentityKey(**told["key"])})


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    """Raises `ValueError` for any other spelling than ours."""
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encoded(raw) != text:
        raise ValueError("another spelling")
    return raw


def _bound_to(found: FoundCode, client: Client) -> bytes:
    return found.code.code_hash + client.client_id.encode()


def _invalid() -> InvalidGrant:
    return InvalidGrant(_NOT_OURS, reason="confirmation_invalid")
