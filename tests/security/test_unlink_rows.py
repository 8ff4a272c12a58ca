"""Rows D48 and D58: nobody loses the last way in, and nothing of an identity that was unlinked is good for anything."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.support.browser import Browser
from tests.support.ending import feed, is_active, with_everybody
from tests.support.gates import Gate, Pauses
from tests.support.refusals import token_error
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

STEAM, EPIC = identity("steam"), identity("epicgames")


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=with_everybody) as started:
        yield started


@pytest.fixture
async def amber(server: Server) -> Resident:
    """Signed in by Steam, with an Epic account besides."""
    found = await resident(server)
    await found.has(EPIC)
    return found


async def unlink(of: Resident, provider: str, subject: str) -> httpx.Response:
    return await of.post("/v1/me/identities/unlink", {"provider": provider, "subject": subject})


async def unlink_epic(of: Resident) -> httpx.Response:
    return await unlink(of, "epicgames", EPIC.subject)


async def unlink_steam(of: Resident) -> httpx.Response:
    return await unlink(of, "steam", STEAM.subject)


def stepped(server: Server, step: str, wrap: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.app.storage, step, wrap(getattr(server.app.storage, step)))


async def dead(server: Server, tokens: dict[str, Any]) -> None:
    """Nothing of a token answer is good, here or for verifiers that never ask."""
    assert not await is_active(server, tokens["access_token"])
    assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert server.claims(tokens["access_token"])["gid"] in (await feed(server))["gid"]


# --- D48 ---


async def test_D48_unlink_of_the_last_identity(server: Server) -> None:
    amber = await resident(server)
    answer = await unlink_steam(amber)
    assert (answer.status_code, answer.json()["error"]) == (409, "last_identity")
    assert await amber.keys() == {STEAM}
    assert await is_active(server, amber.tokens["access_token"])


async def test_D48_one_after_the_other_until_one_is_left(amber: Resident) -> None:
    assert (await unlink_epic(amber)).status_code == 200
    assert (await unlink_steam(amber)).json()["error"] == "last_identity"


async def test_D48_two_unlinks_at_once_leave_one(
    server: Server, amber: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_epic = await resident(server, "epicgames")
    gate = Gate(2)
    stepped(server, "load_account", gate.after, monkeypatch)
    answers = await asyncio.gather(unlink_epic(amber), unlink_steam(by_epic))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 1}
    assert gate.arrived >= 3
    assert len(await amber.keys()) == 1


async def test_D48_many_unlinks_of_one_identity_are_one(
    server: Server, amber: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped(server, "load_account", Gate(10).after, monkeypatch)
    answers = await asyncio.gather(*(unlink_epic(amber) for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 9}
    assert len(server.audited("identity.unlinked")) == 1
    told = (await amber.get("/v1/me/timeline")).json()["events"]
    assert [one["kind"] for one in told] == ["unlinked", "created"]


# --- D58 ---


async def test_D58_what_the_identity_gave_is_dead_everywhere(server: Server, amber: Resident) -> None:
    by_epic = await resident(server, "epicgames")
    assert (await unlink_epic(amber)).status_code == 200
    await dead(server, by_epic.tokens)
    assert (await server.userinfo(by_epic.tokens["access_token"])).status_code == 401


Racer = Callable[[Server, dict[str, Any]], Awaitable[httpx.Response]]


async def refreshing(server: Server, tokens: dict[str, Any]) -> httpx.Response:
    return await server.refresh(tokens["refresh_token"])


async def held_apply(server: Server, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """The next write waits: the first event tells that it came, the second lets it go on."""
    came, go_on = asyncio.Event(), asyncio.Event()
    real = server.app.storage.apply

    async def waiting(changes: Any) -> None:
        if not came.is_set():
            came.set()
            await go_on.wait()
        await real(changes)

    monkeypatch.setattr(server.app.storage, "apply", waiting)
    return came, go_on


async def test_D58_a_refresh_that_began_before_the_unlink(
    server: Server, amber: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_epic = await resident(server, "epicgames")
    came, go_on = await held_apply(server, monkeypatch)
    late = asyncio.create_task(refreshing(server, by_epic.tokens))
    await came.wait()
    assert (await unlink_epic(amber)).status_code == 200
    go_on.set()
    assert token_error(await late) == "invalid_grant"
    await dead(server, by_epic.tokens)


async def test_D58_a_refresh_in_the_middle_of_the_unlink(
    server: Server, amber: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_epic = await resident(server, "epicgames")
    came, go_on = await held_apply(server, monkeypatch)
    unlinking = asyncio.create_task(unlink_epic(amber))
    await came.wait()
    refreshed = await refreshing(server, by_epic.tokens)
    assert refreshed.status_code == 200
    go_on.set()
    assert (await unlinking).status_code == 200
    await dead(server, refreshed.json())


async def test_D58_a_code_that_is_redeemed_in_the_middle_of_the_unlink(
    server: Server, amber: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await server.code("epicgames")
    came, go_on = await held_apply(server, monkeypatch)
    unlinking = asyncio.create_task(unlink_epic(amber))
    await came.wait()
    redeemed = await server.redeem(code)
    assert redeemed.status_code == 200
    go_on.set()
    assert (await unlinking).status_code == 200
    await dead(server, redeemed.json())


async def test_D58_a_login_that_began_before_the_unlink_is_somebody_elses(
    server: Server, amber: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = asyncio.Event()
    real = server.app.storage.load_ownership

    async def loaded_before(*args: Any) -> Any:
        found = await real(*args)
        if not ready.is_set():
            ready.set()
            assert (await unlink_epic(amber)).status_code == 200
        return found

    monkeypatch.setattr(server.app.storage, "load_ownership", loaded_before)
    tokens = await server.login("epicgames")
    assert server.claims(tokens["access_token"])["sub"] != amber.sub
    assert await amber.keys() == {STEAM}


async def test_D58_a_browser_that_signs_in_in_the_middle_of_the_unlink(
    server: Server, amber: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session is none that the unlink knew."""
    came, go_on = await held_apply(server, monkeypatch)
    unlinking = asyncio.create_task(unlink_epic(amber))
    await came.wait()
    browser = Browser(server)
    tokens = await browser.tokens("epicgames")
    assert server.claims(tokens["access_token"])["sub"] == amber.sub
    go_on.set()
    assert (await unlinking).status_code == 200
    assert not await is_active(server, tokens["access_token"])
    assert (await browser.authorize(prompt="none")).answer.get("error") == "login_required"


@pytest.mark.parametrize("_", range(8))
async def test_D58_whoever_races_nothing_is_left(
    server: Server, amber: Resident, chance: Random, _: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [(await resident(server, "epicgames")).tokens for _ in range(4)]
    codes = [await server.code("epicgames") for _ in range(3)]
    pauses = Pauses(chance, most=12)
    for step in ("load_grant", "load_account", "load_ownership", "apply"):
        stepped(server, step, pauses.around, monkeypatch)
    racers = [refreshing(server, tokens) for tokens in sessions] + [server.redeem(code) for code in codes]
    *answers, unlinked = await asyncio.gather(*racers, unlink_epic(amber))
    assert unlinked.status_code == 200
    given = [answer.json() for answer in answers if answer.status_code == 200]
    for tokens in (*sessions, *given):
        assert not await is_active(server, tokens["access_token"])
        assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
