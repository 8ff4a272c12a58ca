"""Who is there: a browser by its cookie, with everybody who is signed in in it.

Owns that nobody is believed without the cookie's secret. Judges no session and knows no page.
"""

from collections.abc import Sequence

from authsrv.models import Browser, SignedIn
from authsrv.oauth.browser.browsers import Browsers
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Present:
    """A browser that showed its cookie, and its sessions that have not ended, of all projects, oldest first."""

    browser: Browser
    sessions: Sequence[SignedIn]


class Presence:
    """Recognises browsers outside a client's request."""

    def __init__(self, server: TokenServer, browsers: Browsers) -> None:
        self._server = server
        self._browsers = browsers

    async def of(self, cookie: str) -> Present | None:
        """The browser that this cookie proves, if it proves one."""
        presented = self._browsers.read(cookie)
        if presented is None:
            return None
        with outages_answered():
            visit = await self._server.storage.load_visit(presented.row_id, "", "")
            found = await self._server.storage.load_sessions(presented.row_id)
        if visit is None or not self._browsers.is_known(presented, visit, self._server.now()):
            return None
        return Present(visit.browser, found)
