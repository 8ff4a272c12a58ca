"""Merges, transfers and undos at the same moment as each other and as logins, refreshes and sign-ins in browsers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest

from authsrv.storage.changes import Change
from tests.support.browser import Browser
from tests.support.gates import Gate
from tests.support.managing import Manager, may_manage
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

STEAM = identity("steam").subject


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=may_manage) as started:
        yield started


@pytest.fixture
def manager(server: Server) -> Manager:
    return Manager(server)


@pytest.fixture
async def amber(server: Server) -> Resident:
    return await resident(server)


@pytest.fixture
async def birch(server: Server) -> Resident:
    return await resident(server, "epicgames", "birch")


@pytest.fixture
def together(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the next writes wait for one another, after everybody has read and decided."""

    def hold(parties: int) -> None:
        gate, apply = Gate(parties), server.app.storage.apply

        async def gated(changes: Sequence[Change]) -> None:
            await gate.wait()
            await apply(changes)

        monkeypatch.setattr(server.app.storage, "apply", gated)

    return hold


@pytest.fixture
def between(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], Awaitable[Any]]], None]:
    """Lets something happen right after the next load of this name, before anybody makes anything of it."""

    def slip_in(load: str, happen: Callable[[], Awaitable[Any]]) -> None:
        loaded = getattr(server.app.storage, load)

        async def interrupted(*args: Any, **kwargs: Any) -> Any:
            found = await loaded(*args, **kwargs)
            monkeypatch.setattr(server.app.storage, load, loaded)
            await happen()
            return found

        monkeypatch.setattr(server.app.storage, load, interrupted)

    return slip_in


async def sub_of(server: Server, answer: httpx.Response) -> str:
    tokens = await server.redeem(httpx.URL(answer.json()["login_url"]).params["code"])
    assert tokens.status_code == 200, tokens.text
    return str(server.claims(tokens.json()["access_token"])["sub"])


def outcomes(answers: Sequence[httpx.Response]) -> Counter[str]:
    told = [answer.json() for answer in answers]
    return Counter(one.get("outcome") or one.get("reason") or one["error"] for one in told)


# --- against each other ---


async def test_of_two_merges_crosswise_one_wins(
    manager: Manager, amber: Resident, birch: Resident, together: Callable[[int], None]
) -> None:
    together(2)
    answers = await asyncio.gather(manager.merge(amber, birch), manager.merge(birch, amber))
    assert outcomes(answers) == {"merged": 2}  # the outcome of the one, and why the other one was refused
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    shown = [(await manager.show(one.sub)).json() for one in (amber, birch)]
    assert shown[0] == shown[1]
    assert [one["provider"] for one in sorted(shown[0]["identities"], key=str)] == ["epicgames", "steam"]


async def test_a_merge_that_is_asked_for_many_times_at_once_is_done_once(
    manager: Manager, amber: Resident, birch: Resident, together: Callable[[int], None]
) -> None:
    together(5)
    answers = await asyncio.gather(*(manager.merge(amber, birch) for _ in range(5)))
    assert outcomes(answers) == {"merged": 1, "unchanged": 4}


async def test_of_two_merges_of_one_player_into_different_ones_one_wins(
    manager: Manager, amber: Resident, birch: Resident, together: Callable[[int], None]
) -> None:
    cedar = await resident(manager.server, "guest")
    together(2)
    answers = await asyncio.gather(manager.merge(amber, birch), manager.merge(amber, cedar))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (told,) = [answer.json() for answer in answers if answer.status_code == 409]
    assert told["reason"] == "merged"
    assert told["sub"] == (await manager.show(amber.sub)).json()["sub"]


async def test_a_chain_of_merges_at_once_ends_flat(
    manager: Manager, amber: Resident, birch: Resident, together: Callable[[int], None]
) -> None:
    cedar = await resident(manager.server, "guest")
    together(2)
    answers = await asyncio.gather(manager.merge(amber, birch), manager.merge(birch, cedar))
    assert [answer.status_code for answer in answers] == [200, 200]
    shown = [(await manager.show(one.sub)).json() for one in (amber, birch, cedar)]
    assert {one["sub"] for one in shown} == {cedar.sub}
    assert set(shown[0]["merged_from"]) == {amber.sub, birch.sub}


async def test_of_two_transfers_of_one_platform_account_one_wins(
    manager: Manager, amber: Resident, birch: Resident, together: Callable[[int], None]
) -> None:
    cedar = await resident(manager.server, "guest")
    together(2)
    answers = await asyncio.gather(*(manager.transfer(amber, taker, "steam", STEAM) for taker in (birch, cedar)))
    assert outcomes(answers) == {"transferred": 1, "not_linked": 1}


async def test_an_event_is_undone_once_however_many_ask(
    manager: Manager, amber: Resident, birch: Resident, together: Callable[[int], None]
) -> None:
    event = (await manager.merge(amber, birch)).json()["undo"]["event"]
    together(5)
    answers = await asyncio.gather(*(manager.undo(event) for _ in range(5)))
    assert outcomes(answers) == {"undone": 1, "later_changes": 4}


@pytest.mark.parametrize("banned", ["loser", "survivor"])
async def test_whoever_is_banned_at_the_moment_of_a_merge_is_banned_whichever_comes_first(
    manager: Manager, amber: Resident, birch: Resident, together: Callable[[int], None], banned: str
) -> None:
    whom = amber if banned == "loser" else birch
    together(2)
    merging, ban = await asyncio.gather(manager.merge(amber, birch), manager.post(f"/v1/users/{whom.sub}/ban"))
    assert ban.status_code == 200
    assert merging.status_code in {200, 403}
    assert [one["lifted_at"] for one in (await manager.show(whom.sub)).json()["bans"]] == [None]
    provider, player = ("steam", "amber") if banned == "loser" else ("epicgames", "birch")
    answer = await manager.server.silent(provider, manager.server.mint(provider, player))
    assert (answer.status_code, answer.json()["reason"]) == (403, "banned")


