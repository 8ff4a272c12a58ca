"""`authsrv players ...` in this process, upon a database file with players in it and no server."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from typer.testing import CliRunner, Result

from authsrv.account_models import Account, JournalEvent
from authsrv.app import World
from authsrv.cli import app
from authsrv.models import IdentityKey, Player
from authsrv.storage.changes import AddPlayer, Change, LinkIdentity
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.oauth import stored_keys
from tests.support.storage import NOW, migrated_file

Loaded = TypeVar("Loaded")
FILE = """
issuer = "http://127.0.0.1:8080"
dev = true
[database]
url = "sqlite:///{directory}/authsrv.db"
[projects.skyforge.platforms.steam]
app_ids = [480]
web_api_key = "0123456789abcdef0123456789abcdef"
identity = "login-studio"
"""
YESTERDAY = NOW - 86400
STRANGER = "ffffffff-ffff-4fff-8fff-ffffffffffff"


def sub(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def player(number: int, name: str, project: str = "skyforge") -> Player:
    return Player(number, sub(number), project, name, created_at=YESTERDAY, last_login_at=YESTERDAY)


def steam_id(number: int) -> str:
    return f"7656119000000000{number}"


def steam(number: int, project: str = "skyforge") -> IdentityKey:
    return IdentityKey(project, "steam", "", steam_id(number))


def born(number: int, name: str, project: str = "skyforge") -> list[Change]:
    """A player with a Steam account."""
    one = replace(player(number, name, project), name_from="steam")
    return [AddPlayer(one), LinkIdentity(steam(number, project), number, YESTERDAY)]


@dataclass(frozen=True)
class Office:
    """Where an operator gives commands."""

    config: Path

    @property
    def database(self) -> Path:
        return self.config.parent / "authsrv.db"

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        """`authsrv players` with these arguments."""
        return CliRunner().invoke(app, ["players", *arguments, "--config", str(self.config)], input=typed)

    def told(self, *arguments: str) -> dict[str, Any]:
        """What it prints with `--json`."""
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def filled(self, *changes: Change) -> None:
        """Write to the database."""
        asyncio.run(self._write(changes))

    def account(self, number: int) -> Account:
        """A player as the database has them."""
        found = asyncio.run(self._read(lambda storage: storage.load_account(number)))
        assert found is not None
        return found

    def events(self, number: int) -> tuple[JournalEvent, ...]:
        """What was done to a player, the newest first."""
        return asyncio.run(self._read(lambda storage: storage.load_events(number, 99)))

    async def _read(self, load: Callable[[SqliteStorage], Awaitable[Loaded]]) -> Loaded:
        storage = SqliteStorage(self.database)
        await storage.open()
        try:
            return await load(storage)
        finally:
            await storage.close()

    async def _write(self, changes: Sequence[Change]) -> None:
        storage = SqliteStorage(self.database)
        await storage.open()
        await storage.apply(changes)
        await storage.close()

    def content(self) -> str:
        """Everything in the database, but for how often it was opened."""
        with closing(sqlite3.connect(self.database)) as driver:
            return "\n".join(line for line in driver.iterdump() if '"epochs"' not in line)


@contextmanager
def office(directory: Path, text: str = FILE) -> Iterator[Office]:
    """An empty database at the time `NOW`; the logging of the tests comes back afterwards."""
    migrated_file(directory)
    config = directory / "authsrv.toml"
    config.write_text(text.format(directory=directory))
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    with (
        patch("authsrv.orders.delivery.World", partial(World, clock=lambda: float(NOW))),
        patch("authsrv.oauth.key_keeper.first_keys", lambda *_: stored_keys()),
    ):
        # The keys are made now, and not by the first command of the test.
        CliRunner().invoke(app, ["keys", "list", "--config", str(config)])
        yield Office(config)
    root.handlers[:] = before
    root.setLevel(level)
