"""Fifty logins at once, over HTTP, on each storage; what races for codes and refresh tokens is under `security`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path

import httpx
import pytest

from authsrv.platforms.base import OutboundError, OutboundResponse
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.gates import Gate
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

RACERS = 50


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path) as started:
        yield started


async def all_at_once(calls: Iterable[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    return await asyncio.gather(*calls)


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def sub_of(server: Server, answer: httpx.Response) -> str:
    tokens = await server.redeem(httpx.URL(answer.json()["login_url"]).params["code"])
    assert tokens.status_code == 200, tokens.text
    return str(server.claims(tokens.json()["access_token"])["sub"])


@pytest.mark.parametrize("provider", ["steam", "xbox", "epicgames", "guest"])
async def test_D49_R27_fifty_first_logins_of_one_identity_are_one_player(
    server: Server, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = [server.mint(provider) for _ in range(RACERS)]
    looked = Gate(RACERS)
    monkeypatch.setattr(server.app.storage, "load_ownership", looked.after(server.app.storage.load_ownership))
    answers = await all_at_once(server.silent(provider, each) for each in credentials)
    assert statuses(answers) == {200: RACERS}
    assert looked.arrived == RACERS + RACERS - 1  # one of them won; each of the others looked once more
    assert len({await sub_of(server, answer) for answer in answers}) == 1
    if not isinstance(server.app.storage, MemoryStorage):
        assert server.rows("SELECT count(*) FROM players") == server.rows("SELECT count(*) FROM identities") == [(1,)]


async def test_D01_fifty_presentations_of_one_ticket_by_strangers_log_one_in(server: Server) -> None:
    ticket = server.mint("steam")
    answers = await all_at_once(
        server.silent("steam", ticket, state=f"stranger-{number:02}", code_challenge=f"{number:043}")
        for number in range(RACERS)
    )
    assert statuses(answers) == {200: 1, 400: RACERS - 1}
    assert {answer.json()["reason"] for answer in answers if answer.status_code == 400} == {"credential_replayed"}
    assert server.platforms["steam"].calls["AuthenticateUserTicket"] == 1


async def test_R36_D01_repeats_of_one_request_at_once_all_log_in_with_one_call_to_the_platform(
    server: Server,
) -> None:
    ticket = server.mint("steam")
    answers = await all_at_once(server.silent("steam", ticket) for _ in range(5))
    assert statuses(answers) == {200: 5}
    assert server.platforms["steam"].calls["AuthenticateUserTicket"] == 1
    codes = [httpx.URL(answer.json()["login_url"]).params["code"] for answer in answers]
    redeemed = [await server.redeem(code) for code in codes]
    assert statuses(redeemed) == {200: 1, 400: 4}  # each repeat took the place of the one before


async def test_R36_a_login_whose_answer_was_lost_is_repeated_and_gives_the_same_player(server: Server) -> None:
    ticket = server.mint("epicgames")
    lost = await server.code("epicgames", ticket)
    server.clock.now += 29
    again = await server.silent("epicgames", ticket)
    assert again.status_code == 200
    assert (await server.redeem(lost)).json()["error"] == "invalid_grant"  # nobody used it, so it went
    first = await sub_of(server, again)
    assert first == await sub_of(server, await server.silent("epicgames", None))


async def test_R36_an_exchange_whose_answer_was_lost_leaves_the_player_and_a_new_login(server: Server) -> None:
    code = await server.code("steam")
    lost = (await server.redeem(code)).json()
    assert (await server.redeem(code)).json()["error"] == "invalid_grant"
    again = await server.login("steam")
    assert server.claims(again["access_token"])["sub"] == server.claims(lost["access_token"])["sub"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OutboundError("refused", sent=False), id="no connection"),
        pytest.param(OutboundError("timeout", sent=True), id="no answer"),
        pytest.param(OutboundResponse(500, {}, b""), id="500"),
        pytest.param(OutboundResponse(403, {}, b"<html>Forbidden</html>"), id="403"),
        pytest.param(OutboundResponse(429, {"retry-after": "60"}, b""), id="429"),
        pytest.param(OutboundResponse(200, {}, b"<html>"), id="garbage"),
        pytest.param(OutboundResponse(200, {}, b'{"response":{"players":[{"steamid":7,"personaname":8}]}}'), id="odd"),
        pytest.param(OutboundResponse(200, {}, b"[" * 100_000), id="nested"),
        pytest.param(OutboundResponse(200, {}, b'{"response":{"players":{}}}'), id="no list"),
    ],
)
async def test_a_profile_that_cannot_be_had_never_fails_a_login(
    server: Server, monkeypatch: pytest.MonkeyPatch, answer: OutboundResponse | OutboundError
) -> None:
    outbound = server.outbounds["steam"]
    genuine = outbound._send
    failed: list[str] = []

    async def send(request: httpx.Request, max_body: int) -> OutboundResponse:
        if "GetPlayerSummaries" not in request.url.path:
            return await genuine(request, max_body)
        failed.append(request.url.path)
        if isinstance(answer, OutboundError):
            raise answer
        return answer

    monkeypatch.setattr(outbound, "_send", send)
    assert "access_token" in await server.login("steam")
    assert failed


@pytest.mark.parametrize(("step", "then"), [("load_grant", {200}), ("apply", {200, 400})])
async def test_R07_a_client_that_hangs_up_leaves_a_code_that_was_used_or_not_and_a_server_that_writes(
    server: Server, monkeypatch: pytest.MonkeyPatch, step: str, then: set[int]
) -> None:
    code = await server.code("steam")
    begun = asyncio.Event()
    genuine = getattr(server.app.storage, step)

    async def announced(*arguments: object) -> object:
        begun.set()
        return await genuine(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(server.app.storage, step, announced)
        request = asyncio.create_task(server.redeem(code))
        await begun.wait()
        request.cancel()
        await asyncio.wait([request])
    assert (await server.redeem(code)).status_code in then
    assert "access_token" in await server.login("steam")
