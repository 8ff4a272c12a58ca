"""What every storage backend must sweep, and what it must never touch. Needs the fixture `storage`."""

from dataclasses import replace

import pytest

from authsrv.models import Grant
from authsrv.storage.base import Storage, Swept
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddNotice,
    AddPlayer,
    AddRequest,
    AddTrip,
    Change,
    CompleteRequest,
    EndSession,
    GiveConsent,
    RedeemCode,
    RevokeGrant,
    RotateRefreshToken,
    SetProfile,
    StartSession,
    UseSession,
    UseTrip,
)
from tests.support.storage import NOW, digest, grant, player, reservation
from tests.support.storage_browsers import PROFILE, browser, notice, pending, session, trip

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


@pytest.mark.parametrize(
    ("since", "stays"), [pytest.param(86459, [1], id="a day and 59 s"), pytest.param(86460, [], id="a day and 60 s")]
)
async def test_a_grant_revoked_at_its_end_stays_as_long_as_a_token_of_it_may_be_in_time(
    storage: Storage, since: int, stays: list[int]
) -> None:
    await add(storage, grant())
    await storage.apply([RevokeGrant(1, LATER - since, "logout")])
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


# --- what browsers leave behind ---


async def with_browsers(storage: Storage, *ends: int) -> None:
    """For each end, in this order: a browser, a request, a trip and a session whose time is over then."""
    changes: list[Change] = [AddPlayer(player())]
    for number, end in enumerate(ends, start=1):
        changes += [
            AddBrowser(replace(browser(number), expires_at=end)),
            AddRequest(replace(pending(number, browser_id=0), expires_at=end)),
            # Its request is one that stays, so that what is gone is the trip.
            AddTrip(replace(trip(number, request_id=100 + number), expires_at=end)),
            AddRequest(replace(pending(100 + number, browser_id=0), expires_at=LATER + 9)),
            StartSession(replace(session(number, browser_id=number), absolute_expires_at=end, expires_at=NOW)),
            UseSession(number, "shop", NOW, NOW),
        ]
    await storage.apply(changes)


async def kept(storage: Storage, count: int) -> dict[str, list[int]]:
    """Which of the rows numbered from 1 are there."""
    ids = range(1, count + 1)
    return {
        "browsers": [id_ for id_ in ids if await storage.load_visit(id_, "skyforge", "shop") is not None],
        "requests": [id_ for id_ in ids if await storage.load_request(id_, 0) is not None],
        "trips": [id_ for id_ in ids if await storage.load_trip(id_, 0) is not None],
        "sessions": [id_ for id_ in ids if await storage.load_session(id_) is not None],
        "participants": [id_ for id_ in ids if await storage.load_session_clients(id_) == ("shop",)],
    }


def of_each(*ids: int) -> dict[str, list[int]]:
    return {kind: list(ids) for kind in ("browsers", "requests", "trips", "sessions", "participants")}


async def test_R34_what_a_browser_left_goes_once_its_time_is_over(storage: Storage) -> None:
    await with_browsers(storage, LATER - 1, LATER, LATER + 1, NOW)
    assert await storage.sweep(LATER, 100) == Swept(8, more=False)
    assert await kept(storage, 4) == of_each(2, 3)


async def test_what_ended_early_goes_no_sooner(storage: Storage) -> None:
    """Used, completed and ended rows stay until their time is over, so that a second use is seen."""
    await with_browsers(storage, LATER)
    await storage.apply([UseTrip(1, NOW), CompleteRequest(1, NOW), EndSession(1, NOW, "logout")])
    assert await storage.sweep(LATER, 100) == Swept(0, more=False)
    assert await kept(storage, 1) == of_each(1)


async def test_of_one_table_what_expired_first_goes_first_and_tables_follow_one_another(storage: Storage) -> None:
    await with_browsers(storage, NOW + 30, NOW + 10, NOW + 20)
    await storage.reserve(reservation("old"), take_over=False)
    order = []
    before = await kept(storage, 3)
    assert await storage.sweep(LATER, 1) == Swept(1, more=True)
    assert (await storage.load_reservation(digest("old")), await kept(storage, 3)) == (None, before)
    for _ in range(12):
        assert await storage.sweep(LATER, 1) == Swept(1, more=True)
        after = await kept(storage, 3)
        order.append({name: set(before[name]) - set(after[name]) for name in before if before[name] != after[name]})
        before = after
    assert order == [
        *({"requests": {id_}} for id_ in (2, 3, 1)),
        *({"trips": {id_}} for id_ in (2, 3, 1)),
        *({"browsers": {id_}} for id_ in (2, 3, 1)),
        *({"sessions": {id_}, "participants": {id_}} for id_ in (2, 3, 1)),
    ]
    assert await storage.sweep(LATER, 1) == Swept(0, more=False)


async def test_a_limit_is_of_all_tables_together(storage: Storage) -> None:
    await with_browsers(storage, NOW, NOW)
    await storage.reserve(reservation("old"), take_over=False)
    await storage.apply([AddGrant(grant(1)), AddGrant(grant(2))])
    swept = [await storage.sweep(LATER, 4) for _ in range(3)]
    assert swept == [Swept(4, True), Swept(4, True), Swept(3, False)]
    assert await kept(storage, 2) == of_each()
    assert await left(storage, 1, 2) == []


async def test_a_sweep_leaves_what_has_no_end(storage: Storage) -> None:
    await with_browsers(storage, LATER)
    await storage.apply([AddNotice(notice()), GiveConsent(1, "shop", ("openid",), NOW), SetProfile(1, PROFILE)])
    await storage.apply([AddGrant(replace(grant(), expires_at=LATER))])
    await storage.sweep(LATER, 100)
    visit, loaded = await storage.load_visit(1, "skyforge", "shop"), await storage.load_grant(1)
    assert visit is not None
    assert loaded is not None
    assert (visit.consented, loaded.profile) == (frozenset({"openid"}), PROFILE)
    assert await storage.load_due_notices(LATER, 10) == (notice(),)


async def test_a_grant_outlives_the_session_it_came_from(storage: Storage) -> None:
    await with_browsers(storage, NOW)
    await storage.apply([AddGrant(replace(grant(), session_id=1, expires_at=LATER))])
    await storage.sweep(LATER, 100)
    assert await storage.load_session(1) is None
    assert await left(storage, 1) == [1]
