"""The start number beside a database file, noted by threads that nobody waits for any more."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from authsrv.storage.sqlite.start import StartMark


@contextmanager
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """The first write to the disk takes until the end of this; the event tells that it has begun."""
    began, goes_on = Event(), Event()

    def fsync(descriptor: int) -> None:
        if not began.is_set():
            began.set()
            goes_on.wait()
        real(descriptor)

    real = os.fsync
    monkeypatch.setattr(os, "fsync", fsync)
    try:
        yield began
    finally:
        goes_on.set()


@pytest.mark.parametrize(("first", "second"), [(5, 6), (6, 5)])
def test_of_two_numbers_that_are_noted_at_once_the_higher_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, second: int
) -> None:
    mark = StartMark(tmp_path / "a.db")
    with ThreadPoolExecutor(2) as threads:
        with slow_disk(monkeypatch) as began:
            slow = threads.submit(mark.note, first)
            began.wait()
            quick = threads.submit(mark.note, second)
            while not (quick.running() or quick.done()):
                pass
        slow.result()
        quick.result()
    assert StartMark(tmp_path / "a.db").known() == 6
    assert [path.name for path in tmp_path.iterdir()] == ["a.db.start"]
