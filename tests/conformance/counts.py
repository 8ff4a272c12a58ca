"""What every store must do in which nodes add up what they count, be it a storage or Redis.

A test module imports every name of this module and gives the fixture `storage`, open and empty.
"""

import asyncio

from authsrv.models import RATE_WINDOW, SharedCount
from authsrv.storage.base import CountStore
from tests.support.storage import NOW

WINDOW_END = NOW + RATE_WINDOW


async def test_a_first_count_begins_a_window_of_a_minute(storage: CountStore) -> None:
    assert await storage.exchange_counts({b"one": 3}, NOW) == {b"one": SharedCount(3, WINDOW_END)}


async def test_what_all_nodes_counted_is_added_up(storage: CountStore) -> None:
    await storage.exchange_counts({b"one": 3, b"two": 1}, NOW)
    assert await storage.exchange_counts({b"two": 4, b"one": 2}, NOW) == {
        b"one": SharedCount(5, WINDOW_END),
        b"two": SharedCount(5, WINDOW_END),
    }


async def test_only_what_was_asked_for_is_told(storage: CountStore) -> None:
    await storage.exchange_counts({b"one": 3, b"two": 1}, NOW)
    assert await storage.exchange_counts({b"two": 1}, NOW) == {b"two": SharedCount(2, WINDOW_END)}
    assert await storage.exchange_counts({}, NOW) == {}


async def test_any_bytes_are_a_key(storage: CountStore) -> None:
    keys = [b"", b"\0", b"\0\0", bytes(range(16)), b"\xff" * 16]
    assert set(await storage.exchange_counts(dict.fromkeys(keys, 1), NOW)) == set(keys)


async def test_many_nodes_that_exchange_many_counters_at_once_lose_nothing(storage: CountStore) -> None:
    keys = [bytes([number, 255 - number]) for number in range(50)]
    forwards, backwards = dict.fromkeys(keys, 1), dict.fromkeys(reversed(keys), 2)
    await asyncio.gather(*(storage.exchange_counts(counts, NOW) for counts in (forwards, backwards) * 4))
    found = await storage.exchange_counts(forwards, NOW)
    assert {shared.count for shared in found.values()} == {13}


async def test_a_store_that_is_there_says_so(storage: CountStore) -> None:
    await storage.ping()
