"""The answer to a conflict, over HTTP: what each choice does, and every way in which a token is no good."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from authsrv.storage.account_changes import AdvanceVersion
from tests.support.browser import Browser
from tests.support.connecting import account, connect, proceed, redeemed
from tests.support.gates import Gate
from tests.support.refusals import clients, demo, tables
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import Server, running

STEAM, EPIC = identity("steam", "birch"), identity("epicgames", "amber")
NO_GOOD = (400, "invalid_grant", "continuation_rejected")


def edit(block: dict[str, Any]) -> None:
    demo(block)["accounts"] = {"transfer": True, "merge": True}
    clients(block)["spa"]["scopes"] = ["openid", "account"]
    block["limits"] = {"multiplier": 1000}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
async def ann(server: Server) -> Resident:
    """P, who is signed in."""
    return await resident(server, "epicgames", "amber")


@pytest.fixture
async def anna(server: Server) -> Resident:
    """Q, who has the Steam account."""
    return await resident(server, "steam", "birch")


@pytest.fixture
async def token(server: Server, ann: Resident, anna: Resident) -> str:
    """What P got for trying to connect Q's Steam account."""
    return await asked(server, ann)


async def asked(server: Server, player: Resident, **changes: Any) -> str:
    answer = await connect(server, "steam", "birch", player, **changes)
    assert answer.status_code == 409, answer.text
    found: str = answer.json()["continuation_token"]
    return found


def told(answer: httpx.Response) -> tuple[int, str, str]:
    said = answer.json()
    return answer.status_code, said["error"], said.get("reason", "")


# --- choices ---


async def test_every_choice_that_the_project_allows_is_offered(server: Server, ann: Resident, anna: Resident) -> None:
    answer = await connect(server, "steam", "birch", ann)
    assert answer.json()["choices"] == [
        {"id": "switch", "effect": "continue as the other player; this one is kept"},
        {
            "id": "transfer",
            "effect": "move the platform account to this player",
            "warning": "other_player_has_no_other_login",
        },
        {"id": "merge", "effect": "one player remains", "needs": ["survivor"], "survivors": ["current", "other"]},
        {"id": "cancel", "effect": "nothing changes"},
    ]


async def test_a_transfer_from_a_player_with_another_login_has_no_warning(
    server: Server, ann: Resident, anna: Resident
) -> None:
    await anna.has(identity("epicgames", "birch"))
    answer = await connect(server, "steam", "birch", ann)
    transfer = answer.json()["choices"][1]
    assert (transfer["id"], "warning" in transfer) == ("transfer", False)


async def test_what_would_be_refused_is_not_offered(server: Server, anna: Resident) -> None:
    """The player has a Steam account already, and may have one."""
    other = await resident(server, "steam", "cedar")
    answer = await connect(server, "steam", "birch", other)
    assert (answer.json()["rule"], [choice["id"] for choice in answer.json()["choices"]]) == (
        "9b",
        ["switch", "cancel"],
    )


async def test_switch_makes_the_session_the_other_players(
    server: Server, ann: Resident, anna: Resident, token: str
) -> None:
    answer = await proceed(ann, server, token, "switch")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["outcome"], said["rule"], said["previous_sub"], said["user"]["sub"]) == (
        "switched",
        "7",
        ann.sub,
        anna.sub,
    )
    assert (await redeemed(server, answer)).sub == anna.sub
    assert kinds(server) == ["switched"]


async def test_the_code_of_a_choice_says_when_the_credential_was_checked(
    server: Server, ann: Resident, anna: Resident, token: str
) -> None:
    server.clock.now += 200
    arrived = await redeemed(server, await proceed(ann, server, token, "switch"))
    claims = server.claims(arrived.tokens["id_token"])
    assert claims["iat"] - claims["auth_time"] == 200
    assert claims["amr"] == ["steam"]


async def test_transfer_moves_the_account_to_the_session_and_keeps_a_ghost(
    server: Server, ann: Resident, anna: Resident, token: str
) -> None:
    answer = await proceed(ann, server, token, "transfer")
    said = answer.json()
    assert (said["outcome"], said["code"], said["previous_sub"], said["undo"]) == ("linked", None, None, None)
    assert await ann.keys() == {EPIC, STEAM}
    ghost = await account(server, anna_sub(server))
    assert ghost.identities == ()
    assert kinds(server) == ["transferred"]
    (audited,) = server.audited("player.transferred")
    assert (audited["sub"], audited["other_sub"], audited["client_id"]) == (ann.sub, ghost.player.sub, "launcher")


def anna_sub(server: Server) -> str:
    return next(player.sub for player in tables(server).players.values() if player.display_name == "Birch")


