"""Logout as games on an Xsolla SDK know it: of the browser, or of everything.

Owns what ends with which. Who is told of the end of a session is said in `oauth/browser/sessions.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from authsrv.audit import AuditEvent
from authsrv.errors import InsufficientScope, InvalidRequest, InvalidToken
from authsrv.models import Player, SignedIn
from authsrv.oauth.browser.sessions import BrowserSessions
from authsrv.oauth.live_tokens import Ended
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.own_tokens import NotOurs
from authsrv.oauth.request import Sender
from authsrv.oauth.server import TokenServer
from authsrv.oauth.voiding import void_player_until_now
from authsrv.oauth.xsolla.bearer import Bearer, of_player
from authsrv.storage.changes import Change, EndSessions

PARAMETERS = frozenset({"sessions"})
SIGNED_OUT = "signed_out"
Extent = Literal["sso", "all"]


class GameLogout:
    """Logs players out of their games."""

    def __init__(self, server: TokenServer, sessions: BrowserSessions) -> None:
        self._server = server
        self._sessions = sessions

    async def end(self, access_token: str, parameters: Mapping[str, str], sender: Sender) -> None:
        """End what the request names. A token that was ended before ends nothing more. Raises `AuthsrvError`."""
        extent = _extent(parameters)
        try:
            bearer = await self._bearer(access_token)
        except Ended:
            return
        except NotOurs as error:
            raise InvalidToken(detail=str(error)) from None
        if extent == "sso":
            await self._end_browser(bearer, sender)
        elif bearer.client.first_party:
            await self._end_everything(bearer, sender)
        else:
            raise InsufficientScope("This game may log its player out of the browser, but not out of other games.")

    async def _bearer(self, access_token: str) -> Bearer:
        """Whose token it is. Raises `NotOurs`, also for one that was made of a player's to be sent to a server."""
        live = await self._server.live_tokens.access(access_token, either_profile=True)
        if not live.is_firsthand:
            raise NotOurs("made by exchange")
        return of_player(live)

    async def _end_browser(self, bearer: Bearer, sender: Sender) -> None:
        """The session that the token came from, if there is one; the game keeps its tokens."""
        session_id = bearer.loaded.grant.session_id
        with outages_answered():
            signed_in = await self._server.storage.load_session(session_id) if session_id else None
        if signed_in is None or signed_in.session.ended_at is not None:
            return
        spared = bearer.client.client_id
        ending = await self._sessions.ended(signed_in, SIGNED_OUT, self._server.now(), spared=spared)
        await self._server.apply([*ending.changes])
        self._note_ends(bearer, [signed_in], sender)

    async def _end_everything(self, bearer: Bearer, sender: Sender) -> None:
        """Every session in every browser, and every token of every client."""
        player, now = bearer.loaded.player, self._server.now()
        with outages_answered():
            found = await self._server.storage.load_player_sessions(player.id)
        endings = [await self._sessions.ended(one, SIGNED_OUT, now) for one in found]
        changes: list[Change] = [change for ending in endings for change in ending.changes]
        # Also what began while this was read; its clients learn of it by their tokens.
        changes.append(EndSessions(player.id, now, SIGNED_OUT))
        with outages_answered():
            await void_player_until_now(self._server, await self._players(player), SIGNED_OUT, changes)
        self._note_ends(bearer, found, sender)
        self._note(bearer, AuditEvent("tokens.revoked_before"), sender)

    async def _players(self, player: Player) -> Sequence[Player]:
        """The player, and who was merged into them."""
        with outages_answered():
            account = await self._server.storage.load_account(player.id)
        return [player, *(account.aliases if account else ())]

    def _note_ends(self, bearer: Bearer, ended: Sequence[SignedIn], sender: Sender) -> None:
        for _ in ended:
            self._note(bearer, AuditEvent("session.ended", reason=SIGNED_OUT), sender)

    def _note(self, bearer: Bearer, event: AuditEvent, sender: Sender) -> None:
        client, sub = bearer.client, bearer.loaded.player.sub
        told = AuditEvent(event.kind, client.project.key, client.client_id, sub, reason=event.reason)
        self._server.note(told, sender)


def _extent(parameters: Mapping[str, str]) -> Extent:
    asked = parameters.get("sessions", "all")
    if asked == "sso":
        return "sso"
    if asked == "all":
        return "all"
    raise InvalidRequest("sessions is sso or all.", parameter="sessions")
