"""Proof keys for code exchange (RFC 7636): a secret made for one sign-in, and what is shown of it beforehand."""

import base64
import hashlib
import secrets

from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Pkce:
    """A verifier and its S256 challenge (RFC 7636 section 4)."""

    verifier: str
    challenge: str

    @classmethod
    def fresh(cls) -> "Pkce":
        """A pair nobody has seen before."""
        verifier = secrets.token_urlsafe(32)
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        return cls(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"))
