"""Sign-ins in a browser that a game on an Xsolla SDK begins: straight to one platform, without a page of ours.

Owns what such a request may say. Which browser may go on with it, the way to the platform and back and the code are
those of every sign-in in a browser.
"""

from collections.abc import Mapping

from authsrv.oauth.browser.browsers import Browsers, NewCookie
from authsrv.oauth.browser.check import AuthorizationCheck, Checked
from authsrv.oauth.browser.pending import Caller, PendingRequests, Waiting
from authsrv.oauth.browser.request import PROVIDER, Target
from authsrv.oauth.browser.trips import Trips
from authsrv.oauth.browser.upstream import UpstreamSignIn
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.parameters import redirect_uri_sent
from authsrv.oauth.request import Sender
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass

TARGET_PARAMETERS = frozenset({"client_id", "redirect_uri", "redirectUrl"})
"""What decides where the answer goes."""
_KEPT = frozenset(
    {"client_id", "response_type", "state", "scope", "audience", "code_challenge", "code_challenge_method"}
)
PARAMETERS = TARGET_PARAMETERS | _KEPT | {"locale"}


@dataclass(frozen=True, slots=True)
class DirectCall:
    """A request for a sign-in at a platform, once it is known where the answer may go."""

    provider: str
    target: Target
    parameters: Mapping[str, str]
    sender: Sender


@dataclass(frozen=True, slots=True)
class Away:
    """The browser goes to this page of the platform, and keeps the cookie if there is one."""

    url: str
    cookie: NewCookie | None


class DirectSignIn:
    """Begins sign-ins at the platform that the game names."""

    def __init__(
        self,
        *,
        server: TokenServer,
        check: AuthorizationCheck,
        browsers: Browsers,
        pending: PendingRequests,
        platforms: PlatformDirectory,
        trips: Trips,
        upstream: UpstreamSignIn,
    ) -> None:
        self._server = server
        self._check = check
        self._browsers = browsers
        self._pending = pending
        self._platforms = platforms
        self._trips = trips
        self._upstream = upstream

    def target(self, provider: str, parameters: Mapping[str, str]) -> Target:
        """Where the answer may go. Whatever is wrong before this is known is never answered by a redirect."""
        self._platforms.require_known(provider)
        client = self._server.registry.named(parameters.get("client_id", ""), "xsolla")
        named = {"client_id": client.client_id, "redirect_uri": redirect_uri_sent(client, parameters)}
        return self._check.target({**named, PROVIDER: provider})

    async def park(self, call: DirectCall) -> Waiting:
        """Keep the request for whichever browser comes for it first. Raises `AuthsrvError`."""
        checked, sent = self._checked(call)
        return await self._pending.park(checked, sent, call.sender)

    async def begin(self, call: DirectCall, cookie: str) -> Away | Waiting:
        """Send the browser that asks to the platform. Raises `AuthsrvError`."""
        checked, sent = self._checked(call)
        presented = self._browsers.read(cookie)
        visit = await self._pending.visit(presented, call.target.client)
        if presented is not None and visit is None:
            # A sign-in in another tab may be changing the cookie right now; the next request shows the newer one.
            return await self._pending.park(checked, sent, call.sender)
        kept = await self._pending.keep(checked, sent, visit.browser if visit else None, call.sender)
        return Away(await self._upstream.leave(call.provider, kept.request), kept.cookie)

    async def open(self, provider: str, caller: Caller) -> Away:
        """Send the browser that comes for a parked request to the platform. Raises `AuthsrvError`."""
        found = await self._pending.find(caller, provider)
        cookie = found.cookie if isinstance(found, Waiting) else None
        return Away(await self._upstream.leave(provider, found.request), cookie)

    def _checked(self, call: DirectCall) -> tuple[Checked, Mapping[str, str]]:
        self._trips.platform(call.target, call.provider)
        sent = _sent(call)
        return self._check.new(call.target, sent), sent


def _sent(call: DirectCall) -> Mapping[str, str]:
    """The request in the words of every authorization request: whoever is signed in here must sign in again."""
    sent = {name: value for name, value in call.parameters.items() if name in _KEPT}
    redirect_uri = redirect_uri_sent(call.target.client, call.parameters)
    locale = call.parameters.get("locale", "").replace("_", "-")
    optional = {"redirect_uri": redirect_uri, "ui_locales": locale}
    given = {name: value for name, value in optional.items() if value}
    return {**sent, **given, "prompt": "login", PROVIDER: call.provider}
