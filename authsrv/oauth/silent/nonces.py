"""Nonces that a game puts into a Steam encrypted app ticket, so that the ticket is fresh and meant for its client.

Owns their form: random bytes and an expiry under a MAC that binds the client. Nothing is stored; that a nonce is used
once is the business of the credential's reservation.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from re import compile as pattern

from authsrv.errors import InvalidGrant

LIFETIME = 300
"""Seconds between asking for a nonce and logging in with a ticket that holds it."""

_FORM = pattern(r"[A-Za-z0-9_-]{48}")


class TicketNonces:
    """Issues and checks nonces of 48 base64url characters. `key` is a secret of this server."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._key = key
        self._random = random

    def issue(self, client_id: str, now: int) -> str:
        """A nonce for this client, good for `LIFETIME` seconds."""
        body = self._random(14) + (now + LIFETIME).to_bytes(6)
        return urlsafe_b64encode(body + self._mac(client_id, body)).decode()

    def check(self, client_id: str, nonce: str, now: int) -> None:
        """Raise `InvalidGrant` unless the nonce was issued to this client and is in time."""
        if not _FORM.fullmatch(nonce):
            raise InvalidGrant("This nonce was not issued to the client.", reason="credential_rejected")
        raw = urlsafe_b64decode(nonce)
        body, mac = raw[:20], raw[20:]
        if not hmac.compare_digest(mac, self._mac(client_id, body)):
            raise InvalidGrant("This nonce was not issued to the client.", reason="credential_rejected")
        if now >= int.from_bytes(body[14:]):
            raise InvalidGrant("The nonce is too old; ask for a new one.", reason="credential_expired")

    def _mac(self, client_id: str, body: bytes) -> bytes:
        return hmac.digest(self._key, client_id.encode() + b"\0" + body, "sha256")[:16]
