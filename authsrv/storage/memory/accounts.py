"""What the changes about accounts do to the memory backend's tables, and what is read of them.

Owns guards and row changes; the model that `statements/accounts.py` is held against. Knows no transaction.
"""

from dataclasses import replace
from typing import Literal

from authsrv.account_models import (
    Account,
    Ban,
    EventKind,
    JournalEvent,
    LinkCode,
    LinkedIdentity,
    LoadedLinkCode,
    Ownership,
)
from authsrv.models import Digest, Grant, IdentityKey, Player
from authsrv.storage.account_changes import (
    AddBan,
    AddIdentityBan,
    AddLinkCode,
    AdvanceVersion,
    BarPlayer,
    EndGrants,
    LiftBan,
    MarkIdentity,
    MergePlayers,
    MoveIdentity,
    RecordEvent,
    ReverseEvent,
    SetAgeGroup,
    SetDisplayName,
    SetSegments,
    UnlinkIdentity,
    UnmergePlayers,
    UseLinkCode,
    UseOnce,
)
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change
from authsrv.storage.memory.tables import Tables, bans_on, end_grants, guard, write
from authsrv.storage.rows.accounts import longest, newest
from authsrv.storage.rows.base import name_key


def ownership(tables: Tables, key: IdentityKey, mark: Digest, now: int) -> Ownership:
    """Whose an identity is, and the longest ban on it."""
    linked = tables.identities.get(key)
    return Ownership(tables.players[linked.player_id] if linked else None, longest(bans_on(tables, mark, now)))


def account(tables: Tables, player_id: int) -> Account | None:
    """A player with everything they own."""
    player = tables.players.get(player_id)
    if player is None:
        return None
    mine = [linked for linked in tables.identities.values() if linked.player_id == player_id]
    return Account(
        player,
        tuple(sorted(mine, key=lambda linked: (linked.linked_at, *_words(linked.key)))),
        _aliases(tables, player_id),
        tuple(ban for _, ban in sorted(tables.bans.items()) if ban.player_id == player_id),
        tables.segments.get(player_id, ""),
        tables.profiles.get(player_id, ""),
    )


def identities(tables: Tables, project: str, kind: str, subject: str) -> tuple[LinkedIdentity, ...]:
    """The identities of this kind and id in every environment."""
    found = [key for key in tables.identities if (key.project, key.kind, key.subject) == (project, kind, subject)]
    return tuple(tables.identities[key] for key in sorted(found, key=_words))


def named(tables: Tables, project: str, prefix: str, after: Player | None) -> tuple[Player, ...]:
    """Players whose name begins so, those after one of them."""

    def place(player: Player) -> tuple[str, int]:
        return name_key(player.display_name), player.id

    of_project = [player for player in tables.players.values() if player.project == project and player.display_name]
    found = [player for player in of_project if place(player)[0].startswith(name_key(prefix))]
    return tuple(player for player in sorted(found, key=place) if after is None or place(player) > place(after))


def _words(key: IdentityKey) -> tuple[str, str, str]:
    return key.kind, key.environment, key.subject


def _aliases(tables: Tables, player_id: int) -> tuple[Player, ...]:
    return tuple(player for _, player in sorted(tables.players.items()) if player.merged_into == player_id)


def subs_of(tables: Tables, player_id: int) -> set[str]:
    """The `sub` of a player, and those of all who were merged into it."""
    return {tables.players[player_id].sub, *(alias.sub for alias in _aliases(tables, player_id))}


def events(tables: Tables, player_id: int, limit: int, before: int) -> tuple[JournalEvent, ...]:
    """What was done to an account and to those merged into it, the newest first."""
    mine = {player_id, *(alias.id for alias in _aliases(tables, player_id))}
    found = [e for e in tables.events.values() if e.player_id in mine or e.other_id == player_id != 0]
    return newest((e for e in found if e.id < before), limit)


def identity_events(
    tables: Tables, key: IdentityKey, limit: int, kind: EventKind | Literal[""]
) -> tuple[JournalEvent, ...]:
    """What was done about an identity, the newest first."""
    return newest((e for e in tables.events.values() if e.identity == key and kind in {"", e.kind}), limit)


def link_code(tables: Tables, code_hash: Digest) -> LoadedLinkCode | None:
    """A link code and its player."""
    code = next((code for code in tables.link_codes.values() if code.code_hash == code_hash), None)
    return LoadedLinkCode(code, tables.players[code.player_id]) if code else None


def newest_link_code(tables: Tables, player_id: int) -> LinkCode | None:
    """The last link code of a player."""
    return max(
        (code for code in tables.link_codes.values() if code.player_id == player_id),
        key=lambda code: code.id,
        default=None,
    )


def _player(tables: Tables, player_id: int, change: Change) -> Player:
    player = tables.players.get(player_id)
    if player is None:
        raise Conflict(change)
    return player


