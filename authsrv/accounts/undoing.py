"""Taking back what was done to accounts, as a pure plan.

Owns when that can be: while everything that the event touched is as the event left it, and nobody loses their last way
in by it. Who may ask for it is the caller's to know.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from authsrv.account_models import Account, EventKind, JournalEvent, Ownership
from authsrv.accounts.banning import barred_by, in_force, spread
from authsrv.accounts.changing import advanced, lost, of_kind, require_changeable
from authsrv.accounts.effects import Effect, Held, Move, Union, effect_of_event, held
from authsrv.accounts.journal import REVERSIBLE, Happening, Occasion, Planned, cause
from authsrv.accounts.merging import require_one_age_group
from authsrv.ages import stricter
from authsrv.errors import AccessDenied, LastIdentity, LaterChanges, LinkLimit, UserNotFound
from authsrv.models import IdentityKey, Player
from authsrv.oauth.marks import IdentityMarks
from authsrv.players import refusal
from authsrv.records import dataclass
from authsrv.storage.account_changes import (
    EndGrants,
    LiftBan,
    MergePlayers,
    MoveIdentity,
    RecordEvent,
    ReverseEvent,
    SetAgeGroup,
    UnlinkIdentity,
    UnmergePlayers,
)
from authsrv.storage.changes import Change, EndSessions, LinkIdentity, SetNotBefore

UNDONE = "undone"
"""Why a grant or a session ended that was given by what an undo took away."""

_BARRING: frozenset[EventKind] = frozenset({"banned", "unbanned", "restricted", "unrestricted"})


@dataclass(frozen=True, slots=True)
class Scene:
    """What an undo finds.

    `accounts` are those that the event concerned, with their aliases, by row; `ownerships` tells whose its identities
    are now, and which are banned; `usable` are the ways in of each account; `later` is what the journal has about
    either, newer events too. `public_id` gives the name by which others know an event.
    """

    accounts: Mapping[int, Account]
    ownerships: Mapping[IdentityKey, Ownership]
    usable: Mapping[int, frozenset[IdentityKey]]
    later: Sequence[JournalEvent]
    public_id: Callable[[int], str]


def undo(event: JournalEvent, scene: Scene, occasion: Occasion, marks: IdentityMarks) -> Planned:
    """Take an event back. What clients were given by the identities that somebody loses ends.

    An undo can be undone like any event, but only once, and not if it was the end of a merge that brought a ban.
    Raises `AccessDenied` with the reason `not_reversible`; `LaterChanges` with the public ids of `events`;
    `LastIdentity`; `UserNotFound` if one of the players is gone; and what `require_changeable` raises.
    """
    effect = reversible_effect(event, occasion.now, scene.public_id)
    if not effect.players <= scene.accounts.keys():
        raise UserNotFound("A player whom this was about is gone.")
    if not _stands(event, effect, scene, occasion.now):
        raise _later(event, effect, scene)
    back = effect.inverse(*(scene.accounts[player_id] for player_id in sorted(effect.players)))
    _require_possible(event, effect, back, scene, occasion)
    recorded = occasion.event(_happening(event, back))
    return Planned(
        recorded,
        (
            *advanced(*(scene.accounts[player_id].player for player_id in effect.players)),
            ReverseEvent(event.id, recorded.id),
            *(_united(back.union, scene, occasion.now) if back.union else ()),
            *(change for move in back.moves for change in _moved(move, scene, occasion.now, marks)),
            RecordEvent(recorded),
        ),
    )


def reversible_effect(event: JournalEvent, now: int, public_id: Callable[[int], str]) -> Effect:
    """What an event did that can be undone yet. Raises `AccessDenied`, `LaterChanges` or `UserNotFound`."""
    if event.kind not in REVERSIBLE or now >= event.reversible_until:
        raise AccessDenied("This cannot be undone, or not any more.", reason="not_reversible")
    if event.reversed_by:
        raise LaterChanges("This was undone already.", facts={"events": [public_id(event.reversed_by)]})
    if not event.facts or not event.player_id:
        raise UserNotFound("A player whom this was about is gone.")
    return effect_of_event(event)


# --- whether it stands ---


def _stands(event: JournalEvent, effect: Effect, scene: Scene, now: int) -> bool:
    """Whether everything is as the event left it."""
    if not all(_is_there(move, scene) for move in effect.moves):
        return False
    if effect.union:
        survivor = scene.accounts[effect.union.survivor_id]
        return _is_barred_as_left(survivor, effect.union, event, now) and _is_united(effect, effect.union, scene, now)
    return all(scene.accounts[player_id].player.merged_into is None for player_id in effect.players)


def _is_there(move: Move, scene: Scene) -> bool:
    if move.after is None:
        return scene.ownerships[move.key].player is None
    mine = scene.accounts[move.after.player_id].identities
    return (move.key, move.after) in [(linked.key, held(linked)) for linked in mine]


def _is_united(effect: Effect, union: Union, scene: Scene, now: int) -> bool:
    loser, survivor = scene.accounts[union.loser_id], scene.accounts[union.survivor_id]
    if survivor.player.merged_into is not None:
        return False
    if union.parted:
        return _ids(loser) == set(union.aliases) and _is_as_parted(loser, effect, now)
    return {union.loser_id, *union.aliases} <= _ids(survivor)


def _is_as_parted(loser: Account, effect: Effect, now: int) -> bool:
    """Whether an account that came out of another has what it came with and no more: the rest would stay behind with
    an alias, where no ban of the survivor reaches it.
    """
    came_with = {move.key for move in effect.moves if _holder(move.after) == loser.player.id}
    is_free = loser.player.merged_into is None and not loser.player.is_barred(now)
    return is_free and {linked.key for linked in loser.identities} <= came_with


def _is_barred_as_left(survivor: Account, union: Union, event: JournalEvent, now: int) -> bool:
    """Whether the survivor is kept out as the event left it, and by no ban that was decided since."""
    barred = _in_force(survivor.player.barred_until, survivor.player.barred_as, now)
    newer = [ban for ban in in_force(survivor, now) if (ban.created_at, ban.id) > (event.at, event.id)]
    return not newer and barred == _in_force(union.after.barred_until, union.after.barred_as, now)


def _ids(account: Account) -> set[int]:
    return {alias.id for alias in account.aliases}


def _in_force(until: int, kind: str, now: int) -> tuple[int, str]:
    return (until, kind) if now < until else (0, "")


def _later(event: JournalEvent, effect: Effect, scene: Scene) -> LaterChanges:
    """The refusal, with what stands in the way, the oldest first."""
    newer = [one for one in scene.later if (one.at, one.id) > (event.at, event.id)]
    cancelled = {one.reversed_by for one in newer if one.reversed_by}
    standing = [one for one in newer if not one.reversed_by and one.id not in cancelled]
    found = sorted({one.id for one in standing if _touches(one, effect)})
    return LaterChanges(facts={"events": [scene.public_id(one) for one in found]})


def _touches(later: JournalEvent, effect: Effect) -> bool:
    if cause(later) == "merged" or (effect.union and later.kind in _BARRING):
        return True
    if effect.union and effect.union.parted and later.kind in REVERSIBLE and _concerns(later, effect.union.loser_id):
        return True
    slots = {(move.key.kind, move.key.environment) for move in effect.moves}
    return later.identity is not None and (later.identity.kind, later.identity.environment) in slots


def _concerns(later: JournalEvent, player_id: int) -> bool:
    return player_id in {later.player_id, later.other_id}


# --- whether it may be ---


def _require_possible(event: JournalEvent, effect: Effect, back: Effect, scene: Scene, occasion: Occasion) -> None:
    for player_id in sorted(effect.players - _merged_now(effect)):
        require_changeable(scene.accounts[player_id], occasion)
    if not _has_room(back, scene, occasion.project.accounts.identities):
        later = _later(event, effect, scene)
        raise later if later.facts["events"] else LinkLimit
    if back.union and not back.union.parted:
        require_one_age_group(scene.accounts[back.union.loser_id], scene.accounts[back.union.survivor_id], occasion)
    _require_unbanned(back, scene, occasion)
    for player_id in {move.before.player_id for move in back.moves if move.before} - _merged_then(back):
        _require_way_in(player_id, effect, back, scene)


def _merged_now(effect: Effect) -> set[int]:
    return {effect.union.loser_id} if effect.union and not effect.union.parted else set()


def _merged_then(back: Effect) -> set[int]:
    return _merged_now(back)


def _has_room(back: Effect, scene: Scene, most: int) -> bool:
    for player_id in back.players:
        has = {linked.key for linked in scene.accounts[player_id].identities}
        gains = {move.key for move in back.moves if _holder(move.after) == player_id}
        kept = has - {move.key for move in back.moves if _holder(move.before) == player_id} | gains
        if any(of_kind(key, kept) > most for key in gains):
            return False
    return True


def _holder(held: Held | None) -> int:
    return held.player_id if held else 0


def _require_unbanned(back: Effect, scene: Scene, occasion: Occasion) -> None:
    """An identity that is banned by itself goes to nobody, but by an operator."""
    for move in back.moves:
        ban = scene.ownerships[move.key].ban
        if move.after and ban and occasion.doer.actor != "admin":
            raise refusal(ban.kind, ban.until)


def _require_way_in(player_id: int, effect: Effect, back: Effect, scene: Scene) -> None:
    """Raise `LastIdentity`, unless the account had none before what is undone either: as a ghost, or as a guest whose
    device it has yet.
    """
    lost_keys = {move.key for move in back.moves if _holder(move.before) == player_id}
    gained = any(_holder(move.after) == player_id for move in back.moves)
    left = {linked.key for linked in scene.accounts[player_id].identities} - lost_keys
    had_none = player_id in effect.ghosts or (bool(left) and player_id in effect.guests)
    if not scene.usable[player_id] - lost_keys and not gained and not had_none:
        raise LastIdentity


# --- what is written ---


def _happening(event: JournalEvent, back: Effect) -> Happening:
    """The journal's entry: who lost by the event is whom it is about now."""
    about, other = (event.other_id, event.player_id) if event.other_id else (event.player_id, 0)
    facts: dict[str, Any] = {**back.facts(), "event": event.id, "of": cause(event)}
    is_final = event.kind == "undone" or (back.union is not None and back.union.ban_id != 0)
    return Happening("undone", about, other, event.identity, facts=facts, is_final=is_final)


