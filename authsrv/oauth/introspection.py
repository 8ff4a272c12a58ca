"""Token introspection (RFC 7662): what a token still stands for, told to clients that may ask.

Owns who may ask, and which claims are told. Knows no HTTP framework.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.errors import InvalidClient, UnauthorizedClient
from authsrv.models import Client, LoadedGrant
from authsrv.oauth import scopes
from authsrv.oauth.live_tokens import LiveAccess, LiveFamily
from authsrv.oauth.own_tokens import NotOurs
from authsrv.oauth.request import TokenRequest
from authsrv.oauth.revocation import named_token
from authsrv.oauth.server import TokenServer

INACTIVE: Mapping[str, Any] = {"active": False}
_ABOUT_THE_TOKEN = ("iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti", "gid", "auth_time")
_ABOUT_ITS_WAY = ("act", "origin_jti", "origin_client_id", "idp", "idp_sub")
_TOLD = _ABOUT_THE_TOKEN + _ABOUT_ITS_WAY
"""The claims of an access token that are told on; what else it holds is its holder's business."""


class Introspection:
    """Answers about access and refresh tokens of the asking client's project."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server

    async def answer(self, request: TokenRequest) -> Mapping[str, Any]:
        """The claims of a token in force, or that it is not (RFC 7662 section 2.2). Raises `AuthsrvError`."""
        asking = self._server.authenticate(request).client
        if asking.public:
            raise InvalidClient
        if not asking.introspect:
            raise UnauthorizedClient("This client may not introspect tokens; its entry needs introspect = true.")
        text = named_token(request)
        try:
            return await self._told(text, asking)
        except NotOurs:
            return INACTIVE

    async def _told(self, text: str, asking: Client) -> Mapping[str, Any]:
        if self._server.opaque.read("refresh", text) is None:
            live = await self._server.live_tokens.access(text, either_profile=True)
            return _of_access_token(live) if live.client.project == asking.project else INACTIVE
        family = await self._server.live_tokens.family(text)
        is_ours = family.is_present and family.client.project == asking.project
        return self._of_refresh_token(family) if is_ours else INACTIVE

    def _of_refresh_token(self, family: LiveFamily) -> Mapping[str, Any]:
        grant = family.loaded.grant
        return {
            "active": True,
            "iss": self._server.tokens.issuer,
            **_subject(family.loaded, family.loaded.issued_as),
            "client_id": grant.client_id,
            "scope": " ".join(scopes.remaining(family.client, grant.scope)),
            "exp": min(grant.expires_at, grant.absolute_expires_at),
            "iat": grant.refresh_rotated_at or grant.code_used_at or grant.created_at,
            "gid": self._server.opaque.public_id("gid", grant.id),
        }


def _of_access_token(live: LiveAccess) -> Mapping[str, Any]:
    claims = {**live.token.claims, "scope": " ".join(live.token.scope)}
    told = {name: claims[name] for name in _TOLD if name in claims}
    subject = _subject(live.loaded, live.token.sub) if live.loaded else {}
    return {"active": True, **told, **subject, "token_type": "Bearer"}


def _subject(loaded: LoadedGrant, named: str) -> Mapping[str, Any]:
    """Whose a token is that names this `sub`: whoever was merged into another player since is that one."""
    sub = loaded.player.sub
    return {"sub": sub} if named == sub else {"sub": sub, "merged_from": [named]}
