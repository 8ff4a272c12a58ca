"""Our frozen facts in the shape that Authlib's grants ask for. Each adapter answers from what was loaded, no more."""

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin

from authsrv.models import Client, Grant
from authsrv.oauth import scopes
from authsrv.redirects import matches, registered_default


class ClientAdapter(ClientMixin):
    """A client as Authlib sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get_client_id(self) -> str:
        """The client_id."""
        return self.client.client_id

    def get_default_redirect_uri(self) -> str | None:
        """The only registered redirect URI, if there is just one."""
        return registered_default(self.client)

    def get_allowed_scope(self, scope: str | None) -> str:
        """The granted part of a requested scope. Raises our `InvalidScope`."""
        return " ".join(scopes.granted(self.client, scope or ""))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether the URI is registered."""
        return matches(self.client, redirect_uri)

    def check_response_type(self, response_type: str) -> bool:
        """Only the code flow exists, for clients that may redeem codes."""
        return response_type == "code" and "authorization_code" in self.client.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether the client's entry lists the grant."""
        return grant_type in self.client.grant_types


class CodeAdapter(AuthorizationCodeMixin):
    """The authorization code of a grant as Authlib sees it."""

    def __init__(self, grant: Grant, expected_redirect_uri: str) -> None:
        self.grant = grant
        self.code_challenge = grant.code_challenge
        self.code_challenge_method = "S256"
        self._expected_redirect_uri = expected_redirect_uri

    def get_redirect_uri(self) -> str:
        """The URI the token request must repeat; empty when it need not."""
        return self._expected_redirect_uri

    def get_scope(self) -> str:
        """The scope granted with the code."""
        return " ".join(self.grant.scope)


class RefreshAdapter:
    """The refresh token of a grant as Authlib sees it."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant

    def get_scope(self) -> str:
        """The scope originally granted."""
        return " ".join(self.grant.scope)

    def check_client(self, client: ClientAdapter) -> bool:
        """Whether the token was issued to this client."""
        return self.grant.client_id == client.client.client_id
