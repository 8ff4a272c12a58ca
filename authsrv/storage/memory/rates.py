"""What nodes count for the rate limits in the memory backend's tables; the model of `statements/rates.py`.

Owns windows and row changes. Knows no transaction.
"""

from collections.abc import Mapping

from authsrv.models import RATE_WINDOW, SharedCount
from authsrv.storage.memory.tables import Tables
from authsrv.storage.rows.rates import LATEST, count_values, window_values


def exchange_counts(tables: Tables, counts: Mapping[bytes, int], now: int) -> Mapping[bytes, SharedCount]:
    """Add these counts to those of open windows; what stands there then. Raises `StorageError`, nothing added."""
    window_values(now)
    for key, count in counts.items():
        count_values(key, count)
    added = {key: _added(tables.rate_counts.get(key), count, now) for key, count in counts.items()}
    tables.rate_counts.update(added)
    return added


def _added(known: SharedCount | None, count: int, now: int) -> SharedCount:
    if known and now < known.ends_at <= now + LATEST:
        return SharedCount(known.count + count, known.ends_at)
    return SharedCount(count, now + RATE_WINDOW)
