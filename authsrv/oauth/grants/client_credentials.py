"""The client credentials grant (RFC 6749 section 4.4): a token for the client itself. Reads and writes nothing."""

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant as AuthlibClientCredentialsGrant

from authsrv.oauth import audiences, scopes
from authsrv.oauth.grants.base import LoadingGrant
from authsrv.oauth.tokens import TokenFacts


class ClientCredentialsGrant(LoadingGrant, AuthlibClientCredentialsGrant):
    """Gives a server client a token about itself. `sub` is the client_id, which is never shaped like a player's."""

    PARAMETERS = audiences.PARAMETERS | {"scope"}

    def facts(self, scope: tuple[str, ...]) -> TokenFacts:
        """What the token says."""
        client = self.registered
        return TokenFacts(
            client=client,
            sub=client.client_id,
            scope=scopes.granted(client, " ".join(scope)),
            audience=audiences.granted(client, self.request.form),
        )
