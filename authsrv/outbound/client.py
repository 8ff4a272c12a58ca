"""How a platform is called: fixed addresses, deadlines, a bulkhead and a circuit breaker for each of them.

Of httpcore it takes single connections: a client around them would follow redirects, keep cookies, read the
environment's proxies and log addresses. Knows no platform; what an answer means is for the platform to say.
"""

import asyncio
import json as jsonlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from authsrv.outbound.allowed_urls import AllowedUrls
from authsrv.outbound.breaker import Breaker, BreakerState, Permit, Verdict
from authsrv.outbound.call import BASE_HEADERS, Call, CircuitOpen, NoAnswer, NoPlace, NotConnected, NotSendable
from authsrv.outbound.figures import CallFigures, HostVitals
from authsrv.platforms.base import Clock, OutboundError, OutboundResponse

if TYPE_CHECKING:
    # httpcore takes its time to import. The first call does it, so that a cold start does not wait.
    import httpcore

    from authsrv.outbound.connections import KeptConnections

_LOG = logging.getLogger(__name__)
_BUSY = frozenset({502, 503, 504})
_WORST_FIRST: tuple[BreakerState, ...] = ("open", "half_open", "closed")


@dataclass(frozen=True, slots=True)
class OutboundLimits:
    """Limits of the calls to one platform; times in seconds.

    `total` covers everything from the queue to the last byte of the body. `queue` is the wait for one of the
    `max_in_flight` places. `pause` is the least wait before a second try; at most as much again is added at random.
    """

    connect: float = 2.0
    total: float = 5.0
    max_in_flight: int = 32
    queue: float = 0.1
    pause: float = 0.05


@dataclass(slots=True)
class _Service:
    """One address prefix of a platform, with places and a circuit of its own.

    A web page that throttles us must not shut the API beside it, which answers everybody else.
    """

    host: str
    breaker: Breaker
    places: asyncio.Semaphore
    in_flight: int = 0


