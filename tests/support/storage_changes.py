"""Calls of a storage by chance, for holding one backend against another.

Few values of each kind, so that calls meet the same rows; some that no database can hold.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from authsrv.models import NEVER, IdentityKey, Retention, Session
from authsrv.storage.account_changes import (
    AddBan,
    AddLinkCode,
    AdvanceVersion,
    BarPlayer,
    EndGrants,
    LiftBan,
    MarkIdentity,
    MergePlayers,
    MoveIdentity,
    RecordEvent,
    ReverseEvent,
    SetAgeGroup,
    SetDisplayName,
    SetSegments,
    UnlinkIdentity,
    UnmergePlayers,
    UseLinkCode,
    UseOnce,
)
from authsrv.storage.base import Storage
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddKeys,
    AddNotice,
    AddPlayer,
    AddRequest,
    AddTrip,
    AdvanceRequest,
    AmendRequest,
    BindRequest,
    Change,
    CompleteRequest,
    CountCodeFailure,
    DeclaredClient,
    EndSession,
    EndSessions,
    EraseKey,
    ExpireClient,
    GiveConsent,
    LinkIdentity,
    PostponeNotice,
    RecordLogin,
    RedeemCode,
    RefuseCredential,
    RegisterClient,
    ReleaseCredential,
    RemoveClient,
    RemoveNotice,
    RenewSession,
    RevokeGrant,
    RevokeKey,
    RevokeToken,
    RotateBrowser,
    RotateRefreshToken,
    ScheduleKey,
    SealKey,
    SetNotBefore,
    SetProfile,
    SettleCredential,
    StartSession,
    SyncClients,
    UpdateClient,
    UseClient,
    UseConsent,
    UseSession,
    UseTrip,
    WithdrawConsent,
)
from authsrv.storage.node_changes import ReleaseLease, TakeLease
from authsrv.storage.privacy_changes import ErasePlayer, TrimAccount
from tests.support.storage import NOW, digest, grant, identity, player, reservation, signing_key
from tests.support.storage_accounts import ban, event, link_code
from tests.support.storage_browsers import PROFILE, browser, notice, pending, session, trip
from tests.support.storage_clients import registered_client

Call = Callable[[Storage], Awaitable[object]]

IDS = st.sampled_from([1, 1, 1, 2, 2, 3])
MORE_IDS = st.integers(1, 6)
MAYBE_IDS = st.sampled_from([0, 1, 1, 2])
TIMES = st.sampled_from([NOW, NOW + 10, NOW + 20, NOW + 1000, NOW + 3000, NOW + 90000])
SUBJECTS = st.sampled_from(["a", "b"]).map(identity)
TICKETS = st.sampled_from(["t1", "t2"])
HOLDERS = st.sampled_from([b"h1", b"h2"])
TOKENS = st.sampled_from(["r1", "r2", "r3"]).map(digest)
TEXTS = st.sampled_from(["", "Amber", "Birch", "Bärbel \U0001f9f8"]) | st.sampled_from(["", "Cedar", "\ud800", "\0"])
KIDS = st.sampled_from(["k1", "k2", "k3"])
KEYS = st.builds(signing_key, KIDS, follows=st.sampled_from(["ES256", "RS256", "k1", "k2", "", "\0"]))
SCHEDULED_KEYS = st.builds(
    lambda kid, until: replace(signing_key(kid), signs_until=until), KIDS, st.sampled_from([NEVER, NOW + 20])
)
CLIENT_IDS = st.sampled_from(["launcher", "shop"])
PROJECTS = st.sampled_from(["skyforge", "ironkeep"])
CLIENTS = st.builds(DeclaredClient, CLIENT_IDS, PROJECTS, TEXTS)
COOKIES = st.sampled_from(["cookie 1", "cookie 2", "other"]).map(digest)
WORDS = st.sampled_from([(), ("openid",), ("openid", "email"), ("email", "openid"), ("two words",)])
TOKEN_IDS = st.sampled_from(["t1", "t2", "", "\ud800"])
STEPS = st.sampled_from([(), ("login",), ("login", "select_account")])


def a_grant(number: int, player_id: int, expires_at: int, *, code: bool) -> AddGrant:
    code_hash = digest("code") if code else None
    return AddGrant(replace(grant(number, player_id=player_id), expires_at=expires_at, code_hash=code_hash))


def a_browsers_grant(number: int, session_id: int, client_id: str, generation: int) -> AddGrant:
    given = replace(grant(number), expires_at=NOW + 90000, claims=("userinfo:name",))
    return AddGrant(replace(given, session_id=session_id, client_id=client_id, refresh_generation=generation))


def a_session(number: int, browser_id: int, project: str, player_id: int, ends: int) -> Session:
    started = session(number, browser_id=browser_id, project=project, player_id=player_id)
    return replace(started, absolute_expires_at=ends)


CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(lambda number, name: AddPlayer(player(number, name=name)), IDS, TEXTS),
    st.builds(LinkIdentity, SUBJECTS, IDS, TIMES),
    st.builds(RecordLogin, SUBJECTS, IDS, st.integers(1, 2), TEXTS, TIMES),
    st.builds(a_grant, MORE_IDS, IDS, TIMES, code=st.booleans()),
    st.builds(RedeemCode, IDS, TIMES, st.none() | TOKENS, TIMES),
    st.builds(CountCodeFailure, IDS | st.just(2**63)),
    st.builds(RotateRefreshToken, IDS, TOKENS, TOKENS, st.just(b"sealed"), TIMES, TIMES),
    st.builds(RevokeGrant, IDS, TIMES, TEXTS),
    st.builds(RevokeToken, TOKEN_IDS, TIMES),
    st.builds(SetNotBefore, st.just("player"), st.sampled_from(["sub-1", "sub-2"]), TIMES),
    st.builds(SetNotBefore, st.just("client"), CLIENT_IDS, TIMES),
    st.builds(SetNotBefore, st.just("project"), PROJECTS, TIMES),
    st.builds(SettleCredential, TICKETS.map(digest), HOLDERS, SUBJECTS, IDS, TIMES),
    st.builds(RefuseCredential, TICKETS.map(digest), HOLDERS, st.just("credential_rejected"), TIMES),
    st.builds(ReleaseCredential, TICKETS.map(digest), HOLDERS),
    st.builds(AddKeys, st.lists(KEYS, max_size=2).map(tuple)),
    st.builds(
        lambda key, until: ScheduleKey(key, key.signs_from, until, key.retires_at),
        SCHEDULED_KEYS,
        st.sampled_from([NEVER, NOW + 20]),
    ),
    st.builds(SealKey, KIDS, st.just(b"box")),
    st.builds(EraseKey, KIDS, st.just(b"public"), TIMES),
    st.builds(RevokeKey, KIDS, st.just(b"public"), TIMES),
    st.builds(SyncClients, st.lists(CLIENTS, max_size=2).map(tuple), TIMES, st.booleans()),
)
"""What silent logins and the server itself write."""

BROWSER_CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(SetProfile, IDS, TEXTS | st.just(PROFILE)),
    st.builds(lambda number, ends: AddBrowser(replace(browser(number), expires_at=ends)), IDS, TIMES),
    st.builds(RotateBrowser, IDS, COOKIES, COOKIES, TIMES),
    st.builds(
        lambda number, owner, ends, project: AddRequest(
            replace(pending(number, browser_id=owner), expires_at=ends, project=project)
        ),
        MORE_IDS,
        MAYBE_IDS,
        TIMES,
        PROJECTS,
    ),
    st.builds(BindRequest, MORE_IDS, MAYBE_IDS),
    st.builds(AdvanceRequest, MORE_IDS, STEPS),
    st.builds(AmendRequest, MORE_IDS, st.sampled_from(["{}", '{"a":"b"}'])),
    st.builds(CompleteRequest, MORE_IDS, TIMES),
    st.builds(
        lambda number, request_id, ends: AddTrip(replace(trip(number, request_id=request_id), expires_at=ends)),
        MORE_IDS,
        IDS,
        TIMES,
    ),
    st.builds(UseTrip, MORE_IDS, TIMES),
    st.builds(a_session, MORE_IDS, IDS, PROJECTS, IDS, TIMES).map(StartSession),
    st.builds(RenewSession, IDS, TEXTS, st.just("epic"), st.just("c0ffee00"), TIMES, TIMES),
    st.builds(UseSession, IDS, CLIENT_IDS, TIMES),
    st.builds(EndSession, MAYBE_IDS | MORE_IDS, TIMES, TEXTS, st.lists(CLIENT_IDS, max_size=2).map(tuple)),
    st.builds(EndSessions, IDS, TIMES, TEXTS),
    st.builds(EndSessions, IDS, TIMES, TEXTS, st.just("epic"), st.sampled_from(["c0ffee00", "a"])),
    st.builds(a_browsers_grant, MORE_IDS, MAYBE_IDS, CLIENT_IDS, st.integers(0, 2)),
    st.builds(RedeemCode, MORE_IDS, TIMES, st.none() | TOKENS, TIMES),
    st.builds(GiveConsent, IDS, CLIENT_IDS, WORDS, TIMES),
    st.builds(UseConsent, IDS, CLIENT_IDS),
    st.builds(WithdrawConsent, IDS, CLIENT_IDS, TIMES),
    st.builds(lambda number, at: AddNotice(replace(notice(number), next_attempt_at=at)), IDS, TIMES),
    st.builds(PostponeNotice, IDS, st.integers(3, 5), TIMES),
    st.builds(RemoveNotice, IDS),
)
"""What sign-ins in a browser write."""


REGISTERED_IDS = st.sampled_from(["c_1", "c_2", "c_3"])


def a_registration(number: int, client_id: str, project: str, ends: int | None, most: int) -> RegisterClient:
    client = registered_client(number, client_id=client_id, project=project)
    return RegisterClient(replace(client, expires_at=ends), most)


def a_registered_clients_grant(number: int, client_id: str, generation: int) -> AddGrant:
    return AddGrant(replace(grant(number), client_id=client_id, refresh_generation=generation))


CLIENT_CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(a_registration, MORE_IDS, REGISTERED_IDS, PROJECTS, st.none() | TIMES, IDS),
    st.builds(UpdateClient, REGISTERED_IDS, st.integers(1, 2), TEXTS, st.none() | TOKENS, st.booleans()),
    st.builds(UseClient, REGISTERED_IDS),
    st.builds(RemoveClient, REGISTERED_IDS, TIMES),
    st.builds(ExpireClient, REGISTERED_IDS, TIMES),
    st.builds(a_registered_clients_grant, MORE_IDS, REGISTERED_IDS, st.integers(0, 2)),
    st.builds(GiveConsent, IDS, REGISTERED_IDS, WORDS, TIMES),
)
"""What clients write that register themselves, and their players."""


MARKS = st.sampled_from(["m1", "m2"]).map(digest)
ENDS = st.sampled_from([NOW + 5, NOW + 15, NEVER])
BAN_IDS = st.sampled_from([11, 12, 13])
EVENT_IDS = st.sampled_from([21, 22, 23, 24])
LINK_CODE_IDS = st.sampled_from([31, 32, 33])


def an_event(number: int, player_id: int, other_id: int, identity_of: IdentityKey | None, reason: str) -> RecordEvent:
    return RecordEvent(
        replace(event(number, player_id=player_id, other_id=other_id), identity=identity_of, reason=reason)
    )


def a_link_code(number: int, player_id: int, code: str, ends: int) -> AddLinkCode:
    return AddLinkCode(replace(link_code(number, player_id=player_id), code_hash=digest(code), expires_at=ends))


ACCOUNT_CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(AdvanceVersion, IDS, st.integers(1, 3)),
    st.builds(UnlinkIdentity, SUBJECTS, IDS),
    st.builds(MoveIdentity, SUBJECTS, IDS, IDS, TIMES),
    st.builds(EndGrants, IDS, st.sampled_from(["", "steam", "epic"]), st.sampled_from(["", "a"]), TIMES, TEXTS),
    st.builds(MergePlayers, IDS, IDS),
    st.builds(UnmergePlayers, IDS, IDS, st.lists(IDS, max_size=1).map(tuple)),
    st.builds(BarPlayer, IDS, ENDS | st.just(0), st.sampled_from(["banned", "restricted", None])),
    st.builds(lambda number, owner, ends: AddBan(ban(number, player_id=owner, until=ends)), BAN_IDS, MAYBE_IDS, ENDS),
    st.builds(MarkIdentity, MARKS, BAN_IDS),
    st.builds(LiftBan, BAN_IDS, TIMES),
    st.builds(SetDisplayName, IDS, TEXTS, st.sampled_from(["", "steam", "epic"])),
    st.builds(SetSegments, IDS, TEXTS),
    st.builds(SetAgeGroup, IDS, st.sampled_from(["", "child", "teen"])),
    st.builds(an_event, EVENT_IDS, MAYBE_IDS, MAYBE_IDS, st.none() | SUBJECTS, TEXTS),
    st.builds(ReverseEvent, EVENT_IDS, EVENT_IDS),
    st.builds(UseOnce, MARKS, TIMES),
    st.builds(a_link_code, LINK_CODE_IDS, IDS, st.sampled_from(["code 1", "code 2"]), TIMES),
    st.builds(UseLinkCode, LINK_CODE_IDS, TIMES),
)
"""What is done to accounts."""

ERASURES: st.SearchStrategy[Change] = st.builds(
    ErasePlayer,
    IDS,
    st.sampled_from([1, 1, 2]),
    st.sampled_from([("sub-1",), ("sub-2",), ("sub-1", "sub-2"), ("sub-2", "sub-1"), ("sub-1", "\0"), ("sub-3",)]),
    st.sampled_from([-5, -6, 5]),
    TIMES,
    st.booleans(),
)
"""How a player is forgotten, with whom was merged into them or another."""


HOLDER_NAMES = st.sampled_from(["a", "a", "b", "", "\0"])
NODE_CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(TakeLease, st.sampled_from(["jobs", "node"]), HOLDER_NAMES, TIMES, TIMES),
    st.builds(ReleaseLease, st.just("jobs"), HOLDER_NAMES),
)
"""What nodes write about themselves."""


def applying(changes: Sequence[Change]) -> Call:
    return lambda storage: storage.apply(changes)


def reserving(ticket: str, holder: bytes, now: int, take_over: bool) -> Call:
    wanted = replace(reservation(ticket, now=now), holder=holder)
    return lambda storage: storage.reserve(wanted, take_over=take_over)


def cutting(now: int, projects: Sequence[str], *, preview: bool) -> Call:
    return lambda storage: storage.cut(projects, now, preview=preview)


def sweeping(now: int, limit: int, kept: int) -> Call:
    return lambda storage: storage.sweep(now, limit, Retention(kept, kept, kept, kept, kept))


async def reopen(storage: Storage) -> None:
    await storage.close()
    await storage.open()


def counting(counts: dict[bytes, int], now: int) -> Call:
    return lambda storage: storage.exchange_counts(counts, now)


CALLS: st.SearchStrategy[Call] = st.one_of(
    st.builds(applying, st.lists(CHANGES, min_size=1, max_size=3)),
    st.builds(applying, st.lists(BROWSER_CHANGES, min_size=1, max_size=3)),
    st.builds(applying, st.lists(CLIENT_CHANGES, min_size=1, max_size=3)),
    st.builds(applying, st.lists(ACCOUNT_CHANGES, min_size=1, max_size=3)),
    *(
        st.builds(applying, changes.map(lambda change: [change]))
        for changes in (CHANGES, BROWSER_CHANGES, CLIENT_CHANGES, ACCOUNT_CHANGES) * 2
    ),
    st.builds(reserving, TICKETS, HOLDERS, TIMES, st.booleans()),
    st.builds(applying, st.lists(NODE_CHANGES, min_size=1, max_size=2)),
    st.builds(sweeping, TIMES, st.integers(1, 3), st.sampled_from([15, 2000, 10**9])),
    st.builds(counting, st.dictionaries(st.sampled_from([b"a", b"b"]), st.integers(0, 3), max_size=2), TIMES),
    st.builds(applying, ERASURES.map(lambda change: [change])),
    st.builds(lambda row, now: applying([TrimAccount(row, now, Retention(15, 15, 15, 15, 15))]), MAYBE_IDS, TIMES),
    st.builds(cutting, TIMES, st.lists(PROJECTS, max_size=1), preview=st.booleans()),
    st.just(reopen),
)

BEGINNING: tuple[Change, ...] = (
    *(AddPlayer(player(number)) for number in (1, 2)),
    *(AddBrowser(browser(number)) for number in (1, 2)),
    *(AddRequest(pending(number, browser_id=owner)) for number, owner in ((1, 0), (2, 1), (3, 0), (4, 1))),
    *(AddTrip(trip(number, request_id=request_id)) for number, request_id in ((1, 1), (2, 1), (3, 2))),
    StartSession(session(1)),
    StartSession(session(2, browser_id=2, project="ironkeep", player_id=2)),
    StartSession(session(3, project="ironkeep")),
    EndSession(3, NOW, "logout"),
    *(a_browsers_grant(number, session_id, "shop", 0) for number, session_id in ((1, 1), (2, 1), (3, 0))),
    RedeemCode(1, NOW, digest("r1"), NOW + 90000),
    GiveConsent(1, "shop", ("openid",), NOW),
    SetProfile(1, PROFILE),
    AddKeys((signing_key(),)),
    AddNotice(notice(1)),
    AddPlayer(player(3)),
    LinkIdentity(identity("a"), 1, NOW),
    AddBan(ban(11)),
    MarkIdentity(digest("m1"), 11),
    RecordEvent(event(21)),
    AddLinkCode(link_code(31)),
)
"""Rows for the calls to meet."""