@pytest.mark.parametrize("survivor", ["current", "other"])
async def test_merge_leaves_the_named_player_and_the_other_sub_leads_there(
    server: Server, ann: Resident, anna: Resident, token: str, survivor: str
) -> None:
    before = {"current": ann.sub, "other": anna.sub}
    answer = await proceed(ann, server, token, "merge", survivor=survivor)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["outcome"], said["user"]["sub"]) == ("merged", before[survivor])
    left = await account(server, before[survivor])
    assert {linked.key for linked in left.identities} == {EPIC, STEAM}
    assert [alias.sub for alias in left.aliases] == [sub for name, sub in before.items() if name != survivor]
    (audited,) = server.audited("player.merged")
    assert {audited["sub"], audited["other_sub"]} == set(before.values())
    if survivor == "other":
        assert said["previous_sub"] == ann.sub
        assert (await redeemed(server, answer)).sub == anna.sub
    else:
        assert (said["previous_sub"], said["code"]) == (None, None)
        assert (await ann.get("/v1/me")).json()["sub"] == ann.sub


async def test_cancel_changes_nothing_and_ends_the_question(
    server: Server, ann: Resident, anna: Resident, token: str
) -> None:
    before = tables(server).players.copy(), tables(server).identities.copy()
    answer = await proceed(ann, server, token, "cancel")
    assert (answer.json()["outcome"], answer.json()["user"]["sub"]) == ("unchanged", ann.sub)
    assert (tables(server).players, tables(server).identities) == before
    assert told(await proceed(ann, server, token, "switch")) == NO_GOOD


async def test_create_makes_a_player_for_an_account_that_does_not_fit_the_present_one(
    server: Server, ann: Resident
) -> None:
    await ann.has(identity("steam", "cedar"))
    token = await asked(server, ann)
    answer = await proceed(ann, server, token, "create")
    assert (answer.json()["outcome"], answer.json()["rule"], answer.json()["previous_sub"]) == ("created", "8", ann.sub)
    assert (await redeemed(server, answer)).sub == answer.json()["user"]["sub"]


async def test_a_choice_needs_its_survivor(server: Server, ann: Resident, anna: Resident, token: str) -> None:
    for survivor in ("", "anna", "Current"):
        answer = await proceed(ann, server, token, "merge", survivor=survivor)
        assert (answer.status_code, answer.json()["parameter"]) == (400, "survivor")
    assert (await proceed(ann, server, token, "merge", survivor="current")).status_code == 200


@pytest.mark.parametrize("choice", ["transfer", "merge"])
async def test_browser_sessions_that_end_by_a_choice_are_told_to_their_clients(choice: str) -> None:
    def told_by_the_back_channel(block: dict[str, Any]) -> None:
        edit(block)
        clients(block)["shop"]["backchannel_logout_uri"] = "https://shop.example/backchannel"

    async with running(edit=told_by_the_back_channel) as server:
        await Browser(server).tokens(player="birch")
        ann = await resident(server, "epicgames", "amber")
        answer = await proceed(ann, server, await asked(server, ann), choice, survivor="current")
        assert answer.status_code == 200, answer.text
        await server.app.notices.round()
        assert [address for address, _ in server.notified.got] == ["https://shop.example/backchannel"]


@pytest.mark.parametrize("choice", ["transfer", "merge"])
async def test_D46_what_changes_the_account_needs_a_recent_sign_in_at_the_choice(
    server: Server, ann: Resident, anna: Resident, choice: str
) -> None:
    server.clock.now += 590
    token = await asked(server, ann)
    server.clock.now += 30
    answer = await proceed(ann, server, token, choice, survivor="current")
    assert (answer.status_code, answer.json()["error"]) == (403, "reauthentication_required")
    assert (await proceed(ann, server, token, "switch")).status_code == 200


# --- section 10, row 4: tokens that are no good ---


async def test_a_replayed_token_is_refused(server: Server, ann: Resident, anna: Resident, token: str) -> None:
    assert (await proceed(ann, server, token, "switch")).status_code == 200
    before = tables(server).copy()
    assert told(await proceed(ann, server, token, "switch")) == NO_GOOD
    assert told(await proceed(ann, server, token, "cancel")) == NO_GOOD
    assert tables(server) == before


