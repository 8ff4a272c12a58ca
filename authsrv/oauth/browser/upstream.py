"""The way to a platform's sign-in page and back: which browser left for what, and who it is when it returns.

Owns the single use of `state`, and what a trip's secrets are. Knows no platform by name and no page.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from authsrv import errors
from authsrv.audit import AuditEvent
from authsrv.models import LoadedRequest, LoadedTrip, PendingRequest, Trip, Visit
from authsrv.oauth.browser.browsers import Browsers, NewCookie
from authsrv.oauth.browser.check import AuthorizationCheck
from authsrv.oauth.browser.pending import (
    Caller,
    PendingRequests,
    RequestCompleted,
    provider_of,
    unknown_request,
    wrong_browser,
)
from authsrv.oauth.browser.request import Target
from authsrv.oauth.browser.sessions import BrowserSessions, Proof
from authsrv.oauth.credentials import Redeemed
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.logins import PlatformLogins, lost_to_another_login
from authsrv.oauth.opaque import Opaque, digest
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Attempt, Sender
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.platforms.base import BrowserTrip, Platform, Returned
from authsrv.storage.base import Conflict
from authsrv.storage.changes import AddTrip, AdvanceRequest, Change, EndSession, UseTrip

TRIP_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Homecoming:
    """A browser that came to a callback address: from which platform, with what, and its cookie."""

    provider: str
    returned: Returned
    cookie: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class Arrival:
    """A browser came back and its player is signed in: it goes on with the request, and has a new cookie."""

    handle: str
    cookie: NewCookie


@dataclass(frozen=True, slots=True)
class Failed:
    """A browser came back with nothing that signs in. `kept` is its request, which can still go on."""

    kept: LoadedRequest
    handle: str
    error: errors.AuthsrvError

    @property
    def is_the_clients(self) -> bool:
        """Whether the client is told: of a sign-in that the player gave up, or that has no page of ours.

        Never of one that was completed before: another tab is on its way to the client.
        """
        if isinstance(self.error, RequestCompleted):
            return False
        return self.error.reason == "cancelled" or bool(provider_of(self.kept.request))


@dataclass(frozen=True, slots=True)
class _Returned:
    """A trip that the right browser ended, once."""

    trip: Trip
    kept: LoadedRequest
    visit: Visit
    state: Opaque


class UpstreamSignIn:
    """Sends browsers to platforms and receives them."""

    def __init__(
        self,
        *,
        server: TokenServer,
        check: AuthorizationCheck,
        browsers: Browsers,
        pending: PendingRequests,
        platforms: PlatformDirectory,
        logins: PlatformLogins,
        sessions: BrowserSessions,
        key: bytes,
    ) -> None:
        self._server = server
        self._check = check
        self._browsers = browsers
        self._pending = pending
        self._platforms = platforms
        self._logins = logins
        self._sessions = sessions
        self._key = key

    async def depart(self, provider: str, caller: Caller, csrf: str) -> str:
        """The address of the platform's page for this browser. The trip is remembered."""
        kept = await self._pending.require(caller, csrf)
        return await self.leave(provider, kept.request)

    async def leave(self, provider: str, request: PendingRequest) -> str:
        """The same for the browser whose request it is, whoever asked for it."""
        if provider_of(request) not in {"", provider}:
            raise unknown_request()
        platform = self.platform(self._check.kept_target(request), provider)
        row_id, now = self._server.storage.next_id(), self._server.now()
        state = self._server.opaque.new("trip", row_id)
        trip = Trip(row_id, request.browser_id, request.id, provider, state.digest, now, now + TRIP_SECONDS)
        await self._server.apply([AddTrip(trip)])
        return platform.sign_in_url(self._trip(provider, state))

    async def arrive(self, home: Homecoming) -> Arrival | Failed:
        """Take a browser that came back. Raises `AuthsrvError` if it is not the one that left, or came before."""
        back = await self._back(home)
        handle = self._server.opaque.public_id("request", back.trip.request_id)
        try:
            return Arrival(handle, await self._sign_in(home, back))
        except errors.AuthsrvError as error:
            if _is_final(error):
                await self._once(back, [UseTrip(back.trip.id, self._server.now())])
            return Failed(back.kept, handle, error)

    def platform(self, target: Target, provider: str) -> Platform[Any]:
        """The platform, if it signs players of the client in by the browser. Raises `UnsupportedProvider`."""
        self._platforms.require_known(provider)
        platform = self._platforms.find(target.client.project.key, provider)
        if not platform.signs_in_browsers:
            raise errors.UnsupportedProvider(
                "This platform is not set up for signing in by the browser.", reason="provider_not_configured"
            )
        return platform

    def _trip(self, provider: str, state: Opaque) -> BrowserTrip:
        return BrowserTrip(
            callback=f"{self._server.tokens.issuer}/login/{provider}/callback",
            state=state.text,
            nonce=self._derived(b"nonce", state),
            code_verifier=self._derived(b"verifier", state),
        )

    def _derived(self, purpose: bytes, state: Opaque) -> str:
        """A secret of the trip that is stored nowhere: whoever sees the `state` cannot make it."""
        return urlsafe_b64encode(hmac.digest(self._key, purpose + b"\0" + state.text.encode(), "sha256")).decode()[:43]

    async def _back(self, home: Homecoming) -> _Returned:
        state = self._state(home.returned)
        presented, now = self._browsers.read(home.cookie), self._server.now()
        with outages_answered():
            loaded = await self._server.storage.load_trip(state.row_id, presented.row_id if presented else 0)
        if loaded is None or not hmac.compare_digest(loaded.trip.state_hash, state.digest):
            raise unknown_request()
        _require_open(loaded, home.provider, now)
        visit = loaded.pending.visit
        if visit is None or not self._browsers.is_known(presented, visit, now):
            raise wrong_browser(has_cookie=bool(home.cookie))
        if visit.browser.id != loaded.trip.browser_id:
            raise wrong_browser(has_cookie=True)
        if loaded.trip.used_at is not None or loaded.pending.request.completed_at is not None:
            raise RequestCompleted(loaded.pending.request.client_id)
        return _Returned(loaded.trip, loaded.pending, visit, state)

    def _state(self, returned: Returned) -> Opaque:
        values = [value for name, value in returned if name == "state"]
        state = self._server.opaque.read("trip", values[0]) if len(values) == 1 else None
        if state is None:
            raise foreign_state()
        return state

    async def _sign_in(self, home: Homecoming, back: _Returned) -> NewCookie:
        target = self._check.kept_target(back.kept.request)
        platform, attempt = self.platform(target, home.provider), Attempt(target.client, home.provider, home.sender)
        trip = self._trip(home.provider, back.state)
        credential = self._logins.read(attempt, lambda: platform.parse_return(trip, home.returned))
        now, requester = self._server.now(), digest(back.state.text)
        redeemed = await self._logins.redeem(attempt, platform, credential, requester, now)
        return await self._settle(attempt, back, redeemed)

    async def _settle(self, attempt: Attempt, back: _Returned, redeemed: Redeemed) -> NewCookie:
        """Two first logins of one identity race for its row; the loser reads the winner's player and signs in."""
        now, project = self._server.now(), attempt.client.project
        rotation, cookie = self._browsers.rotated(back.visit.browser, now)
        for _ in range(ATTEMPTS):
            signed_in = await self._logins.player(attempt, redeemed, now, may_create=True)
            proof = Proof(signed_in.player, redeemed.identity, now)
            session = await self._sessions.signed_in(back.visit, project, proof)
            own = [*signed_in.changes, *redeemed.settled(0, now), *session, _progress(back.kept), rotation]
            if await self._once(back, [UseTrip(back.trip.id, now), *own]):
                self._logins.succeeded(attempt, signed_in)
                self._note_ends(attempt, back, session)
                self._note(attempt, AuditEvent("session.started", sub=signed_in.player.sub))
                return cookie
        raise errors.TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def _once(self, back: _Returned, changes: list[Change]) -> bool:
        """Whether it was written; False when another first login of the same identity was faster."""
        try:
            await self._server.apply(changes)
        except Conflict as conflict:
            if lost_to_another_login(conflict):
                return False
            raise RequestCompleted(back.kept.request.client_id) from conflict
        return True

    def _note_ends(self, attempt: Attempt, back: _Returned, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, EndSession) and back.visit.signed_in:
                sub = back.visit.signed_in.player.sub
                self._note(attempt, AuditEvent("session.ended", sub=sub, reason=change.reason))

    def _note(self, attempt: Attempt, event: AuditEvent) -> None:
        client, sender = attempt.client, attempt.sender
        told = replace(event, project=client.project.key, client_id=client.client_id, platform=attempt.provider)
        self._server.note(told, sender)


def _is_final(error: errors.AuthsrvError) -> bool:
    """Whether coming back with the same cannot end otherwise: nobody looked in an outage, nor beyond a limit."""
    return error.status < 500 and not isinstance(error, errors.RateLimited | RequestCompleted)


def _require_open(loaded: LoadedTrip, provider: str, now: int) -> None:
    if loaded.trip.platform != provider:
        raise foreign_state()
    if now >= min(loaded.trip.expires_at, loaded.pending.request.expires_at):
        raise unknown_request()


def _progress(kept: LoadedRequest) -> Change:
    return AdvanceRequest(kept.request.id, tuple(dict.fromkeys((*kept.request.progress, "login"))))


def foreign_state() -> errors.InvalidRequest:
    """The `state` is missing, repeated, not ours or made for another platform."""
    return errors.InvalidRequest("The state is missing or not ours.", parameter="state", reason="foreign_state")
