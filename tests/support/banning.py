"""Bans in tests: given by an operator at the server's desk, and what is left of a player's tokens after one."""

from typing import Any

from authsrv.account_models import Account, Doer
from authsrv.accounts.banning import Sentence
from authsrv.accounts.bans import Barred
from authsrv.accounts.performing import Order
from authsrv.models import NEVER, BarKind, IdentityKey
from authsrv.storage.account_changes import MergePlayers
from tests.support.ending import is_active, refused_offline
from tests.support.server import Server

REASON = "wallhacks, ticket 4711"
"""The operator's text, which nobody but operators may ever see."""


def order(server: Server, project: str = "demo", *, preview: bool = False) -> Order:
    return Order(server.app.config.project_models()[project], Doer("admin", "operator"), preview=preview)


async def ban(server: Server, sub: str, *, seconds: int = 0, kind: BarKind = "banned") -> Barred:
    """Ban a player for so many seconds, 0 for good."""
    until = int(server.clock.now) + seconds if seconds else NEVER
    return await server.app.desk.bans.ban(sub, Sentence(kind, until, REASON), order(server))


async def unban(server: Server, sub: str, kind: BarKind = "banned") -> Barred:
    return await server.app.desk.bans.unban(sub, kind, order(server))


async def ban_identity(server: Server, key: IdentityKey, *, seconds: int = 0) -> Barred:
    until = int(server.clock.now) + seconds if seconds else NEVER
    return await server.app.desk.bans.ban_identity(key, Sentence("banned", until, REASON), order(server))


def sub_of(server: Server, tokens: dict[str, Any]) -> str:
    """Whose tokens these are."""
    sub: str = server.claims(tokens["access_token"])["sub"]
    return sub


async def account_of(server: Server, sub: str) -> Account:
    storage = server.app.storage
    player = await storage.load_subject(sub)
    assert player
    found = await storage.load_account(player.id)
    assert found
    return found


async def merge(server: Server, loser: str, survivor: str) -> None:
    """One player becomes an alias of another; nothing else of a merge."""
    lost, kept = await account_of(server, loser), await account_of(server, survivor)
    await server.app.storage.apply([MergePlayers(lost.player.id, kept.player.id)])


async def is_dead(server: Server, tokens: dict[str, Any]) -> bool:
    """Whether nothing of a token answer of the launcher works anywhere; all ways must agree."""
    said = {
        (await server.userinfo(tokens["access_token"])).status_code == 401,
        not await is_active(server, tokens["access_token"]),
        await refused_offline(server, tokens["access_token"]),
    }
    if "refresh_token" in tokens:
        said.add(not await is_active(server, tokens["refresh_token"]))
        said.add((await server.refresh(tokens["refresh_token"])).status_code == 400)
    assert len(said) == 1, said
    return said.pop()
