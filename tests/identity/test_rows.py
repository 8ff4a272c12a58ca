"""Every row of the decision table, over HTTP; what each answers, and what it leaves."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from authsrv.models import IdentityKey
from tests.support.connecting import account, connect, redeemed
from tests.support.refusals import tables
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import Server, running

STEAM_AMBER, STEAM_BIRCH = identity("steam", "amber"), identity("steam", "birch")
EPIC_AMBER = identity("epicgames", "amber")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
async def ann(server: Server) -> Resident:
    """P: a player who came by Epic, and has nothing else."""
    return await resident(server, "epicgames", "amber")


@pytest.fixture
async def anna(server: Server) -> Resident:
    """Q: a player who came by Steam."""
    return await resident(server, "steam", "birch")


async def owner(server: Server, key: IdentityKey) -> str:
    found = await server.app.storage.load_player(key)
    return found.sub if found else ""


def flags(**named: bool) -> dict[str, Any]:
    return {"flags": named}


# --- rows 1 and 2: nobody is signed in ---


async def test_row_1_nobody_signed_in_and_the_account_is_unknown(server: Server) -> None:
    answer = await connect(server, "steam", "amber")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["user"].pop("sub") == await owner(server, STEAM_AMBER)
    assert told.pop("code").startswith("asc_")
    assert told == {
        "outcome": "created",
        "rule": "1",
        "new_player": True,
        "user": {
            "display_name": "Amber",
            "identities": [
                {
                    "provider": "steam",
                    "kind": "steam",
                    "environment": "",
                    "subject": STEAM_AMBER.subject,
                    "linked_at": "2026-09-21T14:13:20Z",
                }
            ],
        },
        "previous_sub": None,
        "undo": None,
    }


async def test_row_1_the_code_gives_the_new_players_tokens(server: Server) -> None:
    answer = await connect(server, "steam", "amber")
    arrived = await redeemed(server, answer)
    assert arrived.sub == answer.json()["user"]["sub"]
    assert (await arrived.get("/v1/me")).status_code == 200


async def test_row_1_nobody_is_created_against_the_clients_will(server: Server) -> None:
    answer = await connect(server, "steam", "amber", **flags(do_not_create_new_player=True))
    assert answer.status_code == 404
    assert (answer.json()["error"], answer.json()["rule"]) == ("user_not_found", "1")
    assert not tables(server).players


async def test_row_2_nobody_signed_in_and_the_account_is_known(server: Server, anna: Resident) -> None:
    answer = await connect(server, "steam", "birch")
    told = answer.json()
    assert (told["outcome"], told["rule"], told["new_player"]) == ("signed_in", "2", False)
    assert told["previous_sub"] is None
    assert (await redeemed(server, answer)).sub == anna.sub


# --- row 3: link ---


async def test_row_3_the_account_is_unknown_and_becomes_the_players(server: Server, ann: Resident) -> None:
    answer = await connect(server, "steam", "birch", ann)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["outcome"], told["rule"], told["new_player"]) == ("linked", "3", False)
    assert (told["code"], told["previous_sub"]) == (None, None)
    assert [linked["provider"] for linked in told["user"]["identities"]] == ["epicgames", "steam"]
    assert await ann.keys() == {EPIC_AMBER, STEAM_BIRCH}
    event = next(event for event in tables(server).events.values() if event.kind == "linked")
    public = server.app.desk.server.opaque.public_id("event", event.id)
    assert told["undo"] == {"event": public, "until": "2026-10-05T14:13:20Z"}
    assert (event.rule, event.identity, event.actor, event.client_id) == ("3", STEAM_BIRCH, "player", "launcher")


async def test_row_3_a_guest_who_links_a_platform_keeps_their_sub(server: Server) -> None:
    guest = await resident(server, "guest")
    answer = await connect(server, "steam", "amber", guest)
    assert answer.json()["outcome"] == "linked"
    assert answer.json()["user"]["sub"] == guest.sub
    assert (await resident(server, "steam", "amber")).sub == guest.sub


# --- rows 4 and 13: an account of its own ---


async def test_row_4_the_account_becomes_a_player_of_its_own(server: Server, ann: Resident) -> None:
    answer = await connect(server, "steam", "birch", ann, **flags(do_not_link_to_current_player=True))
    told = answer.json()
    assert (told["outcome"], told["rule"], told["new_player"]) == ("created", "4", True)
    assert told["previous_sub"] == ann.sub
    assert (await redeemed(server, answer)).sub == await owner(server, STEAM_BIRCH) != ann.sub
    assert await ann.keys() == {EPIC_AMBER}


async def test_row_13_the_account_becomes_a_player_of_its_own_beside_one_with_another(
    server: Server, anna: Resident
) -> None:
    answer = await connect(server, "steam", "amber", anna, **flags(do_not_link_to_current_player=True))
    assert (answer.json()["outcome"], answer.json()["rule"]) == ("created", "13")
    assert await anna.keys() == {STEAM_BIRCH}


@pytest.mark.parametrize(("player", "rule"), [("ann", "4"), ("anna", "13")])
async def test_rows_4_and_13_nobody_is_created_against_the_clients_will(
    server: Server, ann: Resident, anna: Resident, player: str, rule: str
) -> None:
    wanted = flags(do_not_link_to_current_player=True, do_not_create_new_player=True)
    answer = await connect(server, "steam", "cedar", {"ann": ann, "anna": anna}[player], **wanted)
    assert answer.status_code == 404
    assert (answer.json()["error"], answer.json()["rule"]) == ("user_not_found", rule)


# --- row 5 ---


async def test_row_5_the_account_is_the_players_already(server: Server, anna: Resident) -> None:
    answer = await connect(server, "steam", "birch", anna)
    told = answer.json()
    assert (told["outcome"], told["rule"], told["new_player"]) == ("unchanged", "5", False)
    assert (told["code"], told["undo"], told["previous_sub"]) == (None, None, None)
    assert (await anna.get("/v1/me")).status_code == 200
    assert kinds(server) == []


# --- rows 6, 7: the account is another player's ---


async def test_row_6_the_session_switches_to_the_other_player(server: Server, ann: Resident, anna: Resident) -> None:
    answer = await connect(server, "steam", "birch", ann, **flags(error_on_switch=False))
    told = answer.json()
    assert (told["outcome"], told["rule"], told["new_player"]) == ("switched", "6", False)
    assert told["previous_sub"] == ann.sub
    assert (await redeemed(server, answer)).sub == anna.sub
    assert await ann.keys() == {EPIC_AMBER}
    assert await anna.keys() == {STEAM_BIRCH}
    event = next(event for event in tables(server).events.values() if event.kind == "switched")
    assert (event.player_id, event.other_id, event.rule) == (await anna.row(), await ann.row(), "6")


async def test_row_7_a_switch_is_reported_with_both_players_and_what_they_may_choose(
    server: Server, ann: Resident, anna: Resident
) -> None:
    answer = await connect(server, "steam", "birch", ann)
    assert answer.status_code == 409
    told = answer.json()
    assert told.pop("continuation_token").count(".") == 2
    summary = {"created_at": "2026-09-21T14:13:20Z", "last_login": "2026-09-21T14:13:20Z", "guest": False}
    epic = {"provider": "epicgames", "kind": "epic", "environment": "", "subject": EPIC_AMBER.subject}
    steam = {"provider": "steam", "kind": "steam", "environment": "", "subject": STEAM_BIRCH.subject}
    assert told == {
        "error": "account_conflict",
        "error_description": "The platform account belongs to another player.",
        "reason": "switch_required",
        "rule": "7",
        "current": {"sub": ann.sub, "display_name": "Amber", **summary, "identities": [epic]},
        "other": {"sub": anna.sub, "display_name": "Birch", **summary, "identities": [steam]},
        "blocking_identity": None,
        "choices": [
            {"id": "switch", "effect": "continue as the other player; this one is kept"},
            {"id": "cancel", "effect": "nothing changes"},
        ],
        "expires_in": 300,
    }
    assert await ann.keys() == {EPIC_AMBER}
    assert kinds(server) == []


# --- rows 8 to 12: the player has another account of the platform ---


@pytest.mark.parametrize(("switch_if_possible", "rule"), [(False, "8"), (True, "11")])
async def test_rows_8_and_11_the_player_has_another_and_this_one_is_nobodys(
    server: Server, anna: Resident, switch_if_possible: bool, rule: str
) -> None:
    answer = await connect(server, "steam", "amber", anna, **flags(switch_if_possible=switch_if_possible))
    assert answer.status_code == 409
    told = answer.json()
    assert (told["reason"], told["rule"], told["other"]) == ("already_linked", rule, None)
    assert told["blocking_identity"]["subject"] == STEAM_BIRCH.subject
    assert [choice["id"] for choice in told["choices"]] == ["create", "cancel"]
    assert await owner(server, STEAM_AMBER) == ""


@pytest.mark.parametrize(
    ("error_on_switch", "switch_if_possible", "rule", "reason"),
    [
        pytest.param(False, False, "9", "already_linked", id="9"),
        pytest.param(True, False, "9b", "already_linked", id="9b"),
        pytest.param(True, True, "12", "switch_required", id="12"),
    ],
)
async def test_rows_9_9b_and_12_the_player_has_another_and_this_one_is_somebodys(
    server: Server, anna: Resident, *, error_on_switch: bool, switch_if_possible: bool, rule: str, reason: str
) -> None:
    other = await resident(server, "steam", "amber")
    wanted = flags(error_on_switch=error_on_switch, switch_if_possible=switch_if_possible)
    answer = await connect(server, "steam", "amber", anna, **wanted)
    assert answer.status_code == 409
    told = answer.json()
    assert (told["reason"], told["rule"], told["other"]["sub"]) == (reason, rule, other.sub)
    assert told["current"]["sub"] == anna.sub
    assert (told["blocking_identity"] is None) == (rule == "12")
    assert [choice["id"] for choice in told["choices"]] == ["switch", "cancel"]
    assert await owner(server, STEAM_AMBER) == other.sub


async def test_row_10_the_session_switches_although_the_player_has_another(server: Server, anna: Resident) -> None:
    other = await resident(server, "steam", "amber")
    answer = await connect(server, "steam", "amber", anna, **flags(error_on_switch=False, switch_if_possible=True))
    told = answer.json()
    assert (told["outcome"], told["rule"], told["previous_sub"]) == ("switched", "10", anna.sub)
    assert (await redeemed(server, answer)).sub == other.sub
    assert await anna.keys() == {STEAM_BIRCH}


# --- row 14: the credential ---


@pytest.mark.parametrize(
    ("change", "status", "error", "reason"),
    [
        pytest.param({"credential": None}, 400, "invalid_request", None, id="none"),
        pytest.param({"credential": {}}, 400, "invalid_request", None, id="empty"),
        pytest.param({"credential": {"value": "zz"}}, 400, "invalid_request", "credential_malformed", id="unreadable"),
        pytest.param({"provider": None}, 400, "invalid_request", None, id="no provider"),
        pytest.param({"provider": "psn"}, 400, "unsupported_provider", "unknown_provider", id="unknown provider"),
    ],
)
async def test_row_14_a_credential_that_cannot_be_read(
    server: Server, ann: Resident, *, change: dict[str, Any], status: int, error: str, reason: str | None
) -> None:
    answer = await connect(server, "steam", "birch", ann, **change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json().get("reason") == reason
    assert server.platforms["steam"].calls.total() == 0


@pytest.mark.parametrize(
    ("case", "status", "error", "reason"),
    [
        ("forged", 400, "invalid_grant", "credential_rejected"),
        ("other-app", 400, "invalid_grant", "credential_wrong_app"),
        ("banned", 403, "access_denied", "account_banned"),
    ],
)
async def test_row_14_a_credential_that_the_platform_refuses(
    server: Server, ann: Resident, *, case: str, status: int, error: str, reason: str
) -> None:
    answer = await connect(server, "steam", "birch", ann, minted=server.mint("steam", "birch", case=case))
    assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (status, error, reason)
    assert await ann.keys() == {EPIC_AMBER}


# --- what the project and the client say ---


async def test_the_clients_entry_gives_the_flags_that_a_request_does_not_name(server: Server) -> None:
    def quiet(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["launcher"]["connect"] = {"error_on_switch": False}

    async with running(edit=quiet) as other:
        player = await resident(other, "epicgames", "amber")
        await resident(other, "steam", "birch")
        assert (await connect(other, "steam", "birch", player)).json()["rule"] == "6"
        refused = await connect(other, "steam", "birch", player, **flags(error_on_switch=True))
        assert refused.json()["rule"] == "7"


async def test_a_name_that_is_nobodys_email_links_nobody(server: Server) -> None:
    """Row D41: two accounts of one person, with one e-mail address and one name, are two players."""
    first, second = await connect(server, "epicgames", "amber"), await connect(server, "steam", "amber")
    assert first.json()["user"]["sub"] != second.json()["user"]["sub"]
    assert len((await account(server, second.json()["user"]["sub"])).identities) == 1
