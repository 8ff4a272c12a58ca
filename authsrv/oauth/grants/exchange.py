"""Token exchange (RFC 8693): what its two grants have in common, whatever the subject token is.

Owns the token types, what may be asked for, and the answer. Whom a subject token is about is the subclass's to find.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import TokenEndpointMixin
from authlib.oauth2.rfc6749.hooks import hooked

from authsrv.errors import InvalidRequest, InvalidScope, InvalidTarget
from authsrv.models import TOKEN_EXCHANGE, Client
from authsrv.oauth import audiences
from authsrv.oauth.grants.base import LoadingGrant
from authsrv.oauth.request import TokenGrantRequest

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
REQUESTABLE = (ACCESS_TOKEN, ID_TOKEN)
PARAMETERS = audiences.PARAMETERS | {
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "scope",
}


class TokenExchangeGrant(LoadingGrant, TokenEndpointMixin):
    """Base of the grants that make tokens of a token. A subclass says which subject tokens are its own."""

    GRANT_TYPE = TOKEN_EXCHANGE

    request: TokenGrantRequest

    scope: tuple[str, ...] = ()
    """What the tokens are for; the subclass sets it in `check` or `load`."""

    @classmethod
    def check_token_endpoint(cls, request: Any) -> bool:
        """Exchanges of the subject tokens that the class knows."""
        sent: Mapping[str, str] = request.form
        return sent.get("grant_type") == cls.GRANT_TYPE and cls.takes(sent.get("subject_token_type", ""))

    @classmethod
    def takes(cls, subject_token_type: str) -> bool:
        """Whether subject tokens of this type are its own."""
        raise NotImplementedError

    def check(self) -> None:
        """The client, and what is asked for. Raises `AuthsrvError` or Authlib's error."""
        self.validate_token_request()
        for name in ("subject_token", "subject_token_type"):
            if not self.request.form.get(name):
                raise InvalidRequest(f"Send the {name}.", parameter=name)
        if self.requested_type not in REQUESTABLE:
            raise InvalidRequest(f"Ask for one of: {', '.join(REQUESTABLE)}.", parameter="requested_token_type")
        if self.asks_for_id_token and self.registered.profile == "xsolla":
            raise InvalidRequest("Clients of this surface have no id_tokens.", parameter="requested_token_type")
        if self.asks_for_id_token:
            id_token_audience(self.registered, self.request.form)

    def validate_token_request(self) -> None:
        """Whether the client may exchange tokens at all."""
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError
        self.request.client = client

    def scope_due(self) -> tuple[str, ...]:
        """The scope of the access token; nothing where an id_token alone is asked for."""
        return () if self.asks_for_id_token else self.scope

    @property
    def requested_type(self) -> str:
        """The type of the token that is asked for."""
        return self.request.form.get("requested_token_type") or ACCESS_TOKEN

    @property
    def asks_for_id_token(self) -> bool:
        """Whether an id_token alone is asked for; an audience is then its own."""
        return self.requested_type == ID_TOKEN

    @hooked  # type: ignore[untyped-decorator]  # Authlib has no types
    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """The answer (RFC 8693 section 2.2.1); the issued token stands in `access_token`, whatever its type."""
        reply = self._id_token() if self.asks_for_id_token else self.generate_token(scope=" ".join(self.scope))
        self.collect()
        return 200, {**reply, "issued_token_type": self.requested_type}, self.TOKEN_RESPONSE_HEADER

    def collect(self) -> None:
        """Collect what is to be written and told."""
        self.notices.append("token.exchanged")

    def require_openid(self) -> None:
        """Without it there is no id_token (OpenID Connect Core section 3.1.2.1). Raises `InvalidScope`."""
        if self.asks_for_id_token and "openid" not in self.scope:
            raise InvalidScope("An id_token needs the scope openid.")

    def _id_token(self) -> dict[str, Any]:
        audience = id_token_audience(self.registered, self.request.form)
        facts = self.facts(self.scope)
        token = self.server.tokens.id_token(facts, "", self.request.now, audience)
        return {"access_token": token, "token_type": "N_A", "expires_in": facts.id_token_lifetime(self.request.now)}


class UnknownSubject(TokenExchangeGrant):
    """Refuses an exchange whose subject token is of no type that we know."""

    PARAMETERS: ClassVar[frozenset[str]] = PARAMETERS

    @classmethod
    def takes(cls, subject_token_type: str) -> bool:  # noqa: ARG003 - takes all
        """Whatever comes to it: it is asked last."""
        return True

    def check(self) -> None:
        """Say what is wrong."""
        super().check()
        raise InvalidRequest("No subject_token_type of that name is known here.", parameter="subject_token_type")


def id_token_audience(client: Client, sent: Mapping[str, str]) -> str:
    """Whom an id_token is asked for; the client itself if nobody is named. Raises `InvalidTarget`."""
    asked = audiences.asked(sent)
    if not asked:
        return client.client_id
    if len(asked) > 1 or asked[0] not in client.id_token_audiences:
        raise InvalidTarget("An id_token can be for one of the client's id_token_audiences only.")
    return asked[0]
