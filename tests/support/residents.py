"""Players with tokens that may change their account, and platform accounts that are linked without asking anybody."""

from dataclasses import dataclass
from typing import Any

import httpx

from authsrv.emulator.base import PLAYERS
from authsrv.models import IdentityKey
from authsrv.storage.changes import LinkIdentity
from tests.support.refusals import tables
from tests.support.server import Server

SCOPE = "openid offline account"


@dataclass
class Resident:
    """A player who is signed in at the launcher."""

    server: Server
    tokens: dict[str, Any]

    @property
    def sub(self) -> str:
        found: str = self.server.claims(self.tokens["access_token"])["sub"]
        return found

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens['access_token']}"}

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.server.http.get(path, params=query or None, headers=self.bearer)

    async def post(self, path: str, body: object = None) -> httpx.Response:
        return await self.server.http.post(path, json={} if body is None else body, headers=self.bearer)

    async def delete(self, path: str, **query: str) -> httpx.Response:
        return await self.server.http.delete(path, params=query or None, headers=self.bearer)

    async def row(self) -> int:
        """The player's row."""
        found = await self.server.app.storage.load_subject(self.sub)
        assert found
        return found.id

    async def has(self, *keys: IdentityKey) -> None:
        """Give the player these platform accounts."""
        row, now = await self.row(), int(self.server.clock())
        await self.server.app.storage.apply([LinkIdentity(key, row, now) for key in keys])

    async def keys(self) -> set[IdentityKey]:
        """The player's platform accounts."""
        account = await self.server.app.storage.load_account(await self.row())
        assert account
        return {linked.key for linked in account.identities}


async def resident(server: Server, provider: str = "steam", player: str = "amber", **changes: str | None) -> Resident:
    """A player who has just signed in."""
    tokens = await server.login(provider, server.mint(provider, player), **{"scope": SCOPE, **changes})
    return Resident(server, tokens)


def identity(provider: str, player: str = "amber") -> IdentityKey:
    """The platform account of a test player."""
    person = PLAYERS[player]
    return {
        "steam": IdentityKey("demo", "steam", "", person.steam_id),
        "epicgames": IdentityKey("demo", "epic", "", person.epic_account_id),
    }[provider]


def kinds(server: Server) -> list[str]:
    """What the journal tells, in order, but for the creation of players."""
    return [event.kind for _, event in sorted(tables(server).events.items()) if event.kind != "created"]
