"""Epic's codes: how each kind is read, and by what a used one is recognised.

Owns the credential that `exchange.py` redeems. Knows no settings file, no call and no answer.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import field

from authsrv.models import Digest
from authsrv.platforms.base import Credential, CredentialRejected, SingleUse, Submission
from authsrv.records import dataclass

_KEEP_CODE = 3600
_EXCHANGE_CODE = re.compile(r"[A-Za-z0-9_-]{16,128}")
_BASE64_CODE = re.compile(r"[A-Za-z0-9+/]{43}=")
_HEX_CODE = re.compile(rb"[0-9a-fA-F]{32}")
_OPAQUE_CODE = re.compile(r"[!-~]{8,128}")
_REDIRECT_URI = re.compile(r"[!-~]{1,2048}")


@dataclass(frozen=True, slots=True)
class EpicCode(Credential):
    """A code that Epic must redeem. `grant` is the part of the token request that carries it.

    `nonce` is what the browser was sent to Epic with; empty for a code that a game sent.
    """

    grant: Mapping[str, str] = field(repr=False)
    deployment_id: str = ""
    nonce: str = field(default="", repr=False)


def epic_code(
    kind: str, grant: Mapping[str, str], client_id: str, *, deployment_id: str = "", nonce: str = ""
) -> EpicCode:
    """The credential for a code that was read. A lease is never taken over: Epic may have used the code up."""
    code = grant.get("exchange_code") or grant["code"]
    digest = hashlib.sha256(f"{client_id}\n{code}".encode()).digest()
    return EpicCode(
        kind=kind,
        single_use=SingleUse(Digest(digest), keep=_KEEP_CODE, take_over=False),
        claimed_subject="",
        grant=grant,
        deployment_id=deployment_id,
        nonce=nonce,
    )


def exchange_grant(submission: Submission) -> Mapping[str, str]:
    """Read the code of the launcher's command line. Raises `CredentialRejected`."""
    # `session_ticket` comes plain from older SDKs and in Base64 where the newer text is followed; `code` only plain.
    code = _unwrapped(submission.value) or submission.code
    if not _EXCHANGE_CODE.fullmatch(code):
        raise CredentialRejected(
            "credential_malformed", "Send the exchange code of the Epic launcher: 32 hexadecimal digits."
        )
    return {"grant_type": "exchange_code", "exchange_code": code}


def authorization_grant(submission: Submission) -> Mapping[str, str]:
    """Read the code of a sign-in that the game itself led through a browser. Raises `CredentialRejected`."""
    code = submission.value or submission.code
    if not is_authorization_code(code):
        raise CredentialRejected("credential_malformed", "Send the authorization code as Epic gave it.")
    if not submission.redirect_uri:
        return {"grant_type": "authorization_code", "code": code}
    if not _REDIRECT_URI.fullmatch(submission.redirect_uri):
        raise CredentialRejected("credential_malformed", "The redirect_uri of the code cannot be read.")
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": submission.redirect_uri}


def is_authorization_code(text: str) -> bool:
    """Whether a text can be an authorization code, which is opaque."""
    return _OPAQUE_CODE.fullmatch(text) is not None


def _unwrapped(text: str) -> str:
    if not _BASE64_CODE.fullmatch(text):
        return text
    decoded = base64.b64decode(text, validate=True)
    canonical = base64.b64encode(decoded).decode("ascii") == text
    return decoded.decode("ascii") if canonical and _HEX_CODE.fullmatch(decoded) else text
