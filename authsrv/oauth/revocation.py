"""Token revocation (RFC 7009): a client gives up a token of its own.

Owns what goes with a token. Knows no HTTP framework.
"""

from authsrv.audit import AuditEvent
from authsrv.errors import InvalidRequest, UnauthorizedClient
from authsrv.models import Client, LoadedGrant
from authsrv.oauth.clients import CLIENT_PARAMETERS
from authsrv.oauth.live_tokens import LiveTokens
from authsrv.oauth.own_tokens import NotOurs
from authsrv.oauth.request import TokenRequest
from authsrv.oauth.server import TokenServer
from authsrv.storage.changes import Change, RevokeGrant, RevokeToken

PARAMETERS = CLIENT_PARAMETERS | {"token", "token_type_hint"}
REVOKED = "revoked"
"""`revoked_reason` of a grant that its client gave up."""


class Revocation:
    """Ends tokens at the wish of the client that they were issued to."""

    def __init__(self, server: TokenServer, live_tokens: LiveTokens) -> None:
        self._server = server
        self._live_tokens = live_tokens

    async def revoke(self, request: TokenRequest) -> None:
        """End the token. One that is none, or has ended, is no error (RFC 7009 section 2.2). Raises `AuthsrvError`."""
        client = self._server.authenticate(request).client
        text = named_token(request)
        try:
            changes, loaded = await self._changes(text, client)
        except NotOurs:
            return
        await self._server.apply(changes)
        sub = loaded.player.sub if loaded else ""
        event = AuditEvent("token.revoked", project=client.project.key, client_id=client.client_id, sub=sub)
        self._server.note(event, request.sender)

    async def _changes(self, text: str, client: Client) -> tuple[list[Change], LoadedGrant | None]:
        if self._server.opaque.read("refresh", text) is None:
            return await self._of_access_token(text, client)
        family = await self._live_tokens.family(text)
        _require_owner(family.client, client)
        return [RevokeGrant(family.loaded.grant.id, self._server.now(), REVOKED)], family.loaded

    async def _of_access_token(self, text: str, client: Client) -> tuple[list[Change], LoadedGrant | None]:
        live = await self._live_tokens.access(text)
        _require_owner(live.client, client)
        changes: list[Change] = [RevokeToken(live.token.jti, live.token.exp)]
        grant = live.loaded.grant if live.loaded else None
        # A token made from another client's has that client's grant, which is not this one's to give up.
        if grant and client.revoke_grant_with_access_token and grant.client_id == client.client_id:
            changes.append(RevokeGrant(grant.id, self._server.now(), REVOKED))
        return changes, live.loaded


def named_token(request: TokenRequest) -> str:
    """The token that a request is about. Raises `InvalidRequest`."""
    text = request.parameters.get("token", "")
    if not text:
        raise InvalidRequest("Send the token.", parameter="token")
    return text


def _require_owner(owner: Client, client: Client) -> None:
    if owner.client_id != client.client_id:
        raise UnauthorizedClient("The token was issued to another client.")
