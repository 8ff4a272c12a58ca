"""The journal of accounts: how an event is made, and what players and operators are shown of it.

Owns which events can be undone, and until when. Writes nothing itself: an event goes into the same `apply` as what it
tells of.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from authsrv.account_models import Doer, EventKind, JournalEvent
from authsrv.models import IdentityKey, Project
from authsrv.records import dataclass
from authsrv.storage.changes import Change

REVERSIBLE: frozenset[EventKind] = frozenset({"linked", "unlinked", "transferred", "merged", "undone"})
"""Events that can be undone; the facts of each are those of an `authsrv.accounts.effects.Effect`."""


@dataclass(frozen=True, slots=True)
class Happening:
    """What an event tells, beyond who did it and when. The members are those of `JournalEvent`; `facts` as JSON has
    them.
    """

    kind: EventKind
    player_id: int
    other_id: int = 0
    identity: IdentityKey | None = None
    rule: str = ""
    reason: str = ""
    facts: Mapping[str, Any] | None = None
    is_final: bool = False
    """Whether it cannot be undone, although others of its kind can."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """In which project something is done to accounts, by whom, when and why. `next_id` gives row ids.

    `rule` is the row of the decision table that led to it, if one did.
    """

    project: Project
    doer: Doer
    now: int
    next_id: Callable[[], int]
    reason: str = ""
    rule: str = ""

    def event(self, happening: Happening) -> JournalEvent:
        """The journal's row about what happened on this occasion."""
        told = replace(happening, rule=happening.rule or self.rule, reason=happening.reason or self.reason)
        return event_of(told, self.project, self.doer, self.next_id(), self.now)


@dataclass(frozen=True, slots=True)
class Planned:
    """A change of accounts as a pure function planned it: the event, and everything to be written, the event too."""

    event: JournalEvent
    changes: tuple[Change, ...]


def event_of(happening: Happening, project: Project, doer: Doer, event_id: int, now: int) -> JournalEvent:
    """The row of the journal; what can be undone can be for as long as the project allows."""
    is_final = happening.is_final or happening.kind not in REVERSIBLE
    window = 0 if is_final else project.accounts.undo_window
    return JournalEvent(
        id=event_id,
        project=project.key,
        kind=happening.kind,
        at=now,
        player_id=happening.player_id,
        other_id=happening.other_id,
        identity=happening.identity,
        actor=doer.actor,
        actor_name=doer.name,
        client_id=doer.client_id,
        address=doer.address,
        rule=happening.rule,
        reason=happening.reason,
        facts=facts_text(happening.facts),
        reversible_until=now + window if window else 0,
    )


def can_be_undone(event: JournalEvent, now: int) -> bool:
    """Whether its time is not up, and nobody undid it before."""
    return now < event.reversible_until and not event.reversed_by


def cause(event: JournalEvent) -> EventKind:
    """What an event was about at first: for an undo, the kind of what it undid."""
    if event.kind != "undone" or not event.facts:
        return event.kind
    first: EventKind = json.loads(event.facts)["of"]
    return first


def facts_text(facts: Mapping[str, Any] | None) -> str:
    """Facts as the journal keeps them."""
    return json.dumps(facts, separators=(",", ":")) if facts else ""
