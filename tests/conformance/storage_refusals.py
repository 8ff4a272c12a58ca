"""What no storage backend takes about browsers, and what a restart or a conflict leaves of it.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

from dataclasses import replace

import pytest

from authsrv.models import SignedIn, Visit
from authsrv.storage.base import Conflict, Storage, StorageError, StorageUnavailable
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddNotice,
    AddPlayer,
    AddRequest,
    AddTrip,
    AdvanceRequest,
    AmendRequest,
    Change,
    CompleteRequest,
    GiveConsent,
    RemoveNotice,
    RotateBrowser,
    SetProfile,
    StartSession,
    UseSession,
    WithdrawConsent,
)
from tests.conformance.storage_sessions import CODE, END, RENEW, grant_of, signed_in
from tests.support.storage import NOW, digest, grant, player
from tests.support.storage_browsers import browser, notice, pending, session, trip


@pytest.mark.parametrize("broken", [pytest.param("a\0b", id="NUL"), pytest.param("a\ud800b", id="surrogate")])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: SetProfile(1, text), id="profile"),
        pytest.param(lambda text: AddRequest(replace(pending(), project=text)), id="request's project"),
        pytest.param(lambda text: AddRequest(replace(pending(), client_id=text)), id="request's client"),
        pytest.param(lambda text: AddRequest(replace(pending(), parameters=text)), id="parameters"),
        pytest.param(lambda text: AddRequest(replace(pending(), expected_sub=text)), id="expected player"),
        pytest.param(lambda text: AddRequest(replace(pending(), progress=(text,))), id="progress"),
        pytest.param(lambda text: AdvanceRequest(1, ("login", text)), id="further progress"),
        pytest.param(lambda text: AmendRequest(1, text), id="further parameters"),
        pytest.param(lambda text: AddTrip(replace(trip(), platform=text)), id="trip's platform"),
        pytest.param(lambda text: StartSession(session(project=text)), id="session's project"),
        pytest.param(lambda text: StartSession(replace(session(), platform=text)), id="session's platform"),
        pytest.param(lambda text: StartSession(replace(session(), idp=text)), id="session's identity"),
        pytest.param(lambda text: StartSession(replace(session(), idp_subject=text)), id="session's subject"),
        pytest.param(lambda text: StartSession(replace(session(), ended_reason=text)), id="session's reason"),
        pytest.param(lambda text: replace(RENEW, platform=text), id="renewed platform"),
        pytest.param(lambda text: replace(RENEW, idp=text), id="renewed identity"),
        pytest.param(lambda text: replace(RENEW, idp_subject=text), id="renewed subject"),
        pytest.param(lambda text: UseSession(1, text, NOW, NOW), id="session's client"),
        pytest.param(lambda text: replace(END, reason=text), id="reason"),
        pytest.param(lambda text: replace(END, bound=("shop", text)), id="bound client"),
        pytest.param(lambda text: GiveConsent(1, text, (), NOW), id="consent's client"),
        pytest.param(lambda text: GiveConsent(1, "shop", ("openid", text), NOW), id="consent's scope"),
        pytest.param(lambda text: WithdrawConsent(1, text, NOW), id="withdrawn client"),
        pytest.param(lambda text: AddNotice(replace(notice(), client_id=text)), id="notice's client"),
        pytest.param(lambda text: AddNotice(replace(notice(), sub=text)), id="notice's player"),
        pytest.param(lambda text: AddGrant(replace(grant(), claims=(text,))), id="grant's claims"),
    ],
)
async def test_F22_G05_a_text_that_no_column_holds_is_refused_and_not_repeated(
    storage: Storage, change: Change, broken: str
) -> None:
    await signed_in(storage)
    with pytest.raises(StorageError) as caught:
        await storage.apply([AddPlayer(player(5)), change(broken)])  # type: ignore[operator]  # each row makes one
    assert type(caught.value) is StorageError
    assert broken not in str(caught.value)
    await storage.apply([AddPlayer(player(5))])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(AddBrowser(browser(2**63)), id="integer beyond 64 bits"),
        pytest.param(AddBrowser(replace(browser(), secret_hash=digest("x")[:31])), id="short cookie"),  # type: ignore[arg-type]  # the fault
        pytest.param(RotateBrowser(1, digest("x")[:31], digest("y"), NOW), id="short present cookie"),  # type: ignore[arg-type]  # the fault
        pytest.param(RotateBrowser(1, digest("x"), digest("y")[:31], NOW), id="short next cookie"),  # type: ignore[arg-type]  # the fault
        pytest.param(AddTrip(replace(trip(), state_hash=digest("x")[:31])), id="short state"),  # type: ignore[arg-type]  # the fault
        pytest.param(AddRequest(replace(pending(), parameters="")), id="request without parameters"),
        pytest.param(AddRequest(replace(pending(), progress=("",))), id="empty step"),
        pytest.param(AdvanceRequest(1, ("two steps",)), id="space in a step"),
        pytest.param(AmendRequest(1, ""), id="no parameters any more"),
        pytest.param(GiveConsent(1, "shop", ("tab\tin",), NOW), id="tab in a scope"),
        pytest.param(GiveConsent(1, "shop", ("no-break\u00a0space",), NOW), id="another space in a scope"),
        pytest.param(StartSession(replace(session(3, browser_id=3), ended_at=NOW)), id="session that has ended"),
    ],
)
async def test_a_fact_that_would_not_come_back_is_refused(storage: Storage, change: Change) -> None:
    await signed_in(storage)
    with pytest.raises(StorageError) as caught:
        await storage.apply([change])
    assert not isinstance(caught.value, Conflict | StorageUnavailable)


async def test_texts_of_every_script_come_back_with_a_request_and_a_profile(storage: Storage) -> None:
    odd = "Bärbel \U0001f9f8 ' \" ; -- %s :name \u202e \t \n"
    request = replace(pending(browser_id=0), parameters=odd, expected_sub=odd)
    await storage.apply([AddPlayer(player()), AddGrant(grant()), SetProfile(1, odd), AddRequest(request)])
    loaded, found = await storage.load_grant(1), await storage.load_request(1, 0)
    assert (loaded and loaded.profile, found and found.request) == (odd, request)


async def test_a_load_by_what_no_column_holds_is_refused(storage: Storage) -> None:
    for load in (
        storage.load_visit(1, "a\0b", "shop"),
        storage.load_visit(1, "skyforge", "a\ud800b"),
        storage.load_request(2**63, 1),
        storage.load_trip(1, 2**63),
        storage.load_sessions(2**63),
        storage.load_player_sessions(2**63),
        storage.load_session(2**63),
        storage.load_session_clients(2**63),
    ):
        with pytest.raises(StorageError):
            await load


async def test_a_conflict_undoes_what_was_written_about_a_browser_before_it(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([AddRequest(pending()), AddTrip(trip()), AddGrant(CODE), AddNotice(notice())])
    with pytest.raises(Conflict):
        await storage.apply(
            [
                RotateBrowser(1, browser(1).secret_hash, digest("cookie 1b"), NOW + 99),
                CompleteRequest(1, NOW),
                UseSession(1, "shop", NOW, NOW + 9),
                GiveConsent(1, "shop", ("openid",), NOW),
                END,
                RemoveNotice(1),
                StartSession(session(2, browser_id=3)),
            ]
        )
    loaded = await storage.load_trip(1, 1)
    assert loaded is not None
    assert loaded.pending.request == pending()
    assert loaded.pending.visit == Visit(browser(1), SignedIn(session(1), player(1)))
    assert await grant_of(storage, 1) == CODE
    assert await storage.load_session_clients(1) == ()
    assert await storage.load_due_notices(NOW + 7, 9) == (notice(),)


async def test_what_a_browser_brought_is_there_after_a_restart(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply(
        [AddRequest(pending()), AddTrip(trip()), UseSession(1, "shop", NOW, NOW + 9), AddNotice(notice())]
    )
    before = await storage.load_trip(1, 1)
    await storage.close()
    await storage.open()
    assert await storage.load_trip(1, 1) == before
    assert await storage.load_session_clients(1) == ("shop",)
    assert await storage.load_due_notices(NOW + 7, 9) == (notice(),)
