"""Token revocation (RFC 7009): a client gives up a token of its own.

Owns what goes with a token. Whether the token is of use at present does not matter: what the configuration took away it
may give back, and a token that was given up must not come back with it. Knows no HTTP framework.
"""

from authsrv.audit import AuditEvent
from authsrv.errors import InvalidRequest, UnauthorizedClient
from authsrv.models import Client, Grant, LoadedGrant
from authsrv.oauth.clients import CLIENT_PARAMETERS
from authsrv.oauth.feed import LEEWAY
from authsrv.oauth.opaque import Opaque
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.own_tokens import AccessToken, NotOurs
from authsrv.oauth.request import TokenRequest
from authsrv.oauth.server import TokenServer
from authsrv.oauth.standing import is_of_family
from authsrv.records import dataclass
from authsrv.storage.changes import Change, RevokeGrant, RevokeToken

PARAMETERS = CLIENT_PARAMETERS | {"token", "token_type_hint"}
REVOKED = "revoked"
"""`revoked_reason` of a grant that its client gave up."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """What is to be written to end a token: nothing if it is none or has ended. `sub` is that of its player, if any."""

    changes: list[Change]
    sub: str = ""


_NOTHING = _Ending([])


class Revocation:
    """Ends tokens at the wish of the client that they were issued to."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server

    async def revoke(self, request: TokenRequest) -> None:
        """End the token. One that is none, or has ended, is no error (RFC 7009 section 2.2). Raises `AuthsrvError`."""
        client = self._server.authenticate(request).client
        ending = await self._ending(named_token(request), client)
        if not ending.changes:
            return
        await self._server.apply(ending.changes)
        event = AuditEvent("token.revoked", project=client.project.key, client_id=client.client_id, sub=ending.sub)
        self._server.note(event, request.sender)

    async def _ending(self, text: str, client: Client) -> _Ending:
        presented = self._server.opaque.read("refresh", text)
        if presented is not None:
            return await self._of_refresh_token(presented, client)
        try:
            token = self._server.own_tokens.access_token(text, self._server.now(), either_profile=True)
        except NotOurs:
            return _NOTHING
        return await self._of_access_token(token, client)

    async def _of_refresh_token(self, presented: Opaque, client: Client) -> _Ending:
        loaded = await self._load(presented.row_id)
        if loaded is None or not is_of_family(loaded.grant, presented):
            return _NOTHING
        _require_owner(loaded.grant.client_id, client)
        return _Ending(self._end(loaded.grant), loaded.player.sub)

    async def _of_access_token(self, token: AccessToken, client: Client) -> _Ending:
        _require_owner(token.client_id, client)
        revoke: list[Change] = [RevokeToken(token.jti, token.exp + LEEWAY)]
        if not token.gid:
            return _Ending([] if await self._is_revoked(token, client) else revoke)
        grant_id = self._server.opaque.row_id("gid", token.gid)
        loaded = await self._load(grant_id, token.jti) if grant_id is not None else None
        if loaded is None:
            return _Ending(revoke)
        if loaded.grant.revoked_at is not None:
            return _NOTHING
        # A token made by exchange was made to be sent to somebody, who must not end with it what the player holds.
        takes_along = token.origin is None and client.revoke_grant_with_access_token
        goes_along = self._end(loaded.grant) if takes_along else []
        return _Ending([*([] if loaded.token_revoked else revoke), *goes_along], loaded.player.sub)

    def _end(self, grant: Grant) -> list[Change]:
        return [] if grant.revoked_at is not None else [RevokeGrant(grant.id, self._server.now(), REVOKED)]

    async def _load(self, grant_id: int, jti: str = "") -> LoadedGrant | None:
        with outages_answered():
            return await self._server.storage.load_grant(grant_id, jti)

    async def _is_revoked(self, token: AccessToken, client: Client) -> bool:
        with outages_answered():
            standing = await self._server.storage.load_standing(client.client_id, client.project.key, token.jti)
        return standing.token_revoked


def named_token(request: TokenRequest) -> str:
    """The token that a request is about. Raises `InvalidRequest`."""
    text = request.parameters.get("token", "")
    if not text:
        raise InvalidRequest("Send the token.", parameter="token")
    return text


def _require_owner(client_id: str, client: Client) -> None:
    if client_id != client.client_id:
        raise UnauthorizedClient("The token was issued to another client.")