# --- an undo against what comes later ---


@pytest.mark.parametrize("later", ["transfer", "merge", "unlink"])
async def test_an_undo_that_loses_against_a_later_change_is_refused(
    manager: Manager, amber: Resident, birch: Resident, between: Callable[..., None], later: str
) -> None:
    cedar = await resident(manager.server, "guest")
    event = (await manager.transfer(amber, birch, "steam", STEAM)).json()["undo"]["event"]

    async def change() -> httpx.Response:
        if later == "transfer":
            return await manager.transfer(birch, cedar, "steam", STEAM)
        if later == "merge":
            return await manager.merge(birch, cedar)
        return await birch.post("/v1/me/identities/unlink", {"provider": "steam", "subject": STEAM})

    between("load_identity_events", change)
    answer = await manager.undo(event)
    assert (answer.status_code, answer.json()["error"]) == (409, "later_changes")
    assert len(answer.json()["events"]) == 1
    assert (await manager.show(amber.sub)).json()["identities"] == []


# --- against logins ---


async def test_a_login_that_had_looked_before_the_merge_is_one_of_the_survivor(
    manager: Manager, amber: Resident, birch: Resident, between: Callable[..., None]
) -> None:
    between("load_ownership", lambda: manager.merge(amber, birch))
    assert await sub_of(manager.server, await manager.server.silent("steam")) == birch.sub


async def test_a_login_that_had_looked_before_a_transfer_is_one_of_the_taker(
    manager: Manager, amber: Resident, birch: Resident, between: Callable[..., None]
) -> None:
    between("load_ownership", lambda: manager.transfer(amber, birch, "steam", STEAM))
    assert await sub_of(manager.server, await manager.server.silent("steam")) == birch.sub


async def test_a_login_that_had_looked_before_an_undo_is_one_of_the_returned_player(
    manager: Manager, amber: Resident, birch: Resident, between: Callable[..., None]
) -> None:
    event = (await manager.merge(amber, birch)).json()["undo"]["event"]
    between("load_ownership", lambda: manager.undo(event))
    assert await sub_of(manager.server, await manager.server.silent("steam")) == amber.sub


async def test_a_sign_in_in_a_browser_that_had_looked_before_the_merge_signs_the_survivor_in(
    manager: Manager, amber: Resident, birch: Resident, between: Callable[..., None]
) -> None:
    browser = Browser(manager.server)
    between("load_ownership", lambda: manager.merge(amber, birch))
    tokens = await browser.tokens()
    assert manager.server.claims(tokens["id_token"])["sub"] == birch.sub


async def test_a_session_that_began_after_the_merge_had_looked_ends_with_the_others(
    manager: Manager, amber: Resident, birch: Resident, between: Callable[..., None]
) -> None:
    browser = Browser(manager.server)
    between("load_player_sessions", browser.tokens)
    await manager.merge(amber, birch)
    answer = await browser.get("/oauth2/authorize", **{**browser.request, "prompt": "none"})
    assert "login_required" in answer.headers["location"]


# --- against refreshes ---


async def test_a_refresh_that_had_looked_before_the_merge_gives_tokens_that_are_the_survivors(
    manager: Manager, amber: Resident, birch: Resident, between: Callable[..., None]
) -> None:
    between("load_grant", lambda: manager.merge(amber, birch))
    answer = await manager.server.refresh(amber.tokens["refresh_token"])
    assert answer.status_code == 200
    for token in (answer.json()["access_token"], answer.json()["refresh_token"]):
        assert (await manager.introspect(token))["sub"] == birch.sub


@pytest.mark.parametrize("deed", ["transfer", "undo"])
async def test_D58_a_refresh_that_had_looked_before_the_identity_went_gives_nothing_that_lives(
    manager: Manager, amber: Resident, birch: Resident, between: Callable[..., None], deed: str
) -> None:
    event = (await manager.transfer(amber, birch, "steam", STEAM)).json()["undo"]["event"]
    holder = await resident(manager.server)
    assert holder.sub == birch.sub
    taker = await resident(manager.server, "guest")
    went = manager.undo(event) if deed == "undo" else manager.transfer(holder, taker, "steam", STEAM)
    between("load_grant", lambda: went)
    answer = await manager.server.refresh(holder.tokens["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    for token in (holder.tokens["access_token"], holder.tokens["refresh_token"]):
        assert await manager.introspect(token) == {"active": False}


async def test_D58_many_refreshes_during_an_undo_leave_nothing_of_the_survivor_with_the_returned_player(
    manager: Manager, amber: Resident, birch: Resident
) -> None:
    event = (await manager.merge(amber, birch)).json()["undo"]["event"]
    families = [amber, *[await resident(manager.server) for _ in range(5)]]
    answers = await asyncio.gather(
        manager.undo(event), *(manager.server.refresh(one.tokens["refresh_token"]) for one in families)
    )
    assert answers[0].status_code == 200
    given = [token for answer in answers[1:] if answer.status_code == 200 for token in answer.json().values()]
    for token in (one for one in given if isinstance(one, str) and len(one) > 60):
        assert not (await manager.introspect(token))["active"]
