"""An `Outbound` that reaches an ASGI app in the same process, with outages on demand and a record of every request.

Owns no limits, breaker or bulkhead: those are `authsrv/outbound/`'s and tested there.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, get_args

import httpx
from starlette.types import ASGIApp

from authsrv.outbound.breaker import BreakerState
from authsrv.outbound.figures import CallFigures, HostVitals
from authsrv.platforms.base import OutboundError, OutboundResponse

Outage = Literal["connect_failure", "timeout", "server_error", "garbage"]
OUTAGES: tuple[Outage, ...] = get_args(Outage)
BASE_URL = "http://platform.test"
_RETRIED = frozenset({502, 503, 504})


class AsgiOutbound:
    """Calls `app`, served at `base_url`; any other address is an assertion failure, because no platform may go there.

    `outage` makes every call fail that way until it is None again. An app that raises `TimeoutError` did not answer in
    time. `requests` holds what was sent, retries included.
    """

    def __init__(self, app: ASGIApp, base_url: str = BASE_URL) -> None:
        self._transport = httpx.ASGITransport(app)
        self._base_url = base_url
        self.outage: Outage | None = None
        self.state: BreakerState = "closed"
        self.requests: list[httpx.Request] = []
        self.figures = CallFigures()

    def vitals(self) -> list[HostVitals]:
        return [HostVitals("platform.test", self.state, 0, 1)]

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = 64 * 1024,
        retry: bool = False,
    ) -> OutboundResponse:
        def attempt() -> Awaitable[OutboundResponse]:
            return self._send(httpx.Request("GET", url, params=params, headers=headers), max_body)

        return await _with_one_retry(attempt) if retry else await attempt()

    async def post(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = 64 * 1024,
    ) -> OutboundResponse:
        return await self._send(httpx.Request("POST", url, data=form, json=json, headers=headers), max_body)

    async def start(self) -> None:
        """It is ready."""

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _send(self, request: httpx.Request, max_body: int) -> OutboundResponse:
        assert str(request.url).startswith(self._base_url + "/"), f"a call to a foreign host: {request.url.host}"
        self.requests.append(request)
        if self.outage is not None:
            return _fail(self.outage)
        try:
            response = await self._transport.handle_async_request(request)
            body = await response.aread()
        except TimeoutError:
            raise OutboundError("timeout", sent=True) from None
        if len(body) > max_body:
            raise OutboundError("the body is larger than allowed", sent=True)
        return OutboundResponse(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)


def _fail(outage: Outage) -> OutboundResponse:
    match outage:
        case "connect_failure":
            raise OutboundError("connection refused", sent=False)
        case "timeout":
            raise OutboundError("timeout", sent=True)
        case "server_error":
            return OutboundResponse(503, {"content-type": "text/html"}, b"<html>Service Unavailable</html>")
        case "garbage":
            return OutboundResponse(200, {"content-type": "text/html"}, b"<html>We are improving for you</html>")


async def _with_one_retry(attempt: Callable[[], Awaitable[OutboundResponse]]) -> OutboundResponse:
    try:
        response = await attempt()
    except OutboundError as error:
        if error.sent:
            raise
        return await attempt()
    return await attempt() if response.status in _RETRIED else response
