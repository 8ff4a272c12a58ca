"""Epic's sign-in in the browser: the address of Epic's page, and the reading of what came back from it.

Pure: no call, no clock, no settings file. The code that it finds is redeemed in `exchange.py`.
"""

import base64
import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, urlencode

from authsrv.platforms.base import (
    BrowserTrip,
    CredentialRejected,
    PlatformError,
    PlatformMisconfigured,
    PlatformUnavailable,
    Returned,
    SignInCancelled,
)
from authsrv.platforms.epic.codes import is_authorization_code
from authsrv.platforms.epic.errors import Asked, named_refusal
from authsrv.records import dataclass

_MAX_VALUE = 2048

_OUR_MISTAKES: Mapping[str, str] = MappingProxyType(
    {
        "invalid_request": "Epic cannot use the request; list the callback among the client's trusted redirect URLs",
        "invalid_scope": "scopes differ from the permissions of the Epic application; make them equal",
        "unauthorized_client": "the policy of the Epic client lacks the grant authorization_code; add it",
        "unsupported_response_type": "the policy of the Epic client does not let it ask for codes; change it",
    }
)
"""`error` of RFC 6749 section 4.1.2.1 -> what the operator must do."""


@dataclass(frozen=True, slots=True)
class SignInPage:
    """Epic's page as one Epic client uses it. `www` is Epic's host without a final slash.

    `pkce` sends a challenge along (RFC 7636), which Epic does not document for third parties.
    """

    www: str
    client_id: str
    scopes: tuple[str, ...]
    pkce: bool = False

    def url(self, trip: BrowserTrip) -> str:
        """Where the browser is sent to (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1)."""
        query = {
            "client_id": self.client_id,
            "response_type": "code",
            "scope": " ".join(self.scopes),
            "redirect_uri": trip.callback,
            "state": trip.state,
            "nonce": trip.nonce,
        }
        if self.pkce:
            query |= {"code_challenge": _challenge(trip.code_verifier), "code_challenge_method": "S256"}
        return f"{self.www}/id/authorize?{urlencode(query, quote_via=quote)}"

    def grant(self, trip: BrowserTrip, returned: Returned) -> Mapping[str, str]:
        """The part of the token request that redeems what came back. Raises any `PlatformError`."""
        values = _once_each(returned)
        code, error = values.get("code", ""), values.get("error", "")
        if bool(code) == bool(error):
            raise _unreadable("not exactly one of code and error")
        if error:
            raise self._page_error(error)
        if not is_authorization_code(code):
            raise _unreadable("code is not an authorization code")
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": trip.callback}
        return {**grant, "code_verifier": trip.code_verifier} if self.pkce else grant

    def _page_error(self, error: str) -> PlatformError:
        if error in _OUR_MISTAKES:
            return PlatformMisconfigured(f"{_OUR_MISTAKES[error]} (error {error})")
        match error:
            case "access_denied":
                return SignInCancelled("Epic's page returned access_denied")
            case "server_error" | "temporarily_unavailable":
                return PlatformUnavailable(f"Epic's page returned {error}")
        asked = Asked(self.www, self.client_id, self.scopes, deployment_from_request=False, in_browser=True)
        return named_refusal(error, asked)


def _once_each(returned: Returned) -> Mapping[str, str]:
    """Parameters may not come twice (RFC 6749 section 3.1); unknown ones are left alone (section 4.1.2)."""
    values = dict(returned)
    if len(values) != len(returned):
        raise _unreadable("a parameter came twice")
    if any(len(name) + len(value) > _MAX_VALUE for name, value in returned):
        raise _unreadable("a parameter is too long")
    return values


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _unreadable(detail: str) -> CredentialRejected:
    return CredentialRejected(
        "credential_malformed", "What came back from Epic cannot be read; start the sign-in again.", detail=detail
    )
