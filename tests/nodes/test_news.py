"""How a node hears of news: what moved and nothing else, again until it is taken, and one fault stops nothing else."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from authsrv.jobs.news import INTERVAL, News
from authsrv.oauth.key_material import KeyRingError
from authsrv.storage.changes import AddKeys, RegisterClient
from tests.support.nodes import Home, NodesStorage, SlowTime
from tests.support.storage import signing_key
from tests.support.storage_clients import registered_client

DEAF, HEARING = "what other nodes change is not heard of: ", "what other nodes change is heard of again"


@dataclass
class Taken:
    """How often each was taken over; `faults` are raised, and `refusals` answered, before it is."""

    calls: Counter[str] = field(default_factory=Counter)
    faults: list[Exception] = field(default_factory=list)
    refusals: int = 0

    async def keys(self) -> bool:
        self.calls["keys"] += 1
        if self.faults:
            raise self.faults.pop()
        return True

    async def clients(self) -> bool:
        self.calls["clients"] += 1
        self.refusals -= 1
        return self.refusals < 0


@pytest.fixture
async def storage() -> AsyncIterator[NodesStorage]:
    opened = NodesStorage(Home())
    await opened.open()
    yield opened
    await opened.close()


def news(storage: NodesStorage, taken: Taken) -> tuple[News, SlowTime]:
    time = SlowTime(storage.home.clock)
    return News(storage, {"keys": taken.keys, "clients": taken.clients}, time.sleep), time


async def test_the_first_look_takes_everything_and_later_ones_what_moved(storage: NodesStorage) -> None:
    taken = Taken()
    one, _ = news(storage, taken)
    for _ in range(3):
        await one.look()
    assert taken.calls == {"keys": 1, "clients": 1}
    await storage.apply([AddKeys((signing_key(),))])
    await one.look()
    await storage.apply([RegisterClient(registered_client(1), 9), RegisterClient(registered_client(2), 9)])
    await one.look()
    await one.look()
    assert taken.calls == {"keys": 2, "clients": 2}


async def test_what_was_not_taken_is_tried_again(storage: NodesStorage) -> None:
    taken = Taken(refusals=2)
    one, _ = news(storage, taken)
    for _ in range(5):
        await one.look()
    assert taken.calls == {"keys": 1, "clients": 3}


async def test_keys_that_cannot_be_read_here_keep_nobody_from_hearing_of_clients(storage: NodesStorage) -> None:
    taken = Taken(faults=[KeyRingError("another passphrase")] * 2)
    one, _ = news(storage, taken)
    for _ in range(2):
        with pytest.raises(KeyRingError):
            await one.look()
    await one.look()
    assert taken.calls == {"keys": 3, "clients": 1}


async def test_a_node_that_hears_nothing_says_so_once_and_once_when_it_does_again(
    storage: NodesStorage, caplog: pytest.LogCaptureFixture
) -> None:
    one, time = news(storage, Taken())
    task = asyncio.create_task(one.run())
    with caplog.at_level(logging.INFO, logger="authsrv.nodes"):
        await time.pass_by(3 * INTERVAL)
        storage.is_away = True
        await time.pass_by(5 * INTERVAL)
        storage.is_away = False
        await time.pass_by(3 * INTERVAL)
    task.cancel()
    assert caplog.messages == [f"{DEAF}the database is away", HEARING]
