"""Two players become one: what moves, what stays, and who may not be merged."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from authsrv.account_models import Account, Doer
from authsrv.accounts.effects import effect_of
from authsrv.accounts.merging import merge
from authsrv.errors import AccessDenied, AccountConflict, AuthsrvError, InvalidRequest, StateChanged, UserNotFound
from authsrv.models import NEVER
from authsrv.storage.base import Storage
from authsrv.storage.changes import AddGrant
from authsrv.strict_json import strict_json
from tests.support.accounts import (
    ADMIN,
    BACKEND,
    MARKS,
    account,
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

LOSER, SURVIVOR = account(1, "steam", "epic"), account(2, "xbox")


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    opened = memory_storage()
    await opened.open()
    yield opened
    await opened.close()


def kinds(found: Account) -> list[str]:
    return sorted(linked.key.kind for linked in found.identities)


def aged(found: Account, age_group: str) -> Account:
    return replace(found, player=replace(found.player, age_group=age_group))


async def test_the_survivor_has_every_identity_and_the_loser_is_its_alias(storage: Storage) -> None:
    await stored(storage, LOSER, SURVIVOR)
    await done(storage, merge(LOSER, SURVIVOR, occasion(), MARKS))
    loser, survivor = await reloaded(storage, 1), await reloaded(storage, 2)
    assert (kinds(loser), kinds(survivor)) == ([], ["epic", "steam", "xbox"])
    assert loser.player == replace(LOSER.player, version=2, merged_into=2)
    assert survivor.aliases == (loser.player,)
    assert survivor.player == replace(SURVIVOR.player, version=2)


async def test_what_was_merged_into_the_loser_is_an_alias_of_the_survivor(storage: Storage) -> None:
    loser = account(1, "steam", aliases=[7, 8])
    await stored(storage, loser, SURVIVOR)
    planned = merge(loser, SURVIVOR, occasion(), MARKS)
    await done(storage, planned)
    assert [alias.id for alias in (await reloaded(storage, 2)).aliases] == [1, 7, 8]
    union = effect_of("skyforge", strict_json(planned.event.facts.encode())).union
    assert union
    assert union.aliases == (7, 8)


@pytest.mark.parametrize(
    ("most", "moved", "detached"),
    [(1, ["epic"], ["steam-1", "steam-8"]), (2, ["epic", "steam"], ["steam-8"]), (3, ["epic", "steam", "steam"], [])],
)
async def test_what_the_survivor_may_have_no_more_of_is_detached_if_the_caller_allows_it(
    storage: Storage, most: int, moved: list[str], detached: list[str]
) -> None:
    loser, survivor = account(1, "epic", "steam", key("steam", "steam-8")), account(2, "steam")
    await stored(storage, loser, survivor)
    await storage.apply([AddGrant(replace(grant(1), idp_subject="steam-8"))])
    planned = merge(loser, survivor, occasion(identities=most), MARKS, drop_duplicates=True)
    await done(storage, planned)
    assert kinds(await reloaded(storage, 2)) == sorted([*moved, "steam"])
    moves = effect_of("skyforge", strict_json(planned.event.facts.encode())).moves
    assert [move.key.subject for move in moves if move.after is None] == detached
    assert [await storage.load_player(key("steam", subject)) for subject in detached] == [None] * len(detached)
    loaded = await storage.load_grant(1)
    assert loaded
    assert loaded.grant.revoked_reason == ("merged" if detached else "")


def test_a_duplicate_is_not_dropped_without_leave() -> None:
    with pytest.raises(AccountConflict) as refused:
        merge(LOSER, account(2, "steam"), occasion(), MARKS)
    assert refused.value.reason == "duplicate_identity"
    assert refused.value.facts == {"providers": ["steam"]}


def test_the_same_kind_of_another_environment_is_no_duplicate() -> None:
    loser, survivor = account(1, key("xbox", "1", "a")), account(2, key("xbox", "2", "b"))
    assert merge(loser, survivor, occasion(), MARKS).event.kind == "merged"


@pytest.mark.parametrize(
    ("of_loser", "of_survivor", "after"),
    [
        ("child", "adult", "child"),
        ("adult", "teen", "teen"),
        ("teen", "child", "child"),
        ("", "adult", "adult"),
        ("child", "", "child"),
        ("", "", ""),
    ],
)
async def test_the_stricter_age_group_remains(storage: Storage, of_loser: str, of_survivor: str, after: str) -> None:
    loser, survivor = aged(LOSER, of_loser), aged(SURVIVOR, of_survivor)
    await stored(storage, loser, survivor)
    await done(storage, merge(loser, survivor, occasion(merge_across_age_groups=True), MARKS))
    assert (await reloaded(storage, 2)).player.age_group == after


def test_players_of_different_age_groups_are_not_merged_unless_the_project_allows_it() -> None:
    with pytest.raises(AccountConflict) as refused:
        merge(aged(LOSER, "child"), aged(SURVIVOR, "adult"), occasion(), MARKS)
    assert refused.value.reason == "age_group"


def test_an_unknown_age_group_is_no_other_one() -> None:
    assert merge(aged(LOSER, "child"), SURVIVOR, occasion(), MARKS).event.kind == "merged"


@pytest.mark.parametrize(
    ("loser", "survivor", "refusal"),
    [
        pytest.param(LOSER, LOSER, InvalidRequest, id="into itself"),
        pytest.param(
            replace(LOSER, player=replace(LOSER.player, merged_into=3)), SURVIVOR, StateChanged, id="an alias"
        ),
        pytest.param(
            LOSER, replace(SURVIVOR, player=replace(SURVIVOR.player, merged_into=3)), StateChanged, id="into an alias"
        ),
        pytest.param(
            LOSER, replace(SURVIVOR, player=replace(SURVIVOR.player, project="other")), UserNotFound, id="abroad"
        ),
        pytest.param(account(1, "steam", bans=[ban()]), SURVIVOR, AccessDenied, id="one who is banned"),
        pytest.param(LOSER, account(2, bans=[ban(2, player_id=2)]), AccessDenied, id="into one who is banned"),
    ],
)
def test_who_may_not_be_merged(loser: Account, survivor: Account, refusal: type[AuthsrvError]) -> None:
    with pytest.raises(refusal):
        merge(loser, survivor, occasion(), MARKS)


@pytest.mark.parametrize("of_loser", [0, NOW + 500, NEVER])
@pytest.mark.parametrize("of_survivor", [0, NOW + 900])
async def test_a_ban_of_either_holds_for_the_one_who_remains_and_for_all_they_have(
    storage: Storage, of_loser: int, of_survivor: int
) -> None:
    loser = account(1, "steam", bans=[ban(1, until=of_loser)] if of_loser else [])
    survivor = account(2, "xbox", bans=[ban(2, player_id=2, until=of_survivor)] if of_survivor else [])
    await stored(storage, loser, survivor)
    await done(storage, merge(loser, survivor, occasion(ADMIN), MARKS))
    until = max(of_loser, of_survivor)
    assert (await reloaded(storage, 2)).player.barred_until == until
    for one in ("steam-1", "xbox-2"):
        owned = await storage.load_ownership(key(one[:-2], one), MARKS.of(key(one[:-2], one)), NOW + 100)
        assert (owned.ban.until if owned.ban else 0) == until


async def test_a_merge_that_bans_the_survivor_voids_what_both_were_given(storage: Storage) -> None:
    loser = account(1, "steam", aliases=[7], bans=[ban()])
    await stored(storage, loser, SURVIVOR)
    await done(storage, merge(loser, SURVIVOR, occasion(ADMIN), MARKS))
    found = await storage.load_revocations(0, NOW + 100)
    assert found.not_befores == {("player", f"sub-{number}"): NOW + 101 for number in (1, 2, 7)}


@pytest.mark.parametrize(("doer", "of_survivor"), [(BACKEND, ""), (ADMIN, "banned")])
async def test_the_losers_sessions_end_and_those_of_a_survivor_who_becomes_banned(
    storage: Storage, doer: Doer, of_survivor: str
) -> None:
    loser = account(1, "steam", bans=[ban()] if of_survivor else [])
    await stored(storage, loser, SURVIVOR)
    await signed_in(storage, (1, "steam", "steam-1"), (2, "xbox", "xbox-2"))
    await done(storage, merge(loser, SURVIVOR, occasion(doer), MARKS))
    assert [await ending_of(storage, number) for number in (1, 2)] == ["merged", of_survivor]


async def test_a_merge_voids_nothing_of_players_who_are_not_banned(storage: Storage) -> None:
    await stored(storage, LOSER, SURVIVOR)
    await storage.apply([AddGrant(replace(grant(1), idp_subject="steam-1"))])
    await done(storage, merge(LOSER, SURVIVOR, occasion(), MARKS))
    loaded = await storage.load_grant(1)
    assert loaded
    assert (loaded.grant.revoked_at, loaded.not_before, loaded.player.id, loaded.issued_as) == (None, 0, 2, "sub-1")
