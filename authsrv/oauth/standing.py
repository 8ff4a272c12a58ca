"""Whether what was given to a client still stands, judged by its row alone.

Owns what a presented refresh token is: current, repeated within the grace window, reused, or worthless (RFC 9700
section 4.14.2). Pure; knows neither requests nor storage.
"""

from hmac import compare_digest
from typing import Literal

from authsrv.models import Client, Digest, Grant, LoadedGrant
from authsrv.oauth import scopes
from authsrv.oauth.opaque import Opaque

Judgement = Literal["current", "repeated", "reused", "worthless"]


def belongs_to(grant: Grant, client: Client) -> bool:
    """Whether the grant was given to this client, in the project it is in now, by a platform that the project has."""
    project = client.project
    return grant.client_id == client.client_id and grant.project == project.key and grant.platform in project.platforms


def is_void(loaded: LoadedGrant) -> bool:
    """Whether everything that the player, the client or the project was given then was revoked since."""
    return loaded.grant.created_at < loaded.not_before


def judge(grant: Grant, presented: Opaque, now: int, grace: int) -> Judgement:
    """What a presented refresh token is, from the family's row alone: one that was replaced and came back is reuse."""
    if grant.revoked_at is not None or now >= min(grant.expires_at, grant.absolute_expires_at):
        return "worthless"
    if not is_of_family(grant, presented):
        return "worthless"
    behind = grant.refresh_generation - presented.generation
    if behind == 0:
        return "current"
    return "repeated" if behind == 1 and now < grant.refresh_rotated_at + grace else "reused"


def may_refresh(client: Client) -> bool:
    """Whether the client's entry still lets it have refresh tokens."""
    return "refresh_token" in client.grant_types and scopes.allowed(client, "offline")


def is_of_family(grant: Grant, presented: Opaque) -> bool:
    """Whether we issued the token for this grant, whatever became of either.

    The generation is readable by us only, so what says that it is an older one was issued by us.
    """
    behind = grant.refresh_generation - presented.generation
    if behind == 0:
        return _same(grant.refresh_hash, presented.digest)
    if behind == 1:
        return _same(grant.refresh_previous_hash, presented.digest)
    return behind > 1


def _same(stored: Digest | None, presented: Digest) -> bool:
    return stored is not None and compare_digest(stored, presented)
