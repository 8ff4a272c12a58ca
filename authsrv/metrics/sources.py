"""Where the figures of a running server are found, for whoever renders them.

Owns the list. Knows no Prometheus.
"""

from collections.abc import Callable, Mapping, Sequence

from authsrv.metrics.figures import Spread
from authsrv.metrics.seen import Seen
from authsrv.models import KeyRules, StoredKey
from authsrv.outbound.figures import CallFigures, HostVitals
from authsrv.records import dataclass
from authsrv.serving.readiness import Readiness
from authsrv.storage.vitals import StorageVitals


@dataclass(frozen=True, slots=True)
class NodeVitals:
    """How a node is among others: which leases it holds, and by how many seconds its clock is ahead."""

    leases: Mapping[str, bool]
    seconds_off: float


@dataclass(frozen=True, slots=True)
class Sources:
    """What is rendered. Functions are asked anew at each time; none of them waits or raises."""

    version: str
    seen: Seen
    readiness: Readiness
    storage: Callable[[], StorageVitals]
    calls: Sequence[CallFigures]
    """Those of platforms, and of what else is called."""
    hosts: Callable[[], Sequence[tuple[str, HostVitals]]]
    """The hosts of every service, by its name; one may be there several times, once for each project."""
    keys: Callable[[], Sequence[StoredKey]]
    key_rules: KeyRules
    swept: Callable[[], int]
    loaded_at: Callable[[], float]
    """When the configuration was taken, in Unix seconds."""
    counts_alone: Callable[[], bool]
    """Whether the store of the rate limits is away."""
    node: Callable[[], NodeVitals | None]
    dropped: Callable[[], int]
    """Log lines that were lost."""
    lag: Spread
    clock: Callable[[], float]