def _moved(move: Move, scene: Scene, now: int, marks: IdentityMarks) -> Iterator[Change]:
    """An identity goes back to whose it was, since when it was theirs."""
    before, after = move.before, move.after
    if before and after:
        yield MoveIdentity(move.key, before.player_id, after.player_id, after.since)
    elif after:
        yield LinkIdentity(move.key, after.player_id, after.since)
    elif before:
        yield UnlinkIdentity(move.key, before.player_id)
    if before:
        yield from lost(scene.accounts[before.player_id], move.key, now, UNDONE)
    if after:
        yield from spread(scene.accounts[after.player_id], move.key, marks, now)


def _united(back: Union, scene: Scene, now: int) -> Iterator[Change]:
    survivor = scene.accounts[back.survivor_id].player
    if back.parted:
        yield UnmergePlayers(back.loser_id, back.survivor_id, back.aliases)
        for player in (scene.accounts[back.loser_id].player, *_of(scene.accounts[back.survivor_id], back.aliases)):
            yield EndGrants(player.id, "", "", now, UNDONE)
            yield SetNotBefore("player", player.sub, now)
    else:
        yield MergePlayers(back.loser_id, back.survivor_id)
        yield EndSessions(back.loser_id, now, UNDONE)
    age_group = _age_group(back, scene.accounts[back.loser_id].player, survivor)
    if age_group != survivor.age_group:
        yield SetAgeGroup(survivor.id, age_group)
    if back.ban_id:
        yield from _pardoned(back, scene, now)


def _pardoned(back: Union, scene: Scene, now: int) -> Iterator[Change]:
    """The survivor without the ban that came by the merge, kept out by those that are left."""
    survivor = scene.accounts[back.survivor_id]
    own = in_force(survivor, now)
    yield from (LiftBan(ban.id, now) for ban in own if ban.id == back.ban_id)
    parts = [alias.id for alias in survivor.aliases if alias.id not in {back.loser_id, *back.aliases}]
    others = [ban for part in parts for ban in in_force(scene.accounts[part], now)]
    yield barred_by(survivor.player, (ban for ban in (*own, *others) if ban.id != back.ban_id))


def _age_group(back: Union, loser: Player, survivor: Player) -> str:
    """The survivor's: the stricter of two that become one, and what it was before if it is that of the merge yet."""
    if not back.parted:
        return stricter(loser.age_group, survivor.age_group)
    return back.after.age_group if survivor.age_group == back.before.age_group else survivor.age_group


def _of(account: Account, aliases: tuple[int, ...]) -> list[Player]:
    return [alias for alias in account.aliases if alias.id in aliases]
