"""The keeper over a real storage: first starts, rotations and revocations, alone and against another node."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from authsrv.models import NEVER, KeyRules, StoredKey
from authsrv.oauth.key_keeper import ATTEMPTS, NotRevoked, first_keys
from authsrv.oauth.key_material import KeyRingError, Vault, public_der
from authsrv.oauth.key_schedule import LAG, RETENTION, SHORTEST_NOTICE
from authsrv.storage.base import Conflict, Storage, StorageUnavailable
from authsrv.storage.changes import AddKeys, Change, ScheduleKey
from tests.support.keys import DAY, EDDSA, Node, signing
from tests.support.oauth import Clock, stored_keys
from tests.support.storage import BACKENDS, NOW, memory_storage, migrated_sqlite, storage_on

PASSPHRASE = "canary-passphrase-of-the-key-ring"
NOTICE = 14 * DAY + LAG


@pytest.fixture(params=BACKENDS)
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    async with storage_on(request.param, tmp_path) as opened:
        yield opened


async def opened(storage: Storage, rules: KeyRules = EDDSA) -> Node:
    node = Node(storage, rules)
    await node.open()
    return node


class Meeting:
    """A storage on which nobody goes on from a look at the keys until all have looked, a few times over."""

    def __init__(self, storage: Storage, parties: int, looks: int) -> None:
        self._storage = storage
        self._all_looked = asyncio.Barrier(parties)
        self._looks = looks * parties

    async def load_keys(self) -> tuple[StoredKey, ...]:
        found = await self._storage.load_keys()
        if self._looks > 0:
            self._looks -= 1
            await self._all_looked.wait()
        return found

    async def apply(self, changes: Sequence[Change]) -> None:
        await self._storage.apply(changes)


# --- starting ---


async def test_the_first_start_makes_a_key_for_each_algorithm_and_the_secret(storage: Storage) -> None:
    node = await opened(storage, KeyRules(("ES256", "RS256", "PS256", "EdDSA")))
    keys = await storage.load_keys()
    assert sorted((key.use, key.alg, key.follows) for key in keys) == [
        ("seal", "HKDF", "HKDF"),
        ("sig", "ES256", "ES256"),
        ("sig", "EdDSA", "EdDSA"),
        ("sig", "PS256", "PS256"),
        ("sig", "RS256", "RS256"),
    ]
    assert sorted(node.audited()) == sorted(("keys.created", key.kid) for key in signing(keys))
    assert [(key.signs_from, key.signs_until, key.retires_at) for key in signing(keys)] == [(NOW, NEVER, NEVER)] * 4


async def test_R22_H12_two_first_starts_at_once_make_one_ring(storage: Storage) -> None:
    meeting = Meeting(storage, 2, looks=1)
    nodes = [Node(meeting) for _ in range(2)]  # type: ignore[arg-type]  # has what is asked of it
    rings = await asyncio.gather(*(node.open() for node in nodes))
    assert rings[0].jwks() == rings[1].jwks()
    assert rings[0].derive(b"codes") == rings[1].derive(b"codes")
    assert len(await storage.load_keys()) == 2
    assert len(nodes[0].audited() + nodes[1].audited()) == 1


async def test_a_later_start_makes_no_new_keys(storage: Storage) -> None:
    first = await opened(storage)
    again = await opened(storage)
    assert again.ring.jwks() == first.ring.jwks()
    assert again.audited() == []


async def test_a_new_algorithm_gets_its_key_at_the_next_start(storage: Storage) -> None:
    before = await opened(storage)
    after = await opened(storage, replace(EDDSA, algorithms=("EdDSA", "ES256")))
    assert after.signer() == before.signer()
    (made,) = [key for key in await storage.load_keys() if key.alg == "ES256"]
    assert (after.signer("ES256"), made.follows, made.signs_from) == (made.kid, "ES256", NOW)
    assert after.audited() == [("keys.created", made.kid)]


async def test_R22_two_nodes_that_learn_of_a_new_algorithm_at_once_make_one_key(storage: Storage) -> None:
    await opened(storage)
    meeting = Meeting(storage, 2, looks=3)
    rules = replace(EDDSA, algorithms=("EdDSA", "ES256"))
    nodes = [Node(meeting, rules) for _ in range(2)]  # type: ignore[arg-type]  # has what is asked of it
    await asyncio.gather(*(node.open() for node in nodes))
    assert nodes[0].signer("ES256") == nodes[1].signer("ES256")
    assert len([key for key in await storage.load_keys() if key.alg == "ES256"]) == 1


async def test_a_passphrase_that_is_set_later_seals_what_rests_in_clear(storage: Storage) -> None:
    before = await opened(storage)
    after = Node(storage, passphrase=PASSPHRASE)
    await after.open()
    assert (after.signer(), after.ring.derive(b"x")) == (before.signer(), before.ring.derive(b"x"))
    keys = await storage.load_keys()
    assert all(key.sealed for key in keys)
    assert sorted(after.audited()) == sorted(("keys.sealed", key.kid) for key in signing(keys))
    again = Node(storage, passphrase=PASSPHRASE)
    await again.open()
    assert again.audited() == []
    with pytest.raises(KeyRingError, match=r"set keys\.passphrase"):
        await Node(storage).open()


async def test_what_was_erased_stays_erased_when_a_passphrase_is_set_later(storage: Storage) -> None:
    node = await opened(storage)
    await node.keeper.rotate()
    await node.at(NOW + SHORTEST_NOTICE)
    late = Node(storage, passphrase=PASSPHRASE, clock=Clock(NOW + SHORTEST_NOTICE + 1))
    await late.open()
    assert sorted((key.sealed, key.erased_at is not None) for key in await storage.load_keys()) == [
        (False, True),
        (True, False),
        (True, False),
    ]


async def test_a_passphrase_seals_keys_that_are_made_later(storage: Storage) -> None:
    node = Node(storage, passphrase=PASSPHRASE)
    await node.open()
    await node.keeper.rotate()
    keys = await storage.load_keys()
    assert len(keys) == 3
    assert all(key.sealed for key in keys)


# --- the rounds ---


async def test_a_key_is_announced_signs_and_is_erased_in_its_time(storage: Storage) -> None:
    node = await opened(storage)
    first = node.signer()
    node.audited()
    await node.at(NOW + 90 * DAY - NOTICE - 1)
    assert node.states() == ["active"]
    await node.at(NOW + 90 * DAY - NOTICE)
    ((kind, second),) = node.audited()
    assert (kind, node.states(), node.signer()) == ("keys.announced", ["active", "next"], first)
    node.clock.now = NOW + 90 * DAY
    assert (node.signer(), node.states()) == (second, ["retiring", "active"]), "without a round, by the clock alone"
    await node.at(NOW + 90 * DAY + 59)
    assert node.audited() == [("keys.erased", first)]
    (old,) = [key for key in await storage.load_keys() if key.kid == first]
    assert (old.erased_at, old.retires_at) == (NOW + 90 * DAY + 59, NOW + 90 * DAY + RETENTION)
    left = node.ring.known(first) or pytest.fail("gone")
    assert (old.material, left.private) == (public_der(left), None), "nor is it in memory"
    await node.at(NOW + 90 * DAY + RETENTION)
    assert (node.states(), node.audited()) == (["retired", "active"], [])


async def test_R21_a_private_part_that_is_erased_is_nowhere_in_the_database(tmp_path: Path) -> None:
    storage = migrated_sqlite(tmp_path)
    await storage.open()
    node = await opened(storage)
    (first,) = signing(await storage.load_keys())
    await storage.close()
    assert first.material in content(tmp_path)
    await storage.open()
    await node.keeper.rotate()
    await node.at(NOW + SHORTEST_NOTICE)
    await storage.close()
    assert first.material[-32:] not in content(tmp_path)


def content(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_a_ring_learns_what_another_node_did(storage: Storage) -> None:
    one, other = await opened(storage), await opened(storage)
    await one.keeper.rotate()
    assert len(other.ring.stored) == 2
    await other.keeper.round()
    assert other.ring.stored == one.ring.stored
    one.audited()
    await one.keeper.revoke(one.signer())
    await other.keeper.round()
    assert other.signer() == one.signer()
    assert other.ring.jwks() == one.ring.jwks()


@pytest.mark.parametrize("nodes", [2, 10])
async def test_R22_nodes_that_rotate_at_once_make_one_successor(storage: Storage, nodes: int) -> None:
    await opened(storage)
    due = NOW + 90 * DAY - NOTICE
    meeting = Meeting(storage, nodes, looks=1)
    found = [await opened(storage) for _ in range(nodes)]
    for node in found:
        node.clock.now = due
        node.audited()
        node.keeper._storage = meeting  # type: ignore[assignment]  # has what is asked of it
    await asyncio.gather(*(node.keeper.round() for node in found))
    assert len(signing(await storage.load_keys())) == 2
    assert sum(len(node.audited()) for node in found) == 1
    for node in found:
        node.clock.now = NOW + 90 * DAY
    assert len({node.signer() for node in found}) == 1


async def test_R22_orders_on_two_nodes_at_once_make_one_successor(storage: Storage) -> None:
    nodes = [await opened(storage) for _ in range(2)]
    await asyncio.gather(*(node.keeper.rotate() for node in nodes))
    assert len(signing(await storage.load_keys())) == 2
    assert nodes[0].ring.stored == nodes[1].ring.stored


async def test_orders_and_rounds_on_one_node_come_one_after_the_other(storage: Storage) -> None:
    node = await opened(storage)
    await asyncio.gather(*(act() for act in (node.keeper.rotate, node.keeper.round) * 5))
    assert node.states() == ["active", "next"]


@pytest.mark.parametrize("fault", [StorageUnavailable("busy"), None])
async def test_a_database_that_is_away_changes_nothing_that_is_in_use(fault: StorageUnavailable | None) -> None:
    storage = memory_storage()
    await storage.open()
    node = await opened(storage)
    before = node.ring.stored
    if fault is None:
        await storage.close()
    else:
        node.keeper._storage = Refusing(storage, fault)  # type: ignore[assignment]  # has what is asked of it
    with pytest.raises(StorageUnavailable):
        await node.at(NOW + 90 * DAY)
    assert (node.ring.stored, node.signer()) == (before, signing(before)[0].kid)


@dataclass
class Refusing:
    """A storage that does not write."""

    storage: Storage
    fault: Exception
    refused: int = 0

    async def load_keys(self) -> tuple[StoredKey, ...]:
        return await self.storage.load_keys()

    async def apply(self, _: Sequence[Change]) -> None:
        self.refused += 1
        raise self.fault


async def test_who_loses_every_race_tries_again_in_the_next_round(storage: Storage) -> None:
    node = await opened(storage)
    refusing = Refusing(storage, Conflict(AddKeys(())))
    node.keeper._storage = refusing  # type: ignore[assignment]  # has what is asked of it
    await node.at(NOW + 90 * DAY)
    assert (refusing.refused, node.states()) == (ATTEMPTS, ["active"])
    with pytest.raises(NotRevoked, match="try again"):
        await node.keeper.revoke(node.signer())
    node.keeper._storage = storage
    await node.keeper.round()
    assert node.states() == ["active", "next"]


# --- clocks and restarts ---


async def test_R11_a_clock_that_goes_back_after_a_rotation_leaves_a_key_to_sign(storage: Storage) -> None:
    node = await opened(storage)
    await node.keeper.rotate()
    await node.at(NOW + SHORTEST_NOTICE)
    second = node.signer()
    await node.at(NOW + SHORTEST_NOTICE - 3600)
    assert (node.signer(), node.states()) == (second, ["retiring", "active"])
    restarted = Node(storage, clock=Clock(NOW))
    await restarted.open()
    assert restarted.signer() == second


async def test_R11_ten_years_ahead_for_a_while_costs_no_rotation_afterwards(storage: Storage) -> None:
    node = await opened(storage)
    await node.at(NOW + 3650 * DAY)
    await node.at(NOW + DAY)
    (first, second) = signing(node.ring.stored)
    assert (first.signs_until, second.signs_from) == (NOW + 90 * DAY, NOW + 90 * DAY)
    await node.at(NOW + 90 * DAY)
    assert node.signer() == second.kid


async def test_a_restart_changes_nothing(storage: Storage) -> None:
    node = await opened(storage)
    await node.at(NOW + 80 * DAY)
    restarted = Node(storage, clock=Clock(NOW + 80 * DAY))
    await restarted.open()
    assert restarted.ring.stored == node.ring.stored
    assert restarted.audited() == []


async def test_a_server_that_was_off_for_months_announces_before_it_changes_the_key(storage: Storage) -> None:
    first = (await opened(storage)).signer()
    late = Node(storage, clock=Clock(NOW + 300 * DAY))
    await late.open()
    assert (late.signer(), late.states()) == (first, ["active", "next"])
    assert signing(late.ring.stored)[1].signs_from == NOW + 300 * DAY + NOTICE


async def test_a_server_that_was_off_over_a_rotation_erases_what_has_retired_meanwhile(storage: Storage) -> None:
    node = Node(storage, passphrase=PASSPHRASE)
    await node.open()
    await node.keeper.rotate()
    late = Node(storage, passphrase=PASSPHRASE, clock=Clock(NOW + SHORTEST_NOTICE + RETENTION))
    await late.open()
    assert late.states() == ["retired", "active"]
    assert [key.erased_at is not None for key in signing(late.ring.stored)] == [True, False]


async def test_a_retired_key_that_nobody_can_read_any_more_is_erased_all_the_same(storage: Storage) -> None:
    (key, secret) = first_keys(EDDSA, Vault("", os.urandom), NOW)
    unreadable = replace(key, material=b"nobody can read this", sealed=True, signs_until=NOW + 1, retires_at=NOW + 2)
    heir = Vault("", os.urandom).new_key("EdDSA", key.kid, NOW + 1, NOW)
    await storage.apply([AddKeys((unreadable, heir, secret))])
    for _ in range(2):
        node = Node(storage, clock=Clock(NOW + DAY))
        await node.open()
        assert (node.signer(), node.states()) == (heir.kid, ["retired", "active"])
        assert signing(await storage.load_keys())[0].material == b""


# --- in an emergency ---


async def test_a_revoked_key_is_gone_and_the_next_one_signs_at_once(storage: Storage) -> None:
    node = await opened(storage)
    first = node.signer()
    await node.keeper.rotate()
    (second,) = [key["kid"] for key in node.ring.jwks()["keys"] if key["kid"] != first]
    node.audited()
    await node.keeper.revoke(first)
    assert (node.signer(), [key["kid"] for key in node.ring.jwks()["keys"]]) == (second, [second])
    (gone,) = [key for key in await storage.load_keys() if key.kid == first]
    assert (gone.revoked_at, gone.erased_at, gone.sealed) == (NOW, NOW, False)
    assert gone.material == public_der(node.ring.known(first) or pytest.fail("gone"))
    assert node.audited() == [("keys.revoked", first)]
    assert (await storage.load_revocations(NOW - 1, NOW)).kids == (first,)


async def test_the_last_key_is_replaced_at_once(storage: Storage) -> None:
    node = await opened(storage)
    first = node.signer()
    node.audited()
    await node.keeper.revoke(first)
    assert node.states() == ["revoked", "active"]
    assert node.audited() == [("keys.created", node.signer()), ("keys.revoked", first)]


async def test_a_revoked_successor_is_replaced_by_another_that_is_announced_anew(storage: Storage) -> None:
    node = await opened(storage)
    await node.at(NOW + 90 * DAY - NOTICE)
    (second,) = [key for key in node.ring.stored if key.signs_from > node.clock.now]
    node.clock.now = NOW + 89 * DAY
    await node.keeper.revoke(second.kid)
    third = signing(node.ring.stored)[-1]
    assert node.states() == ["active", "revoked", "next"]
    assert (third.follows, third.signs_from) == (second.kid, NOW + 89 * DAY + NOTICE)
    assert signing(node.ring.stored)[0].signs_until == third.signs_from


@pytest.mark.parametrize("kid", ["unknown", "seal", ""])
async def test_what_is_no_signing_key_is_not_revoked(storage: Storage, kid: str) -> None:
    node = await opened(storage)
    with pytest.raises(NotRevoked, match=f"there is no signing key {kid}"):
        await node.keeper.revoke(kid)
    assert node.states() == ["active"]


async def test_a_key_is_revoked_once(storage: Storage) -> None:
    node = await opened(storage)
    first = node.signer()
    await node.keeper.revoke(first)
    with pytest.raises(NotRevoked, match="was revoked before"):
        await node.keeper.revoke(first)


async def test_a_key_that_another_node_revokes_at_the_same_moment_is_replaced_once(storage: Storage) -> None:
    nodes = [await opened(storage) for _ in range(2)]
    first = nodes[0].signer()
    for node in nodes:
        node.keeper._storage = Meeting(storage, 1, looks=0)  # type: ignore[assignment]  # has what is asked of it
    ended = await asyncio.gather(*(node.keeper.revoke(first) for node in nodes), return_exceptions=True)
    assert sorted(map(str, ended)) == ["None", f"the key {first} was revoked before"]
    for node in nodes:
        await node.keeper.round()
    assert nodes[0].states() == nodes[1].states() == ["revoked", "active"]


async def test_a_keeper_that_is_told_of_keys_it_cannot_open_goes_on_with_those_it_has(storage: Storage) -> None:
    node = await opened(storage)
    before = node.ring.stored
    strange = Vault(PASSPHRASE, os.urandom).new_key("EdDSA", node.signer(), NOW + DAY, NOW)
    await storage.apply([AddKeys((strange,))])
    with pytest.raises(KeyRingError, match=r"set keys\.passphrase"):
        await node.keeper.round()
    assert (node.ring.stored, node.signer()) == (before, signing(before)[0].kid)


async def test_keys_of_the_time_before_the_rotation_are_taken_into_the_schedule(storage: Storage) -> None:
    await storage.apply([AddKeys(stored_keys())])
    old = Node(storage, KeyRules(), clock=Clock(NOW + 200 * DAY))
    await old.open()
    assert old.states() == ["active", "active", "next", "next"]
    moved = [key for key in old.ring.stored if key.signs_until != NEVER]
    assert len(moved) == 2


async def test_times_that_somebody_else_moved_meanwhile_are_read_again(storage: Storage) -> None:
    node = await opened(storage)
    await node.keeper.rotate()
    (first, second) = signing(node.ring.stored)
    nearer = ScheduleKey(second, NOW + DAY, NEVER, NEVER)
    await storage.apply([nearer, ScheduleKey(first, NOW, NOW + DAY, NOW + DAY + RETENTION)])
    await node.keeper.round()
    assert [key.signs_from for key in signing(node.ring.stored)] == [NOW, NOW + DAY]
