"""The browser grant: a signed-in player in, authorization code out (RFC 6749 section 4.1.1).

Owns which requests are its own. Whether the player had to be asked was decided before.
"""

from authsrv.oauth.grants.code import CodeIssuingGrant
from authsrv.oauth.request import GrantRequest


class BrowserRequest(GrantRequest):
    """An authorization request that came by a browser, as Authlib's request."""


class BrowserGrant(CodeIssuingGrant):
    """Issues the code of a browser sign-in."""

    @classmethod
    def check_authorization_endpoint(cls, request: GrantRequest) -> bool:
        """Authorization requests of browsers, whatever their response_type."""
        return isinstance(request, BrowserRequest)
