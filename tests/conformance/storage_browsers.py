"""What every storage backend must do for browsers and the requests that wait in them.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from authsrv.models import LoadedRequest, LoadedTrip, PendingRequest, Visit
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import (
    AddBrowser,
    AddPlayer,
    AddRequest,
    AddTrip,
    AdvanceRequest,
    AmendRequest,
    BindRequest,
    Change,
    CompleteRequest,
    EndSession,
    GiveConsent,
    RotateBrowser,
    StartSession,
)
from tests.support.storage import NOW, digest, player
from tests.support.storage_browsers import browser, pending, session, trip

NOBODY = 0
ROTATE_COOKIE = RotateBrowser(1, browser(1).secret_hash, digest("cookie 1b"), NOW + 99)


async def refused(storage: Storage, change: Change) -> None:
    """The change is a conflict, and says so."""
    with pytest.raises(Conflict) as caught:
        await storage.apply([change])
    assert caught.value.change == change


async def request_of(storage: Storage, request_id: int) -> PendingRequest | None:
    loaded = await storage.load_request(request_id, NOBODY)
    return None if loaded is None else loaded.request


async def kept_requests(storage: Storage, ids: Sequence[int]) -> list[int]:
    return [id_ for id_ in ids if await request_of(storage, id_) is not None]


# --- browsers ---


async def test_what_no_browser_brought_is_none(storage: Storage) -> None:
    assert await storage.load_visit(1, "skyforge", "shop") is None
    assert await storage.load_request(1, 1) is None
    assert await storage.load_trip(1, 1) is None


async def test_a_browser_comes_back_field_by_field(storage: Storage) -> None:
    await storage.apply([AddBrowser(browser(1)), AddBrowser(browser(2))])
    assert await storage.load_visit(2, "skyforge", "shop") == Visit(browser(2), None, frozenset())


async def test_a_browser_id_is_given_once(storage: Storage) -> None:
    await storage.apply([AddBrowser(browser())])
    await refused(storage, AddBrowser(replace(browser(), secret_hash=digest("another"))))
    assert await storage.load_visit(1, "skyforge", "shop") == Visit(browser())


async def test_a_rotation_changes_the_cookie_and_its_end_and_nothing_else(storage: Storage) -> None:
    await storage.apply([AddBrowser(browser(1)), AddBrowser(browser(2)), ROTATE_COOKIE])
    rotated = replace(browser(1), secret_hash=digest("cookie 1b"), expires_at=NOW + 99)
    assert await storage.load_visit(1, "skyforge", "shop") == Visit(rotated)
    assert await storage.load_visit(2, "skyforge", "shop") == Visit(browser(2))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(replace(ROTATE_COOKIE, current=digest("cookie 2")), id="not the present cookie"),
        pytest.param(replace(ROTATE_COOKIE, browser_id=3), id="no such browser"),
        pytest.param(replace(ROTATE_COOKIE, browser_id=2), id="the cookie of another browser"),
    ],
)
async def test_only_the_present_cookie_of_a_browser_is_rotated(storage: Storage, change: RotateBrowser) -> None:
    await storage.apply([AddBrowser(browser(1)), AddBrowser(browser(2))])
    await refused(storage, change)
    assert await storage.load_visit(1, "skyforge", "shop") == Visit(browser(1))


async def test_a_cookie_is_rotated_once(storage: Storage) -> None:
    await storage.apply([AddBrowser(browser()), ROTATE_COOKIE])
    await refused(storage, replace(ROTATE_COOKIE, successor=digest("cookie 1c")))


# --- requests ---


async def test_a_request_comes_back_field_by_field(storage: Storage) -> None:
    full = replace(pending(5, browser_id=3), completed_at=NOW + 8)
    await storage.apply([AddRequest(full), AddRequest(pending(6))])
    assert await storage.load_request(5, NOBODY) == LoadedRequest(full, None)


async def test_a_request_without_optional_facts_comes_back_without_them(storage: Storage) -> None:
    bare = replace(pending(browser_id=0), expected_sub="", progress=())
    await storage.apply([AddRequest(bare)])
    assert await storage.load_request(1, NOBODY) == LoadedRequest(bare, None)


async def test_a_request_id_is_given_once(storage: Storage) -> None:
    await storage.apply([AddRequest(pending())])
    await refused(storage, AddRequest(pending(browser_id=2)))
    assert await request_of(storage, 1) == pending()


async def test_a_request_is_loaded_with_whoever_comes_for_it_not_with_its_owner(storage: Storage) -> None:
    """Whether the two are the same is the reader's to judge, who holds the proof."""
    await storage.apply([AddBrowser(browser(1)), AddBrowser(browser(2)), AddRequest(pending(browser_id=1))])
    assert await storage.load_request(1, 1) == LoadedRequest(pending(), Visit(browser(1)))
    assert await storage.load_request(1, 2) == LoadedRequest(pending(), Visit(browser(2)))
    assert await storage.load_request(1, 3) == LoadedRequest(pending(), None)


