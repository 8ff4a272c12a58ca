"""`preview` tells what would happen, and changes nothing but that a single-use credential was used."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.models import NEVER
from authsrv.storage.account_changes import BarPlayer
from tests.support.connecting import connect, proceed, redeemed
from tests.support.refusals import demo, tables
from tests.support.residents import Resident, resident
from tests.support.server import Server, running


def edit(block: dict[str, Any]) -> None:
    demo(block)["accounts"] = {"transfer": True, "merge": True, "segments": ["tier"]}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
async def ann(server: Server) -> Resident:
    return await resident(server, "epicgames", "amber")


@pytest.fixture
async def anna(server: Server) -> Resident:
    return await resident(server, "steam", "birch")


async def preview(server: Server, player: str, session: Resident | None = None, **changes: Any) -> httpx.Response:
    return await connect(server, "steam", player, session, preview=True, **changes)


def everything(server: Server) -> dict[str, object]:
    """Every table but the replay guard."""
    copied = tables(server).copy()
    names = [name for name in dir(copied) if not name.startswith("_") and name != "reservations"]
    return {name: value for name in names if not callable(value := getattr(copied, name))}


@pytest.mark.parametrize(
    ("who", "player", "flags", "outcome", "rule", "choices"),
    [
        pytest.param("", "cedar", {}, "would_create", "1", ["create"], id="1"),
        pytest.param("", "birch", {}, "would_sign_in", "2", ["sign_in"], id="2"),
        pytest.param("ann", "cedar", {}, "would_link", "3", ["link", "cancel"], id="3"),
        pytest.param(
            "ann",
            "cedar",
            {"do_not_link_to_current_player": True},
            "would_create",
            "4",
            ["create", "cancel"],
            id="4",
        ),
        pytest.param("anna", "birch", {}, "unchanged", "5", ["cancel"], id="5"),
        pytest.param("ann", "birch", {"error_on_switch": False}, "would_switch", "6", ["switch", "cancel"], id="6"),
        pytest.param("ann", "birch", {}, "conflict", "7", ["switch", "transfer", "merge", "cancel"], id="7"),
        pytest.param("anna", "cedar", {}, "conflict", "8", ["create", "cancel"], id="8"),
    ],
)
async def test_a_preview_names_the_outcome_the_row_and_the_choices_and_changes_nothing(
    server: Server,
    ann: Resident,
    anna: Resident,
    *,
    who: str,
    player: str,
    flags: dict[str, bool],
    outcome: str,
    rule: str,
    choices: list[str],
) -> None:
    session = {"ann": ann, "anna": anna, "": None}[who]
    before, logged = everything(server), len(server.audited("login.succeeded"))
    wished = {"sync_display_name": True, "segments": {"tier": "beta"}}
    answer = await preview(server, player, session, flags={**flags, **wished})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["outcome"], told["rule"]) == (outcome, rule)
    assert [choice["id"] for choice in told["choices"]] == choices
    assert (told["current"] or {}).get("sub") == (session.sub if session else None)
    assert everything(server) == before
    assert len(server.audited("login.succeeded")) == logged


@pytest.mark.parametrize(
    ("flags", "choice", "outcome"),
    [
        ({}, "link", "linked"),
        ({"do_not_link_to_current_player": True}, "create", "created"),
    ],
)
async def test_the_real_step_needs_no_second_credential(
    server: Server, ann: Resident, flags: dict[str, bool], choice: str, outcome: str
) -> None:
    wished = {**flags, "sync_display_name": True, "segments": {"tier": "beta"}}
    token = (await preview(server, "cedar", ann, flags=wished)).json()["continuation_token"]
    answer = await proceed(ann, server, token, choice)
    assert answer.json()["outcome"] == outcome
    assert answer.json()["user"]["display_name"] == "Cedar"
    sub = answer.json()["user"]["sub"]
    row = next(player.id for player in tables(server).players.values() if player.sub == sub)
    assert tables(server).segments[row] == '{"tier":"beta"}'


@pytest.mark.parametrize(
    ("player", "choice", "outcome"), [("birch", "sign_in", "signed_in"), ("cedar", "create", "created")]
)
async def test_the_real_step_of_nobody_needs_no_session(
    server: Server, anna: Resident, player: str, choice: str, outcome: str
) -> None:
    token = (await preview(server, player)).json()["continuation_token"]
    answer = await proceed(None, server, token, choice)
    assert answer.json()["outcome"] == outcome
    assert (await redeemed(server, answer)).sub == answer.json()["user"]["sub"]


async def test_a_credential_that_can_be_presented_again_needs_no_token(server: Server, ann: Resident) -> None:
    minted = server.mint("xbox", "amber")
    told = (await connect(server, "xbox", "amber", ann, minted=minted, preview=True)).json()
    assert told["outcome"] == "would_link"
    assert "continuation_token" not in told
    assert (await connect(server, "xbox", "amber", ann, minted=minted)).json()["outcome"] == "linked"


async def test_a_previewed_credential_is_used_up_for_everything_but_the_same_preview(
    server: Server, ann: Resident
) -> None:
    minted = server.mint("steam", "cedar")
    assert (await preview(server, "cedar", ann, minted=minted)).status_code == 200
    again = await preview(server, "cedar", ann, minted=minted)
    assert (again.status_code, again.json()["outcome"]) == (200, "would_link")
    real = await connect(server, "steam", "cedar", ann, minted=minted)
    assert (real.status_code, real.json()["reason"]) == (400, "credential_replayed")


async def test_what_would_be_refused_is_named(server: Server, ann: Resident, anna: Resident) -> None:
    unknown = await preview(server, "cedar", flags={"do_not_create_new_player": True})
    assert unknown.json() == {
        "outcome": "blocked",
        "rule": "1",
        "current": None,
        "other": None,
        "blocking_identity": None,
        "error": "user_not_found",
        "error_description": "No player is linked to this platform account, and the request asked not to create one.",
        "choices": [],
    }
    server.clock.now += 601
    late = (await preview(server, "cedar", ann)).json()
    assert (late["outcome"], late["error"]) == ("blocked", "reauthentication_required")


async def test_a_banned_player_is_named_to_nobody(server: Server, ann: Resident, anna: Resident) -> None:
    await server.app.storage.apply([BarPlayer(await anna.row(), NEVER, "banned")])
    told = (await preview(server, "birch", ann)).json()
    assert (told["outcome"], told["other"]) == ("blocked", None)
    assert (told["error"], told["reason"]) == ("access_denied", "banned")


async def test_a_preview_has_the_same_rate_limits(server: Server) -> None:
    def strict(block: dict[str, Any]) -> None:
        block["limits"] = {"logins_per_minute_per_player": 2}

    async with running(edit=strict) as limited:
        statuses = [(await preview(limited, "amber")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_a_preview_with_a_bad_credential_is_refused_as_the_real_call_is(server: Server) -> None:
    answer = await preview(server, "amber", minted=server.mint("steam", case="forged"))
    assert (answer.status_code, answer.json()["reason"]) == (400, "credential_rejected")
