"""The call to a PlayFab title over real sockets: its time limit, its circuit, and what it does not do."""

import json
import logging
from collections.abc import AsyncIterator

import pytest

from authsrv.outbound.client import HttpOutbound, OutboundLimits
from authsrv.playfab import LONGEST_CALL
from authsrv.playfab.sessions import PlayFabSessions
from authsrv.playfab.settings import PlayFabSettings
from authsrv.verifiers import connect_by_http
from tests.support.fault_server import FaultServer, answer, black_hole, dripping, endless, raw_then_hangup, serving

KEY = "CANARYKEYOFTHETITLE0123456789"
SUB = "0d0c2c1e-5b8e-4a57-9d0e-6a0f0f3b1c11"
GOOD = answer(body=json.dumps({"code": 200, "data": {"PlayFabId": "P1", "SessionTicket": "T1"}}).encode())
CLAIMS = {"external_account_id": "P1", "session_ticket": "T1"}
BANNED = answer("403 Forbidden", json.dumps({"code": 403, "errorCode": 1002}).encode())


class Titles:
    """Makes sessions at a fault server, and closes what was opened."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._opened: list[HttpOutbound] = []

    def at(self, server: FaultServer, *, total: float | None = None) -> PlayFabSessions:
        settings = PlayFabSettings.model_validate({"title_id": "T", "secret_key": KEY, "base_url": server.base})
        made = connect_by_http("playfab", settings, lambda: self.now)
        assert isinstance(made, HttpOutbound)
        if total is not None:
            limits = OutboundLimits(connect=total, total=total, queue=0.01)
            made = HttpOutbound("playfab", allowed=settings.addresses(), clock=lambda: self.now, limits=limits)
        self._opened.append(made)
        return PlayFabSessions("skyforge", settings, made, lambda: self.now)

    async def aclose(self) -> None:
        for outbound in self._opened:
            await outbound.aclose()


@pytest.fixture
async def titles() -> AsyncIterator[Titles]:
    made = Titles()
    yield made
    await made.aclose()


async def test_the_request_on_the_wire(titles: Titles) -> None:
    async with serving(GOOD) as server:
        assert await titles.at(server).claims_about(SUB) == CLAIMS
        (request,) = server.requests
    head = request.head.decode().lower()
    assert head.startswith("post /server/loginwithservercustomid http/1.1\r\n")
    assert f"\r\nx-secretkey: {KEY.lower()}\r\n" in head
    assert "\r\ncontent-type: application/json\r\n" in head
    assert json.loads(request.body) == {"ServerCustomId": SUB, "CreateAccount": True}


def test_a_token_answer_waits_three_seconds_at_most() -> None:
    settings = PlayFabSettings.model_validate({"title_id": "A1B2", "secret_key": KEY})
    outbound = connect_by_http("playfab", settings, lambda: 0.0)
    assert isinstance(outbound, HttpOutbound)
    assert outbound._limits.total == LONGEST_CALL == 3.0


@pytest.mark.parametrize(
    "fault", [black_hole, dripping(0.05), endless, raw_then_hangup(b""), raw_then_hangup(b"HTTP/1.1 200 OK\r\n")]
)
async def test_what_never_comes_is_not_waited_for(
    titles: Titles, caplog: pytest.LogCaptureFixture, fault: object
) -> None:
    async with serving(fault) as server:  # type: ignore[arg-type]  # parametrized
        assert await titles.at(server, total=0.3).claims_about(SUB) == {}
    warned = [record for record in caplog.records if record.message == "no PlayFab session"]
    assert [vars(record)["cause"] for record in warned] == ["unavailable"]
    assert KEY not in caplog.text


async def test_a_redirect_is_not_followed(titles: Titles) -> None:
    async with serving(GOOD) as elsewhere, serving(answer("307 Moved", b"", f"Location: {elsewhere.base}/")) as server:
        assert await titles.at(server).claims_about(SUB) == {}
        assert (len(server.requests), len(elsewhere.requests)) == (1, 0)


async def test_a_failed_call_is_not_repeated(titles: Titles) -> None:
    async with serving(answer("503 Service Unavailable"), GOOD) as server:
        assert await titles.at(server).claims_about(SUB) == {}
        assert len(server.requests) == 1


async def test_banned_players_shut_nobody_else_out(titles: Titles) -> None:
    async with serving(*[BANNED] * 5, GOOD) as server:
        sessions = titles.at(server)
        assert [await sessions.claims_about(SUB) for _ in range(6)] == [{}] * 5 + [CLAIMS]


async def test_after_an_outage_nobody_waits_until_it_is_tried_again(
    titles: Titles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "authsrv.outbound.client")
    async with serving(*[answer("500 Internal Server Error")] * 5, GOOD) as server:
        sessions = titles.at(server)
        for _ in range(8):
            assert await sessions.claims_about(SUB) == {}
        assert len(server.requests) == 5
        titles.now += 11
        assert await sessions.claims_about(SUB) == CLAIMS


async def test_who_is_throttled_asks_no_more_for_a_minute(titles: Titles) -> None:
    async with serving(answer("429 Too Many Requests"), GOOD) as server:
        sessions = titles.at(server)
        assert [await sessions.claims_about(SUB) for _ in range(3)] == [{}] * 3
        assert len(server.requests) == 1
        titles.now += 61
        assert await sessions.claims_about(SUB) == CLAIMS
