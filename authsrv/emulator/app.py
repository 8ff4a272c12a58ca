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

from authsrv.emulator.base import PLAYERS, FaultMode, PlatformEmulator, ServiceEmulator, UnknownCase
from authsrv.emulator.faults import Faults, FaultyPlatforms
from authsrv.settings import Settings

MAX_BODY = 16 * 1024
Emulated = PlatformEmulator | ServiceEmulator
Order = TypeVar("Order", bound=Settings)
Chosen = TypeVar("Chosen")


class ControlError(Exception):
    """A request to the control surface that cannot be done; the text says what to send instead."""


class TicketOrder(Settings):
    """Body of `POST /emulator/ticket`. An empty `kind` is the platform's default kind."""

    platform: str
    player: str
    kind: str = ""
    case: str = "good"


class CaseOrder(Settings):
    """Body of `POST /emulator/case`. `platform` is the name of a service without credentials."""

    platform: str
    case: str


class FaultOrder(Settings):
    """Body of `POST /emulator/fault`. Without `seconds` the fault lasts until it is changed."""

    platform: str
    mode: FaultMode
    seconds: float | None = Field(default=None, gt=0, le=86400)


def create_emulator(
    platforms: Sequence[PlatformEmulator],
    services: Sequence[ServiceEmulator] = (),
    *,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The routes of all platforms and services, and the control surface, with fault injection in front of the rest."""
    everything: list[Emulated] = [*platforms, *services]
    faults = Faults([each.name for each in everything], clock)
    control = Control(platforms, services, faults)
    routes = [route for each in everything for route in each.routes()]
    return Starlette(
        routes=[*control.routes(), *routes],
        middleware=[Middleware(FaultyPlatforms, faults=faults)],
        exception_handlers={ControlError: _refuse},
    )


class Control:
    """The control surface of one emulator."""

    def __init__(
        self, platforms: Sequence[PlatformEmulator], services: Sequence[ServiceEmulator], faults: Faults
    ) -> None:
        self._platforms = {platform.name: platform for platform in platforms}
        self._services = {service.name: service for service in services}
        self._faults = faults

    def routes(self) -> list[BaseRoute]:
        """Everything below `/emulator`."""
        return [
            Route("/emulator/ticket", self._ticket, methods=["POST"]),
            Route("/emulator/case", self._case, methods=["POST"]),
            Route("/emulator/cases", self._cases, methods=["GET"]),
            Route("/emulator/fault", self._fault, methods=["POST"]),
            Route("/emulator/calls", self._calls, methods=["GET"]),
            Route("/emulator/health", self._health, methods=["GET"]),
        ]

    async def _ticket(self, request: Request) -> JSONResponse:
        order = await _read(request, TicketOrder)
        platform = _named(order.platform, self._platforms)
        player = PLAYERS.get(order.player)
        if player is None:
            raise ControlError(f"there is no test player of this name; choose one of: {', '.join(PLAYERS)}")
        try:
            minted = platform.mint(player, kind=order.kind, case=_own_name(platform, order.case))
        except UnknownCase as error:
            raise ControlError(str(error)) from None
        return JSONResponse(asdict(minted))

    async def _case(self, request: Request) -> JSONResponse:
        order = await _read(request, CaseOrder)
        try:
            _named(order.platform, self._services).meet(order.case)
        except UnknownCase as error:
            raise ControlError(str(error)) from None
        return JSONResponse({"platform": order.platform, "case": order.case})

    async def _cases(self, request: Request) -> JSONResponse:
        name = request.query_params.get("platform", "")
        if name in self._services:
            return JSONResponse({"kinds": [], "cases": dict(self._services[name].cases)})
        platform = _named(name, self._platforms)
        return JSONResponse({"kinds": list(platform.kinds), "cases": {**platform.cases, **_common(platform)}})

    async def _fault(self, request: Request) -> JSONResponse:
        order = await _read(request, FaultOrder)
        self._faults.set(_named(order.platform, self._everything).name, order.mode, order.seconds)
        return JSONResponse({"platform": order.platform, "mode": order.mode, "seconds": order.seconds})

    async def _calls(self, _: Request) -> JSONResponse:
        return JSONResponse({name: self._counted(name) for name in self._everything})

    async def _health(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "faults": {name: self._faults.mode(name) for name in self._everything}})

    def _counted(self, name: str) -> dict[str, Any]:
        return {"calls": dict(self._everything[name].calls), "suffered": self._faults.suffered[name]}

    @property
    def _everything(self) -> Mapping[str, Emulated]:
        return {**self._platforms, **self._services}


def _named(name: str, choice: Mapping[str, Chosen]) -> Chosen:
    if name not in choice:
        raise ControlError(f"there is no platform of this name; choose one of: {', '.join(choice)}")
    return choice[name]


def _own_name(platform: PlatformEmulator, case: str) -> str:
    return case if case in platform.cases else platform.everywhere.get(case, case)


def _common(platform: PlatformEmulator) -> dict[str, str]:
    own = {name: case for name, case in platform.everywhere.items() if name not in platform.cases}
    return {name: f"{platform.cases[case]}; the same as {case}" for name, case in own.items()}


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
