"""Rows D41 and D42: neither an e-mail address nor a name ever makes one player of two, whoever was here first."""

import json
from collections.abc import AsyncIterator

import pytest

from authsrv.emulator.base import PLAYERS
from authsrv.models import IdentityKey
from authsrv.storage.changes import SetProfile
from tests.support.residents import Resident, resident
from tests.support.server import Server, running

AMBER = PLAYERS["amber"]
PROFILE = json.dumps({"email": AMBER.email, "email_verified": True, "name": AMBER.display_name})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def told_the_same(of: Resident) -> None:
    """The player has Amber's address and name, as far as anybody can tell."""
    await of.server.app.storage.apply([SetProfile(await of.row(), PROFILE)])


async def test_D41_whoever_has_the_same_address_and_name_on_another_platform_is_another_player(server: Server) -> None:
    on_steam = await resident(server, "steam", "amber")
    await told_the_same(on_steam)
    on_epic = await resident(server, "epicgames", "amber")
    assert on_epic.sub != on_steam.sub
    assert await on_steam.keys() == {IdentityKey("demo", "steam", "", AMBER.steam_id)}
    assert await on_epic.keys() == {IdentityKey("demo", "epic", "", AMBER.epic_account_id)}


async def test_D42_who_took_the_address_of_somebody_else_beforehand_gets_nothing_of_them(server: Server) -> None:
    attacker = await resident(server, "guest", "birch")
    await told_the_same(attacker)
    before = await attacker.keys()
    victim = await resident(server, "steam", "amber")
    assert victim.sub != attacker.sub
    assert await attacker.keys() == before
    assert (await victim.get("/v1/me")).json()["merged_from"] == []
