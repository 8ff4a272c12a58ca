"""A studio moves its database, and no player notices: whoever was signed in goes on, whatever was ended stays ended."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from authsrv.account_models import Doer
from authsrv.accounts.forgetting import Order
from authsrv.database_url import Database
from authsrv.emulator.base import MintedCredential
from authsrv.storage.moving.house_move import move
from tests.support.banning import ban, is_dead
from tests.support.browser import Browser
from tests.support.copying import Watched
from tests.support.ending import is_active, revoke, with_everybody
from tests.support.postgres import database
from tests.support.refusals import token_error
from tests.support.residents import Resident, resident
from tests.support.server import ManualClock, Server, running
from tests.support.storage import migrated_file

PASSPHRASE = "a passphrase that moves with the house"


@dataclass
class House:
    """What players hold over all moves."""

    clock: ManualClock = field(default_factory=ManualClock)
    subs: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    dead: list[dict[str, Any]] = field(default_factory=list)
    used: list[MintedCredential] = field(default_factory=list)
    code: str = ""
    redeemed: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    kids: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def served(self, url: str) -> AsyncIterator[Server]:
        """A server on that database."""

        def edit(block: dict[str, Any]) -> None:
            with_everybody(block)
            block["keys"] = {"passphrase": PASSPHRASE}

        async with running(url=url, edit=edit, clock=self.clock) as server:
            yield server


async def move_in(house: House, server: Server) -> None:
    """Players come, and some of what they got is ended."""
    amber, birch, gone = [await resident(server, "steam", name) for name in ("amber", "birch", "cedar")]
    house.subs = {"amber": amber.sub, "birch": birch.sub, "gone": gone.sub}
    house.tokens["amber"] = amber.tokens
    await ban(server, birch.sub)
    await server.app.desk.forgetting.erase(gone.sub, Order(Doer("admin", "otto")))
    ended = await server.login("epicgames")
    await revoke(server, ended["refresh_token"])
    house.dead = [birch.tokens, gone.tokens, ended]
    house.redeemed, house.code = await server.code("steam"), await server.code("steam")
    await server.redeem(house.redeemed)
    house.used = [server.mint("steam")]
    await server.silent("steam", house.used[0])
    house.clock.now += 40  # whoever repeats it later is no client whose answer got lost
    browser = Browser(server)
    await browser.tokens("steam", "amber")
    house.cookies = browser.cookies
    house.kids = {key.kid for key in await server.app.storage.load_keys()}


async def live_on(house: House, server: Server) -> None:
    """Everything that was there works, and what was ended does not."""
    amber = Resident(server, house.tokens["amber"])
    assert await is_active(server, amber.tokens["access_token"])
    refreshed = await server.refresh(amber.tokens["refresh_token"])
    assert refreshed.status_code == 200, refreshed.text
    house.clock.now += 40
    # The one before is spent, and its use ends the family: a player who is robbed must not be served twice.
    house.tokens["amber"] = refreshed.json()
    assert Resident(server, house.tokens["amber"]).sub == house.subs["amber"]
    kinds = [event["kind"] for event in (await amber.get("/v1/me/timeline")).json()["events"]]
    assert "created" in kinds
    browser = Browser(server)
    browser.cookies = dict(house.cookies)
    at_once = await browser.tokens_at_once(prompt="none")
    assert server.claims(at_once["access_token"])["sub"] == house.subs["amber"]
    assert server.claims((await server.login("steam"))["access_token"])["sub"] == house.subs["amber"]
    for tokens in house.dead:
        assert await is_dead(server, tokens)
    assert (await server.silent("steam", house.used[0])).status_code >= 400
    assert await server.app.storage.load_subject(house.subs["gone"]) is None
    assert {key.kid for key in await server.app.storage.load_keys()} == house.kids
    assert all(key.sealed for key in await server.app.storage.load_keys())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database in another place."""
    if request.param == "sqlite":
        yield place(tmp_path / "elsewhere")
        return
    with database() as url:
        yield url


def place(directory: Path) -> str:
    directory.mkdir()
    return f"sqlite:///{migrated_file(directory)}"


async def test_players_stay_signed_in_over_a_move_and_one_back(tmp_path: Path, elsewhere: str) -> None:
    house, first, last = House(), place(tmp_path / "first"), place(tmp_path / "last")
    async with house.served(first) as server:
        await move_in(house, server)
    async with house.served(first):
        """Seals the keys that the test made in clear."""
    assert move(Database(first), Database(elsewhere), Watched()).is_whole
    async with house.served(elsewhere) as server:
        assert (await server.redeem(house.code)).status_code == 200
        assert token_error(await server.redeem(house.redeemed)) == "invalid_grant"
        await live_on(house, server)
    assert move(Database(elsewhere), Database(last), Watched()).is_whole
    async with house.served(last) as server:
        assert token_error(await server.redeem(house.code)) == "invalid_grant"
        await live_on(house, server)
