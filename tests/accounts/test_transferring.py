"""A platform account goes from one player to another; nobody is orphaned by it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from authsrv.account_models import Account, LinkedIdentity
from authsrv.accounts.effects import Effect, Held, Move, effect_of
from authsrv.accounts.transferring import transfer
from authsrv.errors import AccessDenied, AuthsrvError, InvalidRequest, LinkLimit, NotLinked, StateChanged, UserNotFound
from authsrv.storage.base import Storage
from authsrv.storage.changes import AddGrant, SetProfile
from authsrv.strict_json import strict_json
from tests.support.accounts import ADMIN, MARKS, account, done, ending_of, key, occasion, reloaded, signed_in, stored
from tests.support.storage import NOW, grant, memory_storage
from tests.support.storage_accounts import ban

STEAM = key("steam", "steam-1")
GIVER, TAKER = account(1, "steam", "xbox"), account(2, "xbox")


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    opened = memory_storage()
    await opened.open()
    yield opened
    await opened.close()


async def test_the_taker_has_it_from_then_on_and_the_giver_keeps_the_rest(storage: Storage) -> None:
    await stored(storage, GIVER, TAKER)
    await done(storage, transfer(STEAM, GIVER, TAKER, occasion(), MARKS))
    assert [linked.key.kind for linked in (await reloaded(storage, 1)).identities] == ["xbox"]
    assert LinkedIdentity(STEAM, 2, NOW + 100, NOW) in (await reloaded(storage, 2)).identities


async def test_a_giver_without_another_way_in_is_kept_as_a_ghost_with_all_its_data(storage: Storage) -> None:
    ghost = account(1, "steam")
    await stored(storage, ghost, TAKER)
    await storage.apply([SetProfile(1, '{"name":"Amber"}')])
    await done(storage, transfer(STEAM, ghost, TAKER, occasion(), MARKS))
    kept = await reloaded(storage, 1)
    assert kept == Account(replace(ghost.player, version=2), profile='{"name":"Amber"}')


async def test_the_givers_grants_by_that_identity_end_also_those_of_its_aliases(storage: Storage) -> None:
    giver = account(1, "steam", "xbox", aliases=[7])
    await stored(storage, giver, TAKER)
    given = [("steam", "steam-1", 1), ("steam", "steam-1", 7), ("xbox", "xbox-1", 1), ("xbox", "xbox-2", 2)]
    for number, (idp, subject, owner) in enumerate(given, 1):
        await storage.apply([AddGrant(replace(grant(number, player_id=owner), idp=idp, idp_subject=subject))])
    await done(storage, transfer(STEAM, giver, TAKER, occasion(), MARKS))
    loaded = [await storage.load_grant(number) for number in range(1, 5)]
    assert [one.grant.revoked_reason for one in loaded if one] == ["transferred", "transferred", "", ""]


async def test_the_givers_sessions_by_that_identity_end(storage: Storage) -> None:
    await stored(storage, GIVER, TAKER)
    by = [(1, "steam", "steam-1"), (1, "xbox", "xbox-1"), (2, "xbox", "xbox-2")]
    await signed_in(storage, *by)
    await done(storage, transfer(STEAM, GIVER, TAKER, occasion(), MARKS))
    assert [await ending_of(storage, number) for number in (1, 2, 3)] == ["transferred", "", ""]


async def test_both_versions_rise_and_the_journal_tells_it_with_what_an_undo_needs(storage: Storage) -> None:
    await stored(storage, GIVER, TAKER)
    planned = transfer(STEAM, GIVER, TAKER, occasion(), MARKS)
    await done(storage, planned)
    assert [(await reloaded(storage, number)).player.version for number in (1, 2)] == [2, 2]
    event = await storage.load_event(planned.event.id)
    assert event == planned.event
    assert (event.kind, event.player_id, event.other_id, event.identity) == ("transferred", 2, 1, STEAM)
    assert (event.actor, event.actor_name, event.reason) == ("client", "backend", "asked for it")
    assert event.reversible_until == NOW + 100 + 14 * 86400
    moved = Effect((Move(STEAM, Held(1, NOW), Held(2, NOW + 100)),))
    assert effect_of("skyforge", strict_json(event.facts.encode())) == moved


@pytest.mark.parametrize(
    ("giver", "taker", "refusal"),
    [
        pytest.param(account(1, "xbox"), TAKER, NotLinked, id="not the giver's"),
        pytest.param(GIVER, account(2, "steam"), LinkLimit, id="the taker has one of the kind"),
        pytest.param(GIVER, GIVER, InvalidRequest, id="to the same player"),
        pytest.param(replace(GIVER, player=replace(GIVER.player, merged_into=3)), TAKER, StateChanged, id="an alias's"),
        pytest.param(
            GIVER, replace(TAKER, player=replace(TAKER.player, merged_into=3)), StateChanged, id="to an alias"
        ),
        pytest.param(GIVER, replace(TAKER, player=replace(TAKER.player, project="other")), UserNotFound, id="abroad"),
        pytest.param(account(1, "steam", bans=[ban()]), TAKER, AccessDenied, id="of one who is banned"),
        pytest.param(GIVER, account(2, bans=[ban()]), AccessDenied, id="to one who is banned"),
    ],
)
def test_what_cannot_be_given_stays(giver: Account, taker: Account, refusal: type[AuthsrvError]) -> None:
    with pytest.raises(refusal):
        transfer(STEAM, giver, taker, occasion(), MARKS)


def test_the_taker_may_have_as_many_of_a_kind_as_the_project_allows() -> None:
    assert transfer(STEAM, GIVER, account(2, "steam"), occasion(identities=2), MARKS).event.kind == "transferred"


async def test_what_a_banned_player_is_given_is_banned_too(storage: Storage) -> None:
    taker = account(2, bans=[ban(3, player_id=2)])
    await stored(storage, GIVER, taker)
    await done(storage, transfer(STEAM, GIVER, taker, occasion(ADMIN), MARKS))
    assert (await storage.load_ownership(STEAM, MARKS.of(STEAM), NOW)).ban == ban(3, player_id=2)


def test_an_operator_gives_also_what_a_banned_player_has() -> None:
    assert transfer(STEAM, account(1, "steam", bans=[ban()]), TAKER, occasion(ADMIN), MARKS).event.actor == "admin"
