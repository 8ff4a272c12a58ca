"""The real program, killed in the middle of many merges and undos: each was done or was not, and can be repeated."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from authsrv.models import IdentityKey, Player
from authsrv.storage.changes import AddPlayer, LinkIdentity
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.managing import BACKEND
from tests.support.serving import Place, emulator_running
from tests.support.storage import migrated_file

PAIRS = 120
WORKERS = 8
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The emulator's port and the directory of its keys."""
    keys = tmp_path_factory.mktemp("emulator")
    with emulator_running(keys) as port:
        yield port, keys


@pytest.fixture
def begin() -> Iterator[Callable[[Place], "Work"]]:
    """Begins the work, and closes its connections."""
    with ExitStack() as stack:

        def begun(place: Place) -> Work:
            work = Work(place)
            stack.callback(work.http.close)
            return work

        yield begun


@pytest.fixture
def place(emulator: tuple[int, Path], tmp_path: Path) -> Place:
    """A configured server with pairs of players, not yet started."""
    place = Place(tmp_path, *emulator)
    place.block["projects"]["demo"]["clients"]["backend"]["manage_players"] = True
    place.write(place.block)
    asyncio.run(filled(migrated_file(tmp_path)))
    return place


async def filled(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    try:
        for row in range(1, 2 * PAIRS + 1):
            player = Player(row, sub_of(row), "demo", f"Player {row}", 1, 1)
            key = IdentityKey("demo", "steam" if row % 2 else "epic", "", f"subject-{row}")
            await storage.apply([AddPlayer(player), LinkIdentity(key, row, row)])
    finally:
        await storage.close()


def sub_of(row: int) -> str:
    return str(UUID(int=row))


@dataclass
class Work:
    """Calls to be made, by many at once, and what was acknowledged."""

    place: Place
    acknowledged: dict[int, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(auth=BACKEND, timeout=30))

    def until_killed(self, call: Callable[[int], dict[str, Any]], pairs: Sequence[int], kill: Any, after: int) -> None:
        """Make the call for each pair, and kill the server when so many were acknowledged."""
        done, gone = threading.Semaphore(0), threading.Event()

        def one(pair: int) -> None:
            if gone.is_set():
                return
            try:
                self.acknowledged[pair] = call(pair)
            except httpx.HTTPStatusError as error:
                self.faults.append(error.response.text)
            except httpx.TransportError:
                gone.set()
            finally:
                done.release()

        with ThreadPoolExecutor(WORKERS) as pool:
            futures = [pool.submit(one, pair) for pair in pairs]
            for _ in range(after):
                assert done.acquire(timeout=60)
            kill()
            for future in futures:
                future.result(timeout=60)

    def merge(self, pair: int) -> dict[str, Any]:
        loser, survivor = sub_of(2 * pair + 1), sub_of(2 * pair + 2)
        return self._post(f"/v1/users/{loser}/merge", into=survivor)

    def undo(self, event: str) -> dict[str, Any]:
        return self._post(f"/v1/events/{event}/undo")

    def _post(self, path: str, **sent: str) -> dict[str, Any]:
        answer = self.http.post(self.place.issuer + path, json=sent)
        told: dict[str, Any] = answer.raise_for_status().json()
        return told


def merged(path: Path) -> set[int]:
    """The pairs that are one player. Each must be that, or not at all."""
    connection = sqlite3.connect(path)
    try:
        players = {
            row: (version, into)
            for row, version, into in connection.execute("SELECT id, version, merged_into FROM players")
        }
        owners = dict(connection.execute("SELECT subject, player_id FROM identities"))
        since = dict(connection.execute("SELECT subject, linked_at FROM identities"))
        journal = list(connection.execute("SELECT kind, player_id, other_id, reversed_by FROM events"))
        (check,) = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    assert check == "ok"
    return {pair for pair in range(PAIRS) if is_merged(pair, players, owners, since, journal)}


def is_merged(pair: int, players: Any, owners: Any, since: Any, journal: Any) -> bool:
    loser, survivor = 2 * pair + 1, 2 * pair + 2
    events = [kind for kind, about, other, _ in journal if {about, other} == {loser, survivor}]
    standing = [
        kind for kind, about, other, reversed_by in journal if {about, other} == {loser, survivor} and not reversed_by
    ]
    is_one: bool = players[loser][1] == survivor
    assert players[survivor][1] is None
    assert players[loser][0] == players[survivor][0] == 1 + len(events)
    assert owners[f"subject-{survivor}"] == survivor
    assert owners[f"subject-{loser}"] == (survivor if is_one else loser)
    assert (since[f"subject-{loser}"] == loser) == (not is_one)
    assert events == ["merged", "undone"][: len(events)]
    assert (standing == ["merged"]) == is_one
    return is_one


def test_R01_of_many_merges_before_a_kill_each_was_done_or_was_not_and_is_done_by_repeating_it(
    place: Place, begin: Callable[[Place], Work]
) -> None:
    work = begin(place)
    for after in (10, 25, 40):
        with place.serving() as program:
            left = [pair for pair in range(PAIRS) if pair not in work.acknowledged]
            work.until_killed(work.merge, left, program.kill, after)
        assert work.faults == []
        assert merged(place.database) >= work.acknowledged.keys()
    with place.serving():
        outcomes = [work.merge(pair)["outcome"] for pair in range(PAIRS)]
    assert {"merged", "unchanged"} >= set(outcomes) > {"merged"}
    assert merged(place.database) == set(range(PAIRS))


def test_R01_of_many_undos_before_a_kill_each_was_done_or_was_not(place: Place, begin: Callable[[Place], Work]) -> None:
    work = begin(place)
    with place.serving():
        events = {pair: work.merge(pair)["undo"]["event"] for pair in range(PAIRS)}
    for after in (10, 25, 40):
        with place.serving() as program:
            left = sorted(merged(place.database))
            work.until_killed(lambda pair: work.undo(events[pair]), left, program.kill, after)
        assert work.faults == []
        assert merged(place.database).isdisjoint(work.acknowledged)
    with place.serving():
        for pair in sorted(merged(place.database)):
            assert work.undo(events[pair])["outcome"] == "undone"
    assert merged(place.database) == set()
