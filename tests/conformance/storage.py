"""What every storage backend must do: its loads, its changes and their guards.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from authsrv.models import Grant, IdentityKey, Player
from authsrv.storage.base import Conflict, Storage, StorageError, StorageUnavailable, StoredClient
from authsrv.storage.changes import (
    AddGrant,
    AddKeys,
    AddPlayer,
    Change,
    CountCodeFailure,
    DeclaredClient,
    LinkIdentity,
    RecordLogin,
    RedeemCode,
    RefuseCredential,
    ReleaseCredential,
    RevokeGrant,
    RotateRefreshToken,
    SettleCredential,
    SyncClients,
)
from tests.support.storage import NOW, digest, full_grant, grant, identity, player, reservation

ROTATE = RotateRefreshToken(1, digest("first"), digest("second"), b"sealed second", NOW + 9, NOW + 99)


async def redeemed(storage: Storage) -> None:
    """A grant whose code was exchanged for a first refresh token."""
    await storage.apply([AddPlayer(player()), AddGrant(grant()), RedeemCode(1, NOW + 5, digest("first"), NOW + 50)])


async def settled(storage: Storage) -> None:
    """A credential that was accepted."""
    await storage.reserve(reservation(), take_over=False)
    await storage.apply([SettleCredential(digest("ticket"), b"request", identity(), 1, NOW + 2)])


# --- loads ---


async def test_a_player_is_found_by_its_sub(storage: Storage) -> None:
    await storage.apply([AddPlayer(player(1)), AddPlayer(player(2, name="Birch"))])
    assert await storage.load_subject("sub-2") == player(2, name="Birch")
    assert await storage.load_subject("SUB-2") is None
    assert await storage.load_subject("") is None


async def test_what_was_never_written_is_none(storage: Storage) -> None:
    assert await storage.load_grant(1) is None
    assert await storage.load_player(identity()) is None
    assert await storage.load_reservation(digest("ticket")) is None
    assert await storage.load_keys() == ()
    assert await storage.load_clients() == ()


async def test_a_grant_comes_back_field_by_field_with_its_player(storage: Storage) -> None:
    await storage.apply([AddPlayer(player(7)), AddGrant(full_grant(3, player_id=7))])
    loaded = await storage.load_grant(3)
    assert loaded is not None
    assert loaded.grant == full_grant(3, player_id=7)
    assert loaded.player == player(7)


async def test_a_grant_without_optional_facts_comes_back_without_them(storage: Storage) -> None:
    bare = replace(grant(), code_hash=None, scope=(), audience=())
    await storage.apply([AddPlayer(player()), AddGrant(bare)])
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert loaded.grant == bare


async def test_an_id_that_no_row_can_have_is_none(storage: Storage) -> None:
    assert await storage.load_grant(2**63) is None
    assert await storage.load_grant(-(2**63) - 1) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(IdentityKey("otherproject", "steam", "", "76561202255232001"), id="project"),
        pytest.param(IdentityKey("skyforge", "epic", "", "76561202255232001"), id="kind"),
        pytest.param(IdentityKey("skyforge", "steam", "sandbox", "76561202255232001"), id="environment"),
        pytest.param(IdentityKey("skyforge", "steam", "", "76561202255232002"), id="subject"),
    ],
)
async def test_an_identity_is_found_by_all_four_parts_of_its_key(storage: Storage, other: IdentityKey) -> None:
    await storage.apply([AddPlayer(player()), LinkIdentity(identity(), 1, NOW)])
    assert await storage.load_player(identity()) == player()
    assert await storage.load_player(other) is None


async def test_texts_of_every_script_come_back_as_they_went_in(storage: Storage) -> None:
    named = player(name="Bärbel \U0001f9f8 ' \" ; -- %s :name \u202e")
    await storage.apply([AddPlayer(named), LinkIdentity(identity(), 1, NOW)])
    assert await storage.load_player(identity()) == named


# --- players and identities ---


async def test_a_second_player_of_the_same_sub_is_a_conflict(storage: Storage) -> None:
    again = AddPlayer(replace(player(2), sub="sub-1"))
    await storage.apply([AddPlayer(player(1))])
    with pytest.raises(Conflict) as caught:
        await storage.apply([again])
    assert caught.value.change == again


async def test_an_identity_belongs_to_one_player_only(storage: Storage) -> None:
    second = LinkIdentity(identity(), 2, NOW + 1)
    await storage.apply([AddPlayer(player(1)), AddPlayer(player(2)), LinkIdentity(identity(), 1, NOW)])
    with pytest.raises(Conflict) as caught:
        await storage.apply([second])
    assert caught.value.change == second
    assert await storage.load_player(identity()) == player(1)


async def test_an_identity_of_a_player_that_is_not_there_is_a_conflict(storage: Storage) -> None:
    with pytest.raises(Conflict):
        await storage.apply([LinkIdentity(identity(), 1, NOW)])
    assert await storage.load_player(identity()) is None


@pytest.mark.parametrize(
    ("name", "kept"), [pytest.param("Birch", "Birch", id="new name"), pytest.param("", "Amber", id="no name")]
)
async def test_a_login_notes_its_time_and_a_name_if_there_is_one(storage: Storage, name: str, kept: str) -> None:
    await storage.apply([AddPlayer(player()), LinkIdentity(identity(), 1, NOW)])
    await storage.apply([RecordLogin(identity(), 1, 1, name, NOW + 7)])
    assert await storage.load_player(identity()) == Player(1, "sub-1", "skyforge", kept, NOW, NOW + 7)


@pytest.mark.parametrize(("follows", "kept"), [("", "Birch"), ("steam", "Birch"), ("epic", "Amber")])
async def test_a_name_that_follows_another_platform_stays(storage: Storage, follows: str, kept: str) -> None:
    named = replace(player(), name_from=follows)
    await storage.apply([AddPlayer(named), LinkIdentity(identity(), 1, NOW)])
    await storage.apply([RecordLogin(identity(), 1, 1, "Birch", NOW + 7)])
    assert await storage.load_player(identity()) == replace(named, display_name=kept, last_login_at=NOW + 7)


@pytest.mark.parametrize(
    "login",
    [
        pytest.param(RecordLogin(identity("nobodys"), 1, 1, "", NOW), id="an identity that nobody has"),
        pytest.param(RecordLogin(identity(), 2, 1, "", NOW), id="an identity of another player"),
        pytest.param(RecordLogin(identity(), 1, 2, "", NOW), id="an account that changed meanwhile"),
    ],
)
async def test_a_login_by_what_is_not_the_players_any_more_is_a_conflict(storage: Storage, login: RecordLogin) -> None:
    await storage.apply([AddPlayer(player(1)), AddPlayer(player(2)), LinkIdentity(identity(), 1, NOW)])
    with pytest.raises(Conflict):
        await storage.apply([login])


# --- grants: code ---


async def test_a_grant_of_a_player_that_is_not_there_is_a_conflict(storage: Storage) -> None:
    with pytest.raises(Conflict):
        await storage.apply([AddGrant(grant())])


async def test_a_grant_id_is_given_once(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant())])
    with pytest.raises(Conflict):
        await storage.apply([AddGrant(full_grant())])
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert loaded.grant == grant()


@pytest.mark.parametrize(
    ("refresh", "generation"), [pytest.param("first", 1, id="refresh token"), pytest.param("", 0, id="none")]
)
async def test_redeeming_a_code_marks_it_and_starts_the_family(storage: Storage, refresh: str, generation: int) -> None:
    first = digest(refresh) if refresh else None
    await storage.apply([AddPlayer(player()), AddGrant(grant()), RedeemCode(1, NOW + 5, first, NOW + 50)])
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert loaded.grant == replace(
        grant(), code_used_at=NOW + 5, refresh_hash=first, refresh_generation=generation, expires_at=NOW + 50
    )


async def test_B04_a_code_is_redeemed_once(storage: Storage) -> None:
    await redeemed(storage)
    again = RedeemCode(1, NOW + 6, digest("other"), NOW + 60)
    with pytest.raises(Conflict) as caught:
        await storage.apply([again])
    assert caught.value.change == again
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert (loaded.grant.code_used_at, loaded.grant.refresh_hash) == (NOW + 5, digest("first"))


async def test_the_code_of_an_ended_grant_is_not_redeemed(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant()), RevokeGrant(1, NOW, "logout")])
    with pytest.raises(Conflict):
        await storage.apply([RedeemCode(1, NOW, None, NOW + 50)])


async def test_a_grant_without_a_code_has_none_to_redeem(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(replace(grant(), code_hash=None))])
    with pytest.raises(Conflict):
        await storage.apply([RedeemCode(1, NOW, None, NOW + 50)])


async def test_wrong_verifiers_are_counted(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant()), CountCodeFailure(1)])
    await storage.apply([CountCodeFailure(1), CountCodeFailure(99)])
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert loaded.grant.code_failures == 2


# --- grants: refresh and revocation ---


async def test_a_rotation_keeps_the_previous_hash_and_the_sealed_successor(storage: Storage) -> None:
    await redeemed(storage)
    before = await storage.load_grant(1)
    await storage.apply([ROTATE])
    after = await storage.load_grant(1)
    assert before is not None
    assert after is not None
    assert after.grant == replace(
        before.grant,
        refresh_hash=digest("second"),
        refresh_generation=2,
        refresh_previous_hash=digest("first"),
        refresh_rotated_at=NOW + 9,
        refresh_successor=b"sealed second",
        expires_at=NOW + 99,
    )


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([ROTATE], id="rotated already"),
        pytest.param([RevokeGrant(1, NOW, "logout")], id="revoked"),
    ],
)
async def test_B25_only_the_current_token_of_a_living_grant_is_rotated(
    storage: Storage, before: Sequence[Change]
) -> None:
    await redeemed(storage)
    await storage.apply(before)
    with pytest.raises(Conflict) as caught:
        await storage.apply([ROTATE])
    assert caught.value.change == ROTATE


async def test_rotating_a_token_of_no_grant_is_a_conflict(storage: Storage) -> None:
    with pytest.raises(Conflict):
        await storage.apply([ROTATE])


async def test_a_revocation_is_idempotent_and_keeps_its_first_reason(storage: Storage) -> None:
    await redeemed(storage)
    await storage.apply([RevokeGrant(1, NOW + 1, "logout")])
    await storage.apply([RevokeGrant(1, NOW + 2, "reuse"), RevokeGrant(99, NOW, "nobody")])
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert (loaded.grant.revoked_at, loaded.grant.revoked_reason) == (NOW + 1, "logout")


def settling(grant_id: int, now: int) -> SettleCredential:
    return SettleCredential(digest("ticket"), b"request", identity(), grant_id, now)


async def led_to(storage: Storage, first: Grant) -> None:
    """A credential that was accepted and led to a grant."""
    await storage.reserve(reservation(), take_over=False)
    await storage.apply([AddPlayer(player()), AddGrant(first), settling(first.id, NOW)])


async def test_superseding_ends_a_grant_whose_code_is_unused(storage: Storage) -> None:
    await led_to(storage, grant())
    await storage.apply([settling(2, NOW + 3)])
    await storage.apply([settling(3, NOW + 4)])
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert (loaded.grant.revoked_at, loaded.grant.revoked_reason) == (NOW + 3, "superseded")


async def test_superseding_leaves_a_redeemed_grant_alone(storage: Storage) -> None:
    await led_to(storage, grant())
    await storage.apply([RedeemCode(1, NOW + 3, None, NOW + 900), settling(2, NOW + 3)])
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert loaded.grant.revoked_at is None


# --- single-use credentials ---


async def test_an_unknown_credential_is_reserved(storage: Storage) -> None:
    assert await storage.reserve(reservation(), take_over=False) == reservation()
    assert await storage.load_reservation(digest("ticket")) == reservation()


async def test_a_known_credential_stays_with_its_holder(storage: Storage) -> None:
    await storage.reserve(reservation(holder="first"), take_over=False)
    found = await storage.reserve(reservation(holder="second", now=NOW + 14), take_over=True)
    assert found == reservation(holder="first")


async def test_a_lease_that_ran_out_is_taken_over_with_everything(storage: Storage) -> None:
    await storage.reserve(reservation(holder="first"), take_over=False)
    second = replace(reservation(holder="second", now=NOW + 15), requester=digest("other client"))
    assert await storage.reserve(second, take_over=True) == second
    assert await storage.load_reservation(digest("ticket")) == second


async def test_a_lease_is_not_taken_over_unasked(storage: Storage) -> None:
    await storage.reserve(reservation(holder="first"), take_over=False)
    found = await storage.reserve(reservation(holder="second", now=NOW + 500), take_over=False)
    assert found == reservation(holder="first")


async def test_a_decided_credential_is_never_taken_over(storage: Storage) -> None:
    await settled(storage)
    found = await storage.reserve(reservation(holder="second", now=NOW + 500), take_over=True)
    assert (found.holder, found.state) == (b"request", "settled")


@pytest.mark.parametrize(
    ("later", "holder"), [pytest.param(86400, b"request", id="last second"), pytest.param(86401, b"second", id="over")]
)
async def test_a_row_whose_time_has_passed_counts_as_unknown(storage: Storage, later: int, holder: bytes) -> None:
    await settled(storage)
    found = await storage.reserve(reservation(holder="second", now=NOW + later), take_over=False)
    assert found.holder == holder


async def test_a_replaced_row_keeps_nothing_of_the_old_one(storage: Storage) -> None:
    await settled(storage)
    second = reservation(holder="second", now=NOW + 90000)
    await storage.reserve(second, take_over=False)
    assert await storage.load_reservation(digest("ticket")) == second


async def test_settling_notes_identity_and_grant(storage: Storage) -> None:
    await settled(storage)
    assert await storage.load_reservation(digest("ticket")) == replace(
        reservation(), state="settled", settled_at=NOW + 2, identity=identity(), grant_id=1
    )


async def test_a_repeat_replaces_the_grant_but_not_the_time(storage: Storage) -> None:
    await settled(storage)
    await storage.apply([SettleCredential(digest("ticket"), b"request", identity(), 2, NOW + 20)])
    found = await storage.load_reservation(digest("ticket"))
    assert found is not None
    assert (found.state, found.settled_at, found.grant_id) == ("settled", NOW + 2, 2)


async def test_refusing_notes_the_reason(storage: Storage) -> None:
    await storage.reserve(reservation(), take_over=False)
    await storage.apply([RefuseCredential(digest("ticket"), b"request", "credential_rejected", NOW + 3)])
    assert await storage.load_reservation(digest("ticket")) == replace(
        reservation(), state="refused", outcome="credential_rejected", settled_at=NOW + 3
    )


SETTLE = SettleCredential(digest("ticket"), b"request", identity(), 1, NOW)
REFUSE = RefuseCredential(digest("ticket"), b"request", "credential_rejected", NOW)


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param([], replace(SETTLE, holder=b"stranger"), id="settle, foreign holder"),
        pytest.param([], replace(REFUSE, holder=b"stranger"), id="refuse, foreign holder"),
        pytest.param([], replace(SETTLE, digest=digest("other")), id="settle, unknown credential"),
        pytest.param([], replace(REFUSE, digest=digest("other")), id="refuse, unknown credential"),
        pytest.param([REFUSE], SETTLE, id="settle after refusal"),
        pytest.param([SETTLE], REFUSE, id="refuse after settling"),
        pytest.param([REFUSE], REFUSE, id="refuse twice"),
    ],
)
async def test_only_the_holder_decides_and_only_once(
    storage: Storage, before: Sequence[Change], change: Change
) -> None:
    await storage.reserve(reservation(), take_over=False)
    await storage.apply(before)
    with pytest.raises(Conflict) as caught:
        await storage.apply([change])
    assert caught.value.change == change


async def test_a_released_credential_may_be_presented_again(storage: Storage) -> None:
    await storage.reserve(reservation(), take_over=False)
    await storage.apply([ReleaseCredential(digest("ticket"), b"request")])
    assert await storage.load_reservation(digest("ticket")) is None


async def test_a_foreign_release_changes_nothing(storage: Storage) -> None:
    await storage.reserve(reservation(), take_over=False)
    await storage.apply([ReleaseCredential(digest("ticket"), b"stranger")])
    assert await storage.load_reservation(digest("ticket")) == reservation()


async def test_a_decided_credential_is_not_released(storage: Storage) -> None:
    await settled(storage)
    await storage.apply([ReleaseCredential(digest("ticket"), b"request")])
    assert await storage.load_reservation(digest("ticket")) is not None


# --- clients ---


async def test_clients_that_left_are_disabled_and_may_come_back(storage: Storage) -> None:
    launcher, shop = DeclaredClient("launcher", "skyforge", "Launcher"), DeclaredClient("shop", "skyforge", "Shop")
    renamed = replace(launcher, name="Launcher 2")
    await storage.apply([SyncClients((shop, launcher), NOW)])
    assert await storage.load_clients() == (StoredClient(launcher, None), StoredClient(shop, None))
    await storage.apply([SyncClients((renamed,), NOW + 1)])
    await storage.apply([SyncClients((renamed,), NOW + 2)])
    assert await storage.load_clients() == (StoredClient(renamed, None), StoredClient(shop, NOW + 1))
    await storage.apply([SyncClients((renamed, shop), NOW + 3)])
    assert await storage.load_clients() == (StoredClient(renamed, None), StoredClient(shop, None))


# --- transactions, ids, life ---


async def test_while_nodes_have_different_files_clients_are_only_added(storage: Storage) -> None:
    launcher, shop = DeclaredClient("launcher", "skyforge", "Launcher"), DeclaredClient("shop", "skyforge", "Shop")
    arena, moved = DeclaredClient("arena", "skyforge", "Arena"), replace(launcher, project="ironkeep")
    await storage.apply([SyncClients((shop, launcher), NOW), SyncClients((launcher,), NOW + 1)])
    await storage.apply([SyncClients((replace(shop, name="Shops"), arena, moved), NOW + 2, all_agree=False)])
    assert await storage.load_clients() == (
        StoredClient(arena, None),
        StoredClient(launcher, None),
        StoredClient(replace(shop, name="Shops"), None),
    )
    assert (await storage.load_revocations(NOW, NOW)).not_befores == {}
    await storage.apply([SyncClients((moved,), NOW + 3)])
    assert [one.disabled_at for one in await storage.load_clients()] == [NOW + 3, None, NOW + 3]
    assert (await storage.load_revocations(NOW, NOW)).not_befores == {("client", "launcher"): NOW + 4}


async def test_a_conflict_undoes_every_change_of_its_apply(storage: Storage) -> None:
    await redeemed(storage)
    with pytest.raises(Conflict):
        await storage.apply(
            [AddPlayer(player(2)), LinkIdentity(identity(), 2, NOW), RedeemCode(1, NOW, None, NOW), AddKeys(())]
        )
    assert await storage.load_player(identity()) is None
    await storage.apply([AddPlayer(player(2))])


async def test_changes_are_written_in_order(storage: Storage) -> None:
    with pytest.raises(Conflict):
        await storage.apply([AddGrant(grant()), AddPlayer(player())])
    await storage.apply([AddPlayer(player()), AddGrant(grant())])


async def test_nothing_to_write_is_no_error(storage: Storage) -> None:
    await storage.apply([])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(AddPlayer(player(2**63)), id="integer beyond 64 bits"),
        pytest.param(CountCodeFailure(-(2**63) - 1), id="negative integer beyond 64 bits"),
        pytest.param(AddPlayer(player(name="a\ud800b")), id="lone surrogate"),
        pytest.param(AddPlayer(player(name="a\0b")), id="NUL"),
        pytest.param(AddPlayer(replace(player(), sub="")), id="empty sub"),
        pytest.param(LinkIdentity(identity(""), 1, NOW), id="empty subject"),
        pytest.param(AddGrant(replace(grant(), scope=("two words",))), id="space in a scope"),
        pytest.param(AddGrant(replace(grant(), audience=("",))), id="empty audience"),
        pytest.param(RedeemCode(1, NOW, digest("x")[:31], NOW), id="short digest"),  # type: ignore[arg-type]  # the fault
        pytest.param(CountCodeFailure(1.0), id="float"),  # type: ignore[arg-type]  # the fault
    ],
)
async def test_F22_G05_a_value_that_no_column_holds_is_refused_and_not_repeated(
    storage: Storage, change: Change
) -> None:
    with pytest.raises(StorageError) as caught:
        await storage.apply([AddPlayer(player(5)), change])
    assert not isinstance(caught.value, Conflict | StorageUnavailable)
    assert "a\0b" not in str(caught.value)
    await storage.apply([AddPlayer(player(5))])


async def test_ids_rise_and_never_come_again_after_a_restart_and_a_sweep(storage: Storage) -> None:
    before = [storage.next_id() for _ in range(3)]
    await storage.apply([AddPlayer(player()), *(AddGrant(grant(id_)) for id_ in before)])
    await storage.sweep(NOW + 90000, 100)
    await storage.close()
    await storage.open()
    after = [storage.next_id() for _ in range(3)]
    assert sorted({*before, *after}) == before + after
    assert all(0 < id_ < 2**63 for id_ in after)


async def test_what_was_written_is_there_after_a_restart(storage: Storage) -> None:
    await redeemed(storage)
    await settled(storage)
    await storage.close()
    await storage.open()
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert loaded.grant.refresh_hash == digest("first")
    found = await storage.load_reservation(digest("ticket"))
    assert found is not None
    assert found.state == "settled"


async def test_a_ping_proves_and_writes_nothing(storage: Storage) -> None:
    await storage.ping()
    assert await storage.load_clients() == ()


async def test_a_closed_storage_is_unavailable_and_closes_again(storage: Storage) -> None:
    await storage.close()
    await storage.close()
    for call in (storage.ping(), storage.load_keys(), storage.apply([CountCodeFailure(1)]), storage.sweep(NOW, 1)):
        with pytest.raises(StorageUnavailable):
            await call
    with pytest.raises(StorageUnavailable):
        storage.next_id()


async def test_an_open_storage_is_not_opened_again(storage: Storage) -> None:
    with pytest.raises(StorageError):
        await storage.open()
    await storage.ping()
