"""The browser's way to Microsoft's sign-in page and back: the address, and what the return says.

Pure: no I/O and no clock. A code read here proves nothing yet; `live.py` redeems it. Knows no token.
Source: Microsoft, "OAuth 2.0 authorization code flow" of the identity platform; RFC 7636.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import urlencode

from authsrv.models import Digest
from authsrv.platforms.base import (
    BrowserTrip,
    Credential,
    CredentialRejected,
    PlatformError,
    Returned,
    SignInCancelled,
    SingleUse,
)
from authsrv.platforms.xbox.errors import oauth_refusal
from authsrv.records import dataclass

TENANT = "consumers"
"""Xbox players are personal accounts; codes of any other tenant end in errors of Xbox."""
SCOPE = "XboxLive.signin"
_KEEP_CODE = 3600
_CODE = re.compile(r"[!-~]{8,4096}")


@dataclass(frozen=True, slots=True)
class MicrosoftCode(Credential):
    """A code that Microsoft must redeem, with what its request was bound to."""

    code: str = field(repr=False)
    callback: str
    code_verifier: str = field(repr=False)


def sign_in_url(host: str, client_id: str, trip: BrowserTrip) -> str:
    """The address of Microsoft's sign-in page for this trip; `host` without a slash at its end."""
    query = {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": trip.callback,
        "scope": SCOPE,
        "state": trip.state,
        "code_challenge": _challenge(trip.code_verifier),
        "code_challenge_method": "S256",
    }
    return f"{host}/{TENANT}/oauth2/v2.0/authorize?{urlencode(query)}"


def read_return(client_id: str, trip: BrowserTrip, returned: Returned) -> MicrosoftCode:
    """The code that the browser brought back. Raises any `PlatformError`."""
    found = _parameters(returned)
    if ("error" in found) == ("code" in found):
        raise _malformed("not exactly one of code and error")
    if "error" in found:
        raise _refusal(found["error"])
    code = found["code"]
    if not _CODE.fullmatch(code):
        raise _malformed("not a code")
    return MicrosoftCode(
        kind="authorization_code",
        single_use=SingleUse(_digest(client_id, code), keep=_KEEP_CODE, take_over=False),
        claimed_subject="",
        code=code,
        callback=trip.callback,
        code_verifier=trip.code_verifier,
    )


def _parameters(returned: Returned) -> Mapping[str, str]:
    found = dict(returned)
    if len(found) != len(returned):
        raise _malformed("a parameter came twice")  # RFC 6749 section 3.1
    return found


def _refusal(error: str) -> PlatformError:
    if error == "access_denied":
        return SignInCancelled("Microsoft's page: access_denied")
    return oauth_refusal(error, "Microsoft's page, as the browser tells", code_sent=False)


def _malformed(detail: str) -> CredentialRejected:
    return CredentialRejected(
        "credential_malformed", "The answer of the sign-in page cannot be read; start the sign-in again.", detail=detail
    )


def _challenge(code_verifier: str) -> str:
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _digest(client_id: str, code: str) -> Digest:
    return Digest(hashlib.sha256(f"{client_id}\n{code}".encode()).digest())
