"""What every storage backend must do with what nodes count, besides `counts.py`: windows, sweeping, all or nothing."""

import pytest

from authsrv.models import RATE_WINDOW, SharedCount
from authsrv.storage.base import Storage, StorageError, Swept
from tests.support.storage import NOW

WINDOW_END = NOW + RATE_WINDOW


@pytest.mark.parametrize(
    ("now", "known"),
    [
        pytest.param(NOW - 5, SharedCount(4, WINDOW_END), id="a clock behind"),
        pytest.param(WINDOW_END - 1, SharedCount(4, WINDOW_END), id="the last second"),
        pytest.param(WINDOW_END, SharedCount(1, WINDOW_END + RATE_WINDOW), id="over"),
        pytest.param(WINDOW_END + 9000, SharedCount(1, WINDOW_END + 9060), id="long over"),
        pytest.param(NOW - 60, SharedCount(4, WINDOW_END), id="as late as can be"),
        pytest.param(NOW - 61, SharedCount(1, NOW - 1), id="impossibly late"),
    ],
)
async def test_a_window_is_what_its_first_count_made_it(storage: Storage, now: int, known: SharedCount) -> None:
    await storage.exchange_counts({b"one": 3}, NOW)
    assert await storage.exchange_counts({b"one": 1}, now) == {b"one": known}


async def test_windows_of_one_exchange_are_each_their_own(storage: Storage) -> None:
    await storage.exchange_counts({b"old": 3}, NOW)
    await storage.exchange_counts({b"new": 3}, NOW + 30)
    assert await storage.exchange_counts({b"old": 1, b"new": 1}, WINDOW_END) == {
        b"old": SharedCount(1, WINDOW_END + RATE_WINDOW),
        b"new": SharedCount(4, WINDOW_END + 30),
    }


async def test_R34_windows_that_are_over_are_swept(storage: Storage) -> None:
    await storage.exchange_counts({b"one": 3, b"two": 3}, NOW)
    await storage.exchange_counts({b"new": 3}, NOW + 1)
    assert await storage.sweep(WINDOW_END, 100) == Swept(0, more=False)
    assert await storage.sweep(WINDOW_END + 1, 1) == Swept(1, more=True)
    assert await storage.sweep(WINDOW_END + 1, 100) == Swept(1, more=False)
    # What is left of the window would count on, if it still stood there.
    assert await storage.exchange_counts({b"new": 1, b"one": 1}, NOW + 2) == {
        b"new": SharedCount(4, WINDOW_END + 1),
        b"one": SharedCount(1, WINDOW_END + 2),
    }


@pytest.mark.parametrize("wrong", [0, -1, 2**63])
async def test_what_is_no_count_leaves_nothing_behind(storage: Storage, wrong: int) -> None:
    with pytest.raises(StorageError):
        await storage.exchange_counts({b"one": 1, b"two": wrong}, NOW)
    assert await storage.exchange_counts({b"one": 1}, NOW) == {b"one": SharedCount(1, WINDOW_END)}
