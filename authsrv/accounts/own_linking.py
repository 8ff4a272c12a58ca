"""Link codes at the wish of the player: what the first device is told of them.

Owns the addresses that a code stands in. Knows no HTTP framework and no picture.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from authsrv.accounts.access import AccountSession
from authsrv.accounts.link_codes import LIFETIME, LinkCodes
from authsrv.oauth.server import TokenServer


class OwnLinkCodes:
    """Makes link codes for the player who asks."""

    def __init__(self, server: TokenServer, codes: LinkCodes) -> None:
        self._server = server
        self._codes = codes

    async def issue(self, session: AccountSession) -> Mapping[str, Any]:
        """A code, the number to compare, and the addresses of the page that takes it."""
        issued = await self._codes.issue(session)
        page = f"{self._server.tokens.issuer}/link"
        return {
            "code": issued.text,
            "check_number": issued.code.check_number,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'code': issued.text})}",
            "expires_in": LIFETIME,
        }

    async def state(self, session: AccountSession) -> Mapping[str, Any]:
        """What became of the code that the player asked for last."""
        state, code = await self._codes.newest(session)
        if code is None or state == "expired":
            return {"state": state}
        told = {"state": state, "check_number": code.check_number}
        return told | ({"expires_in": code.expires_at - self._server.now()} if state == "pending" else {})
