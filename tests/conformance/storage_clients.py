"""What every storage backend must do for clients that registered themselves.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

import asyncio
from dataclasses import replace

import pytest

from authsrv.models import RegisteredClient
from authsrv.storage.base import Conflict, Storage, StorageError
from authsrv.storage.changes import (
    AddGrant,
    AddPlayer,
    Change,
    ExpireClient,
    GiveConsent,
    RedeemCode,
    RegisterClient,
    RemoveClient,
    UpdateClient,
    UseClient,
)
from tests.conformance.storage_browsers import refused
from tests.conformance.storage_races import outcomes
from tests.conformance.storage_sessions import grant_of, signed_in
from tests.support.storage import NOW, digest, grant, player
from tests.support.storage_clients import registered_client

MOST = 3
EXPIRES = NOW + 2_592_000
OPENID = frozenset({"openid"})


async def registered(storage: Storage, *clients: RegisteredClient) -> None:
    await storage.apply([RegisterClient(client, MOST) for client in clients or (registered_client(),)])


async def found(storage: Storage, client_id: str = "c_1") -> RegisteredClient:
    client = await storage.load_registered_client(client_id)
    assert client is not None
    return client


# --- loads ---


async def test_a_registered_client_comes_back_field_by_field(storage: Storage) -> None:
    bare = RegisteredClient(2, "c_2", "ironkeep", "{}", None, None, "", NOW, None)
    await registered(storage, bare, registered_client(1))
    assert await storage.load_registered_client("c_1") == registered_client(1)
    assert await storage.load_registered_client("c_2") == bare
    assert await storage.load_registered_clients() == (registered_client(1), bare)


async def test_what_nobody_registered_is_none(storage: Storage) -> None:
    assert await storage.load_registered_client("c_1") is None
    assert await storage.load_registered_clients() == ()


async def test_registered_clients_are_there_after_a_restart(storage: Storage) -> None:
    await registered(storage)
    await storage.close()
    await storage.open()
    assert await storage.load_registered_clients() == (registered_client(),)


# --- registration ---


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(registered_client(2, client_id="c_1"), id="client_id"),
        pytest.param(registered_client(1, client_id="c_2"), id="row"),
    ],
)
async def test_a_client_id_and_a_row_are_given_once(storage: Storage, other: RegisteredClient) -> None:
    await registered(storage)
    await refused(storage, RegisterClient(other, MOST))
    assert await storage.load_registered_clients() == (registered_client(),)


async def test_Y17_a_project_takes_no_more_clients_than_it_may_have(storage: Storage) -> None:
    await registered(storage, *(registered_client(number) for number in (1, 2, 3)))
    await refused(storage, RegisterClient(registered_client(4), MOST))
    await registered(storage, registered_client(5, project="ironkeep"))
    await storage.apply([RemoveClient("c_2", NOW), RegisterClient(registered_client(4), MOST)])
    assert [client.id for client in await storage.load_registered_clients()] == [1, 3, 4, 5]


async def test_Y17_of_fifty_registrations_at_once_as_many_are_written_as_there_is_room_for(storage: Storage) -> None:
    calls = [storage.apply([RegisterClient(registered_client(number), MOST)]) for number in range(1, 51)]
    assert await outcomes(calls) == {"written": 3, "Conflict": 47}
    assert len(await storage.load_registered_clients()) == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(RegisterClient(registered_client(client_id="launcher"), MOST), id="id of a file's client"),
        pytest.param(RegisterClient(replace(registered_client(), metadata=""), MOST), id="no metadata"),
        pytest.param(RegisterClient(replace(registered_client(), metadata="a\0b"), MOST), id="NUL"),
        pytest.param(RegisterClient(replace(registered_client(), project="a\ud800b"), MOST), id="surrogate"),
        pytest.param(RegisterClient(replace(registered_client(), registered_with="a\0b"), MOST), id="NUL in a name"),
        pytest.param(RegisterClient(replace(registered_client(), client_id="c_\0"), MOST), id="NUL in an id"),
        pytest.param(RegisterClient(registered_client(2**63), MOST), id="integer beyond 64 bits"),
        pytest.param(RegisterClient(replace(registered_client(), secret_hash=digest("x")[:31]), MOST), id="secret"),  # type: ignore[arg-type]  # the fault
        pytest.param(RegisterClient(replace(registered_client(), token_hash=digest("x")[:31]), MOST), id="token"),  # type: ignore[arg-type]  # the fault
        pytest.param(UpdateClient("c_1", 1, "", None), id="update without metadata"),
        pytest.param(UpdateClient("c_1", 1, "a\0b", None), id="NUL in an update"),
        pytest.param(UpdateClient("c_1", 1, "{}", digest("x")[:31]), id="secret of an update"),  # type: ignore[arg-type]  # the fault
        pytest.param(UseClient("c_\0"), id="NUL in a used id"),
        pytest.param(RemoveClient("c_\0", NOW), id="NUL in a removed id"),
        pytest.param(ExpireClient("c_\0", NOW), id="NUL in an expired id"),
    ],
)
async def test_a_registration_that_would_not_come_back_is_refused(storage: Storage, change: Change) -> None:
    with pytest.raises(StorageError) as caught:
        await storage.apply([change])
    assert not isinstance(caught.value, Conflict)
    assert await storage.load_registered_clients() == ()


async def test_a_load_by_an_id_that_no_column_holds_is_refused(storage: Storage) -> None:
    with pytest.raises(StorageError):
        await storage.load_registered_client("c_\0")


# --- update and use ---


async def test_an_update_replaces_what_was_registered_and_counts(storage: Storage) -> None:
    await registered(storage, registered_client(1), registered_client(2))
    await storage.apply([UpdateClient("c_1", 1, '{"client_name":"B"}', digest("other"))])
    expected = replace(registered_client(), metadata='{"client_name":"B"}', secret_hash=digest("other"), version=2)
    assert await found(storage) == expected
    await storage.apply([UpdateClient("c_1", 2, '{"client_name":"C"}', None)])
    assert await found(storage) == replace(expected, metadata='{"client_name":"C"}', secret_hash=None, version=3)
    assert await found(storage, "c_2") == registered_client(2)


async def test_an_update_of_another_version_is_a_conflict(storage: Storage) -> None:
    await registered(storage)
    await refused(storage, UpdateClient("c_1", 2, "{}", None))
    await refused(storage, UpdateClient("c_1", 0, "{}", None))
    assert await found(storage) == registered_client()


async def test_after_an_update_players_are_asked_again_if_it_says_so(storage: Storage) -> None:
    await signed_in(storage)
    await registered(storage, registered_client(1), registered_client(2))
    await storage.apply([GiveConsent(1, client_id, ("openid",), NOW) for client_id in ("c_1", "c_2")])
    await storage.apply([UpdateClient("c_1", 1, "{}", None, ask_again=True), UpdateClient("c_2", 1, "{}", None)])
    visits = [await storage.load_visit(1, "skyforge", client_id) for client_id in ("c_1", "c_2")]
    assert [visit.consented if visit else None for visit in visits] == [frozenset(), OPENID]


async def test_of_fifty_updates_at_once_one_is_written(storage: Storage) -> None:
    await registered(storage)
    calls = [storage.apply([UpdateClient("c_1", 1, f'{{"client_name":"{n}"}}', None)]) for n in range(50)]
    assert await outcomes(calls) == {"written": 1, "Conflict": 49}
    assert (await found(storage)).version == 2


async def test_a_client_that_is_used_expires_no_more(storage: Storage) -> None:
    await registered(storage, registered_client(1), registered_client(2))
    await storage.apply([UseClient("c_1")])
    await storage.apply([UseClient("c_1")])
    assert await found(storage) == replace(registered_client(), expires_at=None)
    assert await found(storage, "c_2") == registered_client(2)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(UpdateClient("c_1", 1, "{}", None), id="update"),
        pytest.param(UseClient("c_1"), id="use"),
        pytest.param(RemoveClient("c_1", NOW), id="removal"),
        pytest.param(ExpireClient("c_1", EXPIRES + 1), id="expiry"),
    ],
)
async def test_nothing_is_done_to_a_client_that_is_not_there(storage: Storage, change: Change) -> None:
    await refused(storage, change)
    await registered(storage)
    await storage.apply([RemoveClient("c_1", NOW)])
    await refused(storage, change)
    assert await storage.load_registered_clients() == ()


# --- removal ---


async def test_removing_a_client_ends_its_grants_and_forgets_its_consents(storage: Storage) -> None:
    await signed_in(storage)
    await registered(storage, registered_client(1), registered_client(2))
    consents = [GiveConsent(1, client_id, ("openid",), NOW) for client_id in ("c_1", "c_2", "shop")]
    mine = [replace(grant(1), client_id="c_1"), replace(grant(2), client_id="c_1", code_used_at=NOW)]
    others = [replace(grant(3), client_id="c_2"), grant(4)]
    ended_before = replace(grant(5), client_id="c_1", revoked_at=NOW, revoked_reason="logout")
    await storage.apply([*consents, *(AddGrant(each) for each in (*mine, *others, ended_before))])
    await storage.apply([RemoveClient("c_1", NOW + 5)])
    ended = [replace(each, revoked_at=NOW + 5, revoked_reason="client_removed") for each in mine]
    assert [await grant_of(storage, number) for number in range(1, 6)] == [*ended, *others, ended_before]
    visits = [await storage.load_visit(1, "skyforge", client_id) for client_id in ("c_1", "c_2", "shop")]
    assert [visit.consented if visit else None for visit in visits] == [frozenset(), OPENID, OPENID]
    assert await storage.load_registered_clients() == (registered_client(2),)


async def test_no_code_is_redeemed_after_its_client_was_removed(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), RegisterClient(registered_client(), MOST)])
    await storage.apply([AddGrant(replace(grant(number), client_id="c_1")) for number in range(1, 11)])
    redeemed = [storage.apply([RedeemCode(number, NOW, None, NOW + 50)]) for number in range(1, 11)]
    calls = [*redeemed[:5], storage.apply([RemoveClient("c_1", NOW)]), *redeemed[5:]]
    done = await outcomes(calls)
    assert done["written"] + done["Conflict"] == 11
    grants = [await grant_of(storage, number) for number in range(1, 11)]
    assert {each.revoked_reason for each in grants} == {"client_removed"}
    assert sum(each.code_used_at is not None for each in grants) == done["written"] - 1


async def test_no_code_is_issued_after_its_client_was_removed(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), RegisterClient(registered_client(), MOST)])
    issued = [
        storage.apply([UseClient("c_1"), AddGrant(replace(grant(number), client_id="c_1"))]) for number in range(1, 11)
    ]
    calls = [*issued[:5], storage.apply([RemoveClient("c_1", NOW)]), *issued[5:]]
    done = await outcomes(calls)
    assert done["written"] + done["Conflict"] == 11
    issued_to = [loaded for number in range(1, 11) if (loaded := await storage.load_grant(number))]
    assert len(issued_to) == done["written"] - 1
    assert {loaded.grant.revoked_reason for loaded in issued_to} <= {"client_removed"}


async def test_of_fifty_removals_at_once_one_is_written(storage: Storage) -> None:
    await registered(storage)
    assert await outcomes([storage.apply([RemoveClient("c_1", NOW)]) for _ in range(50)]) == {
        "written": 1,
        "Conflict": 49,
    }


async def test_an_update_never_brings_a_removed_client_back(storage: Storage) -> None:
    await registered(storage)
    await asyncio.gather(
        storage.apply([RemoveClient("c_1", NOW)]),
        storage.apply([UpdateClient("c_1", 1, "{}", None)]),
        return_exceptions=True,
    )
    assert await storage.load_registered_clients() == ()


# --- expiry ---


async def test_Y17_an_unused_client_goes_after_its_time_and_not_before(storage: Storage) -> None:
    await registered(storage)
    await refused(storage, ExpireClient("c_1", EXPIRES))
    assert await storage.load_registered_clients() == (registered_client(),)
    await storage.apply([ExpireClient("c_1", EXPIRES + 1)])
    assert await storage.load_registered_clients() == ()


async def test_Y17_a_used_client_never_goes_by_itself(storage: Storage) -> None:
    await registered(storage)
    await storage.apply([UseClient("c_1")])
    await refused(storage, ExpireClient("c_1", EXPIRES + 1))
    assert await found(storage) == replace(registered_client(), expires_at=None)
