"""What the changes about browsers do to the memory backend's tables, registered with `tables.py`.

Owns guards and row changes; the model that `statements/browsers.py` is held against. Knows no transaction.
"""

from dataclasses import replace

from authsrv.models import Consent, Grant, LoadedRequest, Session, SignedIn, Visit
from authsrv.storage.base import Conflict
from authsrv.storage.changes import (
    MOST_PENDING,
    AddBrowser,
    AddNotice,
    AddRequest,
    AddTrip,
    AdvanceRequest,
    AmendRequest,
    BindRequest,
    CompleteRequest,
    EndSession,
    EndSessions,
    GiveConsent,
    PostponeNotice,
    RemoveNotice,
    RenewSession,
    RotateBrowser,
    SetProfile,
    StartSession,
    UseConsent,
    UseSession,
    UseTrip,
    WithdrawConsent,
)
from authsrv.storage.memory.tables import Tables, end_grants, guard, write
from authsrv.storage.rows.browsers import one_for_each_client
from authsrv.storage.steps.browsers import CONSENT_WITHDRAWN, SESSION_ENDED


def visit(tables: Tables, browser_id: int, project: str, client_id: str) -> Visit | None:
    """A browser, its session in the project that has not ended, and its player's consent to the client."""
    browser = tables.browsers.get(browser_id)
    if browser is None:
        return None
    open_here = (s for s in open_sessions(tables, browser_id) if s.session.project == project)
    signed_in = next(open_here, None)
    if signed_in is None:
        return Visit(browser)
    consent = tables.consents.get((signed_in.player.id, client_id))
    return Visit(browser, signed_in, frozenset(consent.scope if consent else ()))


def consents(tables: Tables, player_id: int) -> tuple[Consent, ...]:
    """What a player, and whoever was merged into them, lets clients have."""
    all_ = tables.with_aliases(player_id)
    mine = [(one.client_id, one.given_at, whose, one) for (whose, _), one in tables.consents.items() if whose in all_]
    return one_for_each_client(consent for *_, consent in sorted(mine, key=lambda row: row[:3]))


def open_sessions(tables: Tables, browser_id: int) -> list[SignedIn]:
    """Every session of a browser that has not ended, oldest first."""
    mine = [s for _, s in sorted(tables.sessions.items()) if s.browser_id == browser_id and s.ended_at is None]
    return [SignedIn(session, tables.players[session.player_id]) for session in mine]


def player_sessions(tables: Tables, player_id: int) -> list[SignedIn]:
    """Every session of a player that has not ended, oldest first."""
    mine = [s for _, s in sorted(tables.sessions.items()) if s.player_id == player_id and s.ended_at is None]
    return [SignedIn(session, tables.players[player_id]) for session in mine]


def loaded_request(tables: Tables, request_id: int, browser_id: int) -> LoadedRequest | None:
    """A request and the visit of the browser."""
    request = tables.requests.get(request_id)
    if request is None:
        return None
    return LoadedRequest(request, visit(tables, browser_id, request.project, request.client_id))


@write.register
def _(change: SetProfile, tables: Tables) -> None:
    guard(change.player_id in tables.players or not change.profile, change)
    if change.profile:
        tables.profiles[change.player_id] = change.profile
    else:
        tables.profiles.pop(change.player_id, None)


@write.register
def _(change: AddBrowser, tables: Tables) -> None:
    guard(change.browser.id not in tables.browsers, change)
    tables.browsers[change.browser.id] = change.browser


@write.register
def _(change: RotateBrowser, tables: Tables) -> None:
    browser = tables.browsers.get(change.browser_id)
    if browser is None or browser.secret_hash != change.current:
        raise Conflict(change)
    tables.browsers[browser.id] = replace(browser, secret_hash=change.successor, expires_at=change.expires_at)


@write.register
def _(change: AddRequest, tables: Tables) -> None:
    guard(change.request.id not in tables.requests, change)
    tables.requests[change.request.id] = change.request
    _prune_requests(tables, change.request.browser_id)


def _prune_requests(tables: Tables, browser_id: int) -> None:
    waiting = [r.id for r in tables.requests.values() if r.browser_id == browser_id != 0 and r.completed_at is None]
    for request_id in sorted(waiting)[:-MOST_PENDING]:
        del tables.requests[request_id]


@write.register
def _(change: BindRequest, tables: Tables) -> None:
    request = tables.requests.get(change.request_id)
    if request is None or request.browser_id != 0:
        raise Conflict(change)
    tables.requests[request.id] = replace(request, browser_id=change.browser_id)
    _prune_requests(tables, change.browser_id)


@write.register
def _(change: AdvanceRequest, tables: Tables) -> None:
    request = tables.requests.get(change.request_id)
    if request is None or request.completed_at is not None:
        raise Conflict(change)
    tables.requests[request.id] = replace(request, progress=change.progress)


