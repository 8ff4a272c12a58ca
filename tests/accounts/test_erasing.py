"""Forgetting a player as a plan: whom it takes along, and what the journal keeps of it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from authsrv.account_models import Account, JournalEvent
from authsrv.accounts.erasing import erase, erase_again, erase_alias, ghosts_made, is_ghost_of
from authsrv.accounts.transferring import transfer
from authsrv.errors import StateChanged, UserNotFound
from authsrv.models import IdentityKey
from authsrv.storage.account_changes import RecordEvent, UnmergePlayers
from authsrv.storage.base import Storage
from authsrv.storage.privacy_changes import ErasePlayer
from tests.support.accounts import ADMIN, MARKS, account, done, key, occasion, reloaded, stored
from tests.support.storage import NOW, memory_storage
from tests.support.storage_accounts import ban

TOMBSTONE = -77
AT = NOW + 100
TRANSFER = '{"of":"transferred"}'
OWN = account(1, "steam", aliases=[2])


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    opened = memory_storage()
    await opened.open()
    yield opened
    await opened.close()


def test_P05_a_player_goes_with_who_was_merged_into_them_and_with_their_ghosts() -> None:
    planned = erase(OWN, [account(5, aliases=[6])], TOMBSTONE, occasion())
    assert planned.changes == (
        ErasePlayer(1, 1, ("sub-1", "sub-2"), TOMBSTONE, AT),
        ErasePlayer(5, 1, ("sub-5", "sub-6"), TOMBSTONE, AT),
        RecordEvent(planned.event),
    )


def test_P05_the_journal_keeps_that_it_was_done_and_by_whom_and_nothing_else() -> None:
    event = erase(OWN, [], TOMBSTONE, occasion(ADMIN)).event
    assert event == JournalEvent(
        event.id, "skyforge", "erased", AT, TOMBSTONE, actor="admin", actor_name="operator", client_id=""
    )


@pytest.mark.parametrize("outlive", [True, False])
def test_P05_whether_bans_stay_is_the_projects_to_say(outlive: bool) -> None:
    banned = account(1, "steam", bans=[ban()])
    change = erase(banned, [], TOMBSTONE, occasion(bans_outlive_erasure=outlive)).changes[0]
    assert isinstance(change, ErasePlayer)
    assert change.forgets_bans is not outlive


def test_P05_a_player_of_another_project_and_an_alias_are_refused() -> None:
    with pytest.raises(UserNotFound):
        erase(replace(OWN, player=replace(OWN.player, project="ironkeep")), [], TOMBSTONE, occasion())
    with pytest.raises(StateChanged):
        erase(replace(OWN, player=replace(OWN.player, merged_into=9)), [], TOMBSTONE, occasion())


def test_P05_a_restored_player_goes_with_those_aliases_alone_that_were_erased_too() -> None:
    both = account(1, "steam", aliases=[2, 3])
    changes = erase_again(both, {1, 3}, TOMBSTONE, occasion()).changes
    assert changes[:2] == (UnmergePlayers(2, 1, ()), ErasePlayer(1, 1, ("sub-1", "sub-3"), TOMBSTONE, AT))
    alias = replace(account(2), player=replace(account(2).player, merged_into=1))
    changes = erase_alias(alias, 1, TOMBSTONE, occasion()).changes
    assert changes[:2] == (UnmergePlayers(2, 1, ()), ErasePlayer(2, 1, ("sub-2",), TOMBSTONE, AT))


# --- ghosts ---


def moved(number: int, taker: int, giver: int) -> JournalEvent:
    return JournalEvent(number, "skyforge", "transferred", NOW, taker, giver)


@pytest.mark.parametrize(
    ("events", "found"),
    [
        pytest.param([moved(1, 1, 5)], (5,), id="gave to the player"),
        pytest.param([moved(1, 2, 5), moved(2, 1, 4)], (4, 5), id="gave to who was merged into them"),
        pytest.param([moved(1, 5, 1)], (), id="got from the player"),
        pytest.param([moved(1, 1, 2)], (), id="gave to themselves"),
        pytest.param([moved(1, 1, -8)], (), id="was erased"),
        pytest.param([replace(moved(1, 1, 5), kind="merged")], (), id="something else"),
        pytest.param([replace(moved(1, 1, 5), kind="undone", facts=TRANSFER)], (5,), id="by an undo"),
    ],
)
def test_P05_who_may_be_a_ghost_of_the_player(events: Sequence[JournalEvent], found: tuple[int, ...]) -> None:
    assert ghosts_made(OWN, events) == found


@pytest.mark.parametrize(
    ("ghost", "events", "is_one"),
    [
        pytest.param(account(5), [moved(1, 1, 5)], True, id="without any way in"),
        pytest.param(account(5), [moved(1, 2, 5)], True, id="gave it to the alias"),
        pytest.param(account(5, "epic"), [moved(1, 1, 5)], False, id="with another way in"),
        pytest.param(account(5), [moved(2, 9, 5), moved(1, 1, 5)], False, id="the last one went elsewhere"),
        pytest.param(account(5), [moved(2, 5, 9), moved(1, 1, 5)], True, id="what it got and gave"),
        pytest.param(account(5), [], False, id="never gave anything"),
        pytest.param(
            account(5),
            [replace(moved(2, 9, 5), kind="undone", facts=TRANSFER), moved(1, 1, 5)],
            False,
            id="the last one went elsewhere by an undo",
        ),
    ],
)
def test_P05_who_is_a_ghost_of_the_player(ghost: Account, events: Sequence[JournalEvent], is_one: bool) -> None:
    assert is_ghost_of(OWN, ghost, events) is is_one


def test_P05_who_was_merged_into_another_is_nobodys_ghost() -> None:
    merged = replace(account(5), player=replace(account(5).player, merged_into=9))
    assert not is_ghost_of(OWN, merged, [moved(1, 1, 5)])


async def test_P05_a_transfer_makes_a_ghost_that_goes_with_the_player(storage: Storage) -> None:
    giver, taker = account(5, "epic"), account(1, "steam")
    moving: IdentityKey = key("epic", "epic-5")
    await stored(storage, giver, taker)
    await done(storage, transfer(moving, giver, taker, occasion(), MARKS))
    player, ghost = await reloaded(storage, 1), await reloaded(storage, 5)
    assert ghosts_made(player, await storage.load_events(1, 9)) == (5,)
    assert is_ghost_of(player, ghost, await storage.load_events(5, 9))
    await done(storage, erase(player, [ghost], TOMBSTONE, occasion(now=NOW + 200)))
    assert [await storage.load_account(number) for number in (1, 5)] == [None, None]
    assert await storage.load_player(moving) is None