async def two_projects(storage: Storage) -> None:
    """A browser with a session in each of two projects, and in each one that ended before.

    Each player granted other scopes to each of two clients.
    """
    await storage.apply(
        [
            AddPlayer(player(1)),
            AddPlayer(replace(player(2), project="ironkeep")),
            AddBrowser(browser()),
            StartSession(session(1, player_id=2)),
            StartSession(session(2, project="ironkeep", player_id=1)),
            *(EndSession(number, NOW, "logout") for number in (1, 2)),
            StartSession(session(11, player_id=1)),
            StartSession(session(12, project="ironkeep", player_id=2)),
            GiveConsent(1, "shop", ("openid",), NOW),
            GiveConsent(1, "forum", ("openid", "email"), NOW),
            GiveConsent(2, "shop", ("openid", "phone"), NOW),
            GiveConsent(2, "forum", ("openid", "profile"), NOW),
        ]
    )


@pytest.mark.parametrize(
    ("project", "client_id", "session_id", "consented"),
    [
        pytest.param("skyforge", "shop", 11, {"openid"}, id="one project, one client"),
        pytest.param("skyforge", "forum", 11, {"openid", "email"}, id="the same project, another client"),
        pytest.param("ironkeep", "shop", 12, {"openid", "phone"}, id="another project, the same client"),
        pytest.param("ironkeep", "forum", 12, {"openid", "profile"}, id="another project, another client"),
        pytest.param("skyforge", "launcher", 11, set(), id="a client that was granted nothing"),
    ],
)
async def test_a_visit_has_the_session_of_its_project_and_the_consent_of_its_client(
    storage: Storage, project: str, client_id: str, session_id: int, consented: set[str]
) -> None:
    await two_projects(storage)
    signed_in = await storage.load_session(session_id)
    request = replace(pending(), project=project, client_id=client_id)
    await storage.apply([AddRequest(request), AddTrip(trip())])
    visit = Visit(browser(), signed_in, frozenset(consented))
    assert signed_in is not None
    assert await storage.load_visit(1, project, client_id) == visit
    assert await storage.load_request(1, 1) == LoadedRequest(request, visit)
    assert await storage.load_trip(1, 1) == LoadedTrip(trip(), LoadedRequest(request, visit))


async def test_a_visit_to_a_third_project_is_nobodys(storage: Storage) -> None:
    await two_projects(storage)
    assert await storage.load_visit(1, "thirdworld", "shop") == Visit(browser(), None, frozenset())