@write.register
def _(change: AmendRequest, tables: Tables) -> None:
    request = tables.requests.get(change.request_id)
    if request is None or request.completed_at is not None:
        raise Conflict(change)
    tables.requests[request.id] = replace(request, parameters=change.parameters)


@write.register
def _(change: CompleteRequest, tables: Tables) -> None:
    request = tables.requests.get(change.request_id)
    if request is None or request.completed_at is not None:
        raise Conflict(change)
    tables.requests[request.id] = replace(request, completed_at=change.now)


@write.register
def _(change: AddTrip, tables: Tables) -> None:
    trip = change.trip
    guard(trip.id not in tables.trips, change)
    tables.trips[trip.id] = trip
    away = [t.id for t in tables.trips.values() if t.request_id == trip.request_id and t.used_at is None]
    for trip_id in sorted(away)[:-MOST_PENDING]:
        del tables.trips[trip_id]


@write.register
def _(change: UseTrip, tables: Tables) -> None:
    trip = tables.trips.get(change.trip_id)
    if trip is None or trip.used_at is not None:
        raise Conflict(change)
    tables.trips[trip.id] = replace(trip, used_at=change.now)


@write.register
def _(change: StartSession, tables: Tables) -> None:
    session = change.session
    others = [s for s in open_sessions(tables, session.browser_id) if s.session.project == session.project]
    guard(session.id not in tables.sessions and session.player_id in tables.players and not others, change)
    tables.sessions[session.id] = session


def _open_session(tables: Tables, session_id: int, change: RenewSession | UseSession) -> Session:
    session = tables.sessions.get(session_id)
    if session is None or session.ended_at is not None:
        raise Conflict(change)
    return session


@write.register
def _(change: RenewSession, tables: Tables) -> None:
    session = _open_session(tables, change.session_id, change)
    tables.sessions[session.id] = replace(
        session,
        platform=change.platform,
        idp=change.idp,
        idp_subject=change.idp_subject,
        auth_time=change.now,
        used_at=change.now,
        expires_at=change.expires_at,
    )


@write.register
def _(change: UseSession, tables: Tables) -> None:
    session = _open_session(tables, change.session_id, change)
    tables.sessions[session.id] = replace(session, used_at=change.now, expires_at=change.expires_at)
    tables.session_clients.add((session.id, change.client_id))


@write.register
def _(change: EndSession, tables: Tables) -> None:
    session = tables.sessions.get(change.session_id)
    if session is not None and session.ended_at is None:
        tables.sessions[session.id] = replace(session, ended_at=change.now, ended_reason=change.reason)

    def ends(grant: Grant) -> bool:
        mine = grant.session_id == change.session_id != 0 and grant.client_id != change.spared
        return mine and (grant.refresh_generation == 0 or grant.client_id in change.bound)

    end_grants(tables, ends, change.now, SESSION_ENDED)


@write.register
def _(change: EndSessions, tables: Tables) -> None:
    account = change.idp, change.idp_subject
    for session in [found.session for found in player_sessions(tables, change.player_id)]:
        if change.idp and (session.idp, session.idp_subject) != account:
            continue
        tables.sessions[session.id] = replace(session, ended_at=change.now, ended_reason=change.reason)


@write.register
def _(change: GiveConsent, tables: Tables) -> None:
    guard(change.player_id in tables.players, change)
    consent = Consent(change.client_id, change.scope, change.now)
    tables.consents[change.player_id, change.client_id] = consent


@write.register
def _(change: UseConsent, tables: Tables) -> None:
    guard((change.player_id, change.client_id) in tables.consents, change)


@write.register
def _(change: WithdrawConsent, tables: Tables) -> None:
    all_ = tables.with_aliases(change.player_id)
    for player_id in all_:
        tables.consents.pop((player_id, change.client_id), None)

    def ends(grant: Grant) -> bool:
        return grant.player_id in all_ and grant.client_id == change.client_id

    end_grants(tables, ends, change.now, CONSENT_WITHDRAWN)


@write.register
def _(change: AddNotice, tables: Tables) -> None:
    guard(change.notice.id not in tables.notices, change)
    tables.notices[change.notice.id] = change.notice


@write.register
def _(change: PostponeNotice, tables: Tables) -> None:
    notice = tables.notices.get(change.notice_id)
    if notice is None or notice.attempts != change.attempts:
        raise Conflict(change)
    later = replace(notice, next_attempt_at=change.next_attempt_at, attempts=notice.attempts + 1)
    tables.notices[notice.id] = later


@write.register
def _(change: RemoveNotice, tables: Tables) -> None:
    tables.notices.pop(change.notice_id, None)
