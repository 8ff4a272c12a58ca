"""Running platforms over a reload: kept while their settings stay, left in peace until their logins have ended."""

import asyncio
from dataclasses import dataclass, field

import pytest

from authsrv.platforms.base import Clock, PlatformSettings
from authsrv.platforms.steam.settings import SteamSettings
from authsrv.services import LONGEST_LOGIN, START_PAUSE, Place
from authsrv.verifiers import Verifiers
from tests.support.outbound import AsgiOutbound
from tests.support.server import demo_config, emulators, running


class Connection(AsgiOutbound):
    def __init__(self) -> None:
        super().__init__(not_called)
        self.over = asyncio.Event()
        self.ready = asyncio.Event()

    async def start(self) -> None:
        self.ready.set()

    async def aclose(self) -> None:
        self.over.set()


@dataclass
class Outside:
    """The ways out that were made, and a night that lasts until the test says so."""

    made: list[Connection] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    morning: asyncio.Event = field(default_factory=asyncio.Event)

    def connect(self, _name: str, _settings: PlatformSettings, _clock: Clock) -> Connection:
        self.made.append(Connection())
        return self.made[-1]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.morning.wait()

    def closed(self) -> list[bool]:
        return [connection.over.is_set() for connection in self.made]


async def not_called(*_: object) -> None:
    raise AssertionError("no platform is asked here")


@pytest.fixture
def outside() -> Outside:
    return Outside()


def steam(reject_vac: bool) -> dict[Place, PlatformSettings]:
    block = demo_config(emulators(lambda: 0.0), "memory://")["projects"]["demo"]["platforms"]["steam"]
    settings = SteamSettings.model_validate(block)
    return {("demo", "steam"): settings.model_copy(update={"reject_vac": reject_vac})}


async def test_a_platform_whose_settings_stay_is_kept(outside: Outside) -> None:
    verifiers = Verifiers(lambda: 0.0, outside.connect, outside.sleep)
    first = verifiers.prepare(steam(reject_vac=True))
    second = verifiers.prepare(steam(reject_vac=True))
    verifiers.settle()
    assert first == second
    await asyncio.sleep(0)
    assert (outside.closed(), outside.slept) == ([False], [START_PAUSE])
    await verifiers.stop()


async def test_a_replaced_platform_serves_its_logins_to_the_end(outside: Outside) -> None:
    verifiers = Verifiers(lambda: 0.0, outside.connect, outside.sleep)
    verifiers.prepare(steam(reject_vac=True))
    verifiers.prepare(steam(reject_vac=False))
    verifiers.settle()
    await asyncio.sleep(0)
    assert (outside.closed(), outside.slept) == ([False, False], [START_PAUSE, LONGEST_LOGIN])
    outside.morning.set()
    await outside.made[0].over.wait()
    assert outside.closed() == [True, False]
    await verifiers.stop()


async def test_the_way_to_a_new_platform_is_made_ready_before_a_player_needs_it(outside: Outside) -> None:
    verifiers = Verifiers(lambda: 0.0, outside.connect, outside.sleep)
    verifiers.prepare(steam(reject_vac=True))
    verifiers.settle()
    outside.morning.set()
    await outside.made[0].ready.wait()
    await verifiers.stop()


async def test_a_stop_waits_for_nobody(outside: Outside) -> None:
    verifiers = Verifiers(lambda: 0.0, outside.connect, outside.sleep)
    verifiers.prepare(steam(reject_vac=True))
    verifiers.prepare(steam(reject_vac=False))
    verifiers.settle()
    await verifiers.stop()
    assert outside.closed() == [True, True]


async def test_R39_a_platform_that_does_not_answer_is_named_and_nothing_else_suffers() -> None:
    async with running() as server:
        server.outbounds["steam"].state = "open"
        ready = await server.http.get("/health/ready")
        names = ("storage", "keys", "steam", "xbox", "epicgames", "guest", "playfab")
        parts = dict.fromkeys(names, "ok") | {"steam": "circuit_open"}
        told = {"status": "ready", "failed": [], "degraded": ["steam"], "parts": parts}
        assert (ready.status_code, ready.json()) == (200, told)
        assert (await server.silent("xbox")).status_code == 200
