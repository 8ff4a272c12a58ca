"""The platform grant: proof from a platform in, authorization code out, without a browser.

Owns what is special to a silent login's code. The identity was verified and the player decided before; knows no
platform by name.
"""

from authsrv.models import Client
from authsrv.oauth.grants.code import CodeIssuingGrant
from authsrv.oauth.request import GrantRequest
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class RedirectTarget:
    """Where the answer of a silent login goes, once client and URI are known to be good.

    `sent` is the redirect_uri as the request gave it, empty if it left it out. `is_redirect` asks for a redirect rather
    than JSON.
    """

    client: Client
    redirect_uri: str
    sent: str
    is_redirect: bool


class SilentRequest(GrantRequest):
    """A silent login as Authlib's request: a public request, as every authorization request is."""

    def __init__(self, endpoint: str, parameters: dict[str, str], target: RedirectTarget, now: int) -> None:
        super().__init__(endpoint, parameters, target.client, "none", now)
        self.target = target


class PlatformGrant(CodeIssuingGrant):
    """Issues the code of a silent login."""

    request: SilentRequest

    _redirect_uri = ""

    def validate_authorization_request(self) -> str:
        """Checked before the credential is taken to its platform; Authlib asks again when it makes the code of it."""
        if not self._redirect_uri:
            self._redirect_uri = super().validate_authorization_request()
        return self._redirect_uri

    @classmethod
    def check_authorization_endpoint(cls, request: GrantRequest) -> bool:
        """Only silent logins come this way, whatever their response_type."""
        return isinstance(request, SilentRequest)

    def redirect_uri_sent(self) -> str:
        """A silent login may leave out the only redirect URI of its client."""
        return self.request.target.sent

    def delivered_as_json(self) -> bool:
        """Whether the game asked for JSON."""
        return not self.request.target.is_redirect
