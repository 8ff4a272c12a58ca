"""Servers of the studio ban players and lift bans: what they send, what they are told, and what it does."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from authsrv.models import Player
from authsrv.storage.changes import AddPlayer
from tests.support.managing import BACKEND, Manager, may_manage
from tests.support.residents import Resident, resident
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

NOW = 1_790_000_000
TOMORROW = {"kind": "banned", "until": "2026-09-22T14:13:20Z"}
STRANGER = "00000000-0000-4000-8000-000000000000"


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


async def ordered(manager: Manager, player: Resident, deed: str, **sent: object) -> dict[str, Any]:
    answer = await manager.post(f"/v1/users/{player.sub}/{deed}", **sent)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_ban_is_told_with_who_decided_it_and_keeps_the_player_out(manager: Manager, amber: Resident) -> None:
    told = await ordered(manager, amber, "ban", reason="wallhacks", seconds=86400)
    assert (told["outcome"], told["barred"]) == ("banned", TOMORROW)
    (made,) = told["user"]["bans"]
    assert told["user"]["sub"] == amber.sub
    assert made == {
        "ban": made["ban"],
        "kind": "banned",
        "reason": "wallhacks",
        "decided_by": "backend",
        "created_at": "2026-09-21T14:13:20Z",
        "until": "2026-09-22T14:13:20Z",
        "lifted_at": None,
    }
    answer = await manager.server.silent("steam")
    assert (answer.status_code, answer.json()["until"]) == (403, NOW + 86400)
    assert (await manager.introspect(amber.tokens["access_token"])) == {"active": False}


@pytest.mark.parametrize(
    ("sent", "barred"),
    [
        ({}, {"kind": "banned", "until": None}),
        ({"seconds": 86400}, TOMORROW),
        ({"seconds": "86400"}, TOMORROW),
        ({"until": NOW + 86400}, TOMORROW),
        ({"until": "2026-09-22T14:13:20Z"}, TOMORROW),
        ({"until": "2026-09-22T16:13:20+02:00"}, TOMORROW),
    ],
)
async def test_a_ban_lasts_as_long_as_the_request_says(
    manager: Manager, amber: Resident, sent: dict[str, object], barred: dict[str, object]
) -> None:
    assert (await ordered(manager, amber, "ban", **sent))["barred"] == barred


@pytest.mark.parametrize(
    ("sent", "parameter"),
    [
        ({"seconds": 0}, "until"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": 60, "until": NOW + 60}, "seconds"),
        ({"until": NOW}, "until"),
        ({"until": "yesterday"}, "until"),
        ({"until": "2026-09-22T14:13:20"}, "until"),
        ({"seconds": True}, "seconds"),
        ({"seconds": 1.5}, "seconds"),
        ({"seconds": [60]}, "seconds"),
        ({"reason": 5.5}, "reason"),
    ],
)
async def test_an_end_that_is_none_bans_nobody(
    manager: Manager, amber: Resident, sent: dict[str, object], parameter: str
) -> None:
    answer = await manager.post(f"/v1/users/{amber.sub}/ban", **sent)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["parameter"] == parameter
    assert (await manager.server.silent("steam")).status_code == 200


async def test_an_unban_lifts_all_or_the_one_that_is_named(manager: Manager, amber: Resident) -> None:
    await ordered(manager, amber, "ban")
    told = await ordered(manager, amber, "ban", seconds=86400)
    longer, shorter = told["user"]["bans"]
    one = await ordered(manager, amber, "unban", ban=longer["ban"])
    assert (one["outcome"], one["barred"]) == ("unbanned", TOMORROW)
    assert [each["lifted_at"] for each in one["user"]["bans"]] == ["2026-09-21T14:13:20Z", None]
    again = await ordered(manager, amber, "unban", ban=longer["ban"])
    assert (again["outcome"], again["barred"]) == ("unchanged", TOMORROW)
    rest = await ordered(manager, amber, "unban")
    assert (rest["outcome"], rest["barred"]) == ("unbanned", None)
    assert shorter["ban"] != longer["ban"]
    assert (await manager.server.silent("steam")).status_code == 200
    assert (await ordered(manager, amber, "unban"))["outcome"] == "unchanged"


@pytest.mark.parametrize("ban", ["nonsense", "A" * 22, "\0"])
async def test_a_ban_that_nobody_made_is_lifted_for_nobody(manager: Manager, amber: Resident, ban: str) -> None:
    await ordered(manager, amber, "ban")
    answer = await manager.post(f"/v1/users/{amber.sub}/unban", ban=ban)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "ban")
    assert (await manager.server.silent("steam")).status_code == 403


async def test_the_id_of_an_event_is_no_ban(manager: Manager, amber: Resident) -> None:
    await ordered(manager, amber, "ban")
    event = manager.server.app.desk.server.opaque.public_id("event", 1)
    assert (await manager.post(f"/v1/users/{amber.sub}/unban", ban=event)).status_code == 400


async def test_a_restriction_is_ordered_and_lifted_by_itself(manager: Manager, amber: Resident) -> None:
    assert (await ordered(manager, amber, "restrict", reason="art. 18"))["outcome"] == "restricted"
    assert "reason" not in (await manager.server.silent("steam")).json()
    assert (await ordered(manager, amber, "unban"))["outcome"] == "unchanged"
    assert (await ordered(manager, amber, "unrestrict"))["outcome"] == "unrestricted"
    assert (await manager.server.silent("steam")).status_code == 200


async def test_a_restriction_without_end_does_not_hide_a_ban_that_outlives_it(
    manager: Manager, amber: Resident
) -> None:
    await ordered(manager, amber, "ban", seconds=86400)
    told = await ordered(manager, amber, "restrict")
    assert told["barred"] == {"kind": "restricted", "until": None}
    assert (await ordered(manager, amber, "unrestrict"))["barred"] == TOMORROW


@pytest.mark.parametrize(
    ("deed", "would"),
    [("ban", "would_ban"), ("restrict", "would_restrict"), ("unban", "unchanged"), ("unrestrict", "unchanged")],
)
async def test_a_preview_tells_and_changes_nothing(manager: Manager, amber: Resident, deed: str, would: str) -> None:
    before = (await manager.show(amber.sub)).json()
    told = await ordered(manager, amber, deed, preview=True)
    assert (told["outcome"], told["user"]) == (would, before)
    assert (await manager.show(amber.sub)).json() == before
    assert (await manager.introspect(amber.tokens["access_token"]))["active"]


async def test_a_preview_of_lifting_a_ban_tells_what_would_be_left(manager: Manager, amber: Resident) -> None:
    await ordered(manager, amber, "ban", seconds=86400)
    longer = (await ordered(manager, amber, "ban"))["user"]["bans"][1]["ban"]
    told = await ordered(manager, amber, "unban", ban=longer, preview=True)
    assert (told["outcome"], told["barred"]) == ("would_unban", TOMORROW)
    assert (await manager.server.silent("steam")).json().get("until") is None


async def test_a_ban_of_an_old_sub_is_the_ban_of_who_remains(manager: Manager, amber: Resident) -> None:
    birch = await resident(manager.server, "epicgames", "birch")
    await manager.merge(amber, birch)
    told = await ordered(manager, amber, "ban")
    assert told["user"]["sub"] == birch.sub
    for provider, player in (("steam", "amber"), ("epicgames", "birch")):
        answer = await manager.server.silent(provider, manager.server.mint(provider, player))
        assert answer.json()["reason"] == "banned"


@pytest.mark.parametrize("deed", ["ban", "unban", "restrict", "unrestrict"])
async def test_D57_only_players_of_the_project_are_there(manager: Manager, amber: Resident, deed: str) -> None:
    abroad = Player(2**50, "00000000-0000-4000-8000-000000000001", "other", "Amber", 1, 1)
    await manager.server.app.storage.apply([AddPlayer(abroad)])
    answers = [await manager.post(f"/v1/users/{sub}/{deed}") for sub in (STRANGER, abroad.sub, "%00")]
    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(404, "user_not_found")}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("deed", ["ban", "unban", "restrict", "unrestrict"])
async def test_a_server_that_may_not_manage_players_bans_nobody(server: Server, amber: Resident, deed: str) -> None:
    path = f"/v1/users/{amber.sub}/{deed}"
    assert (await server.http.post(path)).status_code == 401
    assert (await server.http.post(path, data={"client_id": "launcher"})).status_code == 401
    assert (await server.http.post(path, headers=amber.bearer)).status_code == 401
    shop = await server.http.post(path, auth=("shop", "shop-secret"))
    assert (shop.status_code, shop.json()["error"]) == (400, "unauthorized_client")
    assert (await server.silent("steam")).status_code == 200


async def test_a_form_orders_the_same(manager: Manager, amber: Resident) -> None:
    sent = {"reason": "wallhacks", "seconds": "86400", "preview": "false"}
    answer = await manager.server.http.post(f"/v1/users/{amber.sub}/ban", data=sent, auth=BACKEND)
    assert answer.json()["barred"] == TOMORROW


async def test_a_servers_ban_is_journalled_and_audited_with_its_name(manager: Manager, amber: Resident) -> None:
    await ordered(manager, amber, "ban", reason="wallhacks")
    (event,) = await manager.server.app.storage.load_events(await amber.row(), 1)
    assert (event.kind, event.actor, event.actor_name, event.client_id) == ("banned", "client", "backend", "backend")
    assert "wallhacks" not in event.reason + event.facts
    (line,) = manager.server.audited("player.banned")
    assert (line["sub"], line["client_id"]) == (amber.sub, "backend")
    assert "request_id" in line
    assert "wallhacks" not in repr(manager.server.events)
