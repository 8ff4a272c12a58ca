"""A player's own account over HTTP: who they are, their platform accounts, and what was done to it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from authsrv.account_models import JournalEvent
from authsrv.models import TOKEN_EXCHANGE, IdentityKey
from authsrv.storage.account_changes import MergePlayers, RecordEvent, SetSegments
from authsrv.storage.changes import SetProfile
from tests.support.exchange import ACCESS_TOKEN
from tests.support.refusals import demo, tables
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, running

PAGES = ["/v1/me", "/v1/me/identities", "/v1/me/timeline", "/v1/me/export"]
NOW = "2026-09-21T14:13:20Z"
LATER = 2**61
"""A row that comes after all others."""


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
async def amber(server: Server) -> Resident:
    return await resident(server)


async def test_a_player_is_told_who_they_are(amber: Resident) -> None:
    answer = await amber.get("/v1/me")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "sub": amber.sub,
        "display_name": "Amber",
        "created_at": NOW,
        "last_login": NOW,
        "guest": False,
        "identities": [
            {
                "provider": "steam",
                "kind": "steam",
                "environment": "",
                "subject": "76561202255232001",
                "linked_at": NOW,
            }
        ],
        "segments": {},
        "merged_from": [],
    }


async def test_a_player_is_told_segments_and_what_was_merged_and_never_the_profile(amber: Resident) -> None:
    storage, row = amber.server.app.storage, await amber.row()
    birch = await resident(amber.server, "steam", "birch")
    merged = MergePlayers(await birch.row(), row)
    await storage.apply([SetSegments(row, '{"tier":"beta"}'), SetProfile(row, '{"email":"a@b.example"}'), merged])
    told = (await amber.get("/v1/me")).json()
    assert (told["segments"], told["merged_from"]) == ({"tier": "beta"}, [birch.sub])
    assert "a@b.example" not in str(told)


async def test_a_token_of_a_merged_player_shows_the_account_that_is_left(amber: Resident) -> None:
    birch = await resident(amber.server, "steam", "birch")
    await amber.server.app.storage.apply([MergePlayers(await birch.row(), await amber.row())])
    assert (await birch.get("/v1/me")).json() == (await amber.get("/v1/me")).json()


@pytest.mark.parametrize(("others", "is_guest"), [((), True), (("steam",), False)], ids=["alone", "with Steam"])
async def test_a_player_with_nothing_but_a_device_is_a_guest(
    server: Server, others: tuple[str, ...], is_guest: bool
) -> None:
    guest = await resident(server, "guest")
    await guest.has(*(identity(provider) for provider in others))
    assert (await guest.get("/v1/me")).json()["guest"] is is_guest


async def test_the_platform_accounts_are_listed_longest_linked_first(amber: Resident) -> None:
    amber.server.clock.now += 60
    await amber.has(identity("epicgames"), IdentityKey("demo", "eos_puid", "prod", "0002a11ce00000000000000000000001"))
    listed = (await amber.get("/v1/me/identities")).json()["identities"]
    assert [(one["provider"], one["kind"], one["environment"], one["may_unlink"]) for one in listed] == [
        ("steam", "steam", "", True),
        ("epicgames", "eos_puid", "prod", True),
        ("epicgames", "epic", "", True),
    ]
    assert listed[0]["last_used_at"] == NOW
    assert listed[1]["linked_at"] == "2026-09-21T14:14:20Z"


async def test_a_kind_that_no_platform_vouches_for_any_more_is_listed_by_its_own_name(amber: Resident) -> None:
    await amber.has(IdentityKey("demo", "xuid", "", "2814600000000001"))
    listed = (await amber.get("/v1/me/identities")).json()["identities"]
    assert [one["provider"] for one in listed] == ["steam", "xuid"]


async def test_the_only_way_in_may_not_be_unlinked(amber: Resident) -> None:
    (only,) = (await amber.get("/v1/me/identities")).json()["identities"]
    assert only["may_unlink"] is False


# --- who may look ---


@pytest.mark.parametrize("path", PAGES)
async def test_nobody_is_told_anything_without_a_token(server: Server, path: str) -> None:
    answer = await server.http.get(path)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer realm="authsrv"'


@pytest.mark.parametrize("path", PAGES)
async def test_a_token_without_the_scope_tells_nothing(server: Server, path: str) -> None:
    answer = await (await resident(server, scope="openid offline")).get(path)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == 'Bearer realm="authsrv", error="insufficient_scope"'


@pytest.mark.parametrize("path", PAGES)
async def test_a_token_that_was_made_of_another_tells_nothing(amber: Resident, path: str) -> None:
    asked = {"subject_token": amber.tokens["access_token"], "subject_token_type": ACCESS_TOKEN}
    answer = await amber.server.token(grant_type=TOKEN_EXCHANGE, client_id="launcher", scope="account", **asked)
    exchanged = Resident(amber.server, answer.json())
    assert exchanged.tokens["scope"] == "account"
    assert (await exchanged.get(path)).status_code == 403


async def test_a_token_of_a_server_tells_nothing(server: Server) -> None:
    answer = await server.token(grant_type="client_credentials", client_id="backend", client_secret="backend-secret")
    told = await Resident(server, answer.json()).get("/v1/me")
    assert (told.status_code, told.json()["error"]) == (403, "insufficient_scope")


# --- the timeline ---


def event(number: int, row: int, **fields: object) -> JournalEvent:
    made = JournalEvent(number, "demo", "linked", 1_790_000_000, row, client_id="launcher", actor="player")
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of JournalEvent by name


async def journal(amber: Resident, *events: JournalEvent) -> None:
    await amber.server.app.storage.apply([RecordEvent(one) for one in events])


async def timeline(amber: Resident, **query: str) -> httpx.Response:
    return await amber.get("/v1/me/timeline", **query)


async def test_what_was_done_is_told_newest_first_in_public_form(amber: Resident) -> None:
    row, until = await amber.row(), 1_790_000_600
    linked = event(
        LATER, row, identity=identity("epicgames"), reversible_until=until, address="203.0.113.0", facts="{}"
    )
    banned = event(LATER + 1, row, kind="banned", actor="admin", actor_name="operator", reason="cheats", client_id="")
    await journal(amber, linked, banned)
    first, second, third = (await timeline(amber)).json()["events"]
    assert first == {
        "event": first["event"],
        "kind": "banned",
        "at": NOW,
        "identity": None,
        "client": "",
        "actor": "admin",
        "undo": None,
    }
    assert second == {
        "event": second["event"],
        "kind": "linked",
        "at": NOW,
        "identity": {
            "provider": "epicgames",
            "kind": "epic",
            "environment": "",
            "subject": "a11ce0000000000000000000000000a1",
        },
        "client": "Demo launcher",
        "actor": "player",
        "undo": {"event": second["event"], "until": "2026-09-21T14:23:20Z"},
    }
    assert third["kind"] == "created"


NOT_UNDONE = [
    pytest.param({"reversible_until": 1_790_000_000}, id="too late"),
    pytest.param({"reversible_until": 1_790_000_600, "reversed_by": 7}, id="undone before"),
    pytest.param({"reversible_until": 1_790_000_600, "kind": "merged"}, id="for others to undo"),
]


@pytest.mark.parametrize("fields", NOT_UNDONE)
async def test_no_way_back_is_told_where_there_is_none(amber: Resident, fields: dict[str, object]) -> None:
    await journal(amber, event(LATER, await amber.row(), **fields))
    assert (await timeline(amber)).json()["events"][0]["undo"] is None


async def test_who_lost_a_platform_account_is_told_so_and_not_to_whom(amber: Resident) -> None:
    birch = await resident(amber.server, "steam", "birch")
    moved = event(LATER, await birch.row(), kind="transferred", other_id=await amber.row(), reversible_until=2**40)
    await journal(amber, moved)
    lost, gained = [(await timeline(one)).json()["events"][0] for one in (amber, birch)]
    assert [(one["kind"], one["gained"]) for one in (lost, gained)] == [("transferred", False), ("transferred", True)]
    assert birch.sub not in str(lost)


async def test_a_restriction_is_not_told(amber: Resident) -> None:
    await journal(amber, event(LATER, await amber.row(), kind="restricted"))
    assert [one["kind"] for one in (await timeline(amber)).json()["events"]] == ["created"]


async def test_the_timeline_comes_in_pages(amber: Resident) -> None:
    row = await amber.row()
    await journal(amber, *(event(LATER + number, row) for number in range(5)))
    found, cursor = [], ""
    for _ in range(3):
        page = (await timeline(amber, limit="2", **({"cursor": cursor} if cursor else {}))).json()
        found += [one["event"] for one in page["events"]]
        cursor = page["next"]
    assert len(set(found)) == 6
    assert (await timeline(amber, limit="2", cursor=cursor)).json() == {"events": [], "next": None}


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1000000", "ten", "1.5", "٣"])
async def test_a_page_has_one_to_a_hundred_events(amber: Resident, limit: str) -> None:
    answer = await timeline(amber, limit=limit)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "limit")


@pytest.mark.parametrize("cursor", ["1", "0 OR 1=1", "A" * 22, "%00", "7" * 400, "MQ=="])
async def test_G04_forged_cursors(amber: Resident, cursor: str) -> None:
    before = tables(amber.server).copy()
    answer = await timeline(amber, cursor=cursor)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert tables(amber.server).copy() == before


async def test_G04_a_cursor_of_another_kind_of_row(amber: Resident) -> None:
    gid = amber.server.claims(amber.tokens["access_token"])["gid"]
    assert (await timeline(amber, cursor=gid)).status_code == 400


async def test_G04_the_cursor_of_another_player_shows_nothing_of_theirs(amber: Resident) -> None:
    birch = await resident(amber.server, "steam", "birch")
    theirs = (await timeline(birch)).json()["events"][0]["event"]
    mine = {one["event"] for one in (await timeline(amber)).json()["events"]}
    assert {one["event"] for one in (await timeline(amber, cursor=theirs)).json()["events"]} <= mine


async def test_a_platform_that_the_project_gave_up_is_still_named() -> None:
    async with running(edit=without_epic) as server:
        amber = await resident(server)
        await amber.has(identity("epicgames"))
        listed = (await amber.get("/v1/me/identities")).json()["identities"]
    assert {one["provider"]: one["may_unlink"] for one in listed} == {"steam": False, "epicgames": True}


def without_epic(block: dict[str, Any]) -> None:
    del demo(block)["platforms"]["epicgames"]
