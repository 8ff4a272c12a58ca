"""A lease on work that one node at a time does: whether this node may go on with it, as far as it can know.

Owns taking, holding and letting go, and the pauses of the work. Knows not what the work is.
"""

import time
from collections.abc import Awaitable, Callable

from authsrv.storage.base import Conflict, Storage
from authsrv.storage.node_changes import ReleaseLease, TakeLease

HELD = 20
"""Seconds for which a lease is held; whoever holds it has to take it again before."""
RENEWED = 5.0
"""Seconds after which a lease is taken again, and after which others try whether it is free."""
MARGIN = 3.0
"""Seconds before its end at which a holder stops: the database tells whole seconds, and an answer takes its time."""

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]


class LeaseLost(Exception):
    """The work is, or may be, another node's now."""


class Lease:
    """One lease, as one node sees it. `clock` gives Unix seconds, `monotonic` seconds that only rise.

    Its end is told by the database's clock; how long ago that was is measured here by both clocks, and the longer one
    counts: one of them stands still while a process or its machine is suspended, the other may be set back.
    """

    def __init__(
        self,
        storage: Storage,
        name: str,
        holder: str,
        *,
        clock: Clock,
        sleep: Sleep,
        monotonic: Clock = time.monotonic,
    ) -> None:
        self.name = name
        self._storage = storage
        self._holder = holder
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._taken_at: tuple[float, float] | None = None

    @property
    def left(self) -> float:
        """For how many seconds the work may go on; 0 if it may not."""
        if self._taken_at is None:
            return 0.0
        ages = (now - then for now, then in zip(self._now(), self._taken_at, strict=True))
        return max(0.0, HELD - MARGIN - max(ages))

    async def take(self) -> bool:
        """Take the lease, or hold it for longer; whether it is this node's now. Raises `StorageError`."""
        asked_at = self._now()
        now = await self._storage.load_time()
        try:
            await self._storage.apply([TakeLease(self.name, self._holder, now, now + HELD)])
        except Conflict:
            self._taken_at = None
            return False
        self._taken_at = asked_at
        return True

    async def rest(self, seconds: float) -> None:
        """A pause in the work. Raises `LeaseLost` if it must not go on after it."""
        await self._sleep(seconds)
        if not self.left:
            raise LeaseLost(self.name)

    async def release(self) -> None:
        """Let another node have it at once. Raises `StorageError`."""
        self._taken_at = None
        await self._storage.apply([ReleaseLease(self.name, self._holder)])

    def _now(self) -> tuple[float, float]:
        return self._clock(), self._monotonic()
