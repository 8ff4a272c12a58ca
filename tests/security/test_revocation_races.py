"""A revocation among other requests: once it was answered, nothing of the family is good, whoever came between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.support.ending import is_active, made_of, revoke, void_before, with_everybody
from tests.support.gates import Gate
from tests.support.refusals import token_error
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

RACERS = 50


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=with_everybody) as started:
        yield started


async def nothing_is_left(server: Server, *answers: dict[str, Any]) -> None:
    """None of these token answers is good for anything."""
    for answer in answers:
        assert not await is_active(server, answer["access_token"])
        assert (await server.userinfo(answer["access_token"])).status_code == 401
        if "refresh_token" in answer:
            assert token_error(await server.refresh(answer["refresh_token"])) == "invalid_grant"


def tokens_of(answers: list[httpx.Response]) -> list[dict[str, Any]]:
    """What they gave; a revocation's answer is empty."""
    return [answer.json() for answer in answers if answer.status_code == 200 and answer.content]


def held_back(server: Server, step: str, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """The first call of this step of the storage waits: an event tells that it came, another lets it go on."""
    came, go_on = asyncio.Event(), asyncio.Event()
    real: Callable[..., Awaitable[Any]] = getattr(server.app.storage, step)

    async def waiting(*args: Any, **kwargs: Any) -> Any:
        if not came.is_set():
            came.set()
            await go_on.wait()
        return await real(*args, **kwargs)

    monkeypatch.setattr(server.app.storage, step, waiting)
    return came, go_on


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_X6_fifty_revocations_at_once_are_all_answered(
    server: Server, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await server.login("steam")
    with monkeypatch.context() as patch:
        gate = Gate(RACERS)
        patch.setattr(server.app.storage, "load_grant", gate.after(server.app.storage.load_grant))
        answers = await asyncio.gather(*(revoke(server, tokens[kind]) for _ in range(RACERS)))
    assert Counter(answer.status_code for answer in answers) == {200: RACERS}
    await nothing_is_left(server, tokens)


async def test_X6_a_refresh_that_read_before_the_revocation_gives_nothing_after_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await server.login("steam")
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, "apply", patch)
        refreshing = asyncio.create_task(server.refresh(tokens["refresh_token"]))
        await came.wait()  # it has read and decided, and is about to write
        assert (await revoke(server, tokens["refresh_token"])).status_code == 200
        go_on.set()
        assert token_error(await refreshing) == "invalid_grant"
    await nothing_is_left(server, tokens)
    assert server.audited("refresh.reused") == []


async def test_X6_a_revocation_that_read_before_a_refresh_ends_its_successor_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await server.login("steam")
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, "apply", patch)
        revoking = asyncio.create_task(revoke(server, tokens["refresh_token"]))
        await came.wait()
        refreshed = (await server.refresh(tokens["refresh_token"])).json()
        again = (await server.refresh(refreshed["refresh_token"])).json()
        go_on.set()
        assert (await revoking).status_code == 200
    await nothing_is_left(server, tokens, refreshed, again)


async def test_X6_a_repeated_refresh_that_was_answered_from_before_gives_nothing_that_works(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only reads, so that it may well be answered: with tokens of a family that has ended."""
    tokens = await server.login("steam")
    await server.refresh(tokens["refresh_token"])
    gate = Gate(2)
    with monkeypatch.context() as patch:
        patch.setattr(server.app.storage, "load_grant", gate.after(server.app.storage.load_grant))
        both = await asyncio.gather(revoke(server, tokens["refresh_token"]), server.refresh(tokens["refresh_token"]))
    revoked, repeated = both
    assert revoked.status_code == 200
    await nothing_is_left(server, *tokens_of([repeated]))


async def test_X6_an_exchange_under_way_gives_nothing_that_works(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await server.login("steam")
    gate = Gate(2)
    with monkeypatch.context() as patch:
        patch.setattr(server.app.storage, "load_grant", gate.after(server.app.storage.load_grant))
        both = await asyncio.gather(revoke(server, tokens["access_token"]), made_of(server, tokens["access_token"]))
    revoked, made = both
    assert revoked.status_code == 200
    await nothing_is_left(server, *tokens_of([made]))


@pytest.mark.parametrize("_round", range(5))
async def test_X6_after_the_answer_no_token_of_the_family_is_good_in_whatever_order_all_came(
    server: Server, chance: Random, _round: int
) -> None:
    tokens = await server.login("steam")
    older = (await server.refresh(tokens["refresh_token"])).json()
    calls: list[Callable[[], Awaitable[httpx.Response]]] = [
        *[lambda: server.refresh(older["refresh_token"])] * 10,
        *[lambda: server.refresh(tokens["refresh_token"])] * 10,
        *[lambda: made_of(server, tokens["access_token"])] * 5,
        lambda: revoke(server, tokens["refresh_token"]),
        lambda: revoke(server, older["access_token"]),
    ]
    chance.shuffle(calls)
    answers = await asyncio.gather(*(call() for call in calls))
    assert {answer.status_code for answer in answers} <= {200, 400}
    await nothing_is_left(server, tokens, older, *tokens_of(answers))


async def test_B35_a_refresh_that_read_before_a_not_before_gives_nothing_that_works(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await server.login("steam")
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, "apply", patch)
        refreshing = asyncio.create_task(server.refresh(tokens["refresh_token"]))
        await came.wait()
        await void_before(server, "client", "launcher")
        go_on.set()
        answer = await refreshing
    await nothing_is_left(server, tokens, *tokens_of([answer]))


async def test_B35_a_code_that_was_read_before_a_not_before_gives_nothing_that_works(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await server.code("steam")
    with monkeypatch.context() as patch:
        came, go_on = held_back(server, "apply", patch)
        redeeming = asyncio.create_task(server.redeem(code))
        await came.wait()
        await void_before(server, "project", "demo")
        go_on.set()
        answer = await redeeming
    await nothing_is_left(server, *tokens_of([answer]))
