"""Logout on a client's request (OpenID Connect RP-Initiated Logout 1.0): whose session ends, and where to go then.

Owns when the player must be asked, and that nobody is sent to an address that is not registered. Knows no page.
"""

from collections.abc import Mapping, Sequence

from authsrv import errors
from authsrv.audit import AuditEvent
from authsrv.models import Client, SignedIn
from authsrv.oauth.browser.browsers import Browsers
from authsrv.oauth.browser.pending import cross_site
from authsrv.oauth.browser.presence import Presence, Present
from authsrv.oauth.browser.sessions import BrowserSessions
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.own_tokens import Hint, NotOurs
from authsrv.oauth.request import Sender
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass
from authsrv.redirects import append_query

PARAMETERS = frozenset({"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales"})
_PURPOSE = "logout"


@dataclass(frozen=True, slots=True)
class LogoutCall:
    """A logout as it was asked for, and the browser that asks."""

    parameters: Mapping[str, str]
    cookie: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class Asking:
    """The player must say whether to sign out. `csrf` belongs into the form."""

    client: Client | None
    signed_in: SignedIn
    csrf: str


@dataclass(frozen=True, slots=True)
class SignedOut:
    """Nobody is signed in any more. `frames` are to be loaded by the browser, which then goes on to `continue_to`."""

    client: Client | None
    continue_to: str
    frames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a checked request comes to. The hint of a client that is gone is none."""

    client: Client | None
    hint: Hint | None
    continue_to: str


class Logout:
    """Decides about logouts and carries them out."""

    def __init__(
        self, *, server: TokenServer, browsers: Browsers, presence: Presence, sessions: BrowserSessions
    ) -> None:
        self._server = server
        self._browsers = browsers
        self._presence = presence
        self._sessions = sessions

    async def begin(self, call: LogoutCall) -> Asking | SignedOut:
        """End the session that the hint names, or ask. Raises `AuthsrvError` for an answer that must go nowhere."""
        wish = self._wish(call.parameters)
        present = await self._presence.of(call.cookie)
        concerned = [one for one in present.sessions if _concerns(one, wish)] if present else []
        if present is None or not concerned:
            return SignedOut(wish.client, wish.continue_to, ())
        if wish.hint is None or not self._is_meant(concerned[0], wish.hint):
            return Asking(wish.client, concerned[0], self.csrf(present))
        return await self._end(concerned, wish, call.sender)

    async def confirm(self, call: LogoutCall, csrf: str) -> SignedOut:
        """The player said yes. Raises `AccessDenied` for a form that is not ours."""
        wish = self._wish(call.parameters)
        present = await self._require(call.cookie, csrf)
        return await self._end([one for one in present.sessions if _concerns(one, wish)], wish, call.sender)

    async def everywhere(self, call: LogoutCall, csrf: str) -> SignedOut:
        """End every session of whoever is signed in in this browser, in all browsers (row E16)."""
        present = await self._require(call.cookie, csrf)
        everything = {one.session.id: one for each in present.sessions for one in await self._of_player(each)}
        return await self._end([*everything.values()], _Wish(None, None, ""), call.sender)

    def csrf(self, present: Present) -> str:
        """The synchronizer token of the forms that sign a browser out."""
        return self._browsers.csrf(present.browser.id, _PURPOSE)

    async def _require(self, cookie: str, csrf: str) -> Present:
        present = await self._presence.of(cookie)
        if present is None or not self._browsers.is_ours(csrf, present.browser.id, _PURPOSE):
            raise cross_site()
        return present

    async def _of_player(self, signed_in: SignedIn) -> Sequence[SignedIn]:
        with outages_answered():
            return await self._server.storage.load_player_sessions(signed_in.player.id)

    def _wish(self, sent: Mapping[str, str]) -> _Wish:
        hint = self._hint(sent.get("id_token_hint", ""))
        named = sent.get("client_id", "")
        if hint and named and named != hint.client_id:
            raise _refused("client_id is not the client of the id_token_hint.", "client_id")
        client = self._server.registry.find(hint.client_id if hint else named, "standard")
        uri = sent.get("post_logout_redirect_uri", "")
        if uri and client and uri not in client.logout.post_logout_redirect_uris:
            raise _refused("This post_logout_redirect_uri is not registered.", "post_logout_redirect_uri")
        # Without a hint nobody vouches for the client, so the player stays here (section 3, last paragraph).
        vouching = hint if client else None
        back = uri if vouching else ""
        state = [("state", sent["state"])] if sent.get("state") else []
        return _Wish(client, vouching, append_query(back, state) if back else "")

    def _hint(self, text: str) -> Hint | None:
        if not text:
            return None
        try:
            return self._server.own_tokens.hint(text, self._server.now())
        except NotOurs as error:
            raise _refused("The id_token_hint is not ours.", "id_token_hint", str(error)) from None

    def _is_meant(self, signed_in: SignedIn, hint: Hint) -> bool:
        """Whether the hint was issued in this very session: an older one must not end a newer session."""
        return hint.sid == self._server.opaque.public_id("sid", signed_in.session.id)

    async def _end(self, found: Sequence[SignedIn], wish: _Wish, sender: Sender) -> SignedOut:
        now = self._server.now()
        endings = [await self._sessions.ended(one, "signed_out", now) for one in found]
        await self._server.apply([change for ending in endings for change in ending.changes])
        for one in found:
            event = AuditEvent("session.ended", project=one.session.project, sub=one.player.sub, reason="signed_out")
            self._server.note(event, sender)
        both = zip(found, endings, strict=True)
        frames = tuple(frame for one, ending in both for frame in self._frames(one, ending.clients))
        return SignedOut(wish.client, wish.continue_to, frames)

    def _frames(self, signed_in: SignedIn, clients: Sequence[Client]) -> list[str]:
        """Where each client of a session learns of its end by the browser (Front-Channel Logout 1.0 section 3)."""
        sid = self._server.opaque.public_id("sid", signed_in.session.id)
        told = [("iss", self._server.tokens.issuer), ("sid", sid)]
        uris = [client.logout.frontchannel_logout_uri for client in clients]
        return [append_query(uri, told) for uri in uris if uri]


def _concerns(signed_in: SignedIn, wish: _Wish) -> bool:
    """Whether a session is one of the client's project; without a client every session of the browser is."""
    return wish.client is None or signed_in.session.project == wish.client.project.key


def _refused(description: str, parameter: str, detail: str = "") -> errors.InvalidRequest:
    return errors.InvalidRequest(description, parameter=parameter, reason="logout_refused", detail=detail)
