"""The emulated PlayFab by itself: what it asks of its caller, its accounts, and the case that is set."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.emulator.app import create_emulator
from authsrv.emulator.playfab.cases import CASES, SECRET_KEY, TITLE
from authsrv.emulator.playfab.emulator import PlayFabEmulator

URL = f"/playfab/{TITLE}/Server/LoginWithServerCustomId"
LOGIN = {"ServerCustomId": "player-1", "CreateAccount": True}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_emulator([], [PlayFabEmulator()]))
    async with httpx.AsyncClient(transport=transport, base_url="http://emulator") as client:
        yield client


async def log_in(http: httpx.AsyncClient, *, key: str = SECRET_KEY, url: str = URL, **changes: Any) -> httpx.Response:
    return await http.post(url, json=LOGIN | changes, headers={"X-SecretKey": key})


async def test_a_player_is_made_at_the_first_login_and_known_afterwards(http: httpx.AsyncClient) -> None:
    first, second = [(await log_in(http)).json() for _ in range(2)]
    assert (first["code"], first["status"]) == (200, "OK")
    assert (first["data"]["NewlyCreated"], second["data"]["NewlyCreated"]) == (True, False)
    assert first["data"]["PlayFabId"] == second["data"]["PlayFabId"]
    assert first["data"]["SessionTicket"] != second["data"]["SessionTicket"]
    assert first["data"]["EntityToken"]["Entity"] == second["data"]["EntityToken"]["Entity"]
    other = (await log_in(http, ServerCustomId="player-2")).json()
    assert other["data"]["PlayFabId"] != first["data"]["PlayFabId"]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        pytest.param({"key": ""}, 401, "NotAuthenticated", id="no key"),
        pytest.param({"key": "wrong"}, 401, "NotAuthenticated", id="wrong key"),
        pytest.param({"url": URL.replace(TITLE, "OTHER")}, 400, "InvalidTitleId", id="another title"),
        pytest.param({"ServerCustomId": ""}, 400, "InvalidParams", id="no player"),
        pytest.param({"ServerCustomId": 7}, 400, "InvalidParams", id="a number for a player"),
        pytest.param({"CreateAccount": False}, 400, "AccountNotFound", id="unknown player"),
    ],
)
async def test_a_bad_call_is_refused_in_playfabs_envelope(
    http: httpx.AsyncClient, changes: dict[str, Any], status: int, error: str
) -> None:
    answer = await log_in(http, **changes)
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]) == (status, status, error)


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
async def test_a_body_that_is_no_object_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post(URL, content=body, headers={"X-SecretKey": SECRET_KEY})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, 1000)


async def test_a_throttled_call_is_answered_as_playfab_documents_it(http: httpx.AsyncClient) -> None:
    await http.post("/emulator/case", json={"platform": "playfab", "case": "throttled"})
    answer = await log_in(http)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "8")
    told = {name: answer.json()[name] for name in ("code", "status", "retryAfterSeconds", "error", "errorCode")}
    assert told == {
        "code": 429,
        "status": "TooManyRequests",
        "retryAfterSeconds": 8,
        "error": "APIClientRequestRateLimitExceeded",
        "errorCode": 1199,
    }


async def test_a_case_holds_until_another_is_set(http: httpx.AsyncClient) -> None:
    for case, statuses in (("account-banned", [403, 403]), ("good", [200, 200])):
        answer = await http.post("/emulator/case", json={"platform": "playfab", "case": case})
        assert (answer.status_code, answer.json()) == (200, {"platform": "playfab", "case": case})
        assert [(await log_in(http)).status_code for _ in range(2)] == statuses


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({"platform": "playfab", "case": "odd"}, "PlayFab has no case 'odd'; choose one of: good, new-account"),
        ({"platform": "steam", "case": "good"}, "there is no platform of this name; choose one of: playfab"),
        ({"platform": "playfab"}, "case: Field required"),
    ],
)
async def test_a_case_that_cannot_be_set_is_refused_with_what_to_send(
    http: httpx.AsyncClient, order: dict[str, str], text: str
) -> None:
    answer = await http.post("/emulator/case", json=order)
    assert answer.status_code == 400
    assert text in answer.json()["error"]


async def test_a_service_mints_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.post("/emulator/ticket", json={"platform": "playfab", "player": "amber"})
    assert answer.status_code == 400


async def test_its_cases_calls_and_faults_are_told_with_those_of_the_platforms(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/emulator/cases", params={"platform": "playfab"})).json()
    assert (listed["kinds"], listed["cases"].keys()) == ([], CASES.keys())
    await log_in(http)
    calls = {"playfab": {"calls": {"LoginWithServerCustomId": 1}, "suffered": 0}}
    assert (await http.get("/emulator/calls")).json() == calls
    await http.post("/emulator/fault", json={"platform": "playfab", "mode": "down"})
    assert (await http.get("/emulator/health")).json()["faults"] == {"playfab": "down"}
    assert (await log_in(http)).status_code == 503
