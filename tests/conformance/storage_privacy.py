"""What every storage backend must do for players who are told what is stored, or forgotten; and what is kept how long.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from authsrv.account_models import (
    AccountRecord,
    Ban,
    Census,
    Dossier,
    Erasure,
    EventKind,
    GrantRecord,
    JournalEvent,
    SessionRecord,
)
from authsrv.models import NEVER, Consent, IdentityKey, Retention
from authsrv.storage.account_changes import (
    AddBan,
    AddLinkCode,
    LiftBan,
    MarkIdentity,
    MergePlayers,
    RecordEvent,
    SetSegments,
)
from authsrv.storage.base import Conflict, Storage, StorageError, Swept
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddNotice,
    AddPlayer,
    AddRequest,
    Change,
    CompleteRequest,
    EndSession,
    GiveConsent,
    LinkIdentity,
    RedeemCode,
    RotateRefreshToken,
    SetNotBefore,
    SetProfile,
    SettleCredential,
    StartSession,
    UseSession,
)
from authsrv.storage.privacy_changes import ErasePlayer, TrimAccount
from tests.support.storage import NOW, digest, full_grant, grant, identity, player, reservation
from tests.support.storage_accounts import ban, event, full_event, link_code
from tests.support.storage_browsers import PROFILE, browser, notice, pending, session

STAYS, LATER = 4, NOW + 9
ERASE = ErasePlayer(1, 1, ("sub-1", "sub-2"), -77, LATER)
"""The first player, with the second one, who was merged into the first."""


def owned(number: int) -> list[Change]:
    """A player with one of everything that is theirs, numbered alike; their browser waits for a request too."""
    key = identity(f"subject {number}")
    return [
        AddPlayer(player(number, name=f"Name {number}")),
        LinkIdentity(key, number, NOW),
        SetProfile(number, PROFILE),
        SetSegments(number, '{"tier":"beta"}'),
        GiveConsent(number, "shop", ("openid", "email"), NOW + 1),
        AddBrowser(browser(number)),
        StartSession(session(number, browser_id=number, player_id=number)),
        UseSession(number, "shop", NOW, NOW + 90),
        UseSession(number, "forum", NOW, NOW + 90),
        AddGrant(replace(full_grant(number, player_id=number), refresh_generation=number - 1)),
        AddLinkCode(link_code(number, player_id=number)),
        AddRequest(replace(pending(number, browser_id=number), expected_sub="")),
        AddRequest(replace(pending(10 + number, browser_id=0), expected_sub=f"sub-{number}")),
        RecordEvent(replace(full_event(number), player_id=number, other_id=0, identity=key)),
        AddBan(ban(number, player_id=number)),
        MarkIdentity(digest(f"mark {number}"), number),
    ]


async def two_merged_and_one_who_stays(storage: Storage) -> None:
    await storage.apply([*owned(1), *owned(2), *owned(STAYS), MergePlayers(2, 1)])
    for number in (1, 2, STAYS):
        await prove(storage, f"ticket {number}", identity(f"subject {number}"))


async def prove(storage: Storage, ticket: str, key: IdentityKey, now: int = NOW) -> None:
    """A credential that was used, and whom it proved."""
    held = await storage.reserve(reservation(ticket, now=now), take_over=False)
    await storage.apply([SettleCredential(held.digest, held.holder, key, 1, now)])


async def dossier(storage: Storage, player_id: int) -> Dossier:
    found = await storage.load_dossier(player_id)
    assert found
    return found


# --- what is told ---


def record(number: int) -> GrantRecord:
    told = full_grant(number)
    return GrantRecord(
        client_id=told.client_id,
        scope=told.scope,
        audience=told.audience,
        platform=told.platform,
        idp=told.idp,
        idp_subject=told.idp_subject,
        auth_time=told.auth_time,
        created_at=told.created_at,
        expires_at=told.expires_at,
        absolute_expires_at=told.absolute_expires_at,
        is_offline=number > 1,
        refreshed_at=told.refresh_rotated_at,
        revoked_at=told.revoked_at,
        revoked_reason=told.revoked_reason,
    )


async def expected(storage: Storage, number: int) -> AccountRecord:
    found = await storage.load_account(number)
    assert found
    used = replace(session(number, browser_id=number, player_id=number), used_at=NOW, expires_at=NOW + 90)
    consent = Consent("shop", ("openid", "email"), NOW + 1)
    return AccountRecord(found, (consent,), (SessionRecord(used, ("forum", "shop")),), (record(number),))


async def test_P04_a_dossier_has_everything_of_a_player_and_of_who_was_merged_into_them(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    own, merged = await expected(storage, 1), await expected(storage, 2)
    found = await dossier(storage, 1)
    assert (found.own, found.merged) == (own, (merged,))
    assert [one.id for one in found.events] == [1, 2]
    assert await dossier(storage, STAYS) == Dossier(
        await expected(storage, STAYS), (), (replace(full_event(STAYS), player_id=STAYS, other_id=0, identity=KEY),)
    )


KEY = identity(f"subject {STAYS}")


async def test_P04_ended_sessions_are_told_and_events_of_two_once_and_oldest_first(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    of_two = [event(9, player_id=1, other_id=2), event(8, player_id=STAYS, other_id=2), event(7, player_id=STAYS)]
    await storage.apply([EndSession(1, NOW + 3, "signed_out"), *map(RecordEvent, of_two)])
    found = await dossier(storage, 1)
    assert [one.session.ended_reason for one in found.own.sessions] == ["signed_out"]
    assert [one.id for one in found.events] == [1, 2, 8, 9]


async def test_P04_of_a_player_with_nothing_there_is_nothing_to_tell(storage: Storage) -> None:
    assert await storage.load_dossier(1) is None
    await storage.apply([AddPlayer(player())])
    account = await storage.load_account(1)
    assert account
    assert await dossier(storage, 1) == Dossier(AccountRecord(account))


# --- erasure ---


async def test_P05_nothing_of_an_erased_player_or_of_who_was_merged_into_them_is_left(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    await storage.apply([ERASE])
    for number in (1, 2):
        key = identity(f"subject {number}")
        assert await storage.load_dossier(number) is None
        assert await storage.load_subject(f"sub-{number}") is None
        assert await storage.load_player(key) is None
        assert await storage.load_grant(number) is None
        assert await storage.load_session(number) is None
        assert await storage.load_session_clients(number) == ()
        assert await storage.load_consents(number) == ()
        assert await storage.load_profile(number) == ""
        assert await storage.load_events(number, 9) == ()
        assert await storage.load_link_code(digest(f"code {number}")) is None
        assert await storage.load_request(number, number) is None
        assert await storage.load_request(10 + number, 0) is None
        visit = await storage.load_visit(number, "skyforge", "shop")
        assert visit
        assert visit.signed_in is None


async def test_P05_others_keep_all_that_is_theirs(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    before = await dossier(storage, STAYS)
    await storage.apply([ERASE])
    assert await dossier(storage, STAYS) == before
    assert await storage.load_link_code(digest(f"code {STAYS}")) is not None
    assert await storage.load_request(STAYS, STAYS) is not None
    assert await storage.load_request(10 + STAYS, 0) is not None
    proved = await storage.load_reservation(digest(f"ticket {STAYS}"))
    assert proved
    assert (proved.state, proved.identity) == ("settled", KEY)


async def test_P05_every_door_is_closed_by_a_time_and_the_erasure_is_noted(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    await storage.apply([SetNotBefore("player", "sub-2", NEVER - 1), ERASE])
    found = (await storage.load_revocations(0, NOW)).not_befores
    assert found == {("player", "sub-1"): LATER + 1, ("player", "sub-2"): NEVER - 1}
    assert await storage.load_erasure("sub-1") == Erasure("sub-1", LATER)
    assert await storage.load_erasure("sub-2") == Erasure("sub-2", LATER)
    assert await storage.load_erasure("sub-4") is None
    assert await storage.load_resurrected() == ()


async def test_P05_a_used_credential_stays_used_and_proves_nobody(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    elsewhere = replace(identity("subject 1"), environment="other")
    await prove(storage, "elsewhere", elsewhere)
    await storage.apply([ERASE])
    found = await storage.load_reservation(digest("ticket 1"))
    assert found
    assert (found.state, found.identity, found.grant_id, found.outcome) == ("refused", None, 0, "")
    again = replace(reservation("ticket 1"), holder=b"again")
    assert (await storage.reserve(again, take_over=True)).holder == found.holder
    kept = await storage.load_reservation(digest("elsewhere"))
    assert kept
    assert kept.identity == elsewhere


async def test_P05_logout_notices_are_still_delivered_and_answered_requests_run_out(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    await storage.apply([AddNotice(notice()), CompleteRequest(1, NOW), ERASE])
    assert await storage.load_due_notices(LATER, 9) == (notice(),)
    assert await storage.load_request(1, 1) is not None


@pytest.mark.parametrize(
    ("event_", "left"),
    [
        pytest.param(
            replace(full_event(9), player_id=1, other_id=STAYS),
            {"player_id": -77, "other_id": STAYS},
            id="theirs",
        ),
        pytest.param(
            replace(full_event(9), player_id=STAYS, other_id=2), {"player_id": STAYS, "other_id": -77}, id="another's"
        ),
        pytest.param(
            replace(full_event(9), player_id=1, other_id=2), {"player_id": -77, "other_id": -77}, id="of both"
        ),
    ],
)
async def test_P05_an_event_tells_what_was_done_and_nobody_to_whom(
    storage: Storage, event_: JournalEvent, left: dict[str, int]
) -> None:
    await two_merged_and_one_who_stays(storage)
    await storage.apply([RecordEvent(event_), ERASE])
    found = await storage.load_event(9)
    assert found
    emptied = replace(event_, identity=None, address="", reason="", facts="", reversible_until=0)
    assert found == replace(emptied, player_id=left["player_id"], other_id=left["other_id"])


async def test_P05_events_of_others_forget_a_platform_account_of_theirs(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    mine = replace(full_event(9), player_id=STAYS, other_id=0, identity=identity("subject 2"))
    elsewhere = replace(mine, id=8, identity=replace(identity("subject 2"), environment="other"))
    await storage.apply([RecordEvent(mine), RecordEvent(elsewhere), ERASE])
    assert await storage.load_event(9) == replace(mine, identity=None, facts="", reversible_until=0)
    assert await storage.load_event(8) == elsewhere


@pytest.mark.parametrize("kind", ["merged", "undone"])
async def test_P05_a_merge_of_others_forgets_a_platform_account_that_is_theirs_now(
    storage: Storage, kind: EventKind
) -> None:
    await two_merged_and_one_who_stays(storage)
    moved = replace(full_event(9), kind=kind, player_id=STAYS, other_id=0, facts='{"moves":[["steam","","subject 2"]]}')
    others = replace(moved, id=8, facts='{"moves":[["steam","","subject 22"]]}')
    await storage.apply([RecordEvent(moved), RecordEvent(others), ERASE])
    assert await storage.load_event(9) == replace(moved, facts="", reversible_until=0)
    assert await storage.load_event(8) == others


ENDED = replace(ban(), until=LATER)


@pytest.mark.parametrize(
    ("given", "forgets", "stays"),
    [
        pytest.param(ban(), False, True, id="for good"),
        pytest.param(replace(ban(), until=LATER + 1), False, True, id="still in force"),
        pytest.param(ENDED, False, False, id="ended"),
        pytest.param(replace(ban(), lifted_at=NOW), False, False, id="lifted"),
        pytest.param(replace(ban(), kind="restricted"), False, False, id="restriction"),
        pytest.param(ban(), True, False, id="by a project that forgets bans"),
    ],
)
async def test_P05_of_a_ban_in_force_the_mark_stays_and_its_end(
    storage: Storage, given: Ban, forgets: bool, stays: bool
) -> None:
    await storage.apply([AddPlayer(player()), AddBan(given), MarkIdentity(digest("mark"), given.id)])
    await storage.apply([replace(ERASE, subs=("sub-1",), forgets_bans=forgets)])
    found = await storage.load_ownership(identity(), digest("mark"), NOW)
    kept = replace(given, player_id=0, reason="", decided_by="")
    assert found.ban == (kept if stays else None)
    assert await storage.load_account(0) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(replace(ERASE, version=2), id="another version"),
        pytest.param(replace(ERASE, subs=("sub-1",)), id="without the one who was merged"),
        pytest.param(replace(ERASE, subs=("sub-1", "sub-4")), id="with another player"),
        pytest.param(replace(ERASE, subs=("sub-1", "sub-2", "sub-4")), id="with another player too"),
        pytest.param(replace(ERASE, player_id=2, subs=("sub-2",)), id="who was merged into another"),
        pytest.param(replace(ERASE, player_id=9, subs=("sub-9",)), id="nobody"),
    ],
)
async def test_P05_an_account_that_is_another_one_by_now_is_left_whole(storage: Storage, change: ErasePlayer) -> None:
    await two_merged_and_one_who_stays(storage)
    before = await dossier(storage, 1)
    with pytest.raises(Conflict) as conflict:
        await storage.apply([change])
    assert conflict.value.change == change
    assert await dossier(storage, 1) == before
    assert await storage.load_erasure("sub-1") is None


async def test_P05_a_tombstone_is_no_row(storage: Storage) -> None:
    with pytest.raises(StorageError):
        await storage.apply([replace(ERASE, tombstone=5)])


async def test_P05_of_many_erasures_at_once_one_is_first(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    outcomes = await asyncio.gather(*(storage.apply([ERASE]) for _ in range(10)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome is not None)


@pytest.mark.parametrize(
    "change",
    [
        RotateRefreshToken(2, digest("refresh"), digest("next"), b"sealed", LATER, LATER),
        RedeemCode(1, LATER, None, LATER),
        AddGrant(grant(9)),
        StartSession(session(9, browser_id=9)),
        UseSession(1, "shop", LATER, LATER),
        GiveConsent(1, "spa", ("openid",), LATER),
        SetProfile(1, PROFILE),
        LinkIdentity(identity("new"), 1, LATER),
        AddLinkCode(link_code(9)),
    ],
    ids=lambda change: type(change).__name__,
)
async def test_P05_what_was_decided_before_an_erasure_and_is_written_after_it_is_a_conflict(
    storage: Storage, change: Change
) -> None:
    await two_merged_and_one_who_stays(storage)
    await storage.apply([ERASE])
    with pytest.raises(Conflict):
        await storage.apply([change])


async def test_P05_the_same_platform_account_makes_another_player(storage: Storage) -> None:
    await two_merged_and_one_who_stays(storage)
    await storage.apply([ERASE, AddPlayer(player(5)), LinkIdentity(identity("subject 1"), 5, LATER)])
    assert await storage.load_player(identity("subject 1")) == player(5)


# --- how long things are kept (P08, I12) ---

KEPT = Retention(journal=1000, addresses=100, bans=200, withdrawn_consents=3000, erasures=400)


async def event_is_there(storage: Storage) -> bool:
    return await storage.load_event(1) is not None


async def address_is_there(storage: Storage) -> bool:
    found = await storage.load_event(1)
    return bool(found and found.address)


async def mark_is_there(storage: Storage) -> bool:
    return (await storage.load_ownership(identity(), digest("mark"), 0)).ban is not None


async def ban_is_there(storage: Storage) -> bool:
    found = await storage.load_account(1)
    return bool(found and found.bans)


async def proof_is_there(storage: Storage) -> bool:
    found = await storage.load_reservation(digest("ticket"))
    assert found, "the credential itself stays used"
    return found.identity is not None


async def erasure_is_there(storage: Storage) -> bool:
    told = [subject for _, subject in (await storage.load_revocations(0, NOW)).not_befores]
    assert (await storage.load_erasure("sub-1") is not None) == (told == ["sub-1"])
    return bool(told)


def recorded(**changes: object) -> list[Change]:
    told = replace(event(1), address="203.0.113.0/24")
    return [RecordEvent(replace(told, **changes))]  # type: ignore[arg-type]  # fields of the event by name


MARKED: list[Change] = [AddBan(replace(ban(), until=NOW)), MarkIdentity(digest("mark"), 1)]


@pytest.mark.parametrize(
    ("before", "is_there", "kept_for"),
    [
        pytest.param(recorded(), event_is_there, 1000, id="event"),
        pytest.param(recorded(), address_is_there, 100, id="address of an event"),
        pytest.param(recorded(kind="consent_withdrawn"), event_is_there, 3000, id="withdrawn consent"),
        pytest.param(recorded(kind="erased"), event_is_there, NEVER, id="erasure in the journal"),
        pytest.param(MARKED, mark_is_there, 200, id="mark of a ban that ended"),
        pytest.param(MARKED, ban_is_there, 200, id="ban that ended"),
        pytest.param([AddBan(ban()), LiftBan(1, NOW)], ban_is_there, 200, id="lifted ban"),
        pytest.param([AddBan(ban())], ban_is_there, NEVER, id="ban for good"),
        pytest.param(
            [replace(ERASE, subs=("sub-1",), now=NOW), AddPlayer(player(5))], erasure_is_there, 400, id="erasure"
        ),
    ],
)
async def test_P08_I12_things_are_kept_until_their_time_is_over(
    storage: Storage, before: Sequence[Change], is_there: Callable[[Storage], Awaitable[bool]], kept_for: int
) -> None:
    await storage.apply([AddPlayer(player())])
    await storage.apply(before)
    await storage.sweep(NOW + min(kept_for, 10**9), 100, KEPT)
    assert await is_there(storage)
    if kept_for < NEVER:
        await storage.sweep(NOW + kept_for + 1, 100, KEPT)
        assert not await is_there(storage)


async def test_P08_I12_whom_a_credential_proved_is_known_for_two_minutes(storage: Storage) -> None:
    await storage.apply([AddPlayer(player())])
    await prove(storage, "ticket", identity())
    await storage.sweep(NOW + 120, 100)
    assert await proof_is_there(storage)
    await storage.sweep(NOW + 121, 100)
    assert not await proof_is_there(storage)


async def test_P08_a_sweep_of_what_was_kept_stops_at_its_limit_and_goes_on(storage: Storage) -> None:
    changes = [change for number in range(1, 6) for change in recorded(id=number, at=NOW + number)]
    await storage.apply(changes)
    late = NOW + 5000
    swept = [await storage.sweep(late, 2, KEPT) for _ in range(3)]
    assert swept == [Swept(2, True), Swept(2, True), Swept(1, False)]
    assert await storage.load_event(5) is None


async def test_P08_what_is_kept_as_long_as_nobody_says_otherwise(storage: Storage) -> None:
    await storage.apply([*recorded(), *MARKED])
    await storage.sweep(NOW + 7 * 86400, 100)
    assert await address_is_there(storage)
    await storage.sweep(NOW + 90 * 86400, 100)
    assert await mark_is_there(storage)
    assert not await address_is_there(storage)
    await storage.sweep(NOW + 365 * 86400, 100)
    assert await event_is_there(storage)
    assert not await mark_is_there(storage)


# --- one account whose things are kept for less long ---


@pytest.mark.parametrize(
    ("before", "is_there", "kept_for"),
    [
        pytest.param(recorded(), event_is_there, 1000, id="event"),
        pytest.param(recorded(), address_is_there, 100, id="address of an event"),
        pytest.param(recorded(kind="consent_withdrawn"), event_is_there, 3000, id="withdrawn consent"),
        pytest.param(recorded(kind="erased"), event_is_there, NEVER, id="erasure in the journal"),
        pytest.param(MARKED, mark_is_there, 200, id="mark of a ban that ended"),
        pytest.param([AddBan(ban()), LiftBan(1, NOW)], ban_is_there, 200, id="lifted ban"),
        pytest.param([AddBan(ban())], ban_is_there, NEVER, id="ban for good"),
    ],
)
async def test_P08_of_one_account_things_are_kept_for_less_long_and_of_others_as_before(
    storage: Storage, before: Sequence[Change], is_there: Callable[[Storage], Awaitable[bool]], kept_for: int
) -> None:
    await storage.apply([AddPlayer(player()), AddPlayer(player(2)), *before])
    at = NOW + min(kept_for, 10**9)
    await storage.apply([TrimAccount(1, at, KEPT), TrimAccount(2, NOW + 10**9, KEPT)])
    assert await is_there(storage)
    if kept_for < NEVER:
        await storage.apply([TrimAccount(1, at + 1, KEPT)])
        assert not await is_there(storage)


async def test_players_are_walked_in_the_order_of_their_rows(storage: Storage) -> None:
    await storage.apply([AddPlayer(player(number)) for number in (5, 1, 3)])
    await storage.apply([MergePlayers(3, 1)])
    assert [one.id for one in await storage.load_players(0, 2)] == [1, 3]
    assert await storage.load_players(3, 2) == (player(5),)
    assert await storage.load_players(5, 2) == ()


async def test_a_census_tells_how_old_things_are_and_nobody_in_it(storage: Storage) -> None:
    assert await storage.load_census() == Census({}, 0)
    await two_merged_and_one_who_stays(storage)
    await storage.apply([AddNotice(notice()), ErasePlayer(STAYS, 1, (f"sub-{STAYS}",), -4, LATER)])
    told = await storage.load_census()
    assert told.undelivered == 1
    assert told.oldest == {
        "players": NOW,
        "grants": NOW + 2,
        "sessions": NOW + 5,
        "requests": NOW + 2,
        "link_codes": NOW,
        "events": NOW + 1,
        "bans": NOW,
        "logout_notices": NOW + 6,
        "erasures": LATER,
    }
