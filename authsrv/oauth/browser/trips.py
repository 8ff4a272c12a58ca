"""The way to a platform's page and back: which browser left for what, and what it proves when it returns.

Owns the single use of `state`, and what a trip's secrets are. Knows no platform by name, and not what a proof is for.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from authsrv import errors
from authsrv.models import LoadedRequest, LoadedTrip, PendingRequest, Trip, Visit
from authsrv.oauth.browser.browsers import Browsers
from authsrv.oauth.browser.check import AuthorizationCheck
from authsrv.oauth.browser.pending import RequestCompleted, provider_of, purpose_of, unknown_request, wrong_browser
from authsrv.oauth.browser.request import Purpose, Target
from authsrv.oauth.credentials import Redeemed
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.logins import PlatformLogins, require_unasked
from authsrv.oauth.opaque import Opaque, digest
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Attempt, Sender
from authsrv.oauth.server import TokenServer
from authsrv.platforms.base import BrowserTrip, Platform, Returned
from authsrv.records import dataclass
from authsrv.storage.base import Conflict
from authsrv.storage.changes import AddTrip, Change, UseTrip

TRIP_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Leaving:
    """A browser that is sent away: what is remembered of it, and the address of the platform's page."""

    change: AddTrip
    url: str


@dataclass(frozen=True, slots=True)
class Homecoming:
    """A browser that came to a callback address: from which platform, with what, and its cookie."""

    provider: str
    returned: Returned
    cookie: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class BackHome:
    """A trip that the right browser ended, once. `purpose` is what it left for, as we remember it."""

    trip: Trip
    kept: LoadedRequest
    visit: Visit
    state: Opaque
    handle: str
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Proven:
    """Whom the platform vouches for, and the attempt that it was."""

    attempt: Attempt
    redeemed: Redeemed


@dataclass(frozen=True, slots=True)
class Failed:
    """A browser came back with nothing that helps. `kept` is its request, which can still go on."""

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


def _never(_: Conflict) -> bool:
    return False


class Trips:
    """Sends browsers to platforms and receives them. `key` is a secret of this server."""

    def __init__(
        self,
        *,
        server: TokenServer,
        check: AuthorizationCheck,
        browsers: Browsers,
        platforms: PlatformDirectory,
        logins: PlatformLogins,
        key: bytes,
    ) -> None:
        self._server = server
        self._check = check
        self._browsers = browsers
        self._platforms = platforms
        self._logins = logins
        self._key = key

    def platform(self, target: Target, provider: str) -> Platform[Any]:
        """The platform, if it signs players of the client in by the browser.

        Raises `UnsupportedProvider`, or `AccessDenied` if it must be asked nothing.
        """
        self._platforms.require_known(provider)
        platform = self._platforms.find(target.client.project.key, provider)
        if not platform.signs_in_browsers:
            raise errors.UnsupportedProvider(
                "This platform is not set up for signing in by the browser.", reason="provider_not_configured"
            )
        require_unasked(target.client.project, platform)
        return platform

    def leaving(self, provider: str, request: PendingRequest) -> Leaving:
        """Send the browser whose request it is to this platform. Raises `AuthsrvError`."""
        if provider_of(request) not in {"", provider}:
            raise unknown_request()
        platform = self.platform(self._check.kept_target(request), provider)
        row_id, now = self._server.storage.next_id(), self._server.now()
        state = self._server.opaque.new("trip", row_id)
        trip = Trip(row_id, request.browser_id, request.id, provider, state.digest, now, now + TRIP_SECONDS)
        return Leaving(AddTrip(trip), platform.sign_in_url(self._trip(provider, state)))

    async def back(self, home: Homecoming) -> BackHome:
        """Take a browser that came back. Raises `AuthsrvError` if it is not the one that left, or came before."""
        state = self._state(home.returned)
        presented, now = self._browsers.read(home.cookie), self._server.now()
        with outages_answered():
            loaded = await self._server.storage.load_trip(state.row_id, presented.row_id if presented else 0)
        if loaded is None or not hmac.compare_digest(loaded.trip.state_hash, state.digest):
            raise unknown_request()
        _require_open(loaded, home.provider, now)
        request, visit = loaded.pending.request, loaded.pending.visit
        if visit is None or not self._browsers.is_known(presented, visit, now):
            raise wrong_browser(has_cookie=bool(home.cookie))
        if visit.browser.id != loaded.trip.browser_id:
            raise wrong_browser(has_cookie=True)
        if loaded.trip.used_at is not None or request.completed_at is not None:
            raise RequestCompleted(request.client_id)
        handle = self._server.opaque.public_id("request", request.id)
        return BackHome(loaded.trip, loaded.pending, visit, state, handle, purpose_of(request))

    async def proven(self, home: Homecoming, back: BackHome) -> Proven:
        """Ask the platform whom it vouches for. Raises `AuthsrvError`."""
        target = self._check.kept_target(back.kept.request)
        platform, attempt = self.platform(target, home.provider), Attempt(target.client, home.provider, home.sender)
        trip = self._trip(home.provider, back.state)
        credential = self._logins.read(attempt, lambda: platform.parse_return(trip, home.returned))
        now, requester = self._server.now(), digest(back.state.text)
        return Proven(attempt, await self._logins.redeem(attempt, platform, credential, requester, now))

    async def failed(self, back: BackHome, error: errors.AuthsrvError) -> Failed:
        """The end of a trip that led nowhere. Whoever comes back from it again is told so."""
        if _is_final(error):
            await self.once(back, [UseTrip(back.trip.id, self._server.now())])
        return Failed(back.kept, back.handle, error)

    async def once(self, back: BackHome, changes: list[Change], again: Callable[[Conflict], bool] = _never) -> bool:
        """Write what came of a trip; False when a race was lost that `again` says is not the end of it.

        Raises `RequestCompleted` when somebody came back from the trip before.
        """
        try:
            await self._server.apply(changes)
        except Conflict as conflict:
            if again(conflict):
                return False
            raise RequestCompleted(back.kept.request.client_id) from conflict
        return True

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

    def _state(self, returned: Returned) -> Opaque:
        values = [value for name, value in returned if name == "state"]
        state = self._server.opaque.read("trip", values[0]) if len(values) == 1 else None
        if state is None:
            raise foreign_state()
        return state


def _is_final(error: errors.AuthsrvError) -> bool:
    """Whether coming back with the same cannot end otherwise: nobody looked in an outage, nor beyond a limit."""
    return error.status < 500 and not isinstance(error, errors.RateLimited | RequestCompleted)


def _require_open(loaded: LoadedTrip, provider: str, now: int) -> None:
    if loaded.trip.platform != provider:
        raise foreign_state()
    if now >= min(loaded.trip.expires_at, loaded.pending.request.expires_at):
        raise unknown_request()


def foreign_state() -> errors.InvalidRequest:
    """The `state` is missing, repeated, not ours or made for another platform."""
    return errors.InvalidRequest("The state is missing or not ours.", parameter="state", reason="foreign_state")
