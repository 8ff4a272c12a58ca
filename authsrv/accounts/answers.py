"""The answer to a request about a platform account: who the player is now, and what came with it.

Owns the members. Decides nothing.
"""

from typing import Any

from authsrv.accounts.arrivals import Arrived
from authsrv.accounts.own import PLAYERS_UNDO
from authsrv.accounts.summaries import Summaries, undo_of
from authsrv.oauth.opaque import OpaqueTokens


class ConnectAnswers:
    """Answers."""

    def __init__(self, summaries: Summaries, opaque: OpaqueTokens) -> None:
        self._summaries = summaries
        self._opaque = opaque

    def told(self, arrived: Arrived) -> dict[str, Any]:
        """What became of it."""
        arrival = arrived.arrival
        return {
            "outcome": arrival.outcome,
            "rule": arrival.rule,
            "new_player": arrival.outcome == "created",
            "user": self._summaries.user(arrived.account),
            "previous_sub": arrival.previous.sub if arrival.previous else None,
            "code": arrived.given or None,
            "undo": self._undo(arrived),
        }

    def _undo(self, arrived: Arrived) -> dict[str, str] | None:
        event = arrived.arrival.event
        if event is None or event.kind not in PLAYERS_UNDO:
            return None
        return undo_of(event, self._opaque.public_id("event", event.id), event.at)
