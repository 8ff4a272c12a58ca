"""What every storage backend must do for nodes that share it: leases, versions, and the time.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

import time
from collections.abc import Sequence
from typing import get_args

import pytest

from authsrv.models import Lease
from authsrv.storage.base import Conflict, Storage, StorageError
from authsrv.storage.changes import (
    MOVES,
    AddKeys,
    AddPlayer,
    Change,
    EraseKey,
    ExpireClient,
    RegisterClient,
    RemoveClient,
    RevokeKey,
    ScheduleKey,
    SealKey,
    UpdateClient,
    UseClient,
    VersionName,
)
from authsrv.storage.node_changes import ReleaseLease, TakeLease
from authsrv.storage.steps import clients as client_steps
from authsrv.storage.steps import keys as key_steps
from tests.conformance.storage_races import RACERS, outcomes
from tests.support.storage import NOW, player, signing_key
from tests.support.storage_clients import registered_client


async def held(storage: Storage, now: int = NOW) -> dict[str, str]:
    """Who holds what."""
    return {lease.name: lease.holder for lease in await storage.load_leases(now)}


# --- leases ---


async def test_R22_a_lease_is_held_by_who_was_first_until_it_ends(storage: Storage) -> None:
    await storage.apply([TakeLease("jobs", "a", NOW, NOW + 20)])
    for now in (NOW, NOW + 19):
        with pytest.raises(Conflict):
            await storage.apply([TakeLease("jobs", "b", now, now + 20)])
    assert await storage.load_leases(NOW + 19) == (Lease("jobs", "a", NOW + 20),)
    assert await storage.load_leases(NOW + 20) == ()
    await storage.apply([TakeLease("jobs", "b", NOW + 20, NOW + 40)])
    assert await storage.load_leases(NOW + 20) == (Lease("jobs", "b", NOW + 40),)


async def test_a_holder_keeps_its_lease_for_longer_and_others_wait(storage: Storage) -> None:
    for now in (NOW, NOW + 5, NOW + 100):
        await storage.apply([TakeLease("jobs", "a", now, now + 20)])
    with pytest.raises(Conflict):
        await storage.apply([TakeLease("jobs", "b", NOW + 119, NOW + 139)])


async def test_a_released_lease_is_free_at_once_and_only_its_holder_releases_it(storage: Storage) -> None:
    await storage.apply([TakeLease("jobs", "a", NOW, NOW + 20), TakeLease("node:b", "b", NOW, NOW + 20)])
    await storage.apply([ReleaseLease("jobs", "b"), ReleaseLease("nothing", "a")])
    assert await held(storage) == {"jobs": "a", "node:b": "b"}
    await storage.apply([ReleaseLease("jobs", "a"), TakeLease("jobs", "b", NOW, NOW + 20)])
    assert await held(storage) == {"jobs": "b", "node:b": "b"}


@pytest.mark.parametrize("before", [[], [TakeLease("jobs", "dead", NOW - 20, NOW)]], ids=["free", "ended"])
async def test_R22_of_fifty_who_take_a_lease_at_once_one_gets_it(storage: Storage, before: Sequence[Change]) -> None:
    await storage.apply(before)
    calls = [storage.apply([TakeLease("jobs", f"n{number}", NOW, NOW + 20)]) for number in range(RACERS)]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}


async def test_what_is_written_with_a_lease_that_was_lost_is_not_written(storage: Storage) -> None:
    await storage.apply([TakeLease("jobs", "b", NOW, NOW + 20)])
    with pytest.raises(Conflict):
        await storage.apply([AddPlayer(player()), TakeLease("jobs", "a", NOW, NOW + 20)])
    assert await storage.load_subject("sub-1") is None


@pytest.mark.parametrize(
    "change",
    [
        TakeLease("", "a", NOW, NOW + 1),
        TakeLease("jobs", "", NOW, NOW + 1),
        TakeLease("jobs", "a\0", NOW, NOW + 1),
        TakeLease("jobs", "a", NOW, 2**63),
        ReleaseLease("jobs", "\ud800"),
    ],
    ids=repr,
)
async def test_a_lease_that_no_column_holds_is_refused(storage: Storage, change: Change) -> None:
    with pytest.raises(StorageError) as caught:
        await storage.apply([change])
    assert not isinstance(caught.value, Conflict)


async def test_S13_leases_of_nodes_that_are_gone_are_swept(storage: Storage) -> None:
    await storage.apply([TakeLease(f"node:{end}", "a", NOW, NOW + end) for end in (10, 20)])
    await storage.sweep(NOW + 1809, 50)
    assert set(await held(storage)) == {"node:10", "node:20"}
    assert (await storage.sweep(NOW + 1815, 50)).rows == 1
    assert set(await held(storage)) == {"node:20"}


# --- versions ---

RING_KEY = signing_key()
KEY_CHANGES: list[Change] = [
    AddKeys((RING_KEY,)),
    ScheduleKey(RING_KEY, NOW + 5, NOW + 6, NOW + 7),
    SealKey(RING_KEY.kid, b"box"),
    EraseKey(RING_KEY.kid, b"public", NOW),
    RevokeKey(RING_KEY.kid, b"public", NOW),
]
CLIENT_CHANGES: list[Change] = [
    RegisterClient(registered_client(1), 9),
    RegisterClient(registered_client(2), 9),
    UpdateClient("c_1", 1, "{}", None),
    RemoveClient("c_1", NOW),
    ExpireClient("c_2", NOW + 10**9),
]


async def versions(storage: Storage) -> dict[VersionName, int]:
    found = await storage.load_versions()
    return {name: found[name] for name in get_args(VersionName)}


@pytest.mark.parametrize(
    ("name", "changes"), [("keys", KEY_CHANGES), ("clients", CLIENT_CHANGES)], ids=["keys", "clients"]
)
async def test_every_change_of_what_nodes_keep_in_memory_raises_its_version(
    storage: Storage, name: VersionName, changes: Sequence[Change]
) -> None:
    for change in changes:
        before = await versions(storage)
        await storage.apply([change])
        assert await versions(storage) == {**before, name: before[name] + 1}, change


async def test_no_version_is_raised_by_what_was_not_written(storage: Storage) -> None:
    await storage.apply([AddKeys((RING_KEY,))])
    before = await versions(storage)
    with pytest.raises(Conflict):
        await storage.apply([RevokeKey(RING_KEY.kid, b"public", NOW), AddKeys((RING_KEY,))])
    assert await versions(storage) == before


async def test_a_sign_in_to_a_registered_client_bothers_no_other_node(storage: Storage) -> None:
    await storage.apply([RegisterClient(registered_client(1), 9)])
    before = await versions(storage)
    await storage.apply([UseClient("c_1")])
    assert await versions(storage) == before


async def test_versions_stay_raised_after_a_restart(storage: Storage) -> None:
    await storage.apply([AddKeys((RING_KEY,))])
    before = await versions(storage)
    await storage.close()
    await storage.open()
    assert await versions(storage) == before


async def test_of_fifty_who_register_at_once_each_raises_the_version(storage: Storage) -> None:
    before = await versions(storage)
    calls = [storage.apply([RegisterClient(registered_client(number), 99)]) for number in range(1, RACERS + 1)]
    assert await outcomes(calls) == {"written": RACERS}
    assert (await versions(storage))["clients"] == before["clients"] + RACERS


def test_no_change_of_keys_or_registered_clients_is_forgotten() -> None:
    kinds = get_args(Change)
    written = {kind for module in (key_steps, client_steps) for kind in vars(module).values() if kind in kinds}
    assert written == {*MOVES, UseClient}


# --- the time ---


async def test_S12_the_time_is_told_in_unix_seconds(storage: Storage) -> None:
    assert abs(await storage.load_time() - time.time()) < 5


async def test_S12_a_second_is_told_when_it_has_begun(storage: Storage) -> None:
    while time.time() % 1 < 0.6:  # the half of a second that would be rounded up
        await storage.load_time()
    assert await storage.load_time() <= time.time()
