"""Signing in by a platform in the browser: what becomes of a player who went there and came back.

Owns what a sign-in writes, and the race of two first logins. Knows no platform by name and no page.
"""

from collections.abc import Sequence
from dataclasses import replace

from authsrv import errors
from authsrv.audit import AuditEvent
from authsrv.models import LoadedRequest, PendingRequest
from authsrv.oauth.browser.browsers import Browsers, NewCookie
from authsrv.oauth.browser.pending import Caller, PendingRequests
from authsrv.oauth.browser.sessions import BrowserSessions, Proof
from authsrv.oauth.browser.trips import BackHome, Failed, Homecoming, Proven, Trips
from authsrv.oauth.logins import PlatformLogins, lost_to_another_login
from authsrv.oauth.request import Attempt
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.records import dataclass
from authsrv.storage.changes import AdvanceRequest, Change, EndSession, UseTrip


@dataclass(frozen=True, slots=True)
class Arrival:
    """A browser came back and its player is signed in: it goes on with the request, and has a new cookie."""

    handle: str
    cookie: NewCookie


class UpstreamSignIn:
    """Signs in whoever comes back from a platform."""

    def __init__(
        self,
        *,
        server: TokenServer,
        browsers: Browsers,
        pending: PendingRequests,
        trips: Trips,
        logins: PlatformLogins,
        sessions: BrowserSessions,
    ) -> None:
        self._server = server
        self._browsers = browsers
        self._pending = pending
        self._trips = trips
        self._logins = logins
        self._sessions = sessions

    async def depart(self, provider: str, caller: Caller, csrf: str) -> str:
        """The address of the platform's page for this browser. The trip is remembered."""
        kept = await self._pending.require(caller, csrf)
        return await self.leave(provider, kept.request)

    async def leave(self, provider: str, request: PendingRequest) -> str:
        """The same for the browser whose request it is, whoever asked for it."""
        leaving = self._trips.leaving(provider, request)
        await self._server.apply([leaving.change])
        return leaving.url

    async def arrive(self, home: Homecoming, back: BackHome) -> Arrival | Failed:
        """Sign in whoever came back."""
        try:
            return Arrival(back.handle, await self._settle(back, await self._trips.proven(home, back)))
        except errors.AuthsrvError as error:
            return await self._trips.failed(back, error)

    async def _settle(self, back: BackHome, proven: Proven) -> NewCookie:
        """Two first logins of one identity race for its row; the loser reads the winner's player and signs in."""
        attempt, redeemed = proven.attempt, proven.redeemed
        now, project = self._server.now(), attempt.client.project
        rotation, cookie = self._browsers.rotated(back.visit.browser, now)
        for _ in range(ATTEMPTS):
            signed_in = await self._logins.player(attempt, redeemed, now, may_create=True)
            proof = Proof(signed_in.player, redeemed.identity, now)
            session = await self._sessions.signed_in(back.visit, project, proof)
            own = [*signed_in.changes, *redeemed.settled(0, now), *session, _progress(back.kept), rotation]
            if await self._trips.once(back, [UseTrip(back.trip.id, now), *own], lost_to_another_login):
                self._logins.succeeded(attempt, signed_in)
                self._note_ends(attempt, back, session)
                self._note(attempt, AuditEvent("session.started", sub=signed_in.player.sub))
                return cookie
        raise errors.TemporarilyUnavailable(retry_after=1, detail="lost every race")

    def _note_ends(self, attempt: Attempt, back: BackHome, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, EndSession) and back.visit.signed_in:
                sub = back.visit.signed_in.player.sub
                self._note(attempt, AuditEvent("session.ended", sub=sub, reason=change.reason))

    def _note(self, attempt: Attempt, event: AuditEvent) -> None:
        client, sender = attempt.client, attempt.sender
        told = replace(event, project=client.project.key, client_id=client.client_id, platform=attempt.provider)
        self._server.note(told, sender)


def _progress(kept: LoadedRequest) -> Change:
    return AdvanceRequest(kept.request.id, tuple(dict.fromkeys((*kept.request.progress, "login"))))