@pytest.mark.parametrize(
    ("change", "after"),
    [
        pytest.param(BindRequest(1, 9), replace(pending(1, browser_id=9)), id="bound"),
        pytest.param(AdvanceRequest(1, ("login",)), replace(pending(1, browser_id=0), progress=("login",)), id="ahead"),
        pytest.param(AdvanceRequest(1, ()), replace(pending(1, browser_id=0), progress=()), id="back"),
        pytest.param(AmendRequest(1, "{}"), replace(pending(1, browser_id=0), parameters="{}"), id="amended"),
        pytest.param(
            CompleteRequest(1, NOW + 9), replace(pending(1, browser_id=0), completed_at=NOW + 9), id="completed"
        ),
    ],
)
async def test_a_change_of_a_request_is_what_it_says_and_touches_no_other(
    storage: Storage, change: Change, after: PendingRequest
) -> None:
    await storage.apply([AddRequest(pending(1, browser_id=0)), AddRequest(pending(2, browser_id=0)), change])
    assert await request_of(storage, 1) == after
    assert await request_of(storage, 2) == pending(2, browser_id=0)


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param([], BindRequest(9, 5), id="bind, no such request"),
        pytest.param([BindRequest(1, 5)], BindRequest(1, 6), id="bind, another's already"),
        pytest.param([BindRequest(1, 5)], BindRequest(1, 5), id="bind, its own already"),
        pytest.param([], AdvanceRequest(9, ()), id="advance, no such request"),
        pytest.param([CompleteRequest(1, NOW)], AdvanceRequest(1, ()), id="advance, completed"),
        pytest.param([], AmendRequest(9, "{}"), id="amend, no such request"),
        pytest.param([CompleteRequest(1, NOW)], AmendRequest(1, "{}"), id="amend, completed"),
        pytest.param([], CompleteRequest(9, NOW), id="complete, no such request"),
        pytest.param([CompleteRequest(1, NOW)], CompleteRequest(1, NOW + 1), id="complete, completed"),
    ],
)
async def test_a_request_has_one_owner_and_one_end(storage: Storage, before: Sequence[Change], change: Change) -> None:
    await storage.apply([AddRequest(pending(browser_id=0)), *before])
    stands = await request_of(storage, 1)
    await refused(storage, change)
    assert await request_of(storage, 1) == stands


async def test_of_a_browsers_requests_the_eight_newest_wait(storage: Storage) -> None:
    """The newest by id, whatever the order they came in."""
    for number in (5, 3, 9, 1, 7, 2, 8, 4):
        await storage.apply([AddRequest(pending(number))])
    assert await kept_requests(storage, range(12)) == [1, 2, 3, 4, 5, 7, 8, 9]
    await storage.apply([AddRequest(pending(10))])
    assert await kept_requests(storage, range(12)) == [2, 3, 4, 5, 7, 8, 9, 10]


async def test_only_what_waits_in_the_same_browser_makes_room(storage: Storage) -> None:
    await storage.apply(
        [
            *(AddRequest(replace(pending(number), completed_at=NOW)) for number in range(1, 4)),
            *(AddRequest(pending(number, browser_id=2)) for number in range(4, 12)),
            *(AddRequest(pending(number, browser_id=0)) for number in range(12, 25)),
            *(AddRequest(pending(number, browser_id=3)) for number in range(40, 48)),
            *(AddRequest(replace(pending(number), completed_at=NOW)) for number in range(50, 60)),
            *(AddRequest(pending(number)) for number in range(25, 34)),
        ]
    )
    expected = [*range(1, 25), *range(26, 34), *range(40, 48), *range(50, 60)]
    assert await kept_requests(storage, range(60)) == expected


async def test_completed_requests_take_no_place_of_those_that_wait(storage: Storage) -> None:
    await storage.apply([AddRequest(pending(number)) for number in range(1, 9)])
    await storage.apply([CompleteRequest(3, NOW), AddRequest(pending(9))])
    assert await kept_requests(storage, range(12)) == list(range(1, 10))


async def test_binding_makes_room_too(storage: Storage) -> None:
    await storage.apply([AddRequest(pending(number)) for number in range(1, 9)])
    await storage.apply([AddRequest(pending(9, browser_id=0)), BindRequest(9, 1)])
    assert await kept_requests(storage, range(12)) == list(range(2, 10))
