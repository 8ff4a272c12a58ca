"""Tells clients of browser sessions that a plan ends. That they end is the plan's business. Knows no HTTP framework."""

from collections.abc import Sequence

from authsrv.models import SignedIn
from authsrv.oauth.browser.sessions import BrowserSessions
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import TokenServer
from authsrv.storage.changes import Change, EndSessions


class SessionEnds:
    """Finds out who took part in what ends."""

    def __init__(self, server: TokenServer, sessions: BrowserSessions) -> None:
        self._server = server
        self._sessions = sessions

    async def told(self, changes: Sequence[Change], now: int) -> list[Change]:
        """What else is to be written for sessions that these changes end: notices, and grants that end with them."""
        endings = [change for change in changes if isinstance(change, EndSessions)]
        return [further for ending in endings for further in await self._of(ending, now)]

    async def _of(self, ending: EndSessions, now: int) -> list[Change]:
        with outages_answered():
            found = await self._server.storage.load_player_sessions(ending.player_id)
        ended = [await self._sessions.ended(one, ending.reason, now) for one in found if _is_meant(one, ending)]
        return [change for one in ended for change in one.changes]


def _is_meant(signed_in: SignedIn, ending: EndSessions) -> bool:
    session = signed_in.session
    return not ending.idp or (session.idp, session.idp_subject) == (ending.idp, ending.idp_subject)
