"""One file for each grant. `GRANTS` lists them; the discovery document is derived from it."""

from authsrv.oauth.grants.authorization_code import AuthorizationCodeGrant
from authsrv.oauth.grants.client_credentials import ClientCredentialsGrant
from authsrv.oauth.grants.exchange import UnknownSubject
from authsrv.oauth.grants.own_exchange import OwnExchangeGrant
from authsrv.oauth.grants.platform_exchange import PlatformExchangeGrant
from authsrv.oauth.grants.refresh_token import RefreshTokenGrant

GRANTS = (
    AuthorizationCodeGrant,
    RefreshTokenGrant,
    ClientCredentialsGrant,
    PlatformExchangeGrant,
    OwnExchangeGrant,
    UnknownSubject,
)
"""The grants of the token endpoint; of several with the same type the first one that takes the request."""
