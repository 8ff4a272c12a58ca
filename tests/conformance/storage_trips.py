"""What every storage backend must do for the trips of browsers to platforms and back.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from authsrv.models import LoadedRequest, LoadedTrip, Trip, Visit
from authsrv.storage.base import Storage
from authsrv.storage.changes import AddBrowser, AddRequest, AddTrip, UseTrip
from tests.conformance.storage_browsers import NOBODY, refused
from tests.support.storage import NOW, digest
from tests.support.storage_browsers import browser, pending, trip


async def trip_of(storage: Storage, trip_id: int) -> Trip | None:
    loaded = await storage.load_trip(trip_id, NOBODY)
    return None if loaded is None else loaded.trip


async def kept_trips(storage: Storage, ids: Sequence[int]) -> list[int]:
    return [id_ for id_ in ids if await trip_of(storage, id_) is not None]


async def test_a_trip_comes_back_field_by_field_with_its_request(storage: Storage) -> None:
    full = replace(trip(5, browser_id=3, request_id=6), used_at=NOW + 9)
    await storage.apply([AddRequest(pending(6)), AddTrip(full), AddTrip(trip(7, request_id=6))])
    assert await storage.load_trip(5, NOBODY) == LoadedTrip(full, LoadedRequest(pending(6), None))


async def test_a_trip_is_loaded_with_whoever_came_back_not_with_who_left(storage: Storage) -> None:
    await storage.apply([AddBrowser(browser(1)), AddBrowser(browser(2)), AddRequest(pending()), AddTrip(trip())])
    assert await storage.load_trip(1, 2) == LoadedTrip(trip(), LoadedRequest(pending(), Visit(browser(2))))


async def test_a_trip_whose_request_is_gone_leads_nowhere(storage: Storage) -> None:
    await storage.apply([AddTrip(trip())])
    assert await storage.load_trip(1, NOBODY) is None


async def test_a_trip_id_is_given_once(storage: Storage) -> None:
    await storage.apply([AddRequest(pending()), AddTrip(trip())])
    await refused(storage, AddTrip(replace(trip(), state_hash=digest("another"))))
    assert await trip_of(storage, 1) == trip()


async def test_a_trip_ends_and_no_other_with_it(storage: Storage) -> None:
    await storage.apply([AddRequest(pending()), AddTrip(trip(1)), AddTrip(trip(2)), UseTrip(1, NOW + 9)])
    assert await trip_of(storage, 1) == replace(trip(1), used_at=NOW + 9)
    assert await trip_of(storage, 2) == trip(2)


@pytest.mark.parametrize("trip_id", [pytest.param(1, id="ended"), pytest.param(2, id="no such trip")])
async def test_a_trip_ends_once(storage: Storage, trip_id: int) -> None:
    await storage.apply([AddRequest(pending()), AddTrip(trip()), UseTrip(1, NOW + 9)])
    await refused(storage, UseTrip(trip_id, NOW + 10))
    assert await trip_of(storage, 1) == replace(trip(), used_at=NOW + 9)


async def test_of_a_requests_trips_the_eight_newest_are_under_way(storage: Storage) -> None:
    for number in (5, 3, 9, 1, 7, 2, 8, 4):
        await storage.apply([AddTrip(trip(number))])
    await storage.apply([AddRequest(pending(1)), AddTrip(trip(10))])
    assert await kept_trips(storage, range(12)) == [2, 3, 4, 5, 7, 8, 9, 10]


async def test_only_a_trip_under_way_for_the_same_request_makes_room(storage: Storage) -> None:
    await storage.apply([AddRequest(pending(number)) for number in (1, 2, 3)])
    await storage.apply(
        [
            *(AddTrip(replace(trip(number), used_at=NOW)) for number in range(1, 4)),
            *(AddTrip(trip(number, request_id=2)) for number in range(4, 12)),
            *(AddTrip(trip(number, request_id=3)) for number in range(40, 48)),
            *(AddTrip(replace(trip(number), used_at=NOW)) for number in range(50, 60)),
            *(AddTrip(trip(number)) for number in range(12, 21)),
        ]
    )
    expected = [*range(1, 12), *range(13, 21), *range(40, 48), *range(50, 60)]
    assert await kept_trips(storage, range(60)) == expected
