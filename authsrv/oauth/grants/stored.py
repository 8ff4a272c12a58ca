"""What a stored grant means for tokens: facts for the token issuer, and how long a refresh token lives. Pure."""

from authsrv.models import Client, Grant, LoadedGrant
from authsrv.oauth import audiences, scopes
from authsrv.oauth.tokens import TokenFacts


def belongs_to(grant: Grant, client: Client) -> bool:
    """Whether the grant was given to this client, in the project it is in now, by a platform that the project has."""
    project = client.project
    return grant.client_id == client.client_id and grant.project == project.key and grant.platform in project.platforms


def facts_of(loaded: LoadedGrant, client: Client, scope: tuple[str, ...], gid: str, *, nonce: str = "") -> TokenFacts:
    """The facts of a grant, for tokens of this scope, less what the client may no longer have.

    Raises `InvalidTarget` when none of the audiences is left.
    """
    grant, player = loaded.grant, loaded.player
    return TokenFacts(
        client=client,
        sub=player.sub,
        scope=scopes.remaining(client, scope),
        audience=audiences.remaining(client, grant.audience),
        gid=gid,
        platform=grant.platform,
        idp=grant.idp,
        idp_subject=grant.idp_subject,
        display_name=player.display_name,
        auth_time=grant.auth_time,
        nonce=nonce,
    )


def refresh_expiry(grant: Grant, client: Client, now: int) -> int:
    """When a refresh token issued now ends: idle lifetime, cut by the family's absolute one."""
    return min(now + client.lifetimes.refresh_idle, grant.absolute_expires_at)
