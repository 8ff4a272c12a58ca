"""Requests at the same moment: one creates or links, the others look again; nobody gets a second account or a 5xx."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from random import Random
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from authsrv.emulator.base import PLAYERS
from tests.support.connecting import connect
from tests.support.gates import Gate, Pauses
from tests.support.refusals import tables
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import Server, running

STEAM = identity("steam", "birch")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=lambda block: block.update(limits={"multiplier": 1000})) as started:
        yield started


def rules(answers: list[httpx.Response]) -> Counter[tuple[str, str]]:
    told = [answer.json() for answer in answers]
    return Counter((said.get("outcome") or said["error"], said["rule"]) for said in told)


async def at_once(server: Server, *sessions: Resident | None, **changes: object) -> list[httpx.Response]:
    """Everybody connects the same new Steam account by a ticket of their own, and all have read before one writes."""
    storage, gate = server.app.storage, Gate(len(sessions))
    with patch.object(storage, "load_ownership", gate.after(storage.load_ownership)):
        sent = [connect(server, "steam", "birch", session, **changes) for session in sessions]  # type: ignore[arg-type]
        return list(await asyncio.gather(*sent))


async def test_D49_fifty_first_logins_make_one_player(server: Server) -> None:
    answers = await at_once(server, *[None] * 50)
    assert {answer.status_code for answer in answers} == {200}
    assert rules(answers) == {("created", "1"): 1, ("signed_in", "2"): 49}
    assert len({answer.json()["user"]["sub"] for answer in answers}) == 1
    assert len(tables(server).players) == 1


async def test_two_players_link_one_account_and_the_later_one_is_asked(server: Server) -> None:
    ann, cedar = await resident(server, "epicgames", "amber"), await resident(server, "epicgames", "cedar")
    answers = await at_once(server, ann, cedar)
    assert rules(answers) == {("linked", "3"): 1, ("account_conflict", "7"): 1}
    linked, conflict = (answer.json() for answer in sorted(answers, key=lambda answer: answer.status_code))
    assert conflict["other"]["sub"] == linked["user"]["sub"]
    assert kinds(server) == ["linked"]


async def test_two_players_link_one_account_and_the_later_one_switches(server: Server) -> None:
    ann, cedar = await resident(server, "epicgames", "amber"), await resident(server, "epicgames", "cedar")
    answers = await at_once(server, ann, cedar, flags={"error_on_switch": False})
    assert rules(answers) == {("linked", "3"): 1, ("switched", "6"): 1}


async def test_a_first_login_against_a_link_leaves_one_owner(server: Server) -> None:
    ann = await resident(server, "epicgames", "amber")
    for _ in range(5):
        answers = await at_once(server, ann, None)
        assert all(answer.status_code in {200, 409} for answer in answers)
    owner = await server.app.storage.load_player(STEAM)
    assert owner is not None
    assert len(tables(server).players) <= 2


async def test_two_devices_of_one_player_link_one_account_once(server: Server) -> None:
    ann = await resident(server, "epicgames", "amber")
    again = await resident(server, "epicgames", "amber")
    answers = await at_once(server, ann, again)
    assert rules(answers) == {("linked", "3"): 1, ("unchanged", "5"): 1}
    assert kinds(server) == ["linked"]


async def test_two_accounts_of_one_platform_do_not_both_become_the_players(server: Server) -> None:
    ann = await resident(server, "epicgames", "amber")
    storage, gate = server.app.storage, Gate(2)
    with patch.object(storage, "load_account", gate.after(storage.load_account)):
        answers = await asyncio.gather(connect(server, "steam", "birch", ann), connect(server, "steam", "cedar", ann))
    assert rules(list(answers)) == {("linked", "3"): 1, ("account_conflict", "8"): 1}
    assert len(await ann.keys()) == 2


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_the_order_everybody_gets_an_answer_that_can_be(server: Server, seed: int) -> None:
    """Whose the account is in the end has it alone, and each answer is a row of the table."""
    chance = Random(seed)  # noqa: S311 - an order, no secret
    sessions = [await resident(server, "epicgames", player) for player in PLAYERS]
    pauses, storage = Pauses(chance, 4), server.app.storage

    def one() -> Coroutine[Any, Any, httpx.Response]:
        flags = {"error_on_switch": chance.random() < 0.5}
        return connect(server, "steam", "birch", chance.choice([None, *sessions]), flags=flags)

    with patch.object(storage, "apply", pauses.around(storage.apply)):
        answers = await asyncio.gather(*(one() for _ in range(12)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    found = rules(list(answers))
    made = found["created", "1"] + found["linked", "3"]
    assert made == 1, found
    owner = await storage.load_player(STEAM)
    assert owner is not None
    assert len(tables(server).players) == 3 + found["created", "1"]
