"""What every storage backend must do for accounts: links, merges, bans, the journal, link codes, proofs used once.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import permutations

import pytest

from authsrv.account_models import Account, Ban, LinkedIdentity, LoadedLinkCode, Ownership
from authsrv.models import NEVER, IdentityKey, Player
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
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import AddGrant, AddPlayer, Change, LinkIdentity, RecordLogin, SetNotBefore, SetProfile
from tests.support.storage import NOW, digest, grant, identity, player
from tests.support.storage_accounts import ban, event, full_event, link_code

MARK = digest("mark")
LAST = 3


async def three_players(storage: Storage) -> None:
    """Players 1 to 3, of whom the first two have an identity each, `a` and `b`."""
    await storage.apply([AddPlayer(player(number)) for number in (1, 2, LAST)])
    await storage.apply([LinkIdentity(identity("a"), 1, NOW), LinkIdentity(identity("b"), 2, NOW + 1)])


async def account(storage: Storage, player_id: int = 1) -> Account:
    found = await storage.load_account(player_id)
    assert found is not None
    return found


async def players(storage: Storage) -> list[Player]:
    return [(await account(storage, number)).player for number in (1, 2, LAST)]


# --- accounts ---


async def test_a_player_comes_back_with_every_field(storage: Storage) -> None:
    full = replace(
        player(),
        version=7,
        barred_until=NOW + 9,
        barred_as="restricted",
        age_group="teen",
        name_from="xbox",
        merged_into=2,
    )
    await storage.apply([AddPlayer(player(2)), AddPlayer(full), AddGrant(grant(1, player_id=2))])
    assert await storage.load_subject(full.sub) == full
    assert (await account(storage)).player == full


async def test_an_account_comes_with_identities_aliases_bans_segments_and_profile(storage: Storage) -> None:
    await three_players(storage)
    old, new = replace(ban(1), lifted_at=NOW), ban(2)
    await storage.apply([MergePlayers(2, 1), AddBan(old), AddBan(new), AddBan(ban(3, player_id=2))])
    await storage.apply(
        [LinkIdentity(identity("c"), 1, NOW - 5), SetSegments(1, '{"tier":"beta"}'), SetProfile(1, "{}")]
    )
    linked = (LinkedIdentity(identity("c"), 1, NOW - 5, NOW - 5), LinkedIdentity(identity("a"), 1, NOW, NOW))
    merged = replace(player(2), merged_into=1)
    assert await account(storage) == Account(player(), linked, (merged,), (old, new), '{"tier":"beta"}', "{}")


async def test_an_account_that_nobody_has_is_none(storage: Storage) -> None:
    assert await storage.load_account(1) is None


async def test_what_is_told_of_a_player_is_replaced(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([SetDisplayName(1, "Birch", "epic"), SetAgeGroup(1, "child"), SetSegments(1, "{}")])
    changed = replace(player(), display_name="Birch", name_from="epic", age_group="child")
    assert (await account(storage)).player == changed
    assert (await account(storage)).segments == "{}"


@pytest.mark.parametrize(
    "change",
    [
        AdvanceVersion(9, 1),
        BarPlayer(9, NOW, "banned"),
        SetDisplayName(9, "x", ""),
        SetSegments(9, "{}"),
        SetAgeGroup(9, "teen"),
        AddLinkCode(link_code(1, player_id=9)),
        MergePlayers(9, 1),
        MergePlayers(1, 9),
        MoveIdentity(identity("a"), 1, 9, NOW),
        UnmergePlayers(9, 1, ()),
    ],
    ids=lambda change: type(change).__name__,
)
async def test_what_is_done_to_a_player_who_is_not_there_is_a_conflict(storage: Storage, change: Change) -> None:
    await three_players(storage)
    with pytest.raises(Conflict):
        await storage.apply([change])
    assert await players(storage) == [player(1), player(2), player(3)]


async def test_a_version_is_raised_once_by_whoever_knew_it(storage: Storage) -> None:
    await three_players(storage)
    outcomes = await asyncio.gather(*(storage.apply([AdvanceVersion(1, 1)]) for _ in range(10)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome is not None)
    assert (await account(storage)).player.version == 2


# --- finding ---


def called(number: int, name: str, project: str = "skyforge") -> Player:
    return replace(player(number, name=name), project=project)


async def rows_named(storage: Storage, prefix: str, limit: int = 9, after: Player | None = None) -> list[int]:
    """The rows of the players whose name begins so."""
    return [one.id for one in await storage.load_players_named("skyforge", prefix, limit, after)]


@pytest.mark.parametrize(
    ("prefix", "ids"),
    [
        ("ann", [3, 1, 2]),
        ("ANN", [3, 1, 2]),
        ("Anna", [2]),
        ("\uff21nn", [3, 1, 2]),
        ("STRASSE", [4]),
        ("stra\u00df", [4]),
        ("\u00e9", [5]),
        ("e", []),
        ("n", []),
        ("%", [6]),
        ("_", []),
    ],
)
async def test_players_are_found_by_how_their_name_begins_in_whatever_case(
    storage: Storage, prefix: str, ids: list[int]
) -> None:
    names = {1: "Ann", 2: "ANNA", 3: "ann", 4: "Stra\u00dfe", 5: "\u00c9mile", 6: "%", 7: ""}
    await storage.apply([AddPlayer(called(number, name)) for number, name in names.items() if number != 3])
    await storage.apply(
        [AddPlayer(called(3, "An")), SetDisplayName(3, "ann", ""), AddPlayer(called(8, "Ann", "other"))]
    )
    assert sorted(await rows_named(storage, prefix)) == sorted(ids)
    assert await rows_named(storage, prefix) == sorted(ids, key=lambda id_: ({2: 1}.get(id_, 0), id_))


async def test_players_found_by_name_come_page_by_page_each_once(storage: Storage) -> None:
    await storage.apply([AddPlayer(called(number, name)) for number, name in enumerate(["b", "a", "B", "a", "c"], 1)])
    first = await storage.load_players_named("skyforge", "", 2)
    assert [one.id for one in first] == [2, 4]
    assert await rows_named(storage, "", 2, first[-1]) == [1, 3]
    assert await rows_named(storage, "b", 2, called(1, "b")) == [3]
    assert await rows_named(storage, "", 2, called(3, "B")) == [5]
    assert await rows_named(storage, "", 2, called(5, "c")) == []


async def test_a_player_is_found_by_the_name_that_a_login_brought_and_no_longer_by_the_old_one(
    storage: Storage,
) -> None:
    await three_players(storage)
    await storage.apply([MergePlayers(LAST, 1), RecordLogin(identity("a"), 1, 1, "Birch", NOW)])
    assert (await rows_named(storage, "birch"), await rows_named(storage, "amber")) == ([1], [2, LAST])
    await storage.apply([SetDisplayName(2, "Cedar", "epic"), RecordLogin(identity("b"), 2, 1, "Birch", NOW)])
    await storage.apply([RecordLogin(identity("a"), 1, 1, "", NOW)])
    assert (await rows_named(storage, "birch"), await rows_named(storage, "cedar")) == ([1], [2])


async def test_an_identity_is_found_in_every_environment(storage: Storage) -> None:
    await three_players(storage)
    environments = ("", "RETAIL", "a|b", "z")
    keys = [IdentityKey("skyforge", "xbox", environment, "x") for environment in environments]
    others = [replace(keys[0], kind="xuid"), replace(keys[1], subject="y"), replace(keys[1], project="other")]
    await storage.apply([LinkIdentity(key, 1 + number % 2, NOW) for number, key in enumerate([*keys, *others])])
    expected = [LinkedIdentity(key, 1 + number % 2, NOW, NOW) for number, key in enumerate(keys)]
    assert list(await storage.load_identities("skyforge", "xbox", "x")) == expected
    assert await storage.load_identities("skyforge", "xbox", "z") == ()
    assert await storage.load_identities("nowhere", "xbox", "x") == ()


# --- links ---


async def test_an_unlinked_identity_is_nobodys_and_may_be_linked_again(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([UnlinkIdentity(identity("a"), 1)])
    assert await storage.load_player(identity("a")) is None
    await storage.apply([LinkIdentity(identity("a"), 2, NOW)])
    assert await storage.load_player(identity("a")) == player(2)


async def test_a_moved_identity_belongs_to_the_other_player_from_then_on(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([MoveIdentity(identity("a"), 1, 2, NOW + 7)])
    assert (await account(storage)).identities == ()
    moved = LinkedIdentity(identity("a"), 2, NOW + 7, NOW)
    assert moved in (await account(storage, 2)).identities


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(UnlinkIdentity(identity("a"), 2), id="unlinked from another player"),
        pytest.param(UnlinkIdentity(identity("c"), 1), id="nobody's unlinked"),
        pytest.param(MoveIdentity(identity("a"), 2, 3, NOW), id="moved from another player"),
        pytest.param(MoveIdentity(identity("c"), 1, 2, NOW), id="nobody's moved"),
    ],
)
async def test_an_identity_that_is_not_the_players_is_a_conflict(storage: Storage, change: Change) -> None:
    await three_players(storage)
    with pytest.raises(Conflict):
        await storage.apply([change])
    assert await storage.load_player(identity("a")) == player(1)


@pytest.mark.parametrize(
    ("idp", "subject", "ended"),
    [("steam", "a", {1}), ("epic", "a", {2}), ("steam", "b", set()), ("", "", {1, 2, 3})],
)
async def test_grants_end_by_the_identity_they_began_with(
    storage: Storage, idp: str, subject: str, ended: set[int]
) -> None:
    await three_players(storage)
    mine = [("steam", "a", 1), ("epic", "a", 1), ("xbox", "c", 1), ("steam", "a", 2)]
    grants = [
        replace(grant(number, player_id=owner), idp=of, idp_subject=whose)
        for number, (of, whose, owner) in enumerate(mine, 1)
    ]
    await storage.apply([*map(AddGrant, grants), EndGrants(1, idp, subject, NOW + 3, "unlinked")])
    loaded = [await storage.load_grant(number) for number in range(1, 5)]
    assert {one.grant.id for one in loaded if one and one.grant.revoked_at == NOW + 3} == ended
    assert {one.grant.revoked_reason for one in loaded if one} <= {"", "unlinked"}


async def test_grants_that_ended_keep_their_time_and_reason(storage: Storage) -> None:
    ended = replace(grant(), revoked_at=NOW, revoked_reason="logout")
    await storage.apply([AddPlayer(player()), AddGrant(ended), EndGrants(1, "", "", NOW + 3, "banned")])
    loaded = await storage.load_grant(1)
    assert loaded
    assert loaded.grant == ended


# --- merges ---


async def merged_into(storage: Storage) -> list[int | None]:
    return [one.merged_into for one in await players(storage)]


async def test_chains_of_merges_are_flat(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([MergePlayers(1, 2), MergePlayers(2, 3)])
    assert await merged_into(storage) == [3, 3, None]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(MergePlayers(1, 3), id="an alias merged again"),
        pytest.param(MergePlayers(3, 1), id="into an alias"),
        pytest.param(MergePlayers(2, 2), id="into itself"),
        pytest.param(MergePlayers(2, 1), id="into its own alias"),
        pytest.param(UnmergePlayers(3, 2, ()), id="what was not merged"),
        pytest.param(UnmergePlayers(1, 3, ()), id="what was merged into another"),
        pytest.param(UnmergePlayers(1, 2, (3,)), id="with what is no alias"),
    ],
)
async def test_a_merge_that_makes_no_sense_is_a_conflict(storage: Storage, change: Change) -> None:
    await three_players(storage)
    await storage.apply([MergePlayers(1, 2)])
    with pytest.raises(Conflict):
        await storage.apply([change])
    assert await merged_into(storage) == [2, None, None]


async def test_an_unmerged_account_takes_its_aliases_back(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([MergePlayers(1, 2), MergePlayers(2, 3), UnmergePlayers(2, 3, (1,))])
    assert await merged_into(storage) == [2, None, None]


async def test_a_grant_of_a_merged_account_is_its_survivors(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([AddGrant(grant()), SetProfile(2, '{"name":"B"}'), MergePlayers(1, 2)])
    loaded = await storage.load_grant(1)
    assert loaded
    assert (loaded.player, loaded.issued_as, loaded.profile) == (player(2), "sub-1", '{"name":"B"}')
    await storage.apply([UnmergePlayers(1, 2, ())])
    loaded = await storage.load_grant(1)
    assert loaded
    assert (loaded.player, loaded.issued_as, loaded.profile) == (player(1), "sub-1", "")


@pytest.mark.parametrize(
    ("sub", "is_players"), [("sub-1", True), ("sub-2", True), ("sub-3", True), ("sub-4", False), ("", False)]
)
async def test_a_token_may_name_its_player_by_every_sub_that_was_merged_into_them(
    storage: Storage, sub: str, *, is_players: bool
) -> None:
    await three_players(storage)
    await storage.apply([AddPlayer(player(4)), AddGrant(grant()), MergePlayers(1, 2), MergePlayers(2, 3)])
    loaded = await storage.load_grant(1, sub=sub)
    assert loaded
    assert loaded.sub_is_players == is_players


async def test_after_a_merge_was_undone_neither_player_has_the_others_sub(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([AddGrant(grant()), MergePlayers(1, 2), UnmergePlayers(1, 2, ())])
    found = [await storage.load_grant(1, sub=sub) for sub in ("sub-1", "sub-2")]
    assert [one.sub_is_players for one in found if one] == [True, False]


async def test_whoever_was_merged_into_another_is_given_no_identity(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([MergePlayers(1, 3)])
    for change in (
        LinkIdentity(identity("c"), 1, NOW),
        LinkIdentity(identity("c"), 1, NOW, MARK),
        MoveIdentity(identity("b"), 2, 1, NOW),
    ):
        with pytest.raises(Conflict):
            await storage.apply([change])
    assert await storage.load_player(identity("c")) is None
    assert await storage.load_player(identity("b")) == player(2)


@pytest.mark.parametrize("sub", ["sub-1", "sub-2"])
async def test_what_voids_either_account_voids_the_grants_of_a_merged_one(storage: Storage, sub: str) -> None:
    await three_players(storage)
    await storage.apply([AddGrant(grant()), MergePlayers(1, 2), SetNotBefore("player", sub, NOW + 3)])
    loaded = await storage.load_grant(1)
    assert loaded
    assert loaded.not_before == NOW + 3


# --- bans ---


async def test_a_barred_player_is_let_in_again(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([BarPlayer(1, NEVER, "banned")])
    barred = (await account(storage)).player
    assert (barred.barred_until, barred.barred_as) == (NEVER, "banned")
    await storage.apply([BarPlayer(1, 0, None)])
    assert (await account(storage)).player == player()


async def test_a_banned_identity_is_known_by_its_mark_whoever_has_it(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([AddBan(ban(1)), MarkIdentity(MARK, 1), MarkIdentity(MARK, 1)])
    assert await storage.load_ownership(identity("a"), MARK, NOW) == Ownership(player(), ban(1))
    assert await storage.load_ownership(identity("nobodys"), MARK, NOW) == Ownership(None, ban(1))
    assert await storage.load_ownership(identity("a"), digest("other"), NOW) == Ownership(player(), None)


@pytest.mark.parametrize(
    ("bans", "found"),
    [
        pytest.param([ban(1, until=NOW)], None, id="one that ended"),
        pytest.param([ban(1, until=NOW + 1)], 1, id="its last second"),
        pytest.param([replace(ban(1), lifted_at=NOW)], None, id="a lifted one"),
        pytest.param([ban(1, until=NOW + 5), ban(2), ban(3, until=NOW + 9)], 2, id="the longest"),
        pytest.param([ban(2), ban(1)], 1, id="the oldest of the longest"),
    ],
)
async def test_the_longest_ban_in_force_counts(storage: Storage, bans: Sequence[object], found: int | None) -> None:
    given = [one for one in bans if isinstance(one, type(ban()))]
    for one in given:
        await storage.apply([AddBan(one), MarkIdentity(MARK, one.id)])
    ownership = await storage.load_ownership(identity("a"), MARK, NOW)
    assert (ownership.ban.id if ownership.ban else None) == found


@pytest.mark.parametrize(
    ("found", "linked"),
    [
        pytest.param(ban(1), False, id="in force"),
        pytest.param(ban(1, until=NOW + 1), False, id="in its last second"),
        pytest.param(ban(1, until=NOW), True, id="ended"),
        pytest.param(replace(ban(1), lifted_at=NOW), True, id="lifted"),
    ],
)
async def test_a_banned_identity_is_given_to_nobody(storage: Storage, found: Ban, *, linked: bool) -> None:
    await three_players(storage)
    await storage.apply([AddBan(found), MarkIdentity(MARK, 1)])
    with nullcontext() if linked else pytest.raises(Conflict):
        await storage.apply([LinkIdentity(identity("c"), LAST, NOW, MARK)])
    assert await storage.load_player(identity("c")) == (player(LAST) if linked else None)


async def test_an_identity_with_another_mark_is_linked_and_so_is_one_whose_mark_does_not_count(
    storage: Storage,
) -> None:
    await three_players(storage)
    await storage.apply([AddBan(ban(1)), MarkIdentity(MARK, 1)])
    await storage.apply([LinkIdentity(identity("c"), LAST, NOW, digest("other")), LinkIdentity(identity("d"), 2, NOW)])
    assert await storage.load_player(identity("c")) == player(LAST)
    assert await storage.load_player(identity("d")) == player(2)


async def test_a_ban_of_nobodys_identity_is_a_conflict_once_it_is_somebodys(storage: Storage) -> None:
    await three_players(storage)
    with pytest.raises(Conflict):
        await storage.apply([AddIdentityBan(ban(1, player_id=0), identity("a")), MarkIdentity(MARK, 1)])
    await storage.apply([AddIdentityBan(ban(2, player_id=0), identity("c")), MarkIdentity(MARK, 2)])
    assert await storage.load_ownership(identity("c"), MARK, NOW) == Ownership(None, ban(2, player_id=0))


async def test_a_ban_is_lifted_once(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddBan(ban(1)), LiftBan(1, NOW + 2)])
    with pytest.raises(Conflict):
        await storage.apply([LiftBan(1, NOW + 3)])
    assert (await account(storage)).bans == (replace(ban(1), lifted_at=NOW + 2),)


async def test_a_mark_of_no_ban_is_a_conflict(storage: Storage) -> None:
    with pytest.raises(Conflict):
        await storage.apply([MarkIdentity(MARK, 1)])


MISSED: list[Change] = [ReverseEvent(1, 2), MarkIdentity(MARK, 1), AdvanceVersion(9, 1)]
"""Changes of what nobody has; a database finds some of them by a row count and some by a foreign key."""


@pytest.mark.parametrize("changes", list(permutations(MISSED)), ids=lambda found: type(found[0]).__name__)
async def test_the_first_guard_that_does_not_hold_is_the_conflict(storage: Storage, changes: Sequence[Change]) -> None:
    with pytest.raises(Conflict) as conflict:
        await storage.apply(changes)
    assert conflict.value.change == changes[0]


# --- the journal ---


async def test_an_event_comes_back_field_by_field(storage: Storage) -> None:
    await storage.apply([RecordEvent(full_event(4)), RecordEvent(event(5))])
    assert await storage.load_event(4) == full_event(4)
    assert await storage.load_event(5) == event(5)
    assert await storage.load_event(6) is None


async def test_the_newest_events_of_an_account_and_its_aliases_come_first_and_once(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([MergePlayers(2, 1)])
    given = [
        event(11),
        event(12, player_id=2),
        event(13, player_id=3),
        event(14, player_id=3, other_id=1),
        event(15, player_id=2, other_id=1),
        event(16, player_id=3, other_id=2),
    ]
    await storage.apply([RecordEvent(one) for one in given])
    assert [one.id for one in await storage.load_events(1, 9)] == [15, 14, 12, 11]
    assert [one.id for one in await storage.load_events(1, 2)] == [15, 14]
    assert [one.id for one in await storage.load_events(3, 9)] == [16, 14, 13]
    assert [one.id for one in await storage.load_events(1, 2, before=15)] == [14, 12]
    assert [one.id for one in await storage.load_events(1, 9, before=12)] == [11]
    assert await storage.load_events(1, 9, before=11) == ()
    assert await storage.load_events(9, 9) == ()


async def test_the_events_of_an_identity_are_found_by_the_whole_key(storage: Storage) -> None:
    linked = {11: identity("a"), 12: identity("b"), 13: identity("a"), 14: replace(identity("a"), environment="DEV")}
    events = [replace(event(number), identity=key) for number, key in linked.items()]
    unlinked = replace(event(15), identity=identity("a"), kind="unlinked")
    await storage.apply([RecordEvent(one) for one in (*events, unlinked, event(16))])
    assert [one.id for one in await storage.load_identity_events(identity("a"), 9)] == [15, 13, 11]
    assert [one.id for one in await storage.load_identity_events(identity("a"), 2)] == [15, 13]
    assert [one.id for one in await storage.load_identity_events(identity("a"), 9, "linked")] == [13, 11]
    assert await storage.load_identity_events(identity("a"), 1, "unlinked") == (unlinked,)
    assert await storage.load_identity_events(replace(identity("a"), kind="epic"), 9) == ()
    assert await storage.load_identity_events(replace(identity("a"), project="ironkeep"), 9) == ()


async def test_an_event_is_undone_once(storage: Storage) -> None:
    await storage.apply([RecordEvent(event(1)), ReverseEvent(1, 2)])
    with pytest.raises(Conflict):
        await storage.apply([ReverseEvent(1, 3)])
    assert await storage.load_event(1) == replace(event(1), reversed_by=2)


# --- link codes, and what counts once ---


async def test_a_link_code_is_found_with_its_player_and_used_once(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([AddLinkCode(link_code(1))])
    assert await storage.load_link_code(digest("code 1")) == LoadedLinkCode(link_code(1), player())
    assert await storage.load_link_code(digest("code 2")) is None
    await storage.apply([UseLinkCode(1, NOW + 4)])
    with pytest.raises(Conflict):
        await storage.apply([UseLinkCode(1, NOW + 5)])
    used = replace(link_code(1), used_at=NOW + 4)
    assert await storage.load_link_code(digest("code 1")) == LoadedLinkCode(used, player())


async def test_a_newer_link_code_of_a_player_replaces_the_unused_ones(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([AddLinkCode(link_code(1)), UseLinkCode(1, NOW), AddLinkCode(link_code(2))])
    await storage.apply([AddLinkCode(link_code(3, player_id=2)), AddLinkCode(link_code(4))])
    loaded = [await storage.load_link_code(digest(f"code {number}")) for number in range(1, 5)]
    assert [one.code.id for one in loaded if one] == [1, 3, 4]


async def test_the_newest_link_code_of_a_player_is_found_used_or_not(storage: Storage) -> None:
    await three_players(storage)
    assert await storage.load_newest_link_code(1) is None
    await storage.apply([AddLinkCode(link_code(1)), UseLinkCode(1, NOW), AddLinkCode(link_code(2, player_id=2))])
    assert await storage.load_newest_link_code(1) == replace(link_code(1), used_at=NOW)
    await storage.apply([AddLinkCode(link_code(3))])
    assert await storage.load_newest_link_code(1) == link_code(3)


async def test_a_link_code_that_somebody_has_is_a_conflict(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([AddLinkCode(link_code(1))])
    with pytest.raises(Conflict):
        await storage.apply([AddLinkCode(replace(link_code(2, player_id=2), code_hash=digest("code 1")))])


async def test_a_proof_counts_once_however_many_bring_it(storage: Storage) -> None:
    uses = [storage.apply([UseOnce(digest("proof"), NOW + 60)]) for _ in range(10)]
    outcomes = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 9


async def test_link_codes_and_used_proofs_go_when_they_have_expired(storage: Storage) -> None:
    await three_players(storage)
    await storage.apply([AddLinkCode(link_code(1)), UseOnce(digest("proof"), NOW + 60)])
    assert (await storage.sweep(NOW + 60, 10)).rows == 0
    assert (await storage.sweep(NOW + 61, 10)).rows == 1
    await storage.apply([UseOnce(digest("proof"), NOW + 90)])
    assert (await storage.sweep(NOW + 601, 10)).rows == 2
    assert await storage.load_link_code(digest("code 1")) is None
