"""What every storage backend must do for tokens that end before their time.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

from dataclasses import replace

import pytest

from authsrv.models import LoadedGrant, NotBeforeKind, Revocations, Standing
from authsrv.storage.base import Storage, StorageError
from authsrv.storage.changes import (
    AddGrant,
    AddPlayer,
    Change,
    DeclaredClient,
    RedeemCode,
    RevokeGrant,
    RevokeToken,
    RotateRefreshToken,
    SetNotBefore,
    SettleCredential,
    SyncClients,
)
from tests.support.storage import NOW, digest, grant, identity, player, reservation

PLAYER, CLIENT, PROJECT = (
    SetNotBefore("player", player().sub, NOW + 3),
    SetNotBefore("client", grant().client_id, NOW + 2),
    SetNotBefore("project", grant().project, NOW + 1),
)
NOTHING = Revocations()


async def loaded(storage: Storage, jti: str = "", origin_jti: str = "") -> LoadedGrant:
    found = await storage.load_grant(1, jti, origin_jti=origin_jti)
    assert found is not None
    return found


async def with_grant(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant())])


# --- one token ---


async def test_a_revoked_token_is_known_by_its_jti_alone(storage: Storage) -> None:
    await with_grant(storage)
    await storage.apply([RevokeToken("token 1", NOW + 900)])
    assert (await loaded(storage, "token 1")).token_revoked
    assert not (await loaded(storage, "token 2")).token_revoked
    assert not (await loaded(storage)).token_revoked


async def test_a_token_is_revoked_with_the_one_it_was_made_of_and_not_the_other_way_round(storage: Storage) -> None:
    await with_grant(storage)
    await storage.apply([RevokeToken("token 1", NOW + 900)])
    assert (await loaded(storage, "token 2", "token 1")).token_revoked
    assert (await loaded(storage, "token 1", "token 0")).token_revoked
    assert not (await loaded(storage, "token 2", "token 0")).token_revoked


async def test_a_token_is_revoked_once_and_for_all(storage: Storage) -> None:
    await storage.apply([RevokeToken("token 1", NOW + 900), RevokeToken("token 1", NOW + 9)])
    assert (await storage.load_revocations(NOW, NOW + 899)).jtis == ("token 1",)


async def test_a_revoked_token_is_forgotten_once_it_has_expired(storage: Storage) -> None:
    await storage.apply([RevokeToken("token 1", NOW + 9), RevokeToken("token 2", NOW + 10)])
    assert (await storage.sweep(NOW + 10, 99)).rows == 1
    assert (await storage.load_revocations(NOW, NOW)).jtis == ("token 2",)


# --- times before which everything is void ---


async def test_without_one_nothing_is_void(storage: Storage) -> None:
    await with_grant(storage)
    assert (await loaded(storage)).not_before == 0
    assert await storage.load_standing("launcher", "skyforge", "token") == Standing()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param((PLAYER,), NOW + 3, id="player"),
        pytest.param((CLIENT,), NOW + 2, id="client"),
        pytest.param((PROJECT,), NOW + 1, id="project"),
        pytest.param((PROJECT, PLAYER, CLIENT), NOW + 3, id="all"),
        pytest.param((PROJECT, CLIENT), NOW + 2, id="client and project"),
    ],
)
async def test_B35_the_strictest_of_player_client_and_project_wins(
    storage: Storage, changes: tuple[Change, ...], expected: int
) -> None:
    await with_grant(storage)
    await storage.apply(changes)
    assert (await loaded(storage)).not_before == expected


async def test_a_time_only_ever_rises(storage: Storage) -> None:
    await with_grant(storage)
    await storage.apply([replace(PLAYER, not_before=NOW + 50), PLAYER])
    assert (await loaded(storage)).not_before == NOW + 50


async def test_the_time_of_the_client_that_a_token_was_made_for_is_told_apart_from_the_grants(storage: Storage) -> None:
    await with_grant(storage)
    await storage.apply([SetNotBefore("client", "shop", NOW + 9), CLIENT])
    for client_id, expected in (("shop", NOW + 9), ("launcher", CLIENT.not_before), ("spa", 0), ("", 0)):
        found = await storage.load_grant(1, "token 1", client_id)
        assert found is not None
        assert (found.not_before, found.client_not_before) == (CLIENT.not_before, expected)


@pytest.mark.parametrize(("kind", "subject"), [("player", "sub-2"), ("client", "shop"), ("project", "ironkeep")])
async def test_the_time_of_another_voids_nothing(storage: Storage, kind: NotBeforeKind, subject: str) -> None:
    await with_grant(storage)
    await storage.apply([SetNotBefore(kind, subject, NOW + 9)])
    assert (await loaded(storage)).not_before == 0


async def test_a_name_of_one_kind_is_nothing_to_another(storage: Storage) -> None:
    await with_grant(storage)
    await storage.apply([SetNotBefore("project", player().sub, NOW + 9), SetNotBefore("player", "launcher", NOW + 9)])
    assert (await loaded(storage)).not_before == 0


async def test_a_clients_own_token_stands_by_client_project_and_jti(storage: Storage) -> None:
    await storage.apply([CLIENT, PROJECT, PLAYER, RevokeToken("token 1", NOW + 900)])
    client, project = grant().client_id, grant().project
    assert await storage.load_standing(client, project, "token 1") == Standing(NOW + 2, token_revoked=True)
    assert await storage.load_standing("shop", project, "token 2") == Standing(NOW + 1)
    assert await storage.load_standing("shop", "ironkeep", "token 2") == Standing()


@pytest.mark.parametrize(
    "change", [RevokeToken("", NOW), SetNotBefore("player", "", NOW), SetNotBefore("client", "\0", NOW)]
)
async def test_what_names_nothing_cannot_be_revoked(storage: Storage, change: Change) -> None:
    with pytest.raises(StorageError):
        await storage.apply([change])


async def test_a_client_in_another_project_takes_nothing_along(storage: Storage) -> None:
    here, there = DeclaredClient("launcher", "skyforge", "Launcher"), DeclaredClient("launcher", "ironkeep", "Launcher")
    shop = DeclaredClient("shop", "skyforge", "Shop")
    await with_grant(storage)
    await storage.apply([SyncClients((here, shop), NOW), SyncClients((replace(here, name="Anew"), shop), NOW + 1)])
    assert (await loaded(storage)).not_before == 0
    await storage.apply([SyncClients((shop,), NOW + 2), SyncClients((there, shop), NOW + 3)])
    assert (await loaded(storage)).not_before == NOW + 4
    assert await storage.load_standing("shop", "skyforge", "token") == Standing()


async def test_a_client_that_moves_does_not_make_a_later_time_earlier(storage: Storage) -> None:
    here, there = DeclaredClient("launcher", "skyforge", "Launcher"), DeclaredClient("launcher", "ironkeep", "Launcher")
    await storage.apply([SyncClients((here,), NOW), SetNotBefore("client", "launcher", NOW + 9)])
    await storage.apply([SyncClients((there,), NOW + 3)])
    assert await storage.load_standing("launcher", "ironkeep", "token") == Standing(NOW + 9)


# --- what ended lately ---


async def test_nothing_ended_at_first(storage: Storage) -> None:
    await with_grant(storage)
    assert await storage.load_revocations(0, NOW) == NOTHING


async def test_all_that_ended_is_told_in_a_steady_order(storage: Storage) -> None:
    await with_grant(storage)
    clients = (DeclaredClient("launcher", "skyforge", "Launcher"), DeclaredClient("shop", "skyforge", "Shop"))
    await storage.apply([SyncClients(clients, NOW), RedeemCode(1, NOW + 1, None, NOW + 900)])
    await storage.apply([RevokeGrant(1, NOW + 2, "revoked"), RevokeToken("b", NOW + 900), RevokeToken("a", NOW + 900)])
    await storage.apply([PLAYER, CLIENT, PROJECT, SyncClients(clients[:1], NOW + 4)])
    assert await storage.load_revocations(NOW, NOW) == Revocations(
        jtis=("a", "b"),
        grants=(1,),
        not_befores={(one.kind, one.subject): one.not_before for one in (PLAYER, CLIENT, PROJECT)},
        disabled={"shop": NOW + 4},
    )


async def test_what_ended_long_ago_is_told_no_more(storage: Storage) -> None:
    await with_grant(storage)
    client = DeclaredClient("launcher", "skyforge", "Launcher")
    await storage.apply([SyncClients((client,), NOW), RedeemCode(1, NOW, None, NOW + 900), SyncClients((), NOW + 3)])
    await storage.apply([RevokeGrant(1, NOW + 3, "revoked"), PLAYER, RevokeToken("a", NOW + 3)])
    assert await storage.load_revocations(NOW + 3, NOW + 3) == NOTHING
    assert await storage.load_revocations(NOW + 2, NOW + 2) != NOTHING


async def test_a_grant_whose_code_was_never_redeemed_gave_nothing_to_tell_of(storage: Storage) -> None:
    await with_grant(storage)
    await storage.apply([RevokeGrant(1, NOW + 2, "superseded")])
    assert (await storage.load_revocations(NOW, NOW)).grants == ()


async def test_a_grant_that_never_had_a_code_is_told_of(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(replace(grant(), code_hash=None))])
    await storage.apply([RevokeGrant(1, NOW + 2, "revoked")])
    assert (await storage.load_revocations(NOW, NOW)).grants == (1,)


# --- an answer without a code that is given again ---


def tokens_at_once(number: int) -> AddGrant:
    first = replace(grant(number), code_hash=None, refresh_hash=digest("first"), refresh_generation=1)
    return AddGrant(first)


async def settled_twice(storage: Storage, between: tuple[Change, ...]) -> LoadedGrant:
    """The first of two grants that one credential led to."""
    await storage.reserve(reservation(), take_over=False)
    first = SettleCredential(digest("ticket"), b"request", identity(), 1, NOW + 2)
    await storage.apply([AddPlayer(player()), tokens_at_once(1), first, *between])
    await storage.apply([tokens_at_once(2), replace(first, grant_id=2, now=NOW + 4)])
    return await loaded(storage)


async def test_tokens_that_were_given_again_replace_those_that_nobody_used(storage: Storage) -> None:
    assert (await settled_twice(storage, ())).grant.revoked_at == NOW + 4


async def test_tokens_whose_refresh_was_used_are_left_alone(storage: Storage) -> None:
    used = RotateRefreshToken(1, digest("first"), digest("second"), b"sealed", NOW + 3, NOW + 99)
    assert (await settled_twice(storage, (used,))).grant.revoked_at is None
