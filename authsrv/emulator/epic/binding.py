"""What the emulated sign-in page ties a code to, and the check of it when the code is redeemed.

Knows no endpoint and no player.
"""

import base64
import hashlib
from collections.abc import Mapping

from authsrv.emulator.epic.cases import REFUSALS, Refusal
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Binding:
    """The request that a code answers (RFC 6749 section 4.1.3, RFC 7636); empty for codes from elsewhere."""

    redirect_uri: str = ""
    nonce: str = ""
    code_challenge: str = ""

    def refusal(self, form: Mapping[str, str]) -> Refusal | None:
        """Why this token request may not have the code; None if it may."""
        if self.redirect_uri and form.get("redirect_uri") != self.redirect_uri:
            return REFUSALS["authorization-code-not-found"]
        verifier = form.get("code_verifier", "")
        if self.code_challenge and not verifier:
            return REFUSALS["single-use-code-verifier-required"]
        if self.code_challenge and s256(verifier) != self.code_challenge:
            return REFUSALS["single-use-code-verifier-invalid"]
        return None


def s256(verifier: str) -> str:
    """The challenge of a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode("ascii")
