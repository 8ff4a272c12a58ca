"""steamcommunity.com as a script: a good assertion to alter, and what Steam says to check_authentication."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authsrv.platforms.base import Returned
from authsrv.platforms.steam.openid import SteamOpenId
from tests.support.case_ends import outcome
from tests.support.outbound import AsgiOutbound
from tests.support.steam import CALLBACK, STATE, TRIP, ManualClock

NONCE = "2026-09-21T14:13:20ZaB3dE5gH7jK9"  # when the clock of these tests stands
ACCOUNT = "https://steamcommunity.com/openid/id/76561202255232001"
GOOD = {
    "openid.ns": "http://specs.openid.net/auth/2.0",
    "openid.mode": "id_res",
    "openid.op_endpoint": "https://steamcommunity.com/openid/login",
    "openid.claimed_id": ACCOUNT,
    "openid.identity": ACCOUNT,
    "openid.return_to": f"{CALLBACK}?state={STATE}",
    "openid.response_nonce": NONCE,
    "openid.assoc_handle": "1234567890",
    "openid.signed": "signed,op_endpoint,claimed_id,identity,return_to,response_nonce,assoc_handle",
    "openid.sig": "c2lnbmVkIGJ5IHN0ZWFtIHk=",
}
VALID = b"ns:http://specs.openid.net/auth/2.0\nis_valid:true\n"


@dataclass
class Community:
    """steamcommunity.com, and it alone: what it says to check_authentication, and what it was asked."""

    answer: Response = field(default_factory=lambda: Response(VALID))
    asked: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        app = Starlette(routes=[Route("/openid/login", self._check, methods=["POST"])])
        self.clock = ManualClock()
        self.outbound = AsgiOutbound(app, "https://steamcommunity.com")
        self.openid = SteamOpenId("https://steamcommunity.com", self.outbound, self.clock)

    async def _check(self, request: Request) -> Response:
        self.asked.append(dict(parse_qsl((await request.body()).decode(), strict_parsing=True)))
        return self.answer

    async def verdict(self, returned: Returned) -> str:
        return await outcome(self._sign_in(returned))

    async def _sign_in(self, returned: Returned) -> None:
        await self.openid.confirm(self.openid.read(TRIP, returned))


def brought(without: Sequence[str] = (), more: Returned = (), **changes: str) -> Returned:
    """A good answer with fields left out, changed, or added at the end."""
    fields = {**GOOD, **{f"openid.{name}": text for name, text in changes.items()}}
    kept = [(name, text) for name, text in fields.items() if name.removeprefix("openid.") not in without]
    return [("state", STATE), *kept, *more]
