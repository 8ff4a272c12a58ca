"""The code of a login without a browser: what is asked for it is checked first, and made of it later.

Owns the order of Authlib's steps. Knows no credential and no HTTP framework.
"""

from collections.abc import Sequence

from authlib.oauth2.rfc6749 import OAuth2Error

from authsrv.oauth.grants.code import Authorized
from authsrv.oauth.grants.platform import PlatformGrant, SilentRequest
from authsrv.oauth.server import TokenServer, translated
from authsrv.records import dataclass
from authsrv.storage.changes import Change


@dataclass(frozen=True, slots=True)
class MadeCode:
    """A code, and everything that must be written before it may be told."""

    text: str
    changes: Sequence[Change]


class CodeMaker:
    """Makes the code that one request asks for.

    Whatever is wrong with the request is found at once: `AuthsrvError`.
    """

    def __init__(self, server: TokenServer, request: SilentRequest) -> None:
        self._server = server
        self._request = request
        self._grant: PlatformGrant = server.get_authorization_grant(request)
        try:
            self._grant.validate_authorization_request()
        except OAuth2Error as error:
            raise translated(error) from error

    def make(self, grant_id: int, authorized: Authorized) -> MadeCode:
        """The code of this grant; after a lost race another one may be made, of another grant."""
        self._grant.grant_id = grant_id
        text: str = self._server.create_authorization_response(self._request, authorized, self._grant)
        return MadeCode(text, self._grant.changes)
