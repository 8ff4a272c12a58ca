"""What an event did to accounts, as data: enough to see whether it still stands, and to take it back.

Owns the form of it in the journal's `facts`. Decides nothing, reads and writes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from authsrv.account_models import GUEST, Account, JournalEvent, LinkedIdentity
from authsrv.models import BarKind, IdentityKey
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """Whose an identity is, by row, and since when."""

    player_id: int
    since: int


@dataclass(frozen=True, slots=True)
class Move:
    """One identity changed hands; None is nobody."""

    key: IdentityKey
    before: Held | None
    after: Held | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What of an account a merge may make stricter; `barred_until` and `barred_as` are those of `Player`."""

    age_group: str
    barred_until: int
    barred_as: BarKind | Literal[""]


@dataclass(frozen=True, slots=True)
class Union:
    """An account became part of another, together with its aliases; or, when `parted`, came out of it again.

    `before` and `after` are about the survivor. `ban_id` is the ban that came into the survivor with the merge, 0 for
    none.
    """

    loser_id: int
    survivor_id: int
    aliases: tuple[int, ...]
    before: Standing
    after: Standing
    ban_id: int = 0
    parted: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """Everything that an event did. `ghosts` are the accounts that had no identity before, or a device's alone."""

    moves: tuple[Move, ...] = ()
    union: Union | None = None
    ghosts: tuple[int, ...] = ()

    def inverse(self, ghosts: tuple[int, ...]) -> "Effect":
        """What takes it back, from a time at which these are ghosts."""
        moves = tuple(Move(move.key, move.after, move.before) for move in self.moves)
        return Effect(moves, _inverse(self.union) if self.union else None, ghosts)

    @property
    def players(self) -> frozenset[int]:
        """The accounts concerned, by row."""
        held = {held.player_id for move in self.moves for held in (move.before, move.after) if held}
        union = {self.union.loser_id, self.union.survivor_id} if self.union else set[int]()
        return frozenset(held | union)

    def facts(self) -> Mapping[str, Any]:
        """The form in the journal."""
        moves = [[*_words(move.key), _pair(move.before), _pair(move.after)] for move in self.moves]
        union = {"union": _told(self.union)} if self.union else {}
        return {"moves": moves, **union, **({"ghosts": list(self.ghosts)} if self.ghosts else {})}


def held(linked: LinkedIdentity) -> Held:
    """As an account has it."""
    return Held(linked.player_id, linked.linked_at)


def ghosts_of(*accounts: Account) -> tuple[int, ...]:
    """Those of the accounts that have no identity, or a device's alone."""
    return tuple(one.player.id for one in accounts if {linked.key.kind for linked in one.identities} <= {GUEST})


def effect_of(project: str, facts: Mapping[str, Any]) -> Effect:
    """What `Effect.facts` told."""
    moves = tuple(
        Move(IdentityKey(project, *words), _held(before), _held(after)) for *words, before, after in facts["moves"]
    )
    union = facts.get("union")
    return Effect(moves, _union(union) if union else None, tuple(facts.get("ghosts", ())))


def effect_of_event(event: JournalEvent) -> Effect:
    """What an event did that can be undone; nothing once its facts were erased."""
    return effect_of(event.project, json.loads(event.facts)) if event.facts else Effect()


def _inverse(union: Union) -> Union:
    return replace(union, before=union.after, after=union.before, parted=not union.parted)


def _words(key: IdentityKey) -> tuple[str, str, str]:
    return key.kind, key.environment, key.subject


def _pair(held: Held | None) -> list[int] | None:
    return [held.player_id, held.since] if held else None


def _held(pair: list[int] | None) -> Held | None:
    return Held(*pair) if pair else None


def _told(union: Union) -> Mapping[str, Any]:
    return {
        "loser": union.loser_id,
        "survivor": union.survivor_id,
        "aliases": list(union.aliases),
        "before": _listed(union.before),
        "after": _listed(union.after),
        "ban": union.ban_id,
        "parted": union.parted,
    }


def _listed(standing: Standing) -> list[str | int]:
    return [standing.age_group, standing.barred_until, standing.barred_as]


def _union(told: Mapping[str, Any]) -> Union:
    return Union(
        told["loser"],
        told["survivor"],
        tuple(told["aliases"]),
        Standing(*told["before"]),
        Standing(*told["after"]),
        told["ban"],
        told["parted"],
    )
