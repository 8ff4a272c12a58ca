"""What every storage backend must do for the keys of the ring.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from authsrv.models import NEVER, StoredKey
from authsrv.storage.base import Conflict, Storage, StorageError
from authsrv.storage.changes import AddKeys, Change, EraseKey, RevokeKey, ScheduleKey, SealKey
from tests.conformance.storage_races import RACERS, outcomes
from tests.support.storage import NOW, signing_key

FIRST = signing_key("first")
SECOND = signing_key("second", follows="first", created_at=NOW + 9)


def schedule(key: StoredKey, *, signs_from: int = NOW + 5, signs_until: int = NEVER) -> ScheduleKey:
    return ScheduleKey(key, signs_from, signs_until, NEVER)


async def only_key(storage: Storage) -> StoredKey:
    (found,) = await storage.load_keys()
    return found


async def racing(storage: Storage, changes: Sequence[Change]) -> Counter[str]:
    """How each change ended, each in an `apply` of its own, all at the same moment."""
    return await outcomes([storage.apply([change]) for change in changes])


# --- new keys ---


async def test_keys_come_back_oldest_first_and_field_by_field(storage: Storage) -> None:
    old, young = signing_key("z"), replace(signing_key("a", follows="z", created_at=NOW + 1), sealed=True)
    seal = StoredKey("s", "seal", "HKDF", b"secret", False, NOW, NOW, NEVER, "HKDF", NOW + 7, NOW + 8, NOW + 9)
    await storage.apply([AddKeys((young, old, seal))])
    assert await storage.load_keys() == (seal, old, young)


async def test_H12_a_ring_gets_its_first_keys_once(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST,))])
    again = AddKeys((signing_key("rsa", alg="RS256"), signing_key("second")))
    with pytest.raises(Conflict) as caught:
        await storage.apply([again])
    assert caught.value.change == again
    assert await storage.load_keys() == (FIRST,)


async def test_keys_of_another_algorithm_may_follow(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST,))])
    await storage.apply([AddKeys((signing_key("rsa", alg="RS256"),))])
    assert await storage.load_keys() == (FIRST, signing_key("rsa", alg="RS256"))


async def test_R22_a_key_has_one_successor(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST,))])
    await storage.apply([AddKeys((SECOND,))])
    with pytest.raises(Conflict):
        await storage.apply([AddKeys((replace(SECOND, kid="another"),))])
    assert await storage.load_keys() == (FIRST, SECOND)


async def test_two_keys_of_one_id_are_not_kept(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST,))])
    with pytest.raises(Conflict):
        await storage.apply([AddKeys((replace(SECOND, kid="first"),))])


async def test_a_key_that_follows_nothing_is_no_fact_to_be_stored(storage: Storage) -> None:
    with pytest.raises(StorageError, match="follows is empty"):
        await storage.apply([AddKeys((replace(FIRST, follows=""),))])


@pytest.mark.parametrize("follows", ["ES256", "first"], ids=["first start", "rotation"])
async def test_R22_of_fifty_who_make_a_key_at_once_one_does(storage: Storage, follows: str) -> None:
    before = [] if follows == "ES256" else [FIRST]
    await storage.apply([AddKeys(tuple(before))])
    changes = [AddKeys((signing_key(f"k{number}", follows=follows),)) for number in range(RACERS)]
    assert await racing(storage, changes) == {"written": 1, "Conflict": RACERS - 1}
    assert len(await storage.load_keys()) == len(before) + 1


# --- times ---


async def test_a_keys_times_are_set_together(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST,))])
    await storage.apply([ScheduleKey(FIRST, NOW + 5, NOW + 6, NOW + 7)])
    assert await only_key(storage) == replace(FIRST, signs_from=NOW + 5, signs_until=NOW + 6, retires_at=NOW + 7)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(replace(FIRST, signs_from=NOW), id="signs_from"),
        pytest.param(replace(FIRST, signs_until=NOW), id="signs_until"),
        pytest.param(replace(FIRST, retires_at=NOW), id="retires_at"),
        pytest.param(replace(FIRST, kid="unknown"), id="kid"),
    ],
)
async def test_times_are_not_set_by_who_saw_others(storage: Storage, seen: StoredKey) -> None:
    await storage.apply([AddKeys((FIRST,))])
    with pytest.raises(Conflict):
        await storage.apply([schedule(seen)])
    assert await only_key(storage) == FIRST


@pytest.mark.parametrize("change", [EraseKey("first", b"public", NOW), RevokeKey("first", b"public", NOW)])
async def test_a_key_without_its_private_part_has_no_more_times_to_be_set(storage: Storage, change: Change) -> None:
    await storage.apply([AddKeys((FIRST,)), change])
    with pytest.raises(Conflict):
        await storage.apply([schedule(FIRST)])


async def test_of_fifty_who_move_a_key_at_once_one_does(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST,))])
    changes = [schedule(FIRST, signs_from=NOW + 100 + number) for number in range(RACERS)]
    assert await racing(storage, changes) == {"written": 1, "Conflict": RACERS - 1}


# --- the private part ---


async def test_a_key_in_clear_is_sealed_once(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST,)), SealKey("first", b"box")])
    assert await only_key(storage) == replace(FIRST, material=b"box", sealed=True)
    with pytest.raises(Conflict):
        await storage.apply([SealKey("first", b"another box")])
    assert (await only_key(storage)).material == b"box"


async def test_an_erased_key_keeps_its_public_part_and_is_never_sealed_again(storage: Storage) -> None:
    await storage.apply([AddKeys((replace(FIRST, sealed=True),)), EraseKey("first", b"public", NOW + 3)])
    erased = replace(FIRST, material=b"public", sealed=False, erased_at=NOW + 3)
    assert await only_key(storage) == erased
    for change in (SealKey("first", b"private"), EraseKey("first", b"other", NOW + 4)):
        with pytest.raises(Conflict):
            await storage.apply([change])
    assert await only_key(storage) == erased


async def test_a_revoked_key_loses_its_private_part_and_is_revoked_once(storage: Storage) -> None:
    await storage.apply([AddKeys((replace(FIRST, sealed=True),)), RevokeKey("first", b"public", NOW + 3)])
    revoked = replace(FIRST, material=b"public", sealed=False, erased_at=NOW + 3, revoked_at=NOW + 3)
    assert await only_key(storage) == revoked
    for change in (SealKey("first", b"private"), EraseKey("first", b"o", NOW), RevokeKey("first", b"o", NOW + 4)):
        with pytest.raises(Conflict):
            await storage.apply([change])
    assert await only_key(storage) == revoked


async def test_an_erased_key_may_be_revoked_later(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST,)), EraseKey("first", b"public", NOW + 3)])
    await storage.apply([RevokeKey("first", b"public", NOW + 9)])
    found = await only_key(storage)
    assert (found.erased_at, found.revoked_at) == (NOW + 3, NOW + 9)


@pytest.mark.parametrize(
    "change", [SealKey("unknown", b"box"), EraseKey("unknown", b"p", NOW), RevokeKey("unknown", b"p", NOW)]
)
async def test_what_happens_to_a_key_that_is_not_there_is_a_conflict(storage: Storage, change: Change) -> None:
    with pytest.raises(Conflict):
        await storage.apply([change])


# --- for verifiers ---


async def test_a_revoked_key_is_told_to_verifiers_that_never_ask_us(storage: Storage) -> None:
    await storage.apply([AddKeys((FIRST, SECOND)), RevokeKey("first", b"public", NOW + 3)])
    assert (await storage.load_revocations(NOW + 2, NOW)).kids == ("first",)
    assert (await storage.load_revocations(NOW + 3, NOW)).kids == ()
