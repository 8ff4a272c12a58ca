"""One file for each grant. `GRANTS` lists them; the discovery document is derived from it."""

from authsrv.oauth.grants.authorization_code import AuthorizationCodeGrant
from authsrv.oauth.grants.client_credentials import ClientCredentialsGrant
from authsrv.oauth.grants.refresh_token import RefreshTokenGrant

GRANTS = (AuthorizationCodeGrant, RefreshTokenGrant, ClientCredentialsGrant)
"""The grants of the token endpoint."""
