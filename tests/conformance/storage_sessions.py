"""What every storage backend must do for sessions, and for the grants that a session takes along when it ends.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from authsrv.models import Grant, Session, SignedIn, Visit
from authsrv.storage.base import Storage
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddPlayer,
    Change,
    EndSession,
    EndSessions,
    RedeemCode,
    RenewSession,
    RevokeGrant,
    StartSession,
    UseSession,
)
from tests.conformance.storage_browsers import refused
from tests.support.storage import NOW, digest, grant, player
from tests.support.storage_browsers import browser, session

RENEW = RenewSession(1, "epicgames", "epic", "c0ffee00", NOW + 60, NOW + 70)
END = EndSession(1, NOW + 80, "logout")


async def signed_in(storage: Storage) -> None:
    """Two players, each with a session in a browser of their own."""
    await storage.apply([AddPlayer(player(1)), AddPlayer(player(2)), AddBrowser(browser(1)), AddBrowser(browser(2))])
    await storage.apply([StartSession(session(1)), StartSession(session(2, browser_id=2, player_id=2))])


async def session_of(storage: Storage, session_id: int) -> Session:
    loaded = await storage.load_session(session_id)
    assert loaded is not None
    return loaded.session


async def grant_of(storage: Storage, grant_id: int) -> Grant:
    loaded = await storage.load_grant(grant_id)
    assert loaded is not None
    return loaded.grant


# --- sessions ---


async def test_nobody_is_signed_in_at_first(storage: Storage) -> None:
    assert await storage.load_sessions(1) == ()
    assert await storage.load_session(1) is None
    assert await storage.load_session_clients(1) == ()
    assert await storage.load_due_notices(NOW + 10**6, 10) == ()


async def test_the_open_sessions_of_a_player_are_found_in_every_browser(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddPlayer(player(2)), *(AddBrowser(browser(n)) for n in (1, 2, 3, 4))])
    own = [session(7, browser_id=2), session(5, browser_id=1), session(6, browser_id=3)]
    await storage.apply([*map(StartSession, own), StartSession(session(8, browser_id=4, player_id=2))])
    await storage.apply([EndSession(6, NOW, "signed_out")])
    expected = tuple(SignedIn(each, player()) for each in (own[1], own[0]))
    assert await storage.load_player_sessions(1) == expected
    assert await storage.load_player_sessions(9) == ()


async def test_a_session_comes_back_field_by_field_with_its_player(storage: Storage) -> None:
    wanted = session(3, browser_id=5, player_id=7)
    await storage.apply([AddPlayer(player(6)), AddPlayer(player(7, name="Birch")), AddBrowser(browser(5))])
    await storage.apply([StartSession(wanted)])
    found = SignedIn(wanted, player(7, name="Birch"))
    assert await storage.load_session(3) == found
    assert await storage.load_sessions(5) == (found,)
    assert await storage.load_visit(5, "skyforge", "shop") == Visit(browser(5), found)


async def test_an_ended_session_comes_back_field_by_field_but_only_by_its_id(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([END])
    ended = replace(session(1), ended_at=NOW + 80, ended_reason="logout")
    assert await storage.load_session(1) == SignedIn(ended, player(1))
    assert await storage.load_sessions(1) == ()
    assert await storage.load_visit(1, "skyforge", "shop") == Visit(browser(1))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(StartSession(session(5)), id="a second one of the browser in the project"),
        pytest.param(StartSession(session(5, player_id=2)), id="of another player"),
        pytest.param(StartSession(session(1, browser_id=3)), id="an id that was given"),
        pytest.param(StartSession(session(5, browser_id=3, player_id=9)), id="a player that is not there"),
    ],
)
async def test_a_browser_has_one_session_in_a_project_that_has_not_ended(
    storage: Storage, change: StartSession
) -> None:
    await signed_in(storage)
    await refused(storage, change)
    assert await storage.load_sessions(1) == (SignedIn(session(1), player(1)),)
    assert await storage.load_sessions(3) == ()


async def test_after_its_end_another_session_starts(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([END, StartSession(session(5, player_id=2))])
    assert await storage.load_sessions(1) == (SignedIn(session(5, player_id=2), player(2)),)
    await storage.apply([EndSession(5, NOW + 81, "logout"), StartSession(session(6))])
    assert await storage.load_sessions(1) == (SignedIn(session(6), player(1)),)


async def test_a_session_past_its_limits_still_keeps_its_place(storage: Storage) -> None:
    """Whoever signs in ends it first, so that its clients learn of it."""
    await signed_in(storage)
    long_after = session(1).absolute_expires_at + 1
    await refused(storage, StartSession(replace(session(5), created_at=long_after, auth_time=long_after)))


async def test_the_sessions_of_a_browser_are_those_of_all_projects_oldest_first(storage: Storage) -> None:
    await storage.apply([AddPlayer(player(1)), AddBrowser(browser(1)), AddBrowser(browser(2))])
    mine = [session(9), session(4, project="ironkeep"), session(6, project="thirdworld")]
    ended = session(5, project="moonbase")
    await storage.apply([StartSession(each) for each in (*mine, ended, session(7, browser_id=2))])
    await storage.apply([EndSession(5, NOW, "logout")])
    assert await storage.load_sessions(1) == tuple(SignedIn(mine[at], player(1)) for at in (1, 2, 0))


@pytest.mark.parametrize(
    ("change", "after"),
    [
        pytest.param(
            RENEW,
            replace(
                session(1),
                platform="epicgames",
                idp="epic",
                idp_subject="c0ffee00",
                auth_time=NOW + 60,
                used_at=NOW + 60,
                expires_at=NOW + 70,
            ),
            id="renewed",
        ),
        pytest.param(
            UseSession(1, "shop", NOW + 61, NOW + 71),
            replace(session(1), used_at=NOW + 61, expires_at=NOW + 71),
            id="used",
        ),
        pytest.param(END, replace(session(1), ended_at=NOW + 80, ended_reason="logout"), id="ended"),
    ],
)
async def test_a_change_of_a_session_is_what_it_says_and_touches_no_other(
    storage: Storage, change: Change, after: Session
) -> None:
    await signed_in(storage)
    await storage.apply([change])
    assert await session_of(storage, 1) == after
    assert await session_of(storage, 2) == session(2, browser_id=2, player_id=2)


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param([], replace(RENEW, session_id=9), id="renew, no such session"),
        pytest.param([END], RENEW, id="renew, ended"),
        pytest.param([], UseSession(9, "shop", NOW, NOW + 90), id="use, no such session"),
        pytest.param([END], UseSession(1, "shop", NOW, NOW + 90), id="use, ended"),
    ],
)
async def test_an_ended_session_serves_nobody(storage: Storage, before: Sequence[Change], change: Change) -> None:
    await signed_in(storage)
    await storage.apply(before)
    stands = await session_of(storage, 1)
    await refused(storage, change)
    assert await session_of(storage, 1) == stands
    assert await storage.load_session_clients(change.session_id) == ()  # type: ignore[union-attr]  # both have one


async def test_clients_take_part_once_each_and_are_named_in_order(storage: Storage) -> None:
    await signed_in(storage)
    for client_id in ("shop", "forum", "shop", "launcher"):
        await storage.apply([UseSession(1, client_id, NOW, NOW + 90)])
    await storage.apply([UseSession(2, "spa", NOW, NOW + 90)])
    assert await storage.load_session_clients(1) == ("forum", "launcher", "shop")
    assert await storage.load_session_clients(2) == ("spa",)


async def test_who_took_part_is_known_after_the_end(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([UseSession(1, "shop", NOW, NOW + 90), END])
    assert await storage.load_session_clients(1) == ("shop",)


# --- the end of a session ---


async def test_an_end_is_idempotent_and_keeps_its_first_reason(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([END])
    await storage.apply([EndSession(1, NOW + 99, "replaced"), EndSession(77, NOW, "nobody")])
    ended = await session_of(storage, 1)
    assert (ended.ended_at, ended.ended_reason) == (NOW + 80, "logout")


CODE = replace(grant(), session_id=1)
REFRESHED = replace(CODE, refresh_hash=digest("r"), refresh_generation=2)


@pytest.mark.parametrize(
    ("given", "bound", "ends"),
    [
        pytest.param(CODE, (), True, id="unused code"),
        pytest.param(replace(CODE, code_used_at=NOW), (), True, id="access token only"),
        pytest.param(replace(CODE, code_hash=None), (), True, id="never had a code"),
        pytest.param(REFRESHED, (), False, id="refresh token"),
        pytest.param(REFRESHED, ("shop",), False, id="refresh token, another client is bound"),
        pytest.param(REFRESHED, ("shop", "launcher"), True, id="refresh token, its client is bound"),
        pytest.param(replace(CODE, session_id=2), ("launcher",), False, id="another session"),
        pytest.param(replace(CODE, session_id=0), ("launcher",), False, id="no session"),
    ],
)
async def test_a_session_takes_along_what_has_no_refresh_token_and_what_is_bound(
    storage: Storage, given: Grant, bound: tuple[str, ...], ends: bool
) -> None:
    await signed_in(storage)
    await storage.apply([AddGrant(given), replace(END, bound=bound)])
    expected = replace(given, revoked_at=NOW + 80, revoked_reason="session_ended") if ends else given
    assert await grant_of(storage, 1) == expected


@pytest.mark.parametrize(
    ("given", "spared", "ends"),
    [
        pytest.param(CODE, "launcher", False, id="access token only"),
        pytest.param(REFRESHED, "launcher", False, id="refresh token of a bound client"),
        pytest.param(CODE, "shop", True, id="another client is spared"),
    ],
)
async def test_what_the_spared_client_was_given_stays(storage: Storage, given: Grant, spared: str, ends: bool) -> None:
    await signed_in(storage)
    await storage.apply([AddGrant(given), replace(END, bound=("launcher",), spared=spared)])
    assert (await session_of(storage, 1)).ended_at == NOW + 80
    assert ((await grant_of(storage, 1)).revoked_at is not None) == ends


async def test_what_had_ended_before_its_session_keeps_its_reason(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([AddGrant(CODE), AddGrant(replace(REFRESHED, id=2))])
    await storage.apply([RevokeGrant(1, NOW + 1, "reuse"), RevokeGrant(2, NOW + 1, "ban")])
    await storage.apply([replace(END, bound=("launcher",))])
    found = [await grant_of(storage, number) for number in (1, 2)]
    assert [(each.revoked_at, each.revoked_reason) for each in found] == [(NOW + 1, "reuse"), (NOW + 1, "ban")]


async def test_the_end_of_no_session_ends_no_silent_login(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant(1)), AddGrant(replace(REFRESHED, id=2, session_id=0))])
    await storage.apply([EndSession(0, NOW, "logout", bound=("launcher",))])
    assert (await grant_of(storage, 1)).revoked_at is None
    assert (await grant_of(storage, 2)).revoked_at is None


async def test_a_code_of_a_session_is_dead_after_its_end(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([AddGrant(CODE), END])
    await refused(storage, RedeemCode(1, NOW, None, NOW + 90))


async def test_all_sessions_of_one_player_end_and_what_they_gave_stays(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([AddBrowser(browser(3)), StartSession(session(3, browser_id=3)), END])
    await storage.apply([AddGrant(replace(grant(1), session_id=3))])
    await storage.apply([EndSessions(1, NOW + 90, "banned")])
    ends = [(await session_of(storage, number)).ended_at for number in (1, 2, 3)]
    assert ends == [NOW + 80, None, NOW + 90]
    assert (await session_of(storage, 3)).ended_reason == "banned"
    assert (await grant_of(storage, 1)).revoked_at is None


@pytest.mark.parametrize(("idp", "subject", "ends"), [("epic", "c0ffee00", True), ("epic", "other", False)])
async def test_of_a_players_sessions_those_end_that_a_platform_account_signed_in_last(
    storage: Storage, idp: str, subject: str, *, ends: bool
) -> None:
    await signed_in(storage)
    await storage.apply([AddBrowser(browser(3)), StartSession(session(3, browser_id=3)), RENEW])
    await storage.apply([EndSessions(1, NOW + 90, "unlinked", idp, subject)])
    found = [(await session_of(storage, number)).ended_at for number in (1, 2, 3)]
    assert found == [NOW + 90 if ends else None, None, None]