@write.register
def _(change: AdvanceVersion, tables: Tables) -> None:
    player = _player(tables, change.player_id, change)
    guard(player.version == change.version, change)
    tables.players[player.id] = replace(player, version=player.version + 1)


@write.register
def _(change: UnlinkIdentity, tables: Tables) -> None:
    linked = tables.identities.get(change.key)
    guard(linked and linked.player_id == change.player_id, change)
    del tables.identities[change.key]


@write.register
def _(change: MoveIdentity, tables: Tables) -> None:
    linked = tables.identities.get(change.key)
    if linked is None or linked.player_id != change.from_id or not tables.stands_alone(change.to_id):
        raise Conflict(change)
    tables.identities[change.key] = replace(linked, player_id=change.to_id, linked_at=change.now)


@write.register
def _(change: EndGrants, tables: Tables) -> None:
    account = change.idp, change.idp_subject

    def ends(grant: Grant) -> bool:
        return grant.player_id == change.player_id and (not change.idp or (grant.idp, grant.idp_subject) == account)

    end_grants(tables, ends, change.now, change.reason)


@write.register
def _(change: MergePlayers, tables: Tables) -> None:
    loser, survivor = (_player(tables, id_, change) for id_ in (change.loser_id, change.survivor_id))
    guard(loser.merged_into is None and survivor.merged_into is None and loser.id != survivor.id, change)
    for alias in (loser, *_aliases(tables, loser.id)):
        tables.players[alias.id] = replace(alias, merged_into=survivor.id)


@write.register
def _(change: UnmergePlayers, tables: Tables) -> None:
    for player_id, into in ((change.loser_id, None), *((alias, change.loser_id) for alias in change.aliases)):
        player = _player(tables, player_id, change)
        guard(player.merged_into == change.survivor_id, change)
        tables.players[player.id] = replace(player, merged_into=into)


@write.register
def _(change: BarPlayer, tables: Tables) -> None:
    player = _player(tables, change.player_id, change)
    tables.players[player.id] = replace(player, barred_until=change.until, barred_as=change.kind or "")


@write.register
def _(change: AddBan, tables: Tables) -> None:
    guard(change.ban.id not in tables.bans, change)
    tables.bans[change.ban.id] = change.ban


@write.register
def _(change: AddIdentityBan, tables: Tables) -> None:
    guard(change.ban.id not in tables.bans and change.key not in tables.identities, change)
    tables.bans[change.ban.id] = change.ban


@write.register
def _(change: MarkIdentity, tables: Tables) -> None:
    guard(change.ban_id in tables.bans, change)
    tables.identity_bans.add((change.digest, change.ban_id))


@write.register
def _(change: LiftBan, tables: Tables) -> None:
    ban: Ban | None = tables.bans.get(change.ban_id)
    if ban is None or ban.lifted_at is not None:
        raise Conflict(change)
    tables.bans[ban.id] = replace(ban, lifted_at=change.now)


@write.register
def _(change: SetDisplayName, tables: Tables) -> None:
    player = _player(tables, change.player_id, change)
    tables.players[player.id] = replace(player, display_name=change.display_name, name_from=change.name_from)


@write.register
def _(change: SetSegments, tables: Tables) -> None:
    tables.segments[_player(tables, change.player_id, change).id] = change.segments


@write.register
def _(change: SetAgeGroup, tables: Tables) -> None:
    player = _player(tables, change.player_id, change)
    tables.players[player.id] = replace(player, age_group=change.age_group)


@write.register
def _(change: RecordEvent, tables: Tables) -> None:
    guard(change.event.id not in tables.events, change)
    tables.events[change.event.id] = change.event


@write.register
def _(change: ReverseEvent, tables: Tables) -> None:
    event: JournalEvent | None = tables.events.get(change.event_id)
    if event is None or event.reversed_by:
        raise Conflict(change)
    tables.events[event.id] = replace(event, reversed_by=change.reversed_by)


@write.register
def _(change: UseOnce, tables: Tables) -> None:
    guard(change.digest not in tables.used_proofs, change)
    tables.used_proofs[change.digest] = change.expires_at


@write.register
def _(change: AddLinkCode, tables: Tables) -> None:
    code = change.code
    unused = [one.id for one in tables.link_codes.values() if one.player_id == code.player_id and one.used_at is None]
    for code_id in unused:
        del tables.link_codes[code_id]
    taken = code.id in tables.link_codes or link_code(tables, code.code_hash) is not None
    guard(not taken and code.player_id in tables.players, change)
    tables.link_codes[code.id] = code


@write.register
def _(change: UseLinkCode, tables: Tables) -> None:
    code: LinkCode | None = tables.link_codes.get(change.code_id)
    if code is None or code.used_at is not None:
        raise Conflict(change)
    tables.link_codes[code.id] = replace(code, used_at=change.now)