async def test_of_ten_at_once_one_counts(server: Server, ann: Resident, anna: Resident, token: str) -> None:
    gate = Gate(10)
    storage = server.app.storage
    with patch.object(storage, "load_ownership", gate.after(storage.load_ownership)):
        answers = await asyncio.gather(*(proceed(ann, server, token, "switch") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
    assert {told(answer) for answer in answers if answer.status_code == 400} == {NO_GOOD}
    assert kinds(server) == ["switched"]


async def test_another_clients_token_is_refused(server: Server, ann: Resident, anna: Resident, token: str) -> None:
    sent = {"client_id": "spa", "continuation_token": token, "choice": "cancel"}
    answer = await server.http.post("/v1/identity/continue", json=sent)
    assert told(answer) == NO_GOOD


@pytest.mark.parametrize("whose", ["nobody", "another player", "another session of the player"])
async def test_another_sessions_token_is_refused(
    server: Server, ann: Resident, anna: Resident, token: str, whose: str
) -> None:
    again = await resident(server, "epicgames", "amber")
    sender = {"nobody": None, "another player": anna, "another session of the player": again}[whose]
    assert told(await proceed(sender, server, token, "switch")) == NO_GOOD
    assert (await proceed(ann, server, token, "switch")).status_code == 200


async def test_the_session_may_have_refreshed_its_tokens_meanwhile(
    server: Server, ann: Resident, anna: Resident, token: str
) -> None:
    fresh = Resident(server, (await server.refresh(ann.tokens["refresh_token"])).json())
    assert (await proceed(fresh, server, token, "switch")).status_code == 200


@pytest.mark.parametrize("whose", ["current", "other"])
async def test_a_changed_account_is_asked_about_again(
    server: Server, ann: Resident, anna: Resident, token: str, whose: str
) -> None:
    changed = {"current": ann, "other": anna}[whose]
    row = await changed.row()
    await server.app.storage.apply([AdvanceVersion(row, tables(server).players[row].version)])
    server.clock.now += 100
    answer = await proceed(ann, server, token, "switch")
    assert told(answer) == (409, "state_changed", "")
    said = answer.json()
    assert (said["rule"], said["current"]["sub"], said["other"]["sub"]) == ("7", ann.sub, anna.sub)
    assert said["expires_in"] == 200
    assert told(await proceed(ann, server, token, "switch"))[1] == "state_changed"
    assert (await proceed(ann, server, said["continuation_token"], "switch")).status_code == 200


async def test_an_account_that_changes_in_the_same_moment_is_asked_about_again(
    server: Server, ann: Resident, anna: Resident, token: str
) -> None:
    row, gate = await anna.row(), Gate(2)
    storage = server.app.storage

    async def meanwhile() -> None:
        await gate.wait()
        await storage.apply([AdvanceVersion(row, tables(server).players[row].version)])

    with patch.object(storage, "load_ownership", gate.after(storage.load_ownership)):
        answer, _ = await asyncio.gather(proceed(ann, server, token, "switch"), meanwhile())
    assert told(answer) == (409, "state_changed", "")
    assert kinds(server) == []


async def test_an_expired_token_is_refused(server: Server, ann: Resident, anna: Resident, token: str) -> None:
    server.clock.now += 299
    assert (await proceed(ann, server, token, "cancel")).status_code == 200
    late = await asked(server, ann)
    server.clock.now += 300
    assert told(await proceed(ann, server, late, "cancel")) == NO_GOOD


@pytest.mark.parametrize("choice", ["transfer", "merge", "link", "create", "sign_in", "", "SWITCH", "switch "])
async def test_a_choice_that_was_not_offered_is_refused_and_costs_nothing(choice: str) -> None:
    async with running() as server:
        ann = await resident(server, "epicgames", "amber")
        await resident(server, "steam", "birch")
        token = await asked(server, ann)
        answer = await proceed(ann, server, token, choice, survivor="current")
        assert (answer.status_code, answer.json()["parameter"]) == (400, "choice")
        assert (await proceed(ann, server, token, "switch")).status_code == 200


async def test_a_choice_that_the_project_forbids_since_is_refused(
    server: Server, ann: Resident, anna: Resident, token: str
) -> None:
    block = server.app.config.model_dump(mode="json")
    assert block["projects"]["demo"]["accounts"]["transfer"]
    project = server.app.config.projects["demo"]
    changed = project.model_copy(update={"accounts": project.accounts.model_copy(update={"transfer": False})})
    await server.app.reload(server.app.config.model_copy(update={"projects": {"demo": changed}}))
    answer = await proceed(ann, server, token, "transfer")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "choice")


async def test_a_continuation_token_is_no_bearer_token(server: Server, ann: Resident, token: str) -> None:
    for path in ("/v1/me", "/oauth2/userinfo"):
        answer = await server.http.get(path, headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    as_bearer = await connect(server, "steam", "birch", headers={"authorization": f"Bearer {token}"})
    assert (as_bearer.status_code, as_bearer.json()["error"]) == (401, "invalid_token")


async def test_an_access_token_is_no_continuation_token(server: Server, ann: Resident, anna: Resident) -> None:
    for text in (ann.tokens["access_token"], ann.tokens["id_token"], "", "x", "a.b.c"):
        assert told(await proceed(ann, server, text, "cancel")) == NO_GOOD


async def test_D51_a_platform_that_the_project_has_no_more_ends_its_questions(
    server: Server, ann: Resident, anna: Resident, token: str
) -> None:
    project = server.app.config.projects["demo"]
    platforms = {name: block for name, block in project.platforms.items() if name != "steam"}
    changed = project.model_copy(update={"platforms": platforms})
    await server.app.reload(server.app.config.model_copy(update={"projects": {"demo": changed}}))
    answer = await proceed(ann, server, token, "switch")
    assert told(answer) == (400, "unsupported_provider", "provider_not_configured")
