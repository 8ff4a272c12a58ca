"""What the changes about browsers become: guarded statements with their values, registered with `base.py`.

Owns their order inside a change. Knows no driver and no transaction.
"""

from collections.abc import Iterator

from authsrv.storage.base import StorageError
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
from authsrv.storage.rows.base import checked, digest_column, joined, required
from authsrv.storage.rows.browsers import browser_values, notice_values, request_values, session_values, trip_values
from authsrv.storage.statements import browsers as sql
from authsrv.storage.steps.base import Step, steps_of

SESSION_ENDED = "session_ended"
"""`revoked_reason` of a grant that ended with its session."""

CONSENT_WITHDRAWN = "consent_withdrawn"
"""`revoked_reason` of a grant whose player no longer lets its client have anything."""


@steps_of.register
def _(change: SetProfile) -> Iterator[Step]:
    values = checked(player_id=change.player_id, profile=change.profile)
    if change.profile:
        yield Step(sql.UPSERT_PROFILE, values, guarded=False)
    else:
        yield Step(sql.DELETE_PROFILE, values, guarded=False)


@steps_of.register
def _(change: AddBrowser) -> Iterator[Step]:
    yield Step(sql.INSERT_BROWSER, browser_values(change.browser))


@steps_of.register
def _(change: RotateBrowser) -> Iterator[Step]:
    yield Step(
        sql.ROTATE_BROWSER,
        checked(
            browser_id=change.browser_id,
            current=digest_column("current", change.current),
            successor=digest_column("successor", change.successor),
            expires_at=change.expires_at,
        ),
    )


@steps_of.register
def _(change: AddRequest) -> Iterator[Step]:
    request = change.request
    yield Step(sql.INSERT_REQUEST, request_values(request))
    yield Step(sql.PRUNE_REQUESTS, checked(browser_id=request.browser_id, most=MOST_PENDING), guarded=False)


@steps_of.register
def _(change: BindRequest) -> Iterator[Step]:
    yield Step(sql.BIND_REQUEST, checked(request_id=change.request_id, browser_id=change.browser_id))
    yield Step(sql.PRUNE_REQUESTS, checked(browser_id=change.browser_id, most=MOST_PENDING), guarded=False)


@steps_of.register
def _(change: AdvanceRequest) -> Iterator[Step]:
    progress = joined("progress", change.progress)
    yield Step(sql.ADVANCE_REQUEST, checked(request_id=change.request_id, progress=progress))


@steps_of.register
def _(change: AmendRequest) -> Iterator[Step]:
    parameters = required("parameters", change.parameters)
    yield Step(sql.AMEND_REQUEST, checked(request_id=change.request_id, parameters=parameters))


@steps_of.register
def _(change: CompleteRequest) -> Iterator[Step]:
    yield Step(sql.COMPLETE_REQUEST, checked(request_id=change.request_id, now=change.now))


@steps_of.register
def _(change: AddTrip) -> Iterator[Step]:
    yield Step(sql.INSERT_TRIP, trip_values(change.trip))
    yield Step(sql.PRUNE_TRIPS, checked(request_id=change.trip.request_id, most=MOST_PENDING), guarded=False)


@steps_of.register
def _(change: UseTrip) -> Iterator[Step]:
    yield Step(sql.USE_TRIP, checked(trip_id=change.trip_id, now=change.now))


@steps_of.register
def _(change: StartSession) -> Iterator[Step]:
    if change.session.ended_at is not None:
        raise StorageError("a session that has ended does not start")
    yield Step(sql.INSERT_SESSION, session_values(change.session))


@steps_of.register
def _(change: RenewSession) -> Iterator[Step]:
    yield Step(
        sql.RENEW_SESSION,
        checked(
            session_id=change.session_id,
            platform=change.platform,
            idp=change.idp,
            idp_subject=change.idp_subject,
            now=change.now,
            expires_at=change.expires_at,
        ),
    )


@steps_of.register
def _(change: UseSession) -> Iterator[Step]:
    values = checked(
        session_id=change.session_id, client_id=change.client_id, now=change.now, expires_at=change.expires_at
    )
    yield Step(sql.TOUCH_SESSION, values)
    yield Step(sql.INSERT_SESSION_CLIENT, values, guarded=False)


@steps_of.register
def _(change: EndSession) -> Iterator[Step]:
    values = checked(session_id=change.session_id, now=change.now, reason=change.reason)
    yield Step(sql.END_SESSION, values, guarded=False)
    ended = {**values, "reason": SESSION_ENDED}
    yield Step(sql.REVOKE_WITHOUT_REFRESH, {**ended, **checked(spared=change.spared)}, guarded=False)
    for client_id in (bound for bound in change.bound if bound != change.spared):
        yield Step(sql.REVOKE_OF_CLIENT, {**ended, **checked(client_id=client_id)}, guarded=False)


@steps_of.register
def _(change: EndSessions) -> Iterator[Step]:
    values = checked(
        player_id=change.player_id,
        idp=change.idp,
        idp_subject=change.idp_subject,
        now=change.now,
        reason=change.reason,
    )
    yield Step(sql.END_SESSIONS, values, guarded=False)


@steps_of.register
def _(change: GiveConsent) -> Iterator[Step]:
    scope = joined("scope", change.scope)
    values = checked(player_id=change.player_id, client_id=change.client_id, scope=scope, now=change.now)
    yield Step(sql.UPSERT_CONSENT, values, guarded=False)


@steps_of.register
def _(change: UseConsent) -> Iterator[Step]:
    yield Step(sql.USE_CONSENT, checked(player_id=change.player_id, client_id=change.client_id))


@steps_of.register
def _(change: WithdrawConsent) -> Iterator[Step]:
    values = checked(player_id=change.player_id, client_id=change.client_id, now=change.now, reason=CONSENT_WITHDRAWN)
    yield Step(sql.DELETE_CONSENT, values, guarded=False)
    yield Step(sql.REVOKE_OF_PLAYER_AND_CLIENT, values, guarded=False)


@steps_of.register
def _(change: AddNotice) -> Iterator[Step]:
    yield Step(sql.INSERT_NOTICE, notice_values(change.notice))


@steps_of.register
def _(change: PostponeNotice) -> Iterator[Step]:
    values = checked(notice_id=change.notice_id, attempts=change.attempts, next_attempt_at=change.next_attempt_at)
    yield Step(sql.POSTPONE_NOTICE, values)


@steps_of.register
def _(change: RemoveNotice) -> Iterator[Step]:
    yield Step(sql.DELETE_NOTICE, checked(notice_id=change.notice_id), guarded=False)
