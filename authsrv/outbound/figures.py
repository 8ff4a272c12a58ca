"""What calls outside came to, by service and host: for metrics.

Owns the words for outcomes. Knows no service by name.
"""

from collections.abc import Mapping

from authsrv.metrics.figures import Counts, Spreads
from authsrv.outbound.breaker import BreakerState, Verdict
from authsrv.outbound.call import CircuitOpen, NoAnswer, NoPlace, NotConnected, NotSendable
from authsrv.platforms.base import OutboundError
from authsrv.records import dataclass

_OUTCOMES: Mapping[type[OutboundError], str] = {
    NotConnected: "no_connection",
    NotSendable: "not_sendable",
    NoAnswer: "timeout",
    CircuitOpen: "circuit_open",
    NoPlace: "no_place",
}


@dataclass(frozen=True, slots=True)
class HostVitals:
    """How the way to one host is: its circuit, and how many of its places are taken."""

    host: str
    circuit: BreakerState
    in_flight: int
    places: int


class CallFigures:
    """Counts calls; shared by all connections of a kind, so that a reload forgets nothing."""

    __slots__ = ("outcomes", "seconds")

    def __init__(self) -> None:
        self.outcomes = Counts()
        """By service, host and outcome."""
        self.seconds = Spreads()
        """By service and host."""

    def answered(self, service: str, host: str, verdict: Verdict, seconds: float) -> None:
        """A call that got an answer."""
        self._note(service, host, verdict, seconds)

    def failed(self, service: str, host: str, error: OutboundError, seconds: float) -> None:
        """A call that got none."""
        self._note(service, host, _OUTCOMES.get(type(error), "failure"), seconds)

    def _note(self, service: str, host: str, outcome: str, seconds: float) -> None:
        self.outcomes.add(service, host, outcome)
        self.seconds.observe(seconds, service, host)
