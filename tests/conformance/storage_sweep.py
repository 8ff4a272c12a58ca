"""What every storage backend must sweep, and what it must never touch. Needs the fixture `storage`."""

from dataclasses import replace

import pytest

from authsrv.models import Grant
from authsrv.storage.base import Storage, Swept
from authsrv.storage.changes import AddGrant, AddPlayer, RedeemCode, RevokeGrant, RotateRefreshToken
from tests.support.storage import NOW, digest, grant, player, reservation

LATER = NOW + 100_000


async def add(storage: Storage, *grants: Grant) -> None:
    await storage.apply([AddPlayer(player()), *(AddGrant(each) for each in grants)])


async def left(storage: Storage, *ids: int) -> list[int]:
    return [id_ for id_ in ids if await storage.load_grant(id_) is not None]


async def test_R34_expired_rows_go_and_living_ones_stay(storage: Storage) -> None:
    await add(storage, grant(1), replace(grant(2), expires_at=LATER), replace(grant(3), expires_at=LATER - 1))
    await storage.reserve(reservation("old"), take_over=False)
    await storage.reserve(reservation("new", now=LATER), take_over=False)
    assert await storage.sweep(LATER, 100) == Swept(3, more=False)
    assert await left(storage, 1, 2, 3) == [2]
    assert await storage.load_reservation(digest("old")) is None
    assert await storage.load_reservation(digest("new")) is not None


@pytest.mark.parametrize(
    ("since_use", "stays"), [pytest.param(1799, [1], id="30 minutes less one"), pytest.param(1800, [], id="30 minutes")]
)
async def test_a_used_code_stays_for_30_minutes(storage: Storage, since_use: int, stays: list[int]) -> None:
    await add(storage, grant())
    await storage.apply([RedeemCode(1, LATER - since_use, None, LATER - since_use)])
    await storage.sweep(LATER, 100)
    assert await left(storage, 1) == stays


async def test_a_revoked_grant_stays_until_it_expires(storage: Storage) -> None:
    await add(storage, replace(grant(), expires_at=LATER))
    await storage.apply([RevokeGrant(1, NOW, "reuse")])
    await storage.sweep(LATER, 100)
    assert await left(storage, 1) == [1]
    await storage.sweep(LATER + 1, 100)
    assert await left(storage, 1) == []


async def test_a_sweep_takes_no_more_than_its_limit_and_goes_on_where_it_stopped(storage: Storage) -> None:
    await add(storage, *(grant(id_) for id_ in range(1, 8)))
    for name in "abc":
        await storage.reserve(reservation(name), take_over=False)
    swept = [await storage.sweep(LATER, 2) for _ in range(6)]
    assert swept == [Swept(2, True), Swept(2, True), Swept(2, True), Swept(2, True), Swept(2, True), Swept(0, False)]
    assert await left(storage, *range(1, 8)) == []


async def test_living_rows_at_the_front_do_not_hide_dead_ones_behind(storage: Storage) -> None:
    alive = [replace(grant(id_), expires_at=LATER + 9) for id_ in range(1, 6)]
    await add(storage, *alive, grant(6))
    swept = [await storage.sweep(LATER, 2) for _ in range(4)]
    assert swept == [Swept(0, True), Swept(0, True), Swept(1, True), Swept(0, False)]
    assert await left(storage, *range(1, 7)) == [1, 2, 3, 4, 5]


async def test_after_the_last_row_a_sweep_begins_again(storage: Storage) -> None:
    await add(storage, replace(grant(1), expires_at=NOW + 10), replace(grant(2), expires_at=NOW + 10))
    assert await storage.sweep(NOW, 1) == Swept(0, True)
    assert await storage.sweep(NOW, 1) == Swept(0, True)
    assert await storage.sweep(NOW, 1) == Swept(0, False)
    assert await storage.sweep(LATER, 1) == Swept(1, True)
    assert await left(storage, 1, 2) == [2]


async def test_a_sealed_successor_is_wiped_when_nobody_can_use_it(storage: Storage) -> None:
    await add(storage, grant())
    await storage.apply([RedeemCode(1, NOW, digest("first"), LATER)])
    await storage.apply([RotateRefreshToken(1, digest("first"), digest("second"), b"sealed", NOW + 5, LATER)])
    await storage.sweep(NOW + 5 + 1799, 100)
    kept = await storage.load_grant(1)
    await storage.sweep(NOW + 5 + 1800, 100)
    wiped = await storage.load_grant(1)
    assert kept is not None
    assert wiped is not None
    assert kept.grant.refresh_successor == b"sealed"
    assert wiped.grant == replace(kept.grant, refresh_successor=None)


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_sweep_without_a_limit_is_refused(storage: Storage, limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        await storage.sweep(NOW, limit)
