"""What the run tells the load generator to send, what the answers must be, and what it reports back.

Owns these shapes and nothing else: they cross a pipe as JSON, so they hold plain values only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `form` makes a POST body of `application/x-www-form-urlencoded`, and is left out of a GET."""

    path: str
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside Host, Accept, Content-Type and Content-Length, for example Authorization."""
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Expected:
    """What every answer must be; one that is not counts as an error."""

    status: int = 200
    values: Mapping[str, Any] = field(default_factory=dict)
    """Members of the JSON body with exactly these values, for example `{"active": True}`."""
    present: tuple[str, ...] = ()
    """Members that must be there and not be empty."""
    absent: tuple[str, ...] = ()
    """Members that must not be there."""
    jwts: Mapping[str, str] = field(default_factory=dict)
    """Members that are JWTs, and the algorithm that signs each."""
    lengths: Mapping[str, int] = field(default_factory=dict)
    """Members that are lists, and how many elements each has at least."""


@dataclass(frozen=True, slots=True)
class Requests:
    """How one system is asked for one workload.

    Three kinds: requests that may be sent again and again (all connections take turns over `each`); requests that are
    used `once`, because they carry a code; and `chained` ones, where each connection begins with one of `each` and
    goes on with the `refresh_token` of its last answer in place of that of its form.
    """

    each: tuple[Request, ...]
    expected: Expected
    once: bool = False
    chained: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A round: at most `count` requests and `seconds` of them over `connections` kept-alive connections.

    With `rate` (requests per second) they are due at fixed times and each is timed from when it was due, so a server
    that stops for a while is charged for all that it kept waiting. Without, each connection sends the next request
    as soon as it has its answer.
    """

    port: int
    host: str
    requests: Requests
    connections: int
    count: int
    seconds: float
    rate: float = 0.0

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Order":
        """Of `asdict()` that went through JSON."""
        requests = given["requests"]
        each = tuple(Request(**one) for one in requests["each"])
        return cls(
            **{
                **given,
                "requests": Requests(**{**requests, "each": each, "expected": Expected(**requests["expected"])}),
            }
        )


@dataclass(slots=True)
class Outcome:
    """What came of an order. `latency` are milliseconds by name: p50, p90, p99, max; `cpu_us` is the generator's own
    CPU per request.
    """

    requests: int = 0
    seconds: float = 0.0
    failures: int = 0
    errors: list[str] = field(default_factory=list)
    latency: dict[str, float] = field(default_factory=dict)
    cpu_us: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests per second of wall clock."""
        return self.requests / self.seconds if self.seconds else 0.0


LATENCIES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """The latencies of `LATENCIES` in milliseconds, by the nearest rank; empty for none."""
    ranked = sorted(seconds)
    last = len(ranked) - 1
    return (
        {name: ranked[min(last, int(share * len(ranked)))] * 1000 for name, share in LATENCIES.items()}
        if ranked
        else {}
    )
