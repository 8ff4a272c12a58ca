"""Token exchange by many at once, and with answers lost: one player, one family of tokens, nobody shut out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import httpx
import pytest

from authsrv.oauth.credentials import MOST_WAITING
from tests.support.exchange import exchange, exchange_of, exchanging, narrow, ticket
from tests.support.gates import Gate
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

RACERS = 50


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=exchanging) as started:
        yield started


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def subs(server: Server, answers: list[httpx.Response]) -> set[str]:
    return {server.claims(answer.json()["access_token"])["sub"] for answer in answers}


async def alive(server: Server, answers: list[httpx.Response]) -> list[httpx.Response]:
    """Those whose refresh token still works; it is used up by the look."""
    return [one for one in answers if (await server.refresh(one.json()["refresh_token"])).status_code == 200]


@pytest.mark.parametrize("provider", ["steam", "xbox", "epicgames", "guest"])
async def test_D49_fifty_first_exchanges_of_one_identity_are_one_player(
    server: Server, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Gate(RACERS)
    monkeypatch.setattr(server.app.storage, "load_ownership", looked.after(server.app.storage.load_ownership))
    answers = await asyncio.gather(*(exchange_of(server, provider) for _ in range(RACERS)))
    assert statuses(answers) == {200: RACERS}
    assert len(subs(server, answers)) == 1
    assert looked.arrived == RACERS + RACERS - 1  # one won; each of the others looked once more
    assert all(times <= RACERS for times in server.calls(provider).values())  # and asked no platform again


async def test_D01_fifty_strangers_with_one_ticket_get_one_family(server: Server) -> None:
    credential = ticket(server)
    answers = await asyncio.gather(*(exchange(server, credential, nonce=f"stranger {n}") for n in range(RACERS)))
    assert statuses(answers) == {200: 1, 400: RACERS - 1}
    assert {answer.json()["reason"] for answer in answers if answer.status_code == 400} == {"credential_replayed"}


async def test_R36_repeats_at_once_ask_the_platform_once_and_one_answer_stays_good(server: Server) -> None:
    credential = ticket(server)
    answers = await asyncio.gather(*(exchange(server, credential, nonce="a nonce, n1") for _ in range(MOST_WAITING)))
    assert statuses(answers) == {200: MOST_WAITING}
    assert server.platforms["steam"].calls["AuthenticateUserTicket"] == 1
    assert len(subs(server, answers)) == 1
    assert len(await alive(server, answers)) == 1


async def test_R36_more_repeats_than_anybody_sends_are_told_to_come_again(server: Server) -> None:
    credential = ticket(server)
    answers = await asyncio.gather(*(exchange(server, credential, nonce="a nonce, n1") for _ in range(RACERS)))
    found = statuses(answers)
    assert set(found) <= {200, 503}
    assert found[200] >= 1
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 503} <= {"1"}
    assert len(await alive(server, [one for one in answers if one.status_code == 200])) == 1


async def test_R36_whoever_keeps_the_last_answer_is_logged_in_however_many_were_lost(server: Server) -> None:
    chance = Random(8693)  # noqa: S311 - which answers are lost
    for _ in range(10):
        credential, kept = ticket(server), None
        while kept is None:
            answer = await exchange(server, credential, nonce="a nonce, n1")
            assert answer.status_code == 200, answer.text
            kept = answer if chance.random() > 0.5 else None
        assert (await server.refresh(kept.json()["refresh_token"])).status_code == 200


async def test_R28_an_exchange_beside_a_revocation_never_outlives_it(server: Server) -> None:
    for _ in range(10):
        tokens = await server.login("steam")
        given_up = {"client_id": "launcher", "token": tokens["refresh_token"]}
        answers = await asyncio.gather(
            *(narrow(server, tokens["access_token"]) for _ in range(3)),
            server.http.post("/oauth2/revoke", data=given_up),
            *(narrow(server, tokens["access_token"]) for _ in range(3)),
        )
        assert set(statuses(answers)) <= {200, 400}
        assert (await narrow(server, tokens["access_token"])).json()["error"] == "invalid_grant"
        made = [one.json()["access_token"] for one in answers if one.status_code == 200 and one.content]
        assert [await is_active(server, token) for token in made] == [False] * len(made)


async def is_active(server: Server, token: str) -> bool:
    asked = {"client_id": "match", "client_secret": "secret-of-the-game-server-in-a-test", "token": token}
    found: bool = (await server.http.post("/oauth2/introspect", data=asked)).json()["active"]
    return found
