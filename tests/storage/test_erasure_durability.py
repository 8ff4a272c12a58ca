"""A process that is killed while it erases: every player is whole or gone, and who was said to be gone is."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from authsrv.storage.account_changes import AddBan, AddLinkCode, MarkIdentity, RecordEvent, SetSegments
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddPlayer,
    Change,
    GiveConsent,
    LinkIdentity,
    SetProfile,
    StartSession,
    UseSession,
)
from authsrv.storage.privacy_changes import ErasePlayer
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.storage import NOW, digest, full_grant, identity, migrated_file, player
from tests.support.storage_accounts import ban, full_event, link_code
from tests.support.storage_browsers import browser, session

PLAYERS = 120
TABLES = ("identities", "profiles", "consents", "sessions", "grants", "link_codes", "bans", "events")


def mark(number: int) -> str:
    """What stands in every row of a player, and nowhere else."""
    return f"canary-{number:04}-yranac"


def born(number: int) -> Sequence[Change]:
    """A player with one row of each kind, all with their mark."""
    own = mark(number)
    key = identity(own)
    return [
        AddPlayer(player(number, name=own)),
        LinkIdentity(key, number, NOW),
        SetProfile(number, json.dumps({"email": f"{own}@players.example"})),
        SetSegments(number, json.dumps({"tier": own})),
        GiveConsent(number, own, ("openid",), NOW),
        AddBrowser(browser(number)),
        StartSession(replace(session(number, browser_id=number, player_id=number), idp_subject=own)),
        UseSession(number, own, NOW, NOW + 90),
        AddGrant(replace(full_grant(number, player_id=number), idp_subject=own, nonce=own)),
        AddLinkCode(replace(link_code(number, player_id=number), return_to=own)),
        AddBan(replace(ban(number, player_id=number), reason=own)),
        MarkIdentity(digest(own), number),
        RecordEvent(replace(full_event(number), player_id=number, other_id=0, identity=key, reason=own, facts=own)),
    ]


def erased(number: int) -> Change:
    return ErasePlayer(number, 1, (f"sub-{number}",), -number, NOW)


WORKER = """
import asyncio, sys
from pathlib import Path
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.storage.test_erasure_durability import erased

async def erase(storage, numbers):
    for number in numbers:
        await storage.apply([erased(number)])
        print(number, flush=True)

async def main():
    storage = SqliteStorage(Path(sys.argv[1]))
    await storage.open()
    numbers = [int(text) for text in sys.argv[2].split(",")]
    await asyncio.gather(*(erase(storage, numbers[part::4]) for part in range(4)))

asyncio.run(main())
"""


def kill_at(path: Path, numbers: Sequence[int], acknowledgements: int) -> set[int]:
    """Erase these in a process of its own, and kill it after some acknowledgements; those that were read."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), ",".join(map(str, numbers))],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(acknowledgements)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout
    return {int(line) for line in told if line.endswith("\n")}


def rows_of(path: Path) -> dict[int, list[int]]:
    """How many rows of each table every player has, for those who are there."""
    with closing(sqlite3.connect(path)) as driver:
        assert driver.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        there = [number for (number,) in driver.execute("SELECT id FROM players")]
        return {
            number: [
                driver.execute(f"SELECT count(*) FROM {table} WHERE player_id = ?", (number,)).fetchone()[0]  # noqa: S608
                for table in TABLES
            ]
            for number in there
        }


def orphans(path: Path) -> list[tuple[object, ...]]:
    """Rows of players who are not there."""
    with closing(sqlite3.connect(path)) as driver:
        there = "SELECT id FROM players"
        query = " UNION ALL ".join(
            f"SELECT '{table}', player_id FROM {table} WHERE player_id > 0 AND player_id NOT IN ({there})"  # noqa: S608
            for table in TABLES
        )
        return driver.execute(query).fetchall()


def marked(path: Path) -> Iterator[int]:
    """The players whose mark stands in any file of the database."""
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    return (number for number in range(1, PLAYERS + 1) if mark(number).encode() in content)


@pytest.mark.slow
async def test_P05_R01_a_killed_process_leaves_every_player_whole_or_gone(tmp_path: Path, chance: Random) -> None:
    path = migrated_file(tmp_path)
    storage = SqliteStorage(path)
    await storage.open()
    for number in chance.sample(range(1, PLAYERS + 1), PLAYERS):
        await storage.apply(born(number))
    await storage.close()
    acknowledged: set[int] = set()
    for _ in range(4):
        left = sorted(rows_of(path))
        acknowledged |= kill_at(path, chance.sample(left, len(left)), chance.randrange(1, 25))
        there = rows_of(path)
        assert all(counts == [1] * len(TABLES) for counts in there.values())
        assert orphans(path) == []
        assert acknowledged.isdisjoint(there)
        await storage.open()
        assert await storage.load_resurrected() == ()
        await storage.close()
        assert set(marked(path)) == set(there)
        noted = [json.loads(line)["sub"] for line in path.with_name("authsrv.db.erasures").read_text().splitlines()]
        assert set(noted) == {f"sub-{number}" for number in range(1, PLAYERS + 1) if number not in there}
