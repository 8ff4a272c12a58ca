"""What was done to accounts is taken back, as long as nothing was done to it since."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from authsrv.account_models import Account, Doer, JournalEvent, LinkedIdentity
from authsrv.accounts.banning import Sentence, ban_identity, unban
from authsrv.accounts.banning import ban as sentenced
from authsrv.accounts.effects import Effect, Move, effect_of, held
from authsrv.accounts.journal import Happening, Occasion, Planned
from authsrv.accounts.linking import link
from authsrv.accounts.merging import merge
from authsrv.accounts.transferring import transfer
from authsrv.accounts.undoing import Scene, undo
from authsrv.errors import AccessDenied, AccountConflict, LastIdentity, LaterChanges, LinkLimit, UserNotFound
from authsrv.models import NEVER, IdentityKey, Player
from authsrv.storage.account_changes import AdvanceVersion, RecordEvent, SetAgeGroup, UnlinkIdentity
from authsrv.storage.base import Storage
from authsrv.storage.changes import AddGrant
from tests.support.accounts import (
    ADMIN,
    BACKEND,
    MARKS,
    account,
    banned,
    done,
    ending_of,
    key,
    occasion,
    reloaded,
    signed_in,
    stored,
)
from tests.support.storage import NOW, grant, memory_storage
from tests.support.storage_accounts import ban

DAY = 86400
FIRST, SECOND, THIRD = account(1, "steam", "epic"), account(2, "xbox"), account(3, "guest")
STEAM = key("steam", "steam-1")
NEW = key("eos_puid", "eos-1")


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    opened = memory_storage()
    await opened.open()
    await stored(opened, FIRST, SECOND, THIRD)
    yield opened
    await opened.close()


def unlink(wanted: IdentityKey, of: Account, on: Occasion) -> Planned:
    """An unlink as the journal has it."""
    linked = next(linked for linked in of.identities if linked.key == wanted)
    effect = Effect((Move(wanted, held(linked), None),))
    event = on.event(Happening("unlinked", of.player.id, identity=wanted, facts=effect.facts()))
    version = AdvanceVersion(of.player.id, of.player.version)
    return Planned(event, (version, UnlinkIdentity(wanted, of.player.id), RecordEvent(event)))


async def scene(storage: Storage, event: JournalEvent, usable: bool = True) -> Scene:
    """What an undo finds in the storage. All identities are ways in, or none."""
    effect = effect_of(event.project, json.loads(event.facts))
    loaded = [await storage.load_account(player_id) for player_id in effect.players]
    accounts = {one.player.id: one for one in loaded if one is not None}
    aliases = [await reloaded(storage, alias.id) for one in accounts.values() for alias in one.aliases]
    keys = {move.key for move in effect.moves}
    history = [one for player_id in accounts for one in await storage.load_events(player_id, 99)]
    return Scene(
        {one.player.id: one for one in (*aliases, *accounts.values())},
        {one: await storage.load_ownership(one, MARKS.of(one), NOW + 200) for one in keys},
        {
            player_id: frozenset(linked.key for linked in one.identities if usable)
            for player_id, one in accounts.items()
        },
        [*history, *[one for wanted in keys for one in await storage.load_identity_events(wanted, 99)]],
        lambda event_id: f"ev-{event_id}",
    )


async def undone(storage: Storage, event: JournalEvent, on: Occasion | None = None, *, usable: bool = True) -> Planned:
    """Undo an event in the storage."""
    known = await storage.load_event(event.id)
    assert known is not None
    planned = undo(known, await scene(storage, event, usable), on or occasion(now=NOW + 200), MARKS)
    await done(storage, planned)
    return planned


async def three(storage: Storage) -> list[Account]:
    """All three players, as if no version had risen."""
    found = [await reloaded(storage, number) for number in (1, 2, 3)]
    return [
        replace(one, player=as_first(one.player), aliases=tuple(map(as_first, one.aliases)), bans=()) for one in found
    ]


def as_first(player: Player) -> Player:
    return replace(player, version=1)


Deed = Callable[[Account, Account, Occasion], Planned]


def link_new(first: Account, _: Account, on: Occasion) -> Planned:
    return link(NEW, first, on, MARKS)


def unlink_steam(first: Account, _: Account, on: Occasion) -> Planned:
    return unlink(STEAM, first, on)


def transfer_steam(first: Account, second: Account, on: Occasion) -> Planned:
    return transfer(STEAM, first, second, on, MARKS)


def merge_both(first: Account, second: Account, on: Occasion) -> Planned:
    return merge(first, second, on, MARKS, drop_duplicates=True)


DEEDS = [link_new, unlink_steam, transfer_steam, merge_both]
deeds = pytest.mark.parametrize("deed", DEEDS)


# --- what comes back ---


@deeds
async def test_an_undo_leaves_everything_as_it_was(storage: Storage, deed: Deed) -> None:
    before = await three(storage)
    planned = deed(FIRST, SECOND, occasion())
    await done(storage, planned)
    assert await three(storage) != before
    await undone(storage, planned.event)
    assert await three(storage) == before


@deeds
async def test_an_undo_is_an_event_that_can_be_undone_once(storage: Storage, deed: Deed) -> None:
    planned = deed(FIRST, SECOND, occasion())
    await done(storage, planned)
    after = await three(storage)
    first = await undone(storage, planned.event)
    assert (first.event.kind, first.event.reversible_until) == ("undone", NOW + 200 + 14 * DAY)
    second = await undone(storage, first.event)
    assert await three(storage) == after
    assert second.event.reversible_until == 0
    with pytest.raises(AccessDenied) as refused:
        await undone(storage, second.event)
    assert refused.value.reason == "not_reversible"


@deeds
async def test_nothing_is_undone_twice(storage: Storage, deed: Deed) -> None:
    planned = deed(FIRST, SECOND, occasion())
    await done(storage, planned)
    undoing = await undone(storage, planned.event)
    assert await storage.load_event(planned.event.id) == replace(planned.event, reversed_by=undoing.event.id)
    with pytest.raises(LaterChanges) as refused:
        await undone(storage, planned.event)
    assert refused.value.facts == {"events": [f"ev-{undoing.event.id}"]}


@pytest.mark.parametrize(("after", "possible"), [(14 * DAY - 1, True), (14 * DAY, False)])
async def test_an_event_can_be_undone_for_as_long_as_the_project_says(
    storage: Storage, after: int, *, possible: bool
) -> None:
    planned = merge_both(FIRST, SECOND, occasion())
    await done(storage, planned)
    later = occasion(now=NOW + 100 + after)
    if possible:
        await undone(storage, planned.event, later)
        return
    with pytest.raises(AccessDenied) as refused:
        await undone(storage, planned.event, later)
    assert refused.value.reason == "not_reversible"


async def test_a_detached_duplicate_comes_back_too(storage: Storage) -> None:
    twin = account(4, "steam", "eos_puid")
    await stored(storage, twin)
    planned = merge(twin, FIRST, occasion(), MARKS, drop_duplicates=True)
    await done(storage, planned)
    await undone(storage, planned.event)
    assert (await reloaded(storage, 4)).identities == twin.identities
    assert (await reloaded(storage, 1)).identities == FIRST.identities


async def test_a_ghost_gets_its_only_platform_account_back(storage: Storage) -> None:
    planned = transfer(key("guest", "guest-3"), THIRD, FIRST, occasion(), MARKS)
    await done(storage, planned)
    assert (await reloaded(storage, 3)).identities == ()
    await undone(storage, planned.event)
    assert (await reloaded(storage, 3)).identities == THIRD.identities


async def test_the_account_takes_its_own_aliases_back_and_leaves_the_others(storage: Storage) -> None:
    first, second = account(4, "steam", aliases=[7]), account(5, "epic", aliases=[8])
    await stored(storage, first, second)
    planned = merge_both(first, second, occasion())
    await done(storage, planned)
    await undone(storage, planned.event)
    assert [alias.id for alias in (await reloaded(storage, 4)).aliases] == [7]
    assert [alias.id for alias in (await reloaded(storage, 5)).aliases] == [8]


async def test_the_journal_says_who_has_what_was_taken_back(storage: Storage) -> None:
    planned = transfer_steam(FIRST, SECOND, occasion())
    await done(storage, planned)
    event = (await undone(storage, planned.event)).event
    assert (event.player_id, event.other_id, event.identity) == (1, 2, STEAM)
    assert json.loads(event.facts)["of"] == "transferred"
    assert json.loads(event.facts)["event"] == planned.event.id
    assert [one.kind for one in await storage.load_events(2, 9)] == ["undone", "transferred"]


# --- the stricter of two ---


async def test_the_age_group_before_comes_back_with_the_account(storage: Storage) -> None:
    await storage.apply([SetAgeGroup(1, "child"), SetAgeGroup(2, "adult")])
    first, second = await reloaded(storage, 1), await reloaded(storage, 2)
    planned = merge(first, second, occasion(merge_across_age_groups=True), MARKS)
    await done(storage, planned)
    await undone(storage, planned.event)
    assert [(await reloaded(storage, number)).player.age_group for number in (1, 2)] == ["child", "adult"]


async def test_an_age_group_that_changed_since_stays(storage: Storage) -> None:
    await storage.apply([SetAgeGroup(1, "teen"), SetAgeGroup(2, "adult")])
    first, second = await reloaded(storage, 1), await reloaded(storage, 2)
    planned = merge(first, second, occasion(merge_across_age_groups=True), MARKS)
    await done(storage, planned)
    await storage.apply([SetAgeGroup(2, "child")])
    await undone(storage, planned.event)
    assert (await reloaded(storage, 2)).player.age_group == "child"


@pytest.mark.parametrize("banned", [1, 2])
async def test_a_ban_that_came_with_a_merge_goes_with_it_and_the_one_it_came_from_stays(
    storage: Storage, banned: int
) -> None:
    first = account(4, "steam", bans=[ban(4, player_id=4)] if banned == 1 else [])
    second = account(5, "epic", bans=[ban(5, player_id=5)] if banned == 2 else [])
    await stored(storage, first, second)
    planned = merge_both(first, second, occasion(ADMIN))
    await done(storage, planned)
    undoing = await undone(storage, planned.event, occasion(ADMIN, now=NOW + 200))
    until = [(await reloaded(storage, number)).player.barred_until for number in (4, 5)]
    assert until == [NEVER if banned == 1 else 0, NEVER if banned == 2 else 0]
    for number, kind in ((4, "steam"), (5, "epic")):
        mine = key(kind, f"{kind}-{number}")
        found = await storage.load_ownership(mine, MARKS.of(mine), NOW + 201)
        assert (found.ban is not None) == (banned == number - 3)
    assert undoing.event.reversible_until == 0


async def barred_and_merged(storage: Storage) -> JournalEvent:
    """Two banned players became one: the first one for good, the second one, who remains, for some time."""
    await stored(storage, account(4, "steam", bans=[ban(4, player_id=4)]))
    await stored(storage, account(5, "epic", bans=[ban(5, player_id=5, until=NOW + 1000)]))
    return await performed(
        storage, merge_both(await reloaded(storage, 4), await reloaded(storage, 5), occasion(ADMIN, now=NOW + 100))
    )


async def test_who_was_forgiven_since_is_not_barred_again_when_the_ban_of_a_merge_goes_with_it(
    storage: Storage,
) -> None:
    """By nothing that anybody could lift."""
    event = await barred_and_merged(storage)
    both = [await reloaded(storage, number) for number in (5, 4)]
    forgiven = unban(both, "banned", occasion(ADMIN, now=NOW + 150), ban_id=5)
    assert forgiven
    await done(storage, forgiven)
    await undone(storage, event, occasion(ADMIN, now=NOW + 200))
    assert [(await reloaded(storage, number)).player.barred_until for number in (4, 5)] == [NEVER, 0]


async def test_what_bars_a_merged_part_of_the_survivor_bars_them_yet_when_another_merge_is_undone(
    storage: Storage,
) -> None:
    await barred_and_merged(storage)
    both = [await reloaded(storage, number) for number in (5, 4)]
    (merged,) = [one.id for one in both[0].bans if one.id != 5]
    forgiven = unban(both, "banned", occasion(ADMIN, now=NOW + 150), ban_id=merged)
    assert forgiven
    await done(storage, forgiven)
    await stored(storage, account(6, "xbox", bans=[ban(6, player_id=6)]))
    event = await performed(
        storage, merge_both(await reloaded(storage, 6), await reloaded(storage, 5), occasion(ADMIN, now=NOW + 160))
    )
    await undone(storage, event, occasion(ADMIN, now=NOW + 200))
    assert (await reloaded(storage, 5)).player.barred_until == NEVER


async def test_a_merge_is_not_undone_once_its_survivor_was_banned_again_for_no_longer(storage: Storage) -> None:
    """Else the ban of the merge would take the other one along."""
    event = await barred_and_merged(storage)
    both = [await reloaded(storage, number) for number in (5, 4)]
    sentence = await performed(
        storage, sentenced(both, Sentence("banned", NOW + 500), occasion(ADMIN, now=NOW + 150), MARKS)
    )
    with pytest.raises(LaterChanges) as refused:
        await undone(storage, event, occasion(ADMIN, now=NOW + 200))
    assert refused.value.facts == {"events": [f"ev-{sentence.id}"]}
    await undone(storage, event, occasion(ADMIN, now=NOW + 500))


# --- what ends ---


async def test_what_was_given_by_an_identity_that_is_lost_ends_and_the_rest_stays(storage: Storage) -> None:
    planned = transfer_steam(FIRST, SECOND, occasion())
    await done(storage, planned)
    by = [("steam", "steam-1", 2), ("xbox", "xbox-2", 2), ("epic", "epic-1", 1)]
    for number, (idp, subject, owner) in enumerate(by, 1):
        await storage.apply([AddGrant(replace(grant(number, player_id=owner), idp=idp, idp_subject=subject))])
    await signed_in(storage, (2, "steam", "steam-1"), (2, "xbox", "xbox-2"))
    await undone(storage, planned.event)
    loaded = [await storage.load_grant(number) for number in (1, 2, 3)]
    assert [one.grant.revoked_reason for one in loaded if one] == ["undone", "", ""]
    assert [await ending_of(storage, number) for number in (1, 2)] == ["undone", ""]


async def test_after_an_undone_merge_nothing_that_the_other_player_was_given_is_good(storage: Storage) -> None:
    """Its clients have tokens that name the survivor."""
    first = account(4, "steam", aliases=[7])
    await stored(storage, first)
    of_loser = [
        replace(grant(number, player_id=owner), idp="epic", idp_subject="x") for number, owner in ((1, 4), (2, 7))
    ]
    await storage.apply([AddGrant(one) for one in (*of_loser, replace(grant(3, player_id=2), idp="xbox"))])
    planned = merge_both(first, SECOND, occasion())
    await done(storage, planned)
    await undone(storage, planned.event)
    loaded = [await storage.load_grant(number) for number in (1, 2, 3)]
    assert [one.grant.revoked_reason for one in loaded if one] == ["undone", "undone", ""]
    found = await storage.load_revocations(0, NOW + 200)
    assert found.not_befores == {("player", "sub-4"): NOW + 200, ("player", "sub-7"): NOW + 200}


async def test_both_versions_rise(storage: Storage) -> None:
    planned = merge_both(FIRST, SECOND, occasion())
    await done(storage, planned)
    await undone(storage, planned.event)
    assert [(await reloaded(storage, number)).player.version for number in (1, 2)] == [3, 3]


# --- what stands in the way ---


async def later_link(storage: Storage) -> JournalEvent:
    """Steam goes from the first player to nobody, and then to the third one."""
    await done(storage, unlink(STEAM, await reloaded(storage, 1), occasion(now=NOW + 150)))
    return await performed(storage, link(STEAM, await reloaded(storage, 3), occasion(now=NOW + 160), MARKS))


async def performed(storage: Storage, planned: Planned) -> JournalEvent:
    await done(storage, planned)
    return planned.event


async def refusal_of(storage: Storage, event: JournalEvent) -> list[str]:
    with pytest.raises(LaterChanges) as refused:
        await undone(storage, event)
    events: list[str] = refused.value.facts["events"]
    return events


async def test_a_link_whose_identity_went_on_is_not_undone(storage: Storage) -> None:
    linked = await performed(storage, link_new(FIRST, SECOND, occasion()))
    gone = await performed(storage, unlink(NEW, await reloaded(storage, 1), occasion(now=NOW + 150)))
    assert await refusal_of(storage, linked) == [f"ev-{gone.id}"]


async def test_an_unlink_is_not_undone_once_somebody_has_the_identity(storage: Storage) -> None:
    gone = await performed(storage, unlink_steam(FIRST, SECOND, occasion()))
    taken = await performed(storage, link(STEAM, THIRD, occasion(now=NOW + 150), MARKS))
    assert await refusal_of(storage, gone) == [f"ev-{taken.id}"]


async def test_an_unlink_is_not_undone_once_the_player_has_another_of_the_kind(storage: Storage) -> None:
    gone = await performed(storage, unlink_steam(FIRST, SECOND, occasion()))
    other = key("steam", "another")
    taken = await performed(storage, link(other, await reloaded(storage, 1), occasion(now=NOW + 150), MARKS))
    assert await refusal_of(storage, gone) == [f"ev-{taken.id}"]


async def test_an_unlink_is_not_undone_once_the_project_allows_fewer_of_the_kind(storage: Storage) -> None:
    two = account(4, "steam", key("steam", "steam-8"))
    await stored(storage, two)
    gone = await performed(storage, unlink(key("steam", "steam-8"), two, occasion(identities=2)))
    with pytest.raises(LinkLimit):
        await undone(storage, gone)


async def test_an_identity_that_left_and_came_back_by_itself_is_not_as_it_was(storage: Storage) -> None:
    linked = await performed(storage, link_new(FIRST, SECOND, occasion()))
    gone = await performed(storage, unlink(NEW, await reloaded(storage, 1), occasion(now=NOW + 150)))
    again = await performed(storage, link(NEW, await reloaded(storage, 1), occasion(now=NOW + 160), MARKS))
    assert await refusal_of(storage, linked) == [f"ev-{gone.id}", f"ev-{again.id}"]


async def test_what_was_itself_undone_stands_in_nobodys_way(storage: Storage) -> None:
    linked = await performed(storage, link_new(FIRST, SECOND, occasion()))
    gone = await performed(storage, unlink(NEW, await reloaded(storage, 1), occasion(now=NOW + 150)))
    await undone(storage, gone, occasion(now=NOW + 160))
    await undone(storage, linked)
    assert await three(storage) == [FIRST, SECOND, THIRD]


async def test_a_link_is_not_undone_once_its_player_was_merged(storage: Storage) -> None:
    linked = await performed(storage, link_new(FIRST, SECOND, occasion()))
    merged = await performed(storage, merge_both(await reloaded(storage, 1), SECOND, occasion(now=NOW + 150)))
    assert await refusal_of(storage, linked) == [f"ev-{merged.id}"]


async def test_the_first_of_two_merges_in_a_row_is_undone_after_the_second_alone(storage: Storage) -> None:
    first = await performed(storage, merge_both(FIRST, SECOND, occasion()))
    second = await performed(storage, merge_both(await reloaded(storage, 2), THIRD, occasion(now=NOW + 150)))
    assert await refusal_of(storage, first) == [f"ev-{second.id}"]
    await undone(storage, second)
    await undone(storage, first)
    assert await three(storage) == [FIRST, SECOND, THIRD]


async def test_one_of_two_merges_into_the_same_player_is_undone_by_itself(storage: Storage) -> None:
    first = await performed(storage, merge_both(FIRST, THIRD, occasion()))
    await done(storage, merge_both(SECOND, await reloaded(storage, 3), occasion(now=NOW + 150)))
    await undone(storage, first)
    assert [alias.id for alias in (await reloaded(storage, 3)).aliases] == [2]
    assert (await reloaded(storage, 1)).identities == FIRST.identities


@pytest.mark.parametrize("deed", [transfer_steam, merge_both])
async def test_nothing_is_undone_after_an_identity_that_it_moved_was_moved_again(storage: Storage, deed: Deed) -> None:
    event = await performed(storage, deed(FIRST, SECOND, occasion()))
    holder = await reloaded(storage, 2)
    moved = await performed(storage, transfer(STEAM, holder, THIRD, occasion(now=NOW + 150), MARKS))
    assert await refusal_of(storage, event) == [f"ev-{moved.id}"]


async def test_a_detached_identity_that_became_a_new_players_stays_theirs(storage: Storage) -> None:
    twin = account(4, "steam", "eos_puid")
    await stored(storage, twin)
    merged = await performed(storage, merge(twin, FIRST, occasion(), MARKS, drop_duplicates=True))
    taken = await performed(storage, link(key("steam", "steam-4"), THIRD, occasion(now=NOW + 150), MARKS))
    assert await refusal_of(storage, merged) == [f"ev-{taken.id}"]


# --- a merge that was undone, and comes back ---


async def parted(storage: Storage) -> JournalEvent:
    """The event by which the first player came out of the second again."""
    merged = await performed(storage, merge_both(await reloaded(storage, 1), await reloaded(storage, 2), occasion()))
    return (await undone(storage, merged, occasion(now=NOW + 120))).event


async def test_a_merge_does_not_come_back_once_the_other_player_has_another_platform_account(storage: Storage) -> None:
    """It would stay with the alias, where no ban of the survivor reaches it."""
    event = await parted(storage)
    linked = await performed(storage, link(NEW, await reloaded(storage, 1), occasion(now=NOW + 150), MARKS))
    assert await refusal_of(storage, event) == [f"ev-{linked.id}"]
    await done(storage, unlink(NEW, await reloaded(storage, 1), occasion(now=NOW + 160)))
    await undone(storage, event)
    assert (await reloaded(storage, 1)).identities == ()


async def test_a_merge_comes_back_whatever_its_survivor_was_given_meanwhile(storage: Storage) -> None:
    event = await parted(storage)
    await done(storage, link(NEW, await reloaded(storage, 2), occasion(now=NOW + 150), MARKS))
    await undone(storage, event)
    kinds = [linked.key.kind for linked in (await reloaded(storage, 2)).identities]
    assert sorted(kinds) == ["eos_puid", "epic", "steam", "xbox"]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("doer", [BACKEND, ADMIN])
async def test_a_merge_does_not_come_back_once_either_player_was_banned(
    storage: Storage, number: int, doer: Doer
) -> None:
    event = await parted(storage)
    sentence = await performed(
        storage, sentenced([await reloaded(storage, number)], Sentence("banned"), occasion(ADMIN, now=NOW + 150), MARKS)
    )
    with pytest.raises(LaterChanges) as refused:
        await undone(storage, event, occasion(doer, now=NOW + 200))
    assert refused.value.facts == {"events": [f"ev-{sentence.id}"]}


async def test_when_a_merge_comes_back_the_stricter_age_group_of_the_day_remains(storage: Storage) -> None:
    await storage.apply([SetAgeGroup(1, "adult"), SetAgeGroup(2, "adult")])
    event = await parted(storage)
    await storage.apply([SetAgeGroup(1, "child")])
    await undone(storage, event, occasion(now=NOW + 200, merge_across_age_groups=True))
    assert (await reloaded(storage, 2)).player.age_group == "child"


async def test_no_merge_comes_back_of_players_whose_age_groups_differ_by_now(storage: Storage) -> None:
    event = await parted(storage)
    await storage.apply([SetAgeGroup(1, "child"), SetAgeGroup(2, "adult")])
    with pytest.raises(AccountConflict) as refused:
        await undone(storage, event)
    assert refused.value.reason == "age_group"


# --- who must not lose, or get, what ---


async def test_D48_an_undo_takes_nobodys_last_way_in(storage: Storage) -> None:
    linked = await performed(storage, link_new(FIRST, SECOND, occasion()))
    for number, wanted in enumerate([STEAM, key("epic", "epic-1")], 1):
        await done(storage, unlink(wanted, await reloaded(storage, 1), occasion(now=NOW + 150 + number)))
    with pytest.raises(LastIdentity):
        await undone(storage, linked)


async def test_D48_ways_in_that_the_project_has_no_more_do_not_count(storage: Storage) -> None:
    linked = await performed(storage, link_new(FIRST, SECOND, occasion()))
    with pytest.raises(LastIdentity):
        await undone(storage, linked, usable=False)


@pytest.mark.parametrize("has_the_device", [True, False])
async def test_D48_a_guest_who_linked_is_a_guest_again_but_not_without_the_device(
    storage: Storage, *, has_the_device: bool
) -> None:
    linked = await performed(storage, link(NEW, THIRD, occasion(), MARKS))
    if has_the_device:
        await undone(storage, linked, usable=False)
        return
    await done(storage, unlink(key("guest", "guest-3"), await reloaded(storage, 3), occasion(now=NOW + 150)))
    with pytest.raises(LastIdentity):
        await undone(storage, linked)


async def test_an_account_without_a_way_in_before_is_without_one_again(storage: Storage) -> None:
    ghost = account(4)
    await stored(storage, ghost)
    for deed in (transfer_steam, merge_both):
        event = await performed(storage, deed(await reloaded(storage, 1), await reloaded(storage, 4), occasion()))
        await undone(storage, event)
        assert (await reloaded(storage, 4)).identities == ()


@pytest.mark.parametrize(("doer", "possible"), [(BACKEND, False), (ADMIN, True)])
async def test_what_concerns_a_banned_player_is_for_operators_to_undo(
    storage: Storage, doer: Doer, *, possible: bool
) -> None:
    given = await performed(storage, transfer_steam(FIRST, SECOND, occasion()))
    await storage.apply(banned(replace(SECOND, bans=(ban(9, player_id=2),))))
    asked = occasion(doer, now=NOW + 200)
    if possible:
        await undone(storage, given, asked)
        return
    with pytest.raises(AccessDenied) as refused:
        await undone(storage, given, asked)
    assert refused.value.reason == "banned"


async def test_a_merge_is_not_undone_once_the_player_was_banned_who_remains(storage: Storage) -> None:
    """Else a cheater would be out of the ban by undoing how they came into it."""
    event = await performed(storage, merge_both(FIRST, SECOND, occasion()))
    sentence = await performed(
        storage, sentenced([await reloaded(storage, 2)], Sentence("banned"), occasion(ADMIN, now=NOW + 150), MARKS)
    )
    for doer in (BACKEND, ADMIN):
        with pytest.raises(LaterChanges) as refused:
            await undone(storage, event, occasion(doer, now=NOW + 200))
        assert refused.value.facts == {"events": [f"ev-{sentence.id}"]}


@pytest.mark.parametrize(("doer", "possible"), [(BACKEND, False), (ADMIN, True)])
async def test_an_identity_that_was_banned_since_goes_back_to_nobody_but_by_an_operator(
    storage: Storage, doer: Doer, *, possible: bool
) -> None:
    gone = await performed(storage, unlink_steam(FIRST, SECOND, occasion()))
    await done(storage, ban_identity(STEAM, Sentence("banned"), occasion(ADMIN, now=NOW + 150), MARKS))
    asked = occasion(doer, now=NOW + 200)
    if possible:
        await undone(storage, gone, asked)
        return
    with pytest.raises(AccessDenied) as refused:
        await undone(storage, gone, asked)
    assert refused.value.reason == "banned"


async def test_nobody_comes_back_who_was_erased(storage: Storage) -> None:
    event = await performed(storage, merge_both(FIRST, SECOND, occasion()))
    found = await scene(storage, event)
    gone = replace(found, accounts={1: found.accounts[1]})
    with pytest.raises(UserNotFound):
        undo(event, gone, occasion(now=NOW + 200), MARKS)
    for forgotten in (replace(event, player_id=0), replace(event, facts="")):
        with pytest.raises(UserNotFound):
            undo(forgotten, found, occasion(now=NOW + 200), MARKS)


async def test_what_cannot_be_undone_by_its_kind_is_refused(storage: Storage) -> None:
    event = replace(await performed(storage, merge_both(FIRST, SECOND, occasion())), kind="banned")
    with pytest.raises(AccessDenied) as refused:
        undo(event, await scene(storage, event), occasion(now=NOW + 200), MARKS)
    assert refused.value.reason == "not_reversible"


async def test_a_linked_identity_has_the_time_it_had(storage: Storage) -> None:
    gone = await performed(storage, unlink_steam(FIRST, SECOND, occasion()))
    await undone(storage, gone)
    assert LinkedIdentity(STEAM, 1, NOW, NOW) in (await reloaded(storage, 1)).identities
