"""How a database does, in numbers, for those who run it.

Owns the shape that is the same for every backend. Knows no database.
"""

from collections.abc import Mapping
from dataclasses import field

from authsrv.metrics.figures import SECONDS, Spread
from authsrv.records import dataclass

GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Traffic:
    """What went to the database one way, reading or writing: how long it took, and how it ended."""

    __slots__ = ("conflicts", "done", "group_sizes", "repeated", "seconds", "unavailable")

    def __init__(self) -> None:
        self.seconds = Spread(SECONDS)
        """Of each transaction, or hop to the database."""
        self.group_sizes = Spread(GROUP_SIZES)
        """How many callers shared one."""
        self.done = 0
        self.conflicts = 0
        """Callers whose guard did not hold."""
        self.unavailable = 0
        """Callers for whom the database did not do it."""
        self.repeated = 0
        """Attempts that were in the way of another transaction, or lost their connection, and were made again."""

    def note(self, seconds: float, callers: int = 1, conflicts: int = 0, failed: int = 0) -> None:
        """A transaction that ended, for how many callers; how many of them lost a race, or failed by themselves."""
        self.done += callers - conflicts - failed
        self.conflicts += conflicts
        self.unavailable += failed
        self._took(seconds, callers)

    def note_failure(self, seconds: float, callers: int = 1) -> None:
        """A transaction that failed as a whole, and how many waited for it."""
        self.unavailable += callers
        self._took(seconds, callers)

    def _took(self, seconds: float, callers: int) -> None:
        self.seconds.observe(seconds)
        self.group_sizes.observe(callers)


@dataclass(frozen=True, slots=True)
class PoolVitals:
    """The connections of a pool: how many there are and may be, how many work, and who waits for one."""

    size: int
    most: int
    in_use: int
    waiting: int


@dataclass(frozen=True, slots=True)
class StorageVitals:
    """What a backend tells of itself. `traffic` is by `read` and `write`, `queued` counts who waits for either.

    `versions` are those of its libraries; `wal_bytes` is the size of the write-ahead log, where there is a file.
    """

    backend: str
    revision: str
    versions: Mapping[str, str] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    queued: Mapping[str, int] = field(default_factory=dict)
    wal_bytes: int | None = None
    pool: PoolVitals | None = None