class HttpOutbound:
    """`platforms.base.Outbound` for one platform, with connections that no other shares.

    `allowed` are the address prefixes it may call, each with places and a circuit of its own. `denials_are_ours` says
    whether 401 and 403 concern our own key (Steam): three in a row then open the circuit. Where a platform uses them
    for players (XSTS, Epic) it must be False, or three refused players would shut out everybody. `network` stands in
    place of TCP.
    """

    def __init__(
        self,
        name: str,
        *,
        allowed: Sequence[str],
        clock: Clock,
        limits: OutboundLimits | None = None,
        denials_are_ours: bool = True,
        network: "httpcore.AsyncNetworkBackend | None" = None,
    ) -> None:
        self._name = name
        self._allowed = AllowedUrls(allowed)
        self._limits = limits or OutboundLimits()
        self._denials_are_ours = denials_are_ours
        self._services = {
            prefix: _Service(_host_of(prefix), Breaker(clock), asyncio.Semaphore(self._limits.max_in_flight))
            for prefix in self._allowed
        }
        self.figures = CallFigures()
        self._network = network
        self._connections: KeptConnections | None = None
        self._building = asyncio.Lock()

    @property
    def state(self) -> BreakerState:
        """The circuit that is worst off, for readiness."""
        states = {service.breaker.state for service in self._services.values()}
        return next((state for state in _WORST_FIRST if state in states), "closed")

    def vitals(self) -> list[HostVitals]:
        """How the way to each prefix is."""
        return [
            HostVitals(service.host, service.breaker.state, service.in_flight, self._limits.max_in_flight)
            for service in self._services.values()
        ]

    async def start(self) -> None:
        """Import and build what calls need, off the event loop. Optional: the first call does it otherwise."""
        await self._ready()

    async def aclose(self) -> None:
        """Close all connections. Safe to call twice and without `start`."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.aclose()

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = 64 * 1024,
        retry: bool = False,
    ) -> OutboundResponse:
        """See `Outbound.get`. A busy answer that names its own `Retry-After` is not asked again."""
        target = f"{url}?{urlencode(params)}" if params else url
        call = self._call("GET", target, headers or {}, b"", max_body)
        return await self._run(call, retry=retry)

    async def post(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = 64 * 1024,
    ) -> OutboundResponse:
        """See `Outbound.post`."""
        content, content_type = _encoded(form, json)
        call = self._call("POST", url, content_type | dict(headers or {}), content, max_body)
        return await self._run(call, retry=False)

    def _call(self, method: str, url: str, headers: Mapping[str, str], content: bytes, max_body: int) -> Call:
        return Call(
            self._name,
            method,
            url,
            {**BASE_HEADERS, **headers},
            content,
            max_body,
            deadline=asyncio.get_running_loop().time() + self._limits.total,
        )

    async def _run(self, call: Call, *, retry: bool) -> OutboundResponse:
        prefix = self._allowed.prefix_of(call.url)
        if prefix is None:
            raise call.error("the address is not one of the platform's")
        service, began = self._services[prefix], asyncio.get_running_loop().time()
        try:
            response = await self._in_place(call, service, retry=retry)
        except OutboundError as error:
            self.figures.failed(self._name, service.host, error, asyncio.get_running_loop().time() - began)
            raise
        seconds = asyncio.get_running_loop().time() - began
        self.figures.answered(self._name, service.host, self._verdict(response.status), seconds)
        return response

    async def _in_place(self, call: Call, service: _Service, *, retry: bool) -> OutboundResponse:
        await self._take_place(call, service.places)
        service.in_flight += 1
        try:
            return await (self._try_twice(call, service.breaker) if retry else self._try(call, service.breaker))
        finally:
            service.in_flight -= 1
            service.places.release()

    async def _take_place(self, call: Call, places: asyncio.Semaphore) -> None:
        if not places.locked():
            await places.acquire()
            return
        try:
            async with asyncio.timeout(self._limits.queue):
                await places.acquire()
        except TimeoutError:
            raise call.error("too many calls in flight", NoPlace, retry_after=1) from None

    async def _try_twice(self, call: Call, breaker: Breaker) -> OutboundResponse:
        try:
            response = await self._try(call, breaker)
        except NotConnected:
            if not await self._pause(call, breaker):
                raise
            return await self._try(call, breaker)
        if response.status not in _BUSY or "retry-after" in response.headers or not await self._pause(call, breaker):
            return response
        return await self._try(call, breaker)

    async def _pause(self, call: Call, breaker: Breaker) -> bool:
        """Wait a moment before the second try; False if the deadline or the circuit leaves no room for one."""
        pause = self._limits.pause * (1 + secrets.randbelow(1000) / 1000)
        if breaker.state != "closed" or asyncio.get_running_loop().time() + pause >= call.deadline:
            return False
        await asyncio.sleep(pause)
        return True

    async def _try(self, call: Call, breaker: Breaker) -> OutboundResponse:
        permit = breaker.admit()
        if permit is None:
            raise call.error("the circuit is open", CircuitOpen, retry_after=breaker.retry_after)
        try:
            async with asyncio.timeout_at(call.deadline):
                response = await (await self._ready()).exchange(call, self._limits.connect)
        except TimeoutError:
            self._record(breaker, permit, "failure")
            raise call.error("no answer in time", NoAnswer) from None
        except NotSendable:
            raise
        except OutboundError:
            self._record(breaker, permit, "failure")
            raise
        else:
            self._record(breaker, permit, self._verdict(response.status))
            return response
        finally:
            breaker.abandon(permit)

    def _verdict(self, status: int) -> Verdict:
        if status == 429:
            return "throttled"
        if status in (401, 403) and self._denials_are_ours:
            return "denied"
        return "failure" if status >= 500 else "success"

    def _record(self, breaker: Breaker, permit: Permit, verdict: Verdict) -> None:
        before = breaker.state
        breaker.record(permit, verdict)
        if breaker.state != before:
            _LOG.warning("circuit to %s: %s, was %s", self._name, breaker.state, before)

    async def _ready(self) -> "KeptConnections":
        if self._connections is not None:
            return self._connections
        async with self._building:
            if self._connections is None:
                self._connections = await asyncio.to_thread(_build_connections, self._network)
            return self._connections


def _encoded(form: Mapping[str, str] | None, json: Mapping[str, Any] | None) -> tuple[bytes, dict[str, str]]:
    if json is not None:
        return jsonlib.dumps(json, allow_nan=False).encode(), {"Content-Type": "application/json"}
    return urlencode(form or {}).encode(), {"Content-Type": "application/x-www-form-urlencoded"}


def _host_of(prefix: str) -> str:
    return urlsplit(prefix).hostname or ""


def _build_connections(network: "httpcore.AsyncNetworkBackend | None") -> "KeptConnections":
    from authsrv.outbound.connections import KeptConnections  # noqa: PLC0415 - see the top of the file

    return KeptConnections(network)
