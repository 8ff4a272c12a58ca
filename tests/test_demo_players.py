"""The player whom the demo knows beforehand: the same by every way in, with everything that a client may ask for."""

import asyncio
from pathlib import Path

import pytest

from authsrv.config import Config
from authsrv.demo.players import PROFILE, identities, seed
from authsrv.demo.run import DemoError
from authsrv.demo.run import seed as seed_or_say_why
from authsrv.models import Player
from authsrv.oauth.claims import SCOPE_CLAIMS
from authsrv.storage.changes import AddPlayer, LinkIdentity
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.browser import Browser
from tests.support.server import ManualClock, demo_config, emulators, running
from tests.support.storage import migrated_file

EVERYTHING = "openid profile email address phone"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The demo's configuration on a migrated database that nobody serves from."""
    return Config.model_validate(demo_config(emulators(ManualClock()), f"sqlite:///{migrated_file(tmp_path)}"))


async def ambers(directory: Path, config: Config) -> list[Player]:
    storage = SqliteStorage(directory / "authsrv.db")
    await storage.open()
    found = [await storage.load_player(key) for key in identities(config)]
    await storage.close()
    return [player for player in found if player is not None]


async def told_to_the_shop(directory: Path, platform: str) -> dict[str, object]:
    """What UserInfo says about amber, who signs in."""
    async with running(directory) as server:
        browser = Browser(server)
        tokens = await browser.tokens(platform, scope=EVERYTHING)
        found: dict[str, object] = (await browser.userinfo(tokens["access_token"])).json()
    return found


def test_nothing_that_a_scope_promises_is_missing() -> None:
    assert set(PROFILE) == {claim for claims in SCOPE_CLAIMS.values() for claim in claims}


@pytest.mark.parametrize(("platform", "place"), [("steam", 0), ("epicgames", 1), ("xbox", 2)])
async def test_amber_brings_her_whole_profile_at_her_first_sign_in(
    tmp_path: Path, config: Config, platform: str, place: int
) -> None:
    await asyncio.to_thread(seed, config)
    sub = (await ambers(tmp_path, config))[place].sub
    assert await told_to_the_shop(tmp_path, platform) == {**PROFILE, "sub": sub}


async def test_amber_is_three_players_and_stays_the_same_ones(tmp_path: Path, config: Config) -> None:
    await asyncio.to_thread(seed, config)
    first = await ambers(tmp_path, config)
    await asyncio.to_thread(seed, config)
    assert await ambers(tmp_path, config) == first
    assert len({player.sub for player in first}) == 3


async def test_an_amber_who_signed_in_before_keeps_her_id_and_gets_the_profile(tmp_path: Path, config: Config) -> None:
    storage = SqliteStorage(tmp_path / "authsrv.db")
    await storage.open()
    key = next(identities(config))
    before = Player(storage.next_id(), "6a1f0a3e-58a5-4a55-9f0e-0c5a5e0d7b11", key.project, "Amber", 1, 1)
    await storage.apply([AddPlayer(before), LinkIdentity(key, before.id, 1)])
    await storage.close()
    await asyncio.to_thread(seed, config)
    assert await told_to_the_shop(tmp_path, "steam") == {**PROFILE, "sub": before.sub}


async def test_a_database_that_cannot_be_used_is_told_in_the_storages_words(tmp_path: Path, config: Config) -> None:
    (tmp_path / "authsrv.db").unlink()
    with pytest.raises(DemoError, match="authsrv migrate"):
        await asyncio.to_thread(seed_or_say_why, config)
