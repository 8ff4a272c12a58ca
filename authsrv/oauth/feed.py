"""The revocation feed: what ended before its time, signed, for game servers that check tokens without asking us.

Owns what it tells, and when it is signed anew. Knows no HTTP framework.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from authsrv.models import Revocations
from authsrv.oauth.clients import ClientRegistry
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.registration.clients import RegisteredClients
from authsrv.oauth.server import TokenServer

POLL = 30
"""Seconds after which a verifier should ask again."""
LIFETIME = 600
"""Seconds for which a verifier that does not reach us may go by what it has."""
LEEWAY = 60
"""Seconds by which a verifier's clock may be behind."""


SHARED_MINUTE = 60
"""Seconds within which all nodes sign with the same time."""


class RevocationFeed:
    """Makes the feed. It is read at most once a second, and signed when it changed or is half through its life."""

    def __init__(self, server: TokenServer, registered: RegisteredClients) -> None:
        self._server = server
        self._registered = registered
        self._turn = asyncio.Lock()
        self._told: Mapping[str, Any] = {}
        self._gids: Mapping[int, str] = {}
        self._read_at = self._signed_at = 0
        self._signed = self._signed_by = ""

    async def current(self) -> str:
        """The feed as a JWT of the type `revocations+jwt`. Raises `AuthsrvError` when the database cannot be read."""
        async with self._turn:
            now = self._server.now()
            if not self._signed or now != self._read_at:
                self._take(await self._load(now), now)
                self._read_at = now
            return self._signed

    async def _load(self, now: int) -> Revocations:
        since = now - self._server.registry.longest_token_life() - LEEWAY
        with outages_answered():
            found = await self._server.storage.load_revocations(since, now)
        shut_out = {client_id: at for client_id, at in self._registered.shut_out.items() if at > since}
        return replace(found, disabled={**found.disabled, **shut_out})

    def _take(self, found: Revocations, now: int) -> None:
        told, kid, is_shared = self._claims(found), self._server.tokens.feed_kid(), self._server.storage.shared
        good_until = self._signed_at + (SHARED_MINUTE if is_shared else LIFETIME // 2)
        if (told, kid) == (self._told, self._signed_by) and now < good_until:
            return
        self._signed_by = kid
        # A verifier that meets several nodes in turn takes no older feed than its last: all sign with the same time.
        self._told, self._signed_at = told, now - now % SHARED_MINUTE if is_shared else now
        self._signed = self._server.tokens.revocations(told, self._signed_at, LIFETIME)

    def _claims(self, found: Revocations) -> Mapping[str, Any]:
        # Most entries were in the last feed too, and each would cost an encryption.
        public_id, known = self._server.opaque.public_id, self._gids
        self._gids = {grant_id: known.get(grant_id) or public_id("gid", grant_id) for grant_id in found.grants}
        return {
            "poll": POLL,
            "jti": list(found.jtis),
            "gid": [*self._gids.values()],
            "not_before": {subject: at for (kind, subject), at in found.not_befores.items() if kind == "player"},
            "clients": strictest(found, self._server.registry),
            "kid": list(found.kids),
        }


def strictest(found: Revocations, registry: ClientRegistry) -> dict[str, int]:
    """Per client the latest time before which its tokens are void: its own, its project's, or when it was disabled."""
    times: dict[str, int] = {}
    for client_id, at in _client_times(found, registry):
        times[client_id] = max(at, times.get(client_id, at))
    return dict(sorted(times.items()))


def _client_times(found: Revocations, registry: ClientRegistry) -> Iterator[tuple[str, int]]:
    for (kind, subject), at in found.not_befores.items():
        if kind == "client":
            yield subject, at
        elif kind == "project":
            yield from ((client.client_id, at) for client in registry.of_project(subject))
    yield from ((client_id, at + 1) for client_id, at in found.disabled.items())
