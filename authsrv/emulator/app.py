"""The emulator as one ASGI application: the platforms' own endpoints, and a control surface below `/emulator`.

The control surface takes JSON only, so that no web page can drive it from a browser. Knows no platform by name.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import Field, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.base import PLAYERS, FaultMode, PlatformEmulator, UnknownCase
from authsrv.emulator.faults import Faults, FaultyPlatforms
from authsrv.settings import Settings

MAX_BODY = 16 * 1024
Order = TypeVar("Order", bound=Settings)


class ControlError(Exception):
    """A request to the control surface that cannot be done; the text says what to send instead."""


class TicketOrder(Settings):
    """Body of `POST /emulator/ticket`. An empty `kind` is the platform's default kind."""

    platform: str
    player: str
    kind: str = ""
    case: str = "good"


class FaultOrder(Settings):
    """Body of `POST /emulator/fault`. Without `seconds` the fault lasts until it is changed."""

    platform: str
    mode: FaultMode
    seconds: float | None = Field(default=None, gt=0, le=86400)


def create_emulator(platforms: Sequence[PlatformEmulator], *, clock: Callable[[], float] = time.time) -> Starlette:
    """All platforms' routes and the control surface, with fault injection in front of the platforms."""
    faults = Faults([platform.name for platform in platforms], clock)
    control = Control({platform.name: platform for platform in platforms}, faults)
    routes = [route for platform in platforms for route in platform.routes()]
    return Starlette(
        routes=[*control.routes(), *routes],
        middleware=[Middleware(FaultyPlatforms, faults=faults)],
        exception_handlers={ControlError: _refuse},
    )


class Control:
    """The control surface of one emulator."""

    def __init__(self, platforms: Mapping[str, PlatformEmulator], faults: Faults) -> None:
        self._platforms = platforms
        self._faults = faults

    def routes(self) -> list[BaseRoute]:
        """Everything below `/emulator`."""
        return [
            Route("/emulator/ticket", self._ticket, methods=["POST"]),
            Route("/emulator/cases", self._cases, methods=["GET"]),
            Route("/emulator/fault", self._fault, methods=["POST"]),
            Route("/emulator/calls", self._calls, methods=["GET"]),
            Route("/emulator/health", self._health, methods=["GET"]),
        ]

    async def _ticket(self, request: Request) -> JSONResponse:
        order = await _read(request, TicketOrder)
        platform = self._platform(order.platform)
        player = PLAYERS.get(order.player)
        if player is None:
            raise ControlError(f"there is no test player of this name; choose one of: {', '.join(PLAYERS)}")
        try:
            minted = platform.mint(player, kind=order.kind, case=_named(platform, order.case))
        except UnknownCase as error:
            raise ControlError(str(error)) from None
        return JSONResponse(asdict(minted))

    async def _cases(self, request: Request) -> JSONResponse:
        platform = self._platform(request.query_params.get("platform", ""))
        return JSONResponse({"kinds": list(platform.kinds), "cases": {**platform.cases, **_common(platform)}})

    async def _fault(self, request: Request) -> JSONResponse:
        order = await _read(request, FaultOrder)
        self._faults.set(self._platform(order.platform).name, order.mode, order.seconds)
        return JSONResponse({"platform": order.platform, "mode": order.mode, "seconds": order.seconds})

    async def _calls(self, _: Request) -> JSONResponse:
        return JSONResponse({name: self._counted(name) for name in self._platforms})

    async def _health(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "faults": {name: self._faults.mode(name) for name in self._platforms}})

    def _counted(self, name: str) -> dict[str, Any]:
        return {"calls": dict(self._platforms[name].calls), "suffered": self._faults.suffered[name]}

    def _platform(self, name: str) -> PlatformEmulator:
        platform = self._platforms.get(name)
        if platform is None:
            raise ControlError(f"there is no platform of this name; choose one of: {', '.join(self._platforms)}")
        return platform


def _named(platform: PlatformEmulator, case: str) -> str:
    return case if case in platform.cases else platform.everywhere.get(case, case)


def _common(platform: PlatformEmulator) -> dict[str, str]:
    own = {name: case for name, case in platform.everywhere.items() if name not in platform.cases}
    return {name: f"the same as {case}: {platform.cases[case]}" for name, case in own.items()}


async def _read(request: Request, order: type[Order]) -> Order:
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise ControlError("send the order as application/json")
    body = await request.body()
    if len(body) > MAX_BODY:
        raise ControlError("the order is too large")
    try:
        return order.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise ControlError(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}") from None


async def _refuse(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)
