"""Making one player of two, as a pure plan: the survivor gets what the other one had, whose `sub` becomes an alias.

Owns which players may be merged, and what of them remains. The survivor's name, profile, segments and consents stay.
"""

from collections.abc import Sequence
from typing import Literal

from authsrv.account_models import Account, Ban, LinkedIdentity
from authsrv.accounts.banning import in_force, voided
from authsrv.accounts.changing import advanced, lost, of_kind, require_changeable, require_link_age
from authsrv.accounts.effects import Effect, Held, Move, Standing, Union, effect_on, held
from authsrv.accounts.journal import Happening, Occasion, Planned
from authsrv.ages import stricter
from authsrv.errors import AccountConflict, InvalidRequest
from authsrv.models import BarKind, Player
from authsrv.oauth.marks import IdentityMarks
from authsrv.records import dataclass
from authsrv.storage.account_changes import (
    AddBan,
    BarPlayer,
    MarkIdentity,
    MergePlayers,
    MoveIdentity,
    RecordEvent,
    SetAgeGroup,
    UnlinkIdentity,
)
from authsrv.storage.changes import Change, EndSessions

MERGED = "merged"
"""Why a session of a merged player ended, and a grant whose identity is nobody's since."""


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The loser's identities: those that the survivor gets, and those that it may have no more of."""

    moved: tuple[LinkedIdentity, ...]
    detached: tuple[LinkedIdentity, ...]


def merge(
    loser: Account, survivor: Account, occasion: Occasion, marks: IdentityMarks, *, drop_duplicates: bool = False
) -> Planned:
    """Merge one account into another. The loser's browser sessions end; no client loses what it was given, but by what
    is detached.

    With `drop_duplicates`, identities that the survivor may have no more of belong to nobody afterwards. Whether the
    project lets players choose this is the caller's to ask. Raises `AccountConflict` with the reason `age_group` or
    `duplicate_identity`, and what `require_changeable` raises.
    """
    _require_mergeable(loser, survivor, occasion)
    found = _sorted(loser, survivor, occasion.project.accounts.identities)
    if found.detached and not drop_duplicates:
        raise _duplicates(found.detached)
    ban = _ban(loser, survivor, occasion)
    effect = _effect(loser, survivor, found, ban, occasion.now)
    event = occasion.event(Happening("merged", survivor.player.id, loser.player.id, facts=effect.facts()))
    return Planned(
        event,
        (
            *advanced(loser.player, survivor.player),
            *_handed_over(loser, survivor, found, occasion.now),
            MergePlayers(loser.player.id, survivor.player.id),
            EndSessions(loser.player.id, occasion.now, MERGED),
            *_made_stricter(survivor.player, effect.union),
            *(_banned(ban, loser, survivor, found, marks) if ban else ()),
            RecordEvent(event),
        ),
    )


def _require_mergeable(loser: Account, survivor: Account, occasion: Occasion) -> None:
    require_changeable(loser, occasion)
    require_changeable(survivor, occasion)
    if loser.player.id == survivor.player.id:
        raise InvalidRequest("Name another player.", parameter="into")
    require_link_age(occasion, loser.player.age_group, survivor.player.age_group)
    require_one_age_group(loser, survivor, occasion)


def require_one_age_group(loser: Account, survivor: Account, occasion: Occasion) -> None:
    """Raise `AccountConflict` with the reason `age_group` if the groups differ and the project forbids that."""
    groups = {account.player.age_group for account in (loser, survivor)} - {""}
    if len(groups) > 1 and not occasion.project.accounts.merge_across_age_groups:
        raise AccountConflict("The two players are of different age groups.", reason="age_group")


def _sorted(loser: Account, survivor: Account, most: int) -> _Sorted:
    kept, moved, detached = [linked.key for linked in survivor.identities], [], []
    for linked in loser.identities:
        if of_kind(linked.key, kept) < most:
            kept.append(linked.key)
            moved.append(linked)
        else:
            detached.append(linked)
    return _Sorted(tuple(moved), tuple(detached))


def _duplicates(detached: Sequence[LinkedIdentity]) -> AccountConflict:
    providers = sorted({linked.key.kind for linked in detached})
    return AccountConflict(
        "Both players have accounts of one platform, and the survivor may not have all; drop_duplicates detaches some.",
        reason="duplicate_identity",
        facts={"providers": providers},
    )


def _effect(loser: Account, survivor: Account, found: _Sorted, ban: Ban | None, now: int) -> Effect:
    moved = [Move(linked.key, held(linked), Held(survivor.player.id, now)) for linked in found.moved]
    detached = [Move(linked.key, held(linked), None) for linked in found.detached]
    aliases = tuple(alias.id for alias in loser.aliases)
    before = standing_of(survivor.player)
    age_group = stricter(loser.player.age_group, before.age_group)
    after = Standing(age_group, ban.until, ban.kind) if ban else Standing(age_group, *_bar(survivor.player))
    union = Union(loser.player.id, survivor.player.id, aliases, before, after, ban.id if ban else 0)
    return effect_on([loser, survivor], [*moved, *detached], union)


def standing_of(player: Player) -> Standing:
    """What of an account a merge may make stricter."""
    return Standing(player.age_group, *_bar(player))


def _bar(player: Player) -> tuple[int, BarKind | Literal[""]]:
    return player.barred_until, player.barred_as


def _handed_over(loser: Account, survivor: Account, found: _Sorted, now: int) -> list[Change]:
    moved = [MoveIdentity(linked.key, loser.player.id, survivor.player.id, now) for linked in found.moved]
    detached = [UnlinkIdentity(linked.key, loser.player.id) for linked in found.detached]
    ended = [end for linked in found.detached for end in lost(loser, linked.key, now, MERGED)]
    return [*moved, *detached, *ended]


def _made_stricter(survivor: Player, union: Union | None) -> list[Change]:
    if union is None or union.after.age_group == survivor.age_group:
        return []
    return [SetAgeGroup(survivor.id, union.after.age_group)]


def _ban(loser: Account, survivor: Account, occasion: Occasion) -> Ban | None:
    """The ban under which the one player is that remains, if either was banned. Operators alone come so far."""
    barred = [account.player for account in (survivor, loser) if account.player.is_barred(occasion.now)]
    if not barred:
        return None
    strictest = max(barred, key=lambda player: player.barred_until)
    bans = [*in_force(survivor, occasion.now), *in_force(loser, occasion.now)]
    longest = max(bans, key=lambda ban: ban.until, default=None)
    return Ban(
        id=occasion.next_id(),
        project=occasion.project.key,
        player_id=survivor.player.id,
        kind=strictest.barred_as or "banned",
        reason=longest.reason if longest else "",
        decided_by=longest.decided_by if longest else occasion.doer.name,
        created_at=occasion.now,
        until=strictest.barred_until,
    )


def _banned(ban: Ban, loser: Account, survivor: Account, found: _Sorted, marks: IdentityMarks) -> list[Change]:
    """One ban of its own for all that the survivor has now, so that an undo can lift just that."""
    keys = [linked.key for linked in (*survivor.identities, *found.moved)]
    not_before = ban.created_at + 1
    return [
        AddBan(ban),
        *(MarkIdentity(marks.of(key), ban.id) for key in keys),
        BarPlayer(survivor.player.id, ban.until, ban.kind),
        EndSessions(survivor.player.id, ban.created_at, ban.kind),
        *voided(survivor, not_before),
        *voided(loser, not_before),
    ]
