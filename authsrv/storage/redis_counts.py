"""What nodes count for the rate limits, in Redis or Valkey, by the library `limits`.

Owns the connections, and how a counter there becomes a window. Never sends a command twice: what was counted once
might count again. The libraries come with the extra `redis` and are loaded here alone, when a configuration names it.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from authsrv.models import RATE_WINDOW, SharedCount
from authsrv.storage.base import StorageError, StorageUnavailable

CONNECTIONS = 4
"""At once; one would do, if the server were not a network away."""
TIMEOUT = 2.0
"""Seconds to connect, and to wait for one answer."""
_PREFIX = "authsrv"


class RedisCounts:
    """A `CountStore`. `url` is redis://host:port/number or rediss:// for TLS, `ca` a PEM file of trusted authorities.

    Connects when first used. Raises `StorageError` if the libraries are not installed.
    """

    def __init__(self, url: str, *, password: str = "", ca: str = "") -> None:
        try:
            from limits.aio.storage import RedisStorage  # noqa: PLC0415 - the extra is loaded only where it is used
            from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415
            from redis.asyncio.retry import Retry  # noqa: PLC0415
            from redis.backoff import NoBackoff  # noqa: PLC0415
        except ImportError as error:
            raise StorageError("limits.store names Redis; run: pip install 'authsrv[redis]'") from error
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=None,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            **({"password": password} if password else {}),
            **({"ssl_ca_certs": ca} if ca else {}),
        )
        pool: Any = self._pool
        self._counters = RedisStorage(
            f"async+{url}", implementation="redispy", key_prefix=_PREFIX, connection_pool=pool
        )
        self._faults = self._counters.base_exceptions

    async def exchange_counts(self, counts: Mapping[bytes, int], now: int) -> Mapping[bytes, SharedCount]:
        adding = [self._add(key.hex(), count, now) for key, count in counts.items()]
        # Each is let end, so that none is left behind in the background when another fails.
        found = await asyncio.gather(*adding, return_exceptions=True)
        with self._telling():
            return {key: _ended_well(one) for key, one in zip(counts, found, strict=True)}

    async def ping(self) -> None:
        # The library's own check hides the reason, and goes on when it is cancelled.
        with self._telling():
            await self._counters.get("ping")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What the library raises, in words of the contract."""
        try:
            yield
        except self._faults as error:
            raise StorageUnavailable(f"Redis: {error}") from error

    async def _add(self, key: str, count: int, now: int) -> SharedCount:
        total = await self._counters.incr(key, RATE_WINDOW, count)
        if total == count:
            return SharedCount(total, now + RATE_WINDOW)
        left = await self._counters.get_expiry(key) - time.time()
        return SharedCount(total, now + round(left))


def _ended_well(outcome: SharedCount | BaseException) -> SharedCount:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
