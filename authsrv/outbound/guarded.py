"""How addresses are called that others gave us: back-channel logout, `jwks_uri`, logos. The guard against SSRF (H10).

Owns the order of the checks, the time and the places of each call. Knows nothing of what is fetched, or why.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from weakref import WeakValueDictionary

from authsrv.outbound.call import BASE_HEADERS, Call, NotConnected
from authsrv.outbound.guarded_addresses import Address, Resolve, SystemResolver, is_public
from authsrv.outbound.guarded_urls import Target, check_allowed, target_of
from authsrv.platforms.base import OutboundError, OutboundResponse

if TYPE_CHECKING:
    # It imports httpcore, which a cold start must not wait for.
    from authsrv.outbound.guarded_connections import PinnedConnections

_TRIED = 3
"""Addresses of one name that are tried in turn until one takes the connection."""


class GuardedOutbound:
    """Calls https URLs on the public Internet, and nothing else but the exceptions of the configuration.

    `allow` are these exceptions, each exactly `host:port`; they may be http and lie in a private network. `extra_ca` is
    a PEM file of authorities to trust besides the public ones. `connect` and `total` are seconds; `total` covers
    everything from the wait for a place to the last byte. At most `max_in_flight` calls run at once, and `per_host` of
    them to one host; who waits for a busy host takes no place from others. Raises ValueError for a bad `allow`.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        extra_ca: Path | None = None,
        resolve: Resolve | None = None,
        connect: float = 5.0,
        total: float = 10.0,
        max_in_flight: int = 32,
        per_host: int = 4,
    ) -> None:
        check_allowed(allow)
        self._allow = tuple(allow)
        self._extra_ca = extra_ca
        self._resolver = SystemResolver()
        self._resolve = resolve or self._resolver
        self._connect = connect
        self._total = total
        self._per_host = per_host
        self._places = asyncio.Semaphore(max_in_flight)
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._connections: PinnedConnections | None = None
        self._building = asyncio.Lock()

    async def aclose(self) -> None:
        """Let go of what calls needed; no connection outlives its call. Safe to call twice.

        A call that still waits for its host's name is cancelled.
        """
        self._resolver.close()

    async def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, max_body: int = 64 * 1024
    ) -> OutboundResponse:
        """GET. Whatever the status, the answer is given as it is; a redirect is not followed.

        Raises `OutboundError` when the URL or what it leads to is refused, and when no whole answer of at most
        `max_body` bytes comes in time. Its text may name the host, and nothing else of the call.
        """
        return await self._run("GET", url, headers or {}, b"", max_body)

    async def post_form(self, url: str, form: Mapping[str, str], *, max_body: int = 4096) -> OutboundResponse:
        """POST a form, once. Raises `OutboundError` as `get` does; `sent` tells whether it may have arrived."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._run("POST", url, headers, urlencode(form).encode(), max_body)

    async def _run(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, max_body: int
    ) -> OutboundResponse:
        target = self._target(url)
        deadline = asyncio.get_running_loop().time() + self._total
        call = Call(target.host, method, url, {**BASE_HEADERS, **headers}, content, max_body, deadline)
        try:
            async with asyncio.timeout_at(deadline), self._place(target.host):
                return await self._try_each_address(call, await self._addresses(call, target))
        except TimeoutError:
            raise call.error("no answer in time") from None

    def _target(self, url: str) -> Target:
        try:
            return target_of(url, self._allow)
        except ValueError as error:
            raise OutboundError(f"refused: {error}", sent=False) from None

    @contextlib.asynccontextmanager
    async def _place(self, host: str) -> AsyncIterator[None]:
        """The host's place comes first, so that its queue stands before the places of all."""
        host_places = self._hosts.setdefault(host, asyncio.Semaphore(self._per_host))
        async with host_places, self._places:
            yield

    async def _addresses(self, call: Call, target: Target) -> Sequence[Address]:
        """What the connection may go to. The name is not resolved again, so it cannot turn into something else."""
        addresses = [target.address] if target.address else await self._resolved(call, target.host)
        if not addresses:
            raise call.error("the name has no address")
        if not target.listed and not all(is_public(address) for address in addresses):
            raise call.error("refused: the name leads to an address that is not on the public Internet")
        return addresses

    async def _resolved(self, call: Call, host: str) -> Sequence[Address]:
        with contextlib.suppress(OSError):
            return await self._resolve(host)
        raise call.error("the name cannot be resolved")

    async def _try_each_address(self, call: Call, addresses: Sequence[Address]) -> OutboundResponse:
        *others, last = addresses[:_TRIED]
        for address in others:
            with contextlib.suppress(NotConnected):
                return await self._try(call, address)
        return await self._try(call, last)

    async def _try(self, call: Call, address: Address) -> OutboundResponse:
        return await (await self._ready(call)).exchange(call, address, self._connect)

    async def _ready(self, call: Call) -> "PinnedConnections":
        async with self._building:
            if self._connections is None:
                with contextlib.suppress(OSError):
                    self._connections = await asyncio.to_thread(_build_connections, self._extra_ca)
        if self._connections is None:
            raise call.error("the extra CA file cannot be read")
        return self._connections


def _build_connections(extra_ca: Path | None) -> "PinnedConnections":
    from authsrv.outbound.guarded_connections import PinnedConnections  # noqa: PLC0415 - see there

    return PinnedConnections(extra_ca)
