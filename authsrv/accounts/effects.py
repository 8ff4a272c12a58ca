"""What an event did to accounts, as data: enough to see whether it still stands, and to take it back.

Owns the form of it in the journal's `facts`. Decides nothing, reads and writes nothing.
"""

import json
from collections.abc import Mapping, Sequence
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
    """Everything that an event did. `ghosts` are the accounts that had no identity before, `guests` those that had
    a device's alone.
    """

    moves: tuple[Move, ...] = ()
    union: Union | None = None
    ghosts: tuple[int, ...] = ()
    guests: tuple[int, ...] = ()

    def inverse(self, *accounts: Account) -> "Effect":
        """What takes it back, from a time at which the accounts concerned are these."""
        moves = tuple(Move(move.key, move.after, move.before) for move in self.moves)
        return effect_on(accounts, moves, _inverse(self.union) if self.union else None)

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
        poor = {"ghosts": list(self.ghosts), "guests": list(self.guests)}
        return {"moves": moves, **union, **{name: those for name, those in poor.items() if those}}


def held(linked: LinkedIdentity) -> Held:
    """As an account has it."""
    return Held(linked.player_id, linked.linked_at)


def effect_on(accounts: Sequence[Account], moves: Sequence[Move], union: Union | None = None) -> Effect:
    """What an event does, with those of the accounts concerned that had nothing before it, or a device alone."""
    kinds = {one.player.id: {linked.key.kind for linked in one.identities} for one in accounts}
    ghosts = tuple(player_id for player_id, has in kinds.items() if not has)
    return Effect(tuple(moves), union, ghosts, tuple(player_id for player_id, has in kinds.items() if has == {GUEST}))


def effect_of(project: str, facts: Mapping[str, Any]) -> Effect:
    """What `Effect.facts` told."""
    moves = tuple(
        Move(IdentityKey(project, *words), _held(before), _held(after)) for *words, before, after in facts["moves"]
    )
    union = facts.get("union")
    ghosts, guests = (tuple(facts.get(name, ())) for name in ("ghosts", "guests"))
    return Effect(moves, _union(union) if union else None, ghosts, guests)


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
