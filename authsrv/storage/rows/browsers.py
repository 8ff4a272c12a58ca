"""Between the models about browsers and their rows. Knows no SQL and no driver."""

from collections.abc import Iterable
from dataclasses import replace

from authsrv.models import (
    Browser,
    Consent,
    LoadedRequest,
    LoadedTrip,
    LogoutNotice,
    PendingRequest,
    Session,
    SignedIn,
    Trip,
    Visit,
)
from authsrv.storage.rows.base import PLAYER_COLUMNS, Row, Values, checked, digest_column, joined, player_of, required

_BROWSER, _SESSION, _REQUEST, _TRIP = 4, 14, 10, 8
"""How many columns each has in a SELECT."""


def browser_values(browser: Browser) -> Values:
    """The columns of a browser."""
    return checked(
        id=browser.id,
        secret_hash=digest_column("secret_hash", browser.secret_hash),
        created_at=browser.created_at,
        expires_at=browser.expires_at,
    )


def session_values(session: Session) -> Values:
    """The columns of a session."""
    return checked(
        id=session.id,
        browser_id=session.browser_id,
        project=session.project,
        player_id=session.player_id,
        platform=session.platform,
        idp=session.idp,
        idp_subject=session.idp_subject,
        auth_time=session.auth_time,
        created_at=session.created_at,
        expires_at=session.expires_at,
        absolute_expires_at=session.absolute_expires_at,
        used_at=session.used_at,
        ended_at=session.ended_at,
        ended_reason=session.ended_reason,
    )


def request_values(request: PendingRequest) -> Values:
    """The columns of a pending request."""
    return checked(
        id=request.id,
        browser_id=request.browser_id,
        project=request.project,
        client_id=request.client_id,
        parameters=required("parameters", request.parameters),
        created_at=request.created_at,
        expires_at=request.expires_at,
        expected_sub=request.expected_sub,
        progress=joined("progress", request.progress),
        completed_at=request.completed_at,
    )


def trip_values(trip: Trip) -> Values:
    """The columns of a trip."""
    return checked(
        id=trip.id,
        browser_id=trip.browser_id,
        request_id=trip.request_id,
        platform=trip.platform,
        state_hash=digest_column("state_hash", trip.state_hash),
        created_at=trip.created_at,
        expires_at=trip.expires_at,
        used_at=trip.used_at,
    )


def notice_values(notice: LogoutNotice) -> Values:
    """The columns of a logout notice."""
    return checked(
        id=notice.id,
        client_id=notice.client_id,
        session_id=notice.session_id,
        sub=notice.sub,
        created_at=notice.created_at,
        next_attempt_at=notice.next_attempt_at,
        attempts=notice.attempts,
    )


def signed_in_of(row: Row) -> SignedIn:
    """A session and its player from one joined row."""
    return SignedIn(Session(*row[:_SESSION]), player_of(row[_SESSION : _SESSION + PLAYER_COLUMNS]))


def visit_of(row: Row) -> Visit | None:
    """A browser with its session and consent; None where the outer join found no browser."""
    if row[0] is None:
        return None
    browser, rest = Browser(*row[:_BROWSER]), row[_BROWSER:]
    signed_in = None if rest[0] is None else signed_in_of(rest)
    return Visit(browser, signed_in, frozenset((rest[_SESSION + PLAYER_COLUMNS] or "").split()))


def loaded_request_of(row: Row) -> LoadedRequest:
    """A pending request and the visit beside it."""
    words = row[_REQUEST - 2] or ""
    request = replace(PendingRequest(*row[:_REQUEST]), progress=tuple(words.split()))
    return LoadedRequest(request, visit_of(row[_REQUEST:]))


def loaded_trip_of(row: Row) -> LoadedTrip:
    """A trip and its request."""
    return LoadedTrip(Trip(*row[:_TRIP]), loaded_request_of(row[_TRIP:]))


def consent_of(row: Row) -> Consent:
    """A consent."""
    client_id, scope, given_at = row
    return Consent(client_id, tuple(scope.split()), given_at)


def one_for_each_client(consents: Iterable[Consent]) -> tuple[Consent, ...]:
    """Consents to the same client, of which the oldest comes first, as one since then."""
    found: dict[str, Consent] = {}
    for consent in consents:
        before = found.setdefault(consent.client_id, consent)
        scope = tuple(dict.fromkeys((*before.scope, *consent.scope)))
        found[consent.client_id] = replace(before, scope=scope)
    return tuple(found.values())


def notice_of(row: Row) -> LogoutNotice:
    """A logout notice."""
    return LogoutNotice(*row)
