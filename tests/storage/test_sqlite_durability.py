"""What was acknowledged survives: a cut write-ahead log (R02) and a killed process (R01)."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from authsrv.storage.changes import AddGrant, AddPlayer, Change, LinkIdentity, RedeemCode
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.storage import NOW, digest, grant, identity, migrated_file, migrated_sqlite, player

WAL_HEADER = 32
FRAME_HEADER = 24
PAGE = 4096
UNITS = 4


def first_login(number: int) -> Sequence[Change]:
    """Three rows that belong together."""
    return [
        AddPlayer(player(number)),
        LinkIdentity(identity(f"subject {number}"), number, NOW),
        AddGrant(grant(number, player_id=number)),
        RedeemCode(number, NOW, digest("refresh"), NOW + 50),
    ]


class Crash(NamedTuple):
    """The files as a power cut may leave them, and how long the log was when each unit was acknowledged."""

    database: bytes
    log: bytes
    acknowledged: list[int]


async def run_and_copy(directory: Path) -> Crash:
    storage = migrated_sqlite(directory)
    await storage.open()
    path, log = directory / "authsrv.db", directory / "authsrv.db-wal"
    acknowledged = []
    for number in range(1, UNITS + 1):
        await storage.apply(first_login(number))
        acknowledged.append(size(log))
    crash = Crash(content(path), content(log), acknowledged)
    await storage.close()
    return crash


def size(path: Path) -> int:
    return path.stat().st_size


def content(path: Path) -> bytes:
    return path.read_bytes()


def cuts(length: int) -> list[int]:
    """Every frame boundary, a byte before and after it, and the middle of each page."""
    frames = range(WAL_HEADER, length + 1, FRAME_HEADER + PAGE)
    around = [boundary + shift for boundary in frames for shift in (-1, 0, 1, 2000)]
    return sorted({0, *(cut for cut in around if cut <= length)})


def survivors(directory: Path, database: bytes, log: bytes) -> tuple[list[int], ...]:
    """The players, and those with identity and with redeemed grant, that a new process finds."""
    path = directory / "crashed.db"
    path.write_bytes(database)
    path.with_name("crashed.db-wal").write_bytes(log)
    path.with_name("crashed.db-shm").unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as driver:
        assert driver.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        queries = (
            "SELECT id FROM players ORDER BY id",
            "SELECT player_id FROM identities ORDER BY player_id",
            "SELECT player_id FROM grants WHERE code_used_at IS NOT NULL ORDER BY id",
        )
        return tuple([id_ for (id_,) in driver.execute(query)] for query in queries)


async def test_R02_every_cut_of_the_log_leaves_whole_units_and_all_acknowledged_ones(tmp_path: Path) -> None:
    crash = await run_and_copy(tmp_path)
    for cut in cuts(len(crash.log)):
        players, linked, redeemed = survivors(tmp_path, crash.database, crash.log[:cut])
        assert players == linked == redeemed, cut
        assert players == list(range(1, len(players) + 1)), cut
        assert len(players) >= sum(length <= cut for length in crash.acknowledged), cut
    assert survivors(tmp_path, crash.database, crash.log)[0] == list(range(1, UNITS + 1))


async def test_R02_a_damaged_frame_ends_the_log_and_nothing_else(tmp_path: Path) -> None:
    crash = await run_and_copy(tmp_path)
    position = crash.acknowledged[2] + FRAME_HEADER + 100
    flipped = bytes(byte ^ 0xFF for byte in crash.log[position : position + 50])
    torn = crash.log[:position] + flipped + crash.log[position + 50 :]
    players, linked, redeemed = survivors(tmp_path, crash.database, torn)
    assert players == linked == redeemed == [1, 2, 3]


async def test_a_crashed_database_is_served_at_once_with_new_ids(tmp_path: Path) -> None:
    crash = await run_and_copy(tmp_path)
    players, *_ = survivors(tmp_path, crash.database, crash.log)
    storage = SqliteStorage(tmp_path / "crashed.db")
    await storage.open()
    await storage.apply([AddPlayer(player(storage.next_id()))])
    assert (await storage.load_player(identity(f"subject {players[-1]}"))) == player(players[-1])
    await storage.close()


WORKER = """
import asyncio, sys
from pathlib import Path
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.storage.test_sqlite_durability import first_login

async def log_in(storage):
    while True:
        number = storage.next_id()
        await storage.apply(first_login(number))
        print(number, flush=True)

async def main():
    storage = SqliteStorage(Path(sys.argv[1]))
    await storage.open()
    await asyncio.gather(*(log_in(storage) for _ in range(8)))

asyncio.run(main())
"""


def kill_at(path: Path, acknowledgements: int) -> list[int]:
    """Run logins in a process of its own, kill it after some acknowledgements; those that were read."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(acknowledgements)]
        os.kill(process.pid, signal.SIGKILL)
        # A last line may be cut off in the middle; whole ones count.
        return acknowledged + [int(line) for line in process.stdout if line.endswith("\n")]


def test_R01_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = migrated_file(tmp_path)
    chance = random.Random(7)  # noqa: S311 - replayable
    acknowledged = [number for _ in range(3) for number in kill_at(path, chance.randrange(5, 200))]
    assert len(acknowledged) == len(set(acknowledged))
    players, linked, redeemed = survivors(tmp_path, content(path), content(path.with_name("authsrv.db-wal")))
    assert players == linked == redeemed
    assert set(acknowledged) <= set(players)


@pytest.mark.parametrize("concurrent", [1, 8])
async def test_an_answer_means_that_the_log_holds_it(tmp_path: Path, concurrent: int) -> None:
    storage = migrated_sqlite(tmp_path)
    await storage.open()
    await asyncio.gather(*(storage.apply(first_login(number)) for number in range(1, concurrent + 1)))
    found = survivors(tmp_path, content(tmp_path / "authsrv.db"), content(tmp_path / "authsrv.db-wal"))
    await storage.close()
    assert found[0] == list(range(1, concurrent + 1))
