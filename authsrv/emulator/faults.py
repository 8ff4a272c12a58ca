"""Outages on request: what a caller sees while a platform is down, slow, talking nonsense or throttling.

A pure ASGI wrapper around the emulator; its state belongs to one emulator. Knows platforms by their names only.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from authsrv.emulator.base import FaultMode
from authsrv.records import dataclass

ABORT_EXTENSION = "authsrv.abort"
"""Scope extension with a `close` callable, offered by a server that can drop a connection without an answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a platform suffers from, and until when by the clock (None: until told otherwise)."""

    mode: FaultMode = "none"
    until: float | None = None


class Faults:
    """The faults of one emulator. `suffered` counts the requests that a fault kept from, or delayed to, a platform."""

    def __init__(self, platforms: Collection[str], clock: Callable[[], float], *, delay: float = 30.0) -> None:
        self.suffered: Counter[str] = Counter()
        self._clock = clock
        self._delay = delay
        self._faults = dict.fromkeys(platforms, Fault())
        self._changed = {name: asyncio.Event() for name in platforms}

    def set(self, platform: str, mode: FaultMode, seconds: float | None = None) -> None:
        """Begin a fault, or end it with `none`. Requests that a slow platform keeps waiting go on at once."""
        until = None if seconds is None else self._clock() + seconds
        self._faults[platform] = Fault(mode, until)
        self._changed[platform].set()
        self._changed[platform] = asyncio.Event()

    def mode(self, platform: str) -> FaultMode:
        """What the platform suffers from now."""
        fault = self._faults[platform]
        if fault.until is not None and fault.until <= self._clock():
            return "none"
        return fault.mode

    def platform_of(self, path: str) -> str | None:
        """The platform whose address this is, if any."""
        name = path.split("/", 2)[1] if path.startswith("/") else ""
        return name if name in self._faults else None

    async def wait(self, platform: str) -> None:
        """As long as a slow platform takes, or until its fault is changed."""
        try:
            await asyncio.wait_for(self._changed[platform].wait(), self._delay)
        except TimeoutError:
            return


class FaultyPlatforms:
    """The ASGI wrapper that lets requests suffer."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the platform's stead, keep the caller waiting, or pass the request on."""
        platform = self._faults.platform_of(scope["path"]) if scope["type"] == "http" else None
        mode = self._faults.mode(platform) if platform else "none"
        if platform is None or mode == "none":
            await self._app(scope, receive, send)
            return
        self._faults.suffered[platform] += 1
        if mode == "slow":
            await self._faults.wait(platform)
            await self._app(scope, receive, send)
            return
        if mode == "down" and await _dropped(scope, receive):
            return
        await _answer(mode)(scope, receive, send)


def _answer(mode: FaultMode) -> Response:
    if mode == "garbage":
        return HTMLResponse("<!doctype html><title>Welcome</title><p>Sign in to use the network.</p>")
    if mode == "throttle":
        return HTMLResponse("<h1>Too Many Requests</h1>", status_code=429, headers={"Retry-After": "7"})
    return HTMLResponse("<h1>Service Unavailable</h1>", status_code=503)


async def _dropped(scope: Scope, receive: Receive) -> bool:
    """Drop the connection where the server offers it, and wait until the server has noticed."""
    offered = scope.get("extensions", {}).get(ABORT_EXTENSION)
    if offered is None:
        return False
    offered["close"]()
    while (await receive())["type"] != "http.disconnect":
        pass
    return True
