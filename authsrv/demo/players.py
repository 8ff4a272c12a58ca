"""Amber, whom the demo knows before she first signs in: on every platform a player with a full profile.

Owns what is invented about her. Writes through the storage, while nobody serves from it.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from authsrv.config import Config
from authsrv.demo.configuration import PROJECT
from authsrv.emulator.base import PLAYERS
from authsrv.models import IdentityKey, Player
from authsrv.platforms.xbox.platform import SEPARATOR
from authsrv.platforms.xbox.settings import XboxSettings
from authsrv.storage import open_storage
from authsrv.storage.base import Storage
from authsrv.storage.changes import AddPlayer, Change, LinkIdentity, SetProfile

AMBER = PLAYERS["amber"]
PROFILE: Mapping[str, Any] = {
    "name": "Amber Vale",
    "given_name": "Amber",
    "middle_name": "Ines",
    "family_name": "Vale",
    "nickname": "Amber",
    "preferred_username": AMBER.display_name,
    "profile": "https://players.example/amber",
    "picture": "https://players.example/amber.png",
    "website": "https://amber.example",
    "gender": "female",
    "birthdate": "1996-02-29",
    "zoneinfo": "Europe/Lisbon",
    "locale": "en-GB",
    "updated_at": 1_767_225_600,
    "email": AMBER.email,
    "email_verified": True,
    "phone_number": "+12025550143",  # 555-0100 to 555-0199 are kept for invented people
    "phone_number_verified": False,
    "address": {
        "formatted": "1 Lamp Street\n00000 Nowhere\nUtopia",
        "street_address": "1 Lamp Street",
        "locality": "Nowhere",
        "postal_code": "00000",
        "country": "Utopia",
    },
}
"""Every claim of the scopes profile, email, address and phone (OpenID Connect Core sections 5.1 and 5.4)."""


def seed(config: Config) -> None:
    """Make sure that the demo's database knows her. Raises `StorageError`."""
    asyncio.run(_seed(config, int(time.time())))


async def _seed(config: Config, now: int) -> None:
    storage = open_storage(config.database.model())
    try:
        await storage.open()
        for key in identities(config):
            await storage.apply(await _changes(storage, key, now))
    finally:
        await storage.close()


async def _changes(storage: Storage, key: IdentityKey, now: int) -> list[Change]:
    profile = json.dumps(PROFILE)
    known = await storage.load_player(key)
    if known:
        return [SetProfile(known.id, profile)]
    player = Player(storage.next_id(), str(uuid4()), key.project, AMBER.display_name, now, now)
    return [AddPlayer(player), LinkIdentity(key, player.id, now), SetProfile(player.id, profile)]


def identities(config: Config) -> Iterator[IdentityKey]:
    """What the platforms vouch for when she signs in."""
    yield IdentityKey(PROJECT, "steam", "", AMBER.steam_id)
    yield IdentityKey(PROJECT, "epic", "", AMBER.epic_account_id)
    xbox = config.projects[PROJECT].platforms["xbox"]
    if isinstance(xbox, XboxSettings) and xbox.browser:
        yield IdentityKey(PROJECT, "xbox", f"{xbox.relying_party}{SEPARATOR}{xbox.browser.sandbox}", AMBER.partner_xuid)
