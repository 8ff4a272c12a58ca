"""The emulator's control surface and its faults, on a platform that does nothing but count."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Message

from authsrv.emulator import client
from authsrv.emulator.app import create_emulator
from authsrv.emulator.base import EVERYWHERE, MintedCredential, TestPlayer, UnknownCase
from authsrv.emulator.faults import ABORT_EXTENSION, Faults, FaultyPlatforms
from authsrv.emulator.host import HOSTED, Hosted


@dataclass
class Counting:
    """A platform with one endpoint."""

    name: str = "steam"
    cases: Mapping[str, str] = field(default_factory=lambda: {"good": "accepted", "expired": "too old"})
    everywhere: Mapping[str, str] = field(default_factory=lambda: {"expired": "expired", "banned": "good"})
    kinds: Sequence[str] = ("session_ticket",)
    calls: Counter[str] = field(default_factory=Counter)

    def routes(self) -> list[BaseRoute]:
        return [Route(f"/{self.name}/check", self._check)]

    def mint(self, player: TestPlayer, *, kind: str = "", case: str = "good") -> MintedCredential:
        if case not in self.cases:
            raise UnknownCase("choose one of: good, expired")
        text = f"{player.steam_id}-{case}"
        return MintedCredential(self.name, kind or self.kinds[0], case, text, {"session_ticket": text})

    def settings(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url}

    async def _check(self, _: Request) -> PlainTextResponse:
        self.calls["check"] += 1
        return PlainTextResponse("genuine")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    app = create_emulator([Counting("steam"), Counting("xbox")], clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://emulator") as http:
        yield http


async def test_a_ticket_is_minted_for_the_named_player_and_case(emulator: httpx.AsyncClient) -> None:
    order = {"platform": "steam", "player": "amber", "case": "expired"}
    answer = await emulator.post("/emulator/ticket", json=order)
    assert answer.json() == {
        "platform": "steam",
        "kind": "session_ticket",
        "case": "expired",
        "text": "76561202255232001-expired",
        "parameters": {"session_ticket": "76561202255232001-expired"},
        "headers": {},
    }


@pytest.mark.parametrize(
    ("order", "text"),
    [
        pytest.param({"platform": "stadia", "player": "amber"}, "choose one of: steam, xbox", id="unknown platform"),
        pytest.param({"platform": "steam", "player": "zoe"}, "choose one of: amber, birch, cedar", id="unknown player"),
        pytest.param(
            {"platform": "steam", "player": "amber", "case": "odd"}, "choose one of: good, expired", id="case"
        ),
        pytest.param({"platform": "steam"}, "player: Field required", id="missing player"),
        pytest.param({"platform": "steam", "player": "amber", "x": 1}, "x: Extra inputs", id="unknown member"),
        pytest.param([], "body: ", id="not an object"),
    ],
)
async def test_a_ticket_that_cannot_be_minted_is_refused_with_what_to_send(
    emulator: httpx.AsyncClient, order: object, text: str
) -> None:
    answer = await emulator.post("/emulator/ticket", json=order)
    assert answer.status_code == 400
    assert text in answer.json()["error"]


async def test_the_control_surface_takes_json_only_so_that_no_web_page_can_drive_it(
    emulator: httpx.AsyncClient,
) -> None:
    body = json.dumps({"platform": "steam", "mode": "down"})
    answer = await emulator.post("/emulator/fault", content=body, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    assert (await emulator.get("/steam/check")).status_code == 200


async def test_the_cases_of_a_platform_are_listed(emulator: httpx.AsyncClient) -> None:
    answer = await emulator.get("/emulator/cases", params={"platform": "steam"})
    assert answer.json() == {
        "kinds": ["session_ticket"],
        "cases": {
            "good": "accepted",
            "expired": "too old",
            "banned": "accepted; the same as good",
        },
    }


async def test_a_common_case_is_minted_under_its_own_name_of_the_platform(emulator: httpx.AsyncClient) -> None:
    answer = await emulator.post("/emulator/ticket", json={"platform": "steam", "player": "amber", "case": "banned"})
    assert answer.json()["case"] == "good"


async def test_calls_and_suffered_requests_are_counted_per_platform(emulator: httpx.AsyncClient) -> None:
    await emulator.get("/steam/check")
    await emulator.get("/steam/check")
    await emulator.post("/emulator/fault", json={"platform": "steam", "mode": "down"})
    await emulator.get("/steam/check")
    assert (await emulator.get("/emulator/calls")).json() == {
        "steam": {"calls": {"check": 2}, "suffered": 1},
        "xbox": {"calls": {}, "suffered": 0},
    }


@pytest.mark.parametrize(
    ("mode", "status", "header"),
    [
        pytest.param("down", 503, ("content-type", "text/html; charset=utf-8"), id="down"),
        pytest.param("garbage", 200, ("content-type", "text/html; charset=utf-8"), id="garbage"),
        pytest.param("throttle", 429, ("retry-after", "7"), id="throttle"),
    ],
)
async def test_a_fault_answers_in_the_platforms_stead_and_spares_the_others(
    emulator: httpx.AsyncClient, mode: str, status: int, header: tuple[str, str]
) -> None:
    await emulator.post("/emulator/fault", json={"platform": "steam", "mode": mode})
    answer = await emulator.get("/steam/check")
    assert (answer.status_code, answer.headers[header[0]]) == (status, header[1])
    assert "genuine" not in answer.text
    assert (await emulator.get("/xbox/check")).text == "genuine"
    assert (await emulator.get("/emulator/health")).json()["faults"] == {"steam": mode, "xbox": "none"}


async def test_a_fault_with_seconds_ends_by_the_clock(emulator: httpx.AsyncClient, clock: Clock) -> None:
    await emulator.post("/emulator/fault", json={"platform": "steam", "mode": "garbage", "seconds": 5})
    clock.now += 4.9
    assert (await emulator.get("/steam/check")).text != "genuine"
    clock.now += 0.1
    assert (await emulator.get("/steam/check")).text == "genuine"


async def test_a_slow_platform_answers_when_the_fault_is_lifted(emulator: httpx.AsyncClient) -> None:
    await emulator.post("/emulator/fault", json={"platform": "steam", "mode": "slow"})
    waiting = asyncio.create_task(emulator.get("/steam/check"))
    while (await emulator.get("/emulator/calls")).json()["steam"]["suffered"] == 0:  # noqa: ASYNC110 - the count is all there is to see
        await asyncio.sleep(0)
    assert not waiting.done()
    await emulator.post("/emulator/fault", json={"platform": "steam", "mode": "none"})
    assert (await waiting).text == "genuine"


async def test_a_slow_platform_answers_after_its_delay(clock: Clock) -> None:
    faults = Faults(["steam"], clock, delay=0.0)
    faults.set("steam", "slow")
    app = FaultyPlatforms(PlainTextResponse("genuine"), faults)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://emulator") as http:
        assert (await http.get("/steam/check")).text == "genuine"


async def test_a_platform_that_is_down_drops_the_connection_where_the_server_can(clock: Clock) -> None:
    faults = Faults(["steam"], clock)
    faults.set("steam", "down")
    sent: list[Message] = []
    closed = threading.Event()

    async def receive() -> Message:
        return {"type": "http.disconnect" if closed.is_set() else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/steam/check", "extensions": {ABORT_EXTENSION: {"close": closed.set}}}
    await FaultyPlatforms(PlainTextResponse("genuine"), faults)(scope, receive, send)
    assert closed.is_set()
    assert sent == []


@pytest.mark.parametrize(
    ("environment", "state", "port"),
    [
        pytest.param("9123", '{"emulator_port": 9200}', 9123, id="environment first"),
        pytest.param("", '{"emulator_port": 9200}', 9200, id="what the demo noted"),
        pytest.param("", "", 8090, id="default"),
        pytest.param("", "[]", 8090, id="damaged note"),
    ],
)
def test_the_emulators_port_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str, state: str, port: int
) -> None:
    monkeypatch.setenv("EMULATOR_PORT", environment)
    note = tmp_path / "state.json"
    if state:
        note.write_text(state)
    assert client.find_port(note) == port


@pytest.mark.parametrize("text", ["ninety", "0", "70000", "-1", "\N{ARABIC-INDIC DIGIT NINE}" * 4, "9" * 5000])
def test_an_emulator_port_that_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("EMULATOR_PORT", text)
    with pytest.raises(client.EmulatorError, match="EMULATOR_PORT"):
        client.find_port()


@pytest.mark.parametrize("hosted", HOSTED, ids=lambda hosted: hosted.name)
def test_the_common_refusals_have_a_case_on_every_platform(hosted: Hosted) -> None:
    emulator = hosted.build(keys=hosted.generate(), clock=time.time)
    assert tuple(emulator.everywhere) == EVERYWHERE
    assert set(emulator.everywhere.values()) <= set(emulator.cases)
