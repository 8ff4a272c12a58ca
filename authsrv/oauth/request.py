"""What an endpoint hands to a grant: parsed parameters and who sent them, and the same in Authlib's form.

Owns the translation to Authlib's request. Knows no HTTP framework: an endpoint has already read and checked the bytes.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from authlib.oauth2.rfc6749 import OAuth2Payload, OAuth2Request

from authsrv.audit import AuditEvent
from authsrv.models import TOKEN_EXCHANGE, AuthMethod, Client, TokenProfile
from authsrv.oauth.credentials import Redeemed
from authsrv.records import dataclass

Surface = Literal["standard", "xsolla"]
"""Which set of paths a request came by. Clients of one token profile are unknown on the other surface."""

_XSOLLA_TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token_exchange"

PROFILE_OF_SURFACE: Mapping[Surface, TokenProfile] = {"standard": "standard", "xsolla": "xsolla"}


@dataclass(frozen=True, slots=True)
class Sender:
    """Where a request came from: its address for limits (a /64 for IPv6) and for the log (cut), and its id there."""

    surface: Surface
    address: str
    cut_address: str
    request_id: str

    def marked(self, event: AuditEvent) -> AuditEvent:
        """What the sender's request led to, with where it came from."""
        return replace(event, request_id=self.request_id, address=self.cut_address)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to log in to a client by a platform."""

    client: Client
    provider: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to the token endpoint. `authorization` is the value of the Authorization header, empty if absent."""

    parameters: Mapping[str, str]
    authorization: str
    sender: Sender


class Payload(OAuth2Payload):
    """Parameters of which none repeats; the endpoint's parser has refused repetitions before."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._data = dict(parameters)

    @property
    def data(self) -> dict[str, str]:
        """The parameters by name."""
        return self._data

    @property
    def datalist(self) -> "defaultdict[str, list[str]]":
        """Each parameter as a list of its one value."""
        return defaultdict(list, {name: [value] for name, value in self._data.items()})


class GrantRequest(OAuth2Request):
    """Authlib's request, with the client already authenticated and the clock already read.

    `endpoint` is an address of ours built from the configured issuer, never from the request.
    """

    def __init__(
        self, endpoint: str, parameters: Mapping[str, str], client: Client, method: AuthMethod, now: int
    ) -> None:
        super().__init__("POST", endpoint)
        self.payload = Payload(parameters)
        self.registered = client
        self.authenticated_by = method
        self.now = now

    @property
    def form(self) -> dict[str, str]:
        """The parameters; they all came from the body."""
        return self.payload.data


class TokenGrantRequest(GrantRequest):
    """A request to the token endpoint; one instance for all attempts at it.

    `redeemed` is what a platform's credential proved. It is kept here, so that no attempt asks the platform again.
    """

    def __init__(self, endpoint: str, sent: TokenRequest, client: Client, method: AuthMethod, now: int) -> None:
        super().__init__(endpoint, _spelled(sent), client, method, now)
        self.sender = sent.sender
        self.redeemed: Redeemed | None = None


def _spelled(sent: TokenRequest) -> Mapping[str, str]:
    """Xsolla's SDKs write the grant type of token exchange with an underscore."""
    is_theirs = sent.sender.surface == "xsolla" and sent.parameters.get("grant_type") == _XSOLLA_TOKEN_EXCHANGE
    return {**sent.parameters, "grant_type": TOKEN_EXCHANGE} if is_theirs else sent.parameters
