"""The documents that describe the server: OpenID Connect Discovery, RFC 8414 metadata and the key set.

Owns what is advertised: only what works, derived from the grants. A document is made when it changes and kept as bytes.
"""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.documents import Document
from authsrv.oauth.claims import ACR, SCOPE_OF
from authsrv.oauth.grants import GRANTS
from authsrv.oauth.grants.base import AUTH_METHODS
from authsrv.oauth.scopes import OFFLINE
from authsrv.pages.localization import LOCALES

CACHE = "public, max-age=3600"

_TOKEN_CLAIMS = (
    *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash", "sid", "acr"),
    *("idp", "idp_sub"),
)
"""The claims of an id_token that need no scope: the standard's, and ours."""
_ALWAYS: Mapping[str, Any] = {
    "claim_types_supported": ["normal"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
    "claims_parameter_supported": True,
    "request_parameter_supported": False,
    "request_uri_parameter_supported": False,
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
    "frontchannel_logout_supported": True,
    "frontchannel_logout_session_supported": True,
}
"""What does not depend on the configuration."""


def metadata(
    issuer: str, scopes: Collection[str], *, algorithms: Collection[str], registration: bool = False
) -> dict[str, Any]:
    """The server's metadata (RFC 8414 section 2, OpenID Connect Discovery section 3).

    `scopes` are those that some client may ask for; no other scope's claims are promised. `algorithms` are those of
    our signatures. `registration` says that clients may register.
    """
    # A client that goes by the first one gets the one that every client knows.
    signed_by = sorted(algorithms, key=lambda alg: alg != "RS256")
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth2/authorize",
        "token_endpoint": f"{issuer}/oauth2/token",
        "userinfo_endpoint": f"{issuer}/oauth2/userinfo",
        "end_session_endpoint": f"{issuer}/oauth2/logout",
        "jwks_uri": f"{issuer}/oauth2/jwks",
        "revocation_endpoint": f"{issuer}/oauth2/revoke",
        "introspection_endpoint": f"{issuer}/oauth2/introspect",
        "revocation_feed_uri": f"{issuer}/oauth2/revocations",
        **({"registration_endpoint": f"{issuer}/oauth2/register"} if registration else {}),
        "scopes_supported": sorted({*scopes, *(OFFLINE if OFFLINE.intersection(scopes) else ())}),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": list(dict.fromkeys(grant.GRANT_TYPE for grant in GRANTS)),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": signed_by,
        "userinfo_signing_alg_values_supported": signed_by,
        "acr_values_supported": [ACR],
        "display_values_supported": ["page", "popup", "touch", "wap"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "ui_locales_supported": list(LOCALES),
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "introspection_endpoint_auth_methods_supported": [method for method in AUTH_METHODS if method != "none"],
        "claims_supported": [*_TOKEN_CLAIMS, *(claim for claim, scope in SCOPE_OF.items() if scope in scopes)],
        **_ALWAYS,
    }


class MetadataEndpoint:
    """The metadata; `replace` swaps it when a reload changed what it tells."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.replace(content)

    def replace(self, content: Mapping[str, Any]) -> None:
        """Serve this content from now on."""
        self._document = _json(content)

    async def __call__(self, request: Request) -> Response:
        """The metadata, or 304 when the client has it."""
        return self._document.answer(request)


class KeySetEndpoint:
    """The public keys as they are now: each request sees what the clock or an operator has changed."""

    def __init__(self, current: Callable[[], Any], cache_control: str = CACHE) -> None:
        self._current = current
        self._cache_control = cache_control
        self._take(current())

    async def __call__(self, request: Request) -> Response:
        """The keys, or 304 when the client has them."""
        found = self._current()
        if found != self._served:
            self._take(found)
        return self._document.answer(request)

    def _take(self, found: Any) -> None:
        self._served, self._document = found, _json(found, self._cache_control)


def _json(content: Any, cache_control: str = CACHE) -> Document:
    return Document(json.dumps(content, separators=(",", ":")).encode(), "application/json", cache_control)
