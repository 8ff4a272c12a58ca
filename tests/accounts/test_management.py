"""Servers of the studio look at players, move platform accounts, merge and undo; players undo their own links."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from authsrv.account_models import JournalEvent
from authsrv.models import Player
from authsrv.storage.account_changes import AddBan, BarPlayer, RecordEvent
from authsrv.storage.changes import AddPlayer, SetProfile
from tests.support.browser import Browser
from tests.support.managing import BACKEND, Manager, may_manage
from tests.support.refusals import clients, refused, tables
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import Server, running, running_on
from tests.support.storage import BACKENDS
from tests.support.storage_accounts import ban

NOW, SOON = "2026-09-21T14:13:20Z", "2026-10-05T14:13:20Z"
STRANGER = "00000000-0000-4000-8000-000000000000"
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
    """Came by Steam."""
    return await resident(server)


@pytest.fixture
async def birch(server: Server) -> Resident:
    """Came by Epic Games."""
    return await resident(server, "epicgames", "birch")


def providers(told: dict[str, Any]) -> list[str]:
    return sorted(one["provider"] for one in told["identities"])


# --- looking ---


async def test_a_server_is_told_of_a_player_with_bans_and_never_the_profile(manager: Manager, amber: Resident) -> None:
    row = await amber.row()
    decided = replace(ban(5, player_id=row), project="demo")
    await manager.server.app.storage.apply(
        [AddBan(decided), BarPlayer(row, decided.until, "banned"), SetProfile(row, '{"email":"a@b.example"}')]
    )
    told = (await manager.show(amber.sub)).json()
    assert told == {
        "sub": amber.sub,
        "display_name": "Amber",
        "created_at": NOW,
        "last_login": NOW,
        "guest": False,
        "identities": [
            {"provider": "steam", "kind": "steam", "environment": "", "subject": STEAM, "linked_at": NOW},
        ],
        "segments": {},
        "merged_from": [],
        "bans": [
            {
                "ban": manager.server.app.desk.server.opaque.public_id("ban", 5),
                "kind": "banned",
                "reason": "cheating",
                "decided_by": "operator",
                "created_at": "2027-01-15T08:00:00Z",
                "until": None,
                "lifted_at": None,
            }
        ],
    }


async def test_an_old_sub_shows_the_player_who_remains(manager: Manager, amber: Resident, birch: Resident) -> None:
    await manager.merge(amber, birch)
    told = (await manager.show(amber.sub)).json()
    assert told == (await manager.show(birch.sub)).json()
    assert (told["sub"], told["merged_from"]) == (birch.sub, [amber.sub])


@pytest.mark.parametrize("sub", [STRANGER, "no-sub", "%00"], ids=["unknown", "none at all", "NUL"])
async def test_D57_nobody_else_is_there(manager: Manager, amber: Resident, birch: Resident, sub: str) -> None:
    answers = [
        await manager.show(sub),
        await manager.post(f"/v1/users/{sub}/merge", into=birch.sub),
        await manager.post(f"/v1/users/{amber.sub}/merge", into=sub if sub != "%00" else STRANGER),
        await manager.post(f"/v1/users/{sub}/transfer", to=birch.sub, provider="steam", subject=STEAM),
    ]
    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(404, "user_not_found")}


async def test_D57_players_of_another_project_look_like_nobody(manager: Manager, amber: Resident) -> None:
    abroad = Player(2**50, STRANGER, "other", "Amber", 1, 1)
    await manager.server.app.storage.apply([AddPlayer(abroad)])
    nobody, foreign = await manager.show("00000000-0000-4000-8000-000000000009"), await manager.show(STRANGER)
    assert (foreign.status_code, foreign.content) == (nobody.status_code, nobody.content)
    answer = await manager.post(f"/v1/users/{amber.sub}/merge", into=STRANGER)
    assert answer.status_code == 404


# --- who may ---

PATHS = ["/v1/users/{sub}/merge", "/v1/users/{sub}/transfer", "/v1/events/evt_AAAAAAAAAAAAAAAAAAAAAA/undo"]


@pytest.mark.parametrize("path", [*PATHS, "/v1/users/{sub}"])
@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        (("shop", "shop-secret"), (400, "unauthorized_client")),
        (("backend", "wrong"), (401, "invalid_client")),
        (("launcher", ""), (401, "invalid_client")),
        (None, (401, "invalid_client")),
    ],
    ids=["without leave", "wrong secret", "public", "nobody"],
)
async def test_only_a_server_with_leave_manages_players(
    manager: Manager, amber: Resident, path: str, who: tuple[str, str] | None, refusal: tuple[int, str]
) -> None:
    asked = {"into": amber.sub, "to": amber.sub, "provider": "steam", "subject": STEAM}
    how = "GET" if path.endswith("{sub}") else "POST"
    sent = {} if how == "GET" else {"json": asked}
    address = path.replace("{sub}", amber.sub)
    answer = await manager.server.http.request(how, address, auth=who, **sent)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]) == refusal


async def test_a_public_client_is_no_manager_even_with_leave(amber: Resident) -> None:
    sent = {"client_id": "launcher", "into": amber.sub}
    answer = await amber.server.http.post(f"/v1/users/{amber.sub}/merge", data=sent)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_form_says_the_same_as_json(manager: Manager, amber: Resident, birch: Resident) -> None:
    form = {"into": birch.sub, "preview": "true", "client_id": BACKEND[0], "client_secret": BACKEND[1]}
    answer = await manager.server.http.post(f"/v1/users/{amber.sub}/merge", data=form)
    assert answer.json() == (await manager.merge(amber, birch, preview=True)).json()


@pytest.mark.parametrize(
    ("sent", "parameter"),
    [({}, "into"), ({"into": 5}, "into"), ({"into": "x", "preview": "perhaps"}, "preview"), ({"into": ""}, "into")],
)
async def test_what_cannot_be_read_is_named(
    manager: Manager, amber: Resident, sent: dict[str, object], parameter: str
) -> None:
    answer = await manager.post(f"/v1/users/{amber.sub}/merge", **sent)
    assert (answer.status_code, answer.json()["error"], answer.json()["parameter"]) == (
        400,
        "invalid_request",
        parameter,
    )


# --- merging ---


async def test_two_players_become_one(manager: Manager, amber: Resident, birch: Resident) -> None:
    answer = await manager.merge(amber, birch, reason="ticket 7")
    told = answer.json()
    assert answer.status_code == 200
    assert told["outcome"] == "merged"
    assert (told["user"]["sub"], providers(told["user"])) == (birch.sub, ["epicgames", "steam"])
    assert told["user"]["merged_from"] == [amber.sub]
    assert (told["other"]["sub"], told["other"]["identities"]) == (amber.sub, [])
    assert [one["provider"] for one in told["moved"]] == ["steam"]
    assert told["detached"] == []
    assert told["undo"]["until"] == SOON
    event = await event_of(manager, told["undo"]["event"])
    assert (event.actor, event.actor_name, event.reason) == ("client", "backend", "ticket 7")


async def event_of(manager: Manager, public_id: str) -> JournalEvent:
    row = manager.server.app.desk.server.opaque.row_id("event", public_id)
    assert row is not None
    found = await manager.server.app.storage.load_event(row)
    assert found is not None
    return found


async def test_who_was_merged_signs_in_as_the_one_who_remains(
    manager: Manager, amber: Resident, birch: Resident
) -> None:
    await manager.merge(amber, birch)
    assert (await resident(manager.server)).sub == birch.sub


async def test_a_duplicate_is_dropped_by_leave_alone(manager: Manager, amber: Resident) -> None:
    cedar = await resident(manager.server, "steam", "cedar")
    refused = await manager.merge(amber, cedar)
    assert (refused.status_code, refused.json()["error"]) == (409, "account_conflict")
    assert (refused.json()["reason"], refused.json()["providers"]) == ("duplicate_identity", ["steam"])
    told = (await manager.merge(amber, cedar, drop_duplicates=True)).json()
    assert [one["subject"] for one in told["detached"]] == [STEAM]
    assert (await resident(manager.server)).sub not in {amber.sub, cedar.sub}


async def test_a_merge_that_was_done_is_nothing_to_do(manager: Manager, amber: Resident, birch: Resident) -> None:
    await manager.merge(amber, birch)
    again = await manager.merge(amber, birch)
    assert again.json() == {"outcome": "unchanged", "user": (await manager.show(birch.sub)).json()}


async def test_who_was_merged_before_is_merged_into_nobody_else(
    manager: Manager, amber: Resident, birch: Resident
) -> None:
    cedar = await resident(manager.server, "steam", "cedar")
    await manager.merge(amber, birch)
    for answer in (await manager.merge(amber, cedar), await manager.merge(birch, amber)):
        told = answer.json()
        assert (answer.status_code, told["reason"], told["sub"]) == (409, "merged", birch.sub)


async def test_the_survivor_may_be_named_by_an_old_sub(manager: Manager, amber: Resident, birch: Resident) -> None:
    ghost = await resident(manager.server, "guest")
    await manager.merge(amber, birch)
    told = (await manager.merge(ghost, amber)).json()
    assert told["user"]["sub"] == birch.sub
    assert set(told["user"]["merged_from"]) == {amber.sub, ghost.sub}


async def test_nobody_is_merged_into_themselves(manager: Manager, amber: Resident) -> None:
    answer = await manager.merge(amber, amber)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "into")


@pytest.mark.parametrize("banned", ["loser", "survivor"])
async def test_a_server_does_not_merge_who_is_banned(
    manager: Manager, amber: Resident, birch: Resident, banned: str
) -> None:
    row = await (amber if banned == "loser" else birch).row()
    await manager.server.app.storage.apply([BarPlayer(row, int(manager.server.clock()) + 60, "banned")])
    answer = await manager.merge(amber, birch)
    assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (403, "access_denied", "banned")


# --- transfers ---


async def test_a_platform_account_goes_to_another_player(manager: Manager, amber: Resident, birch: Resident) -> None:
    told = (await manager.transfer(amber, birch, "steam", STEAM)).json()
    assert told["outcome"] == "transferred"
    assert providers(told["user"]) == ["epicgames", "steam"]
    assert (told["other"]["sub"], told["other"]["identities"]) == (amber.sub, [])
    assert [one["subject"] for one in told["moved"]] == [STEAM]
    assert (await resident(manager.server)).sub == birch.sub
    assert (await amber.server.userinfo(amber.tokens["access_token"])).status_code == 401


@pytest.mark.parametrize(("provider", "subject"), [("steam", "76561202255239999"), ("xbox", STEAM)])
async def test_what_a_player_does_not_have_is_not_given(
    manager: Manager, amber: Resident, birch: Resident, provider: str, subject: str
) -> None:
    answer = await manager.transfer(amber, birch, provider, subject)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_linked")


async def test_nobody_gets_more_of_a_platform_than_the_project_allows(manager: Manager, amber: Resident) -> None:
    cedar = await resident(manager.server, "steam", "cedar")
    answer = await manager.transfer(amber, cedar, "steam", STEAM)
    assert (answer.status_code, answer.json()["error"]) == (409, "link_limit")


# --- undoing ---


async def test_a_merge_is_undone_by_its_event(manager: Manager, amber: Resident, birch: Resident) -> None:
    before = [(await manager.show(one.sub)).json() for one in (amber, birch)]
    event = (await manager.merge(amber, birch)).json()["undo"]["event"]
    told = (await manager.undo(event)).json()
    assert (told["outcome"], told["undid"]) == ("undone", "merged")
    assert [told["user"], told["other"]] == before
    assert [(await manager.show(one.sub)).json() for one in (amber, birch)] == before
    assert (await resident(manager.server)).sub == amber.sub


async def test_an_undone_transfer_gives_a_ghost_its_way_in_back(
    manager: Manager, amber: Resident, birch: Resident
) -> None:
    event = (await manager.transfer(amber, birch, "steam", STEAM)).json()["undo"]["event"]
    assert (await manager.undo(event)).status_code == 200
    assert (await resident(manager.server)).sub == amber.sub


async def test_later_changes_are_named_by_their_public_ids(manager: Manager, amber: Resident, birch: Resident) -> None:
    cedar = await resident(manager.server, "guest")
    first = (await manager.merge(amber, birch)).json()["undo"]["event"]
    second = (await manager.merge(birch, cedar)).json()["undo"]["event"]
    refused = await manager.undo(first)
    assert (refused.status_code, refused.json()["error"]) == (409, "later_changes")
    assert refused.json()["events"] == [second]
    assert (await manager.undo(second)).status_code == 200
    assert (await manager.undo(first)).status_code == 200


@pytest.mark.parametrize("event", ["AAAAAAAAAAAAAAAAAAAAAA", "none", "x" * 300])
async def test_an_event_that_is_none_of_the_projects_is_not_there(
    manager: Manager, amber: Resident, event: str
) -> None:
    answers = [await manager.undo(event), await amber.post(f"/v1/events/{event}/undo")]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(404, "not_found")] * 2


async def test_an_event_of_another_project_is_not_there(manager: Manager, amber: Resident, birch: Resident) -> None:
    event = (await manager.merge(amber, birch)).json()["undo"]["event"]
    found = await event_of(manager, event)
    foreign = replace(found, id=found.id + 2**20, project="other")
    await manager.server.app.storage.apply([RecordEvent(foreign)])
    named = manager.server.app.desk.server.opaque.public_id("event", foreign.id)
    assert (await manager.undo(named)).status_code == 404


# --- players ---


async def unlinked(amber: Resident) -> str:
    """Amber had Epic Games too, and unlinked it; the event."""
    await amber.has(identity("epicgames"))
    sent = {"provider": "epicgames", "subject": identity("epicgames").subject}
    told = (await amber.post("/v1/me/identities/unlink", sent)).json()
    event: str = told["undo"]["event"]
    return event


async def test_a_player_takes_an_unlink_of_their_own_back(amber: Resident) -> None:
    event = await unlinked(amber)
    answer = await amber.post(f"/v1/events/{event}/undo")
    assert (answer.status_code, answer.json()["undid"]) == (200, "unlinked")
    assert providers(answer.json()["user"]) == ["epicgames", "steam"]
    again = await amber.post(f"/v1/events/{answer.json()['undo']['event']}/undo")
    assert providers(again.json()["user"]) == ["steam"]


async def test_a_player_needs_no_body_to_undo(amber: Resident) -> None:
    event = await unlinked(amber)
    answer = await amber.server.http.post(f"/v1/events/{event}/undo", headers=amber.bearer)
    assert answer.status_code == 200


async def test_D46_an_undo_needs_a_recent_sign_in(amber: Resident) -> None:
    event = await unlinked(amber)
    amber.server.clock.now += 601
    answer = await amber.post(f"/v1/events/{event}/undo")
    assert (answer.status_code, answer.json()["error"]) == (403, "reauthentication_required")


async def test_a_player_undoes_nothing_that_others_did_or_that_concerns_two(
    manager: Manager, amber: Resident, birch: Resident
) -> None:
    event = (await manager.merge(amber, birch)).json()["undo"]["event"]
    answer = await birch.post(f"/v1/events/{event}/undo")
    assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (
        403,
        "access_denied",
        "support_only",
    )


async def test_what_support_took_from_a_player_the_player_does_not_take_back(manager: Manager, amber: Resident) -> None:
    event = await unlinked(amber)
    found = await event_of(manager, event)
    by_support = replace(found, id=found.id + 2**20, actor="client")
    await manager.server.app.storage.apply([RecordEvent(by_support)])
    named = manager.server.app.desk.server.opaque.public_id("event", by_support.id)
    answer = await amber.post(f"/v1/events/{named}/undo")
    assert (answer.status_code, answer.json()["reason"]) == (403, "support_only")
    assert (await manager.undo(named)).status_code == 200


async def test_D57_another_players_event_is_not_there(amber: Resident, birch: Resident) -> None:
    event = await unlinked(amber)
    answer = await birch.post(f"/v1/events/{event}/undo")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_a_token_without_the_scope_undoes_nothing(server: Server, amber: Resident) -> None:
    event = await unlinked(amber)
    narrow = await resident(server, scope="openid offline")
    answer = await narrow.post(f"/v1/events/{event}/undo")
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


# --- looking before leaping ---


async def everything(server: Server) -> object:
    """All rows, as far as a test can compare them."""
    storage = server.app.storage
    if hasattr(storage, "_tables"):
        return tables(server).copy()
    return server.everything()


async def test_a_preview_tells_what_would_be_and_changes_nothing(
    manager: Manager, amber: Resident, birch: Resident
) -> None:
    event = await unlinked(amber)
    before = await everything(manager.server)
    merging = (await manager.merge(amber, birch, preview=True)).json()
    giving = (await manager.transfer(amber, birch, "steam", STEAM, preview=True)).json()
    undoing = (await amber.post(f"/v1/events/{event}/undo", {"preview": True})).json()
    assert [told["outcome"] for told in (merging, giving, undoing)] == ["would_merge", "would_transfer", "would_undo"]
    assert [one["provider"] for one in merging["moved"]] == ["steam"]
    assert merging["undo"] is giving["undo"] is undoing["undo"] is None
    assert providers(merging["user"]) == ["epicgames"]
    assert await everything(manager.server) == before


async def test_a_preview_of_what_cannot_be_says_what_is_in_the_way(manager: Manager, amber: Resident) -> None:
    cedar = await resident(manager.server, "steam", "cedar")
    merging = await manager.merge(amber, cedar, preview=True)
    giving = await manager.transfer(amber, cedar, "steam", STEAM, preview=True)
    assert (merging.status_code, merging.json()["outcome"], merging.json()["reason"]) == (
        200,
        "blocked",
        "duplicate_identity",
    )
    assert (giving.json()["outcome"], giving.json()["error"]) == ("blocked", "link_limit")


# --- what is left behind ---


async def test_each_is_in_the_journal_and_in_the_audit_trail(
    manager: Manager, amber: Resident, birch: Resident
) -> None:
    event = (await manager.transfer(amber, birch, "steam", STEAM)).json()["undo"]["event"]
    await manager.undo(event)
    await manager.merge(amber, birch)
    audited = [
        {name: one[name] for name in ("event", "client_id", "sub", "other_sub")}
        for one in manager.server.events
        if one["logger"] == "authsrv.audit" and "other_sub" in one
    ]
    assert audited == [
        {"event": "player.transferred", "client_id": "backend", "sub": birch.sub, "other_sub": amber.sub},
        {"event": "player.undone", "client_id": "backend", "sub": amber.sub, "other_sub": birch.sub},
        {"event": "player.merged", "client_id": "backend", "sub": birch.sub, "other_sub": amber.sub},
    ]
    if hasattr(manager.server.app.storage, "_tables"):
        assert kinds(manager.server) == ["transferred", "undone", "merged"]


async def test_no_platform_id_is_in_the_log(manager: Manager, amber: Resident, birch: Resident) -> None:
    await manager.transfer(amber, birch, "steam", STEAM)
    assert STEAM not in str(manager.server.events)


async def test_who_was_merged_is_signed_in_in_no_browser_and_the_clients_are_told() -> None:
    def edit(block: dict[str, Any]) -> None:
        may_manage(block)
        clients(block)["shop"]["backchannel_logout_uri"] = "https://shop.example/backchannel"

    async with running(edit=edit) as server:
        browser = Browser(server)
        loser, survivor = Resident(server, await browser.tokens()), await resident(server, "epicgames", "birch")
        await Manager(server).merge(loser, survivor)
        await server.app.notices.round()
        (notice,) = server.notified.got
        assert server.claims(notice[1]["logout_token"])["sub"] == loser.sub
        assert refused(await browser.get("/oauth2/authorize", **{**browser.request, "prompt": "none"})) == (
            "login_required"
        )
