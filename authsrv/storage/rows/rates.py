"""What nodes count for the rate limits as values and rows of SQL.

Owns what a count may be, and when a window is over. Knows no driver and no transaction.
"""

from collections.abc import Iterable

from authsrv.models import RATE_WINDOW, SharedCount
from authsrv.storage.base import StorageError
from authsrv.storage.rows.base import Row, Values, checked

LATEST = 2 * RATE_WINDOW
"""Seconds after which a window that is open now ends at the latest, by the clock of whichever node."""


def window_values(now: int) -> Values:
    """When a window ends that begins now, and when one that is open may end at the latest."""
    return checked(now=now, ends_at=now + RATE_WINDOW, latest=now + LATEST)


def count_values(key: bytes, count: int) -> Values:
    """What is counted under one key. Raises `StorageError` for what is no count."""
    if count < 1:
        raise StorageError("a count is 1 at least")
    return checked(key=key, count=count)


def shared_counts_of(rows: Iterable[Row]) -> dict[bytes, SharedCount]:
    """What all nodes counted, by key."""
    return {bytes(key): SharedCount(count, ends_at) for key, count, ends_at in rows}
