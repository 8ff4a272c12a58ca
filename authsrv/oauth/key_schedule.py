"""The life of signing keys: next, active, retiring, retired; and what is to be done about it at a moment. Pure.

Owns the states, the times between them, and who follows whom. Knows neither how a key is made nor where it rests.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, Protocol, TypeVar

from authsrv.models import NEVER, KeyRules, SigningAlgorithm, StoredKey
from authsrv.records import dataclass
from authsrv.storage.changes import ScheduleKey

KeyState = Literal["next", "active", "retiring", "retired", "revoked"]

LONGEST_TOKEN = 86400
"""Seconds that a token lives at most, whatever the configuration says."""
LONGEST_CACHE = 86400
"""Seconds for which verifiers are known to keep a key set, whatever its headers say."""
LEEWAY = 60
"""Seconds by which a verifier may let a token live longer."""
LAG = 3660
"""Seconds by which a key set that a verifier gets may be old: max-age, and a round of another node."""
RETENTION = LONGEST_TOKEN + LEEWAY + LONGEST_CACHE
"""Seconds for which a key stays published after it signed last."""
SHORTEST_NOTICE = LONGEST_CACHE + LAG
"""Seconds after which every verifier knows a key that was published."""


class Dated(Protocol):
    """Something that is in force from a time on."""

    @property
    def signs_from(self) -> int:
        """Unix seconds."""


D = TypeVar("D", bound=Dated)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key that is to be made."""

    alg: SigningAlgorithm
    follows: str
    signs_from: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: keys to be made, times to be set, and keys that have signed for the last time."""

    wanted: tuple[Wanted, ...] = ()
    moves: tuple[ScheduleKey, ...] = ()
    spent: tuple[StoredKey, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.wanted or self.moves or self.spent)

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(self.wanted + other.wanted, self.moves + other.moves, self.spent + other.spent)


def able(keys: Iterable[StoredKey], alg: str) -> list[StoredKey]:
    """The keys of an algorithm that have a private part, newest first."""
    mine = [key for key in _line(keys, alg) if key.erased_at is None and key.revoked_at is None]
    return sorted(mine, key=lambda key: (key.signs_from, key.kid), reverse=True)


def in_force(newest_first: Sequence[D], now: float) -> D | None:
    """The one that counts now.

    If none has begun yet, it is the one that begins first: a clock that was set back must not leave us without a key,
    and this one has been published for longer than any other.
    """
    for one in newest_first:
        if one.signs_from <= now:
            return one
    return newest_first[-1] if newest_first else None


def states(keys: Iterable[StoredKey], now: int) -> dict[str, KeyState]:
    """Where each signing key is in its life, by `kid`; in the order of the keys."""
    mine = [key for key in keys if key.use == "sig"]
    signing = {found.kid for alg in {key.alg for key in mine} if (found := in_force(able(mine, alg), now))}
    return {key.kid: _state(key, now, is_signing=key.kid in signing) for key in mine}


def _state(key: StoredKey, now: int, *, is_signing: bool) -> KeyState:
    if key.revoked_at is not None:
        return "revoked"
    if now >= key.retires_at:
        return "retired"
    if is_signing:
        return "active"
    return "next" if key.erased_at is None and now < key.signs_from else "retiring"


def next_changes(keys: Sequence[StoredKey], rules: KeyRules, now: int) -> dict[str, int]:
    """When another key is to sign, for each algorithm of the rules that has a key; in the past if it is overdue."""
    found = {alg: able(_line(keys, alg), alg) for alg in rules.algorithms}
    signing = {alg: key for alg, mine in found.items() if (key := in_force(mine, now))}
    return {alg: _next_change(found[alg], key, rules) for alg, key in signing.items()}


def _next_change(newest_first: Sequence[StoredKey], active: StoredKey, rules: KeyRules) -> int:
    waiting = _after(newest_first, active)
    return waiting.signs_from if waiting else active.signs_from + rules.rotation


def plan(keys: Sequence[StoredKey], rules: KeyRules, now: int) -> Plan:
    """What the rules ask for at this moment; nothing, most of the time."""
    found = [_plan_line(_line(keys, alg), alg, rules, now) for alg in rules.algorithms]
    others = {key.alg for key in keys if key.use == "sig"} - set(rules.algorithms)
    return sum([*found, *(_wind_down(_line(keys, alg), alg, rules, now) for alg in sorted(others))], Plan())


def hastened(keys: Sequence[StoredKey], rules: KeyRules, now: int) -> Plan:
    """What makes every algorithm change its key as soon as all verifiers know the next one."""
    return sum([_hasten(_line(keys, alg), alg, now) for alg in rules.algorithms], Plan())


def without(keys: Sequence[StoredKey], revoked: StoredKey, rules: KeyRules, now: int) -> Plan:
    """What must follow when a key is revoked: another one signs at once if it did, and a new one is made if it must."""
    left = [replace(key, revoked_at=now) if key.kid == revoked.kid else key for key in keys]
    promoted = _promotion(keys, left, revoked, now)
    moved = {move.key.kid: _moved(move) for move in promoted}
    rest = plan([moved.get(key.kid, key) for key in left], rules, now)
    return Plan(moves=promoted) + rest


def _promotion(
    keys: Sequence[StoredKey], left: Sequence[StoredKey], revoked: StoredKey, now: int
) -> tuple[ScheduleKey, ...]:
    heir = in_force(able(left, revoked.alg), now)
    if revoked != in_force(able(keys, revoked.alg), now) or heir is None or heir.signs_from <= now:
        return ()
    return (ScheduleKey(heir, now, heir.signs_until, heir.retires_at),)


def _line(keys: Iterable[StoredKey], alg: str) -> list[StoredKey]:
    return [key for key in keys if key.use == "sig" and key.alg == alg]


def _tip(line: Sequence[StoredKey], alg: SigningAlgorithm) -> str:
    """What the next key follows: the key that none follows yet, or the algorithm itself if there is no key."""
    followed = {key.follows for key in line}
    return next((key.kid for key in line if key.kid not in followed), alg)


def _plan_line(line: Sequence[StoredKey], alg: SigningAlgorithm, rules: KeyRules, now: int) -> Plan:
    keys = able(line, alg)
    active = in_force(keys, now)
    if active is None:
        return Plan(wanted=(Wanted(alg, _tip(line, alg), now),))
    waiting, spent = _after(keys, active), _before(keys, active)
    due = active.signs_from + rules.rotation
    notice = rules.announcement + LAG
    if waiting is not None:
        # Further away it was only put by a clock that went wrong, or by rules that have changed.
        begins = waiting.signs_from if waiting.signs_from <= max(due, now) + notice else max(due, now + notice)
        return Plan(moves=tuple(_handover(active, waiting, begins)), spent=spent)
    if due - notice > now:
        return Plan(moves=tuple(_ending(active, NEVER)), spent=spent)
    begins = max(due, now + notice)
    return Plan((Wanted(alg, _tip(line, alg), begins),), tuple(_ending(active, begins)), spent)


def _wind_down(line: Sequence[StoredKey], alg: str, rules: KeyRules, now: int) -> Plan:
    """An algorithm that is no longer wanted: its key has no successor, and ends when one would have come."""
    keys = able(line, alg)
    active = in_force(keys, now)
    if active is None:
        return Plan()
    spent = _before(keys, active)
    if active.signs_until == NEVER:
        return Plan(moves=tuple(_ending(active, max(active.signs_from + rules.rotation, now))), spent=spent)
    return Plan(spent=(*spent, active) if active.signs_until <= now else spent)


def _hasten(line: Sequence[StoredKey], alg: SigningAlgorithm, now: int) -> Plan:
    keys = able(line, alg)
    active = in_force(keys, now)
    if active is None:
        return Plan(wanted=(Wanted(alg, _tip(line, alg), now),))
    waiting = _after(keys, active)
    if waiting is None:
        begins = now + SHORTEST_NOTICE
        return Plan((Wanted(alg, _tip(line, alg), begins),), tuple(_ending(active, begins)))
    soonest = max(now, min(waiting.created_at, now) + SHORTEST_NOTICE)
    return Plan(moves=tuple(_handover(active, waiting, min(waiting.signs_from, soonest))))


def _after(newest_first: Sequence[StoredKey], active: StoredKey) -> StoredKey | None:
    newer = newest_first[: newest_first.index(active)]
    return newer[-1] if newer else None


def _before(newest_first: Sequence[StoredKey], active: StoredKey) -> tuple[StoredKey, ...]:
    return tuple(newest_first[newest_first.index(active) + 1 :])


def _handover(active: StoredKey, waiting: StoredKey, begins: int) -> Iterator[ScheduleKey]:
    if waiting.signs_from != begins:
        yield ScheduleKey(waiting, begins, waiting.signs_until, waiting.retires_at)
    yield from _ending(active, begins)


def _ending(key: StoredKey, signs_until: int) -> Iterator[ScheduleKey]:
    retires_at = NEVER if signs_until == NEVER else signs_until + RETENTION
    if (key.signs_until, key.retires_at) != (signs_until, retires_at):
        yield ScheduleKey(key, key.signs_from, signs_until, retires_at)


def _moved(move: ScheduleKey) -> StoredKey:
    return replace(move.key, signs_from=move.signs_from, signs_until=move.signs_until, retires_at=move.retires_at)
