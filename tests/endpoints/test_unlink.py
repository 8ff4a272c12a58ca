"""Unlinking over HTTP: what goes, what ends with it, and what is told."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from authsrv.account_models import Ban
from authsrv.models import NEVER, IdentityKey
from authsrv.storage.account_changes import AddBan, MarkIdentity, MergePlayers
from authsrv.storage.changes import LinkIdentity
from tests.support.browser import Browser
from tests.support.ending import is_active, with_everybody
from tests.support.refusals import clients, demo, tables, token_error
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import Server, running

NOW, LATER = "2026-09-21T14:13:20Z", "2026-10-05T14:13:20Z"
STEAM, EPIC = identity("steam"), identity("epicgames")
EOS = IdentityKey("demo", "eos_puid", "prod", EPIC.subject)

Unlink = Callable[[Resident, Mapping[str, str]], Any]


def edited(block: dict[str, Any]) -> None:
    with_everybody(block)
    shop = clients(block)["shop"]
    shop |= {"scopes": [*shop["scopes"], "account"], "backchannel_logout_uri": "https://shop.example/logout"}


@asynccontextmanager
async def served(**rules: object) -> AsyncIterator[Server]:
    """A server whose project has these rules for accounts."""

    def edit(block: dict[str, Any]) -> None:
        edited(block)
        demo(block)["accounts"] = rules

    async with running(edit=edit) as started:
        yield started


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with served() as started:
        yield started


@pytest.fixture
async def amber(server: Server) -> Resident:
    """Signed in by Steam, with an Epic account besides."""
    found = await resident(server)
    await found.has(EPIC)
    return found


async def unlink(of: Resident, key: IdentityKey, **more: str) -> httpx.Response:
    provider = {"epic": "epicgames", "eos_puid": "epicgames"}.get(key.kind, key.kind)
    return await of.delete(f"/v1/me/identities/{provider}/{key.subject}", **more)


# --- what is told ---


async def test_an_unlink_tells_what_went_what_is_left_and_how_to_take_it_back(amber: Resident) -> None:
    answer = await unlink(amber, EPIC)
    assert answer.status_code == 200
    told = answer.json()
    assert told["outcome"] == "unlinked"
    assert told["identity"] == {
        "provider": "epicgames",
        "kind": "epic",
        "environment": "",
        "subject": EPIC.subject,
        "linked_at": NOW,
    }
    assert [one["provider"] for one in told["user"]["identities"]] == ["steam"]
    assert told["user"] == (await amber.get("/v1/me")).json()
    assert told["undo"]["until"] == LATER
    assert await amber.keys() == {STEAM}


async def test_an_unlink_is_in_the_journal_with_who_did_it(amber: Resident) -> None:
    told = (await unlink(amber, EPIC)).json()
    newest = (await amber.get("/v1/me/timeline")).json()["events"][0]
    assert (newest["kind"], newest["identity"]["subject"], newest["client"]) == (
        "unlinked",
        EPIC.subject,
        "Demo launcher",
    )
    assert newest["undo"] == told["undo"]
    (event,) = [event for event in tables(amber.server).events.values() if event.kind == "unlinked"]
    assert (event.player_id, event.actor, event.address, event.identity) == (
        await amber.row(),
        "player",
        "127.0.0.0/24",
        EPIC,
    )
    (audited,) = amber.server.audited("identity.unlinked")
    assert (audited["sub"], audited["platform"], audited["client_id"]) == (amber.sub, "epicgames", "launcher")


async def test_where_nothing_can_be_undone_no_way_back_is_told() -> None:
    async with served(undo_window=0) as server:
        amber = await resident(server)
        await amber.has(EPIC)
        assert (await unlink(amber, EPIC)).json()["undo"] is None


@pytest.mark.parametrize("more", [{}, {"kind": "epic"}, {"environment": ""}, {"kind": "epic", "environment": ""}])
async def test_a_body_says_the_same_as_an_address(amber: Resident, more: dict[str, str]) -> None:
    answer = await amber.post("/v1/me/identities/unlink", {"provider": "epicgames", "subject": EPIC.subject, **more})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "unlinked")
    assert await amber.keys() == {STEAM}


# --- which one is meant ---


async def test_of_two_that_look_alike_the_one_of_the_kind_goes(amber: Resident) -> None:
    await amber.has(EOS)
    doubtful = await unlink(amber, EPIC)
    assert (doubtful.status_code, doubtful.json()["error"]) == (400, "invalid_request")
    assert (await unlink(amber, EOS, kind="eos_puid")).status_code == 200
    assert await amber.keys() == {STEAM, EPIC}


async def test_of_two_that_look_alike_the_one_of_the_environment_goes(amber: Resident) -> None:
    dev, retail = (IdentityKey("demo", "xbox", sandbox, "A11CE1") for sandbox in ("dev", "retail"))
    await amber.has(dev, retail)
    assert (await unlink(amber, dev)).status_code == 400
    assert (await unlink(amber, dev, environment="dev")).status_code == 200
    assert await amber.keys() == {STEAM, EPIC, retail}


NOT_LINKED = [
    pytest.param("epicgames", "nobodys", {}, id="another subject"),
    pytest.param("steam", EPIC.subject, {}, id="another platform"),
    pytest.param("discord", EPIC.subject, {}, id="no platform"),
    pytest.param("epicgames", EPIC.subject, {"kind": "eos_puid"}, id="another kind"),
    pytest.param("epicgames", EPIC.subject, {"environment": "prod"}, id="another environment"),
]


@pytest.mark.parametrize(("provider", "subject", "more"), NOT_LINKED)
async def test_what_the_player_does_not_have_is_not_linked(
    amber: Resident, provider: str, subject: str, more: dict[str, str]
) -> None:
    answer = await amber.delete(f"/v1/me/identities/{provider}/{subject}", **more)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_linked")


async def test_what_another_player_has_is_not_linked(amber: Resident) -> None:
    birch = await resident(amber.server, "epicgames", "birch")
    answer = await unlink(amber, identity("epicgames", "birch"))
    nobodys = await unlink(amber, IdentityKey("demo", "epic", "", "f" * 32))
    assert (answer.status_code, answer.json()) == (404, nobodys.json())
    assert await birch.keys() == {identity("epicgames", "birch")}


BAD_BODIES = [
    pytest.param({}, "provider", id="nothing"),
    pytest.param({"provider": "steam"}, "subject", id="no subject"),
    pytest.param({"provider": "", "subject": "1"}, "provider", id="empty"),
    pytest.param({"provider": "steam", "subject": 7656}, "subject", id="a number"),
    pytest.param({"provider": "steam", "subject": "1", "preview": "true"}, "preview", id="a text for a flag"),
    pytest.param({"provider": "steam", "subject": "1", "kind": None}, "kind", id="null"),
]


@pytest.mark.parametrize(("body", "parameter"), BAD_BODIES)
async def test_a_body_that_cannot_be_read_says_where(amber: Resident, body: object, parameter: str) -> None:
    answer = await amber.post("/v1/me/identities/unlink", body)
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


async def test_the_id_in_an_address_is_not_logged(amber: Resident) -> None:
    await unlink(amber, EPIC)
    await amber.delete(f"/v1/me/identities/epicgames/{EPIC.subject}/")
    assert EPIC.subject not in str(amber.server.events)
    assert amber.server.events[-1]["path"] == "/v1/me/identities/epicgames/*/"


# --- previews ---


async def test_a_preview_tells_what_would_be_and_changes_nothing(amber: Resident) -> None:
    before = tables(amber.server).copy()
    told = (await unlink(amber, EPIC, preview="true")).json()
    assert tables(amber.server).copy() == before
    assert told.keys() == {"outcome", "identity", "user"}
    assert told["outcome"] == "would_unlink"
    done = (await unlink(amber, EPIC)).json()
    assert (told["identity"], told["user"]) == (done["identity"], done["user"])


async def test_a_preview_tells_what_would_be_refused(server: Server) -> None:
    amber = await resident(server)
    last = (await unlink(amber, STEAM, preview="true")).json()
    foreign = (await unlink(amber, EPIC, preview="true")).json()
    assert (last["outcome"], last["error"]) == ("blocked", "last_identity")
    assert (foreign["outcome"], foreign["error"]) == ("blocked", "not_linked")


# --- the last way in ---


async def refused_as_last(of: Resident, key: IdentityKey) -> None:
    before = await of.keys()
    answer = await unlink(of, key)
    assert (answer.status_code, answer.json()["error"]) == (409, "last_identity")
    assert await of.keys() == before


async def test_an_account_of_a_platform_that_the_project_gave_up_is_no_way_in() -> None:
    def edit(block: dict[str, Any]) -> None:
        del demo(block)["platforms"]["epicgames"]

    async with running(edit=edit) as server:
        amber = await resident(server)
        await amber.has(EPIC)
        await refused_as_last(amber, STEAM)
        assert (await unlink(amber, EPIC)).status_code == 200


async def test_an_account_that_is_banned_itself_is_no_way_in(amber: Resident) -> None:
    marks = amber.server.app.desk.server.proofs.logins.marks
    ban = Ban(2**50, "demo", 0, "banned", "", "operator", 1_790_000_000, NEVER)
    await amber.server.app.storage.apply([AddBan(ban), MarkIdentity(marks.of(EPIC), ban.id)])
    await refused_as_last(amber, STEAM)
    assert (await unlink(amber, EPIC)).status_code == 200


async def test_an_account_that_is_banned_with_a_merged_part_of_the_player_is_a_way_in(amber: Resident) -> None:
    part = await (await resident(amber.server, "steam", "birch")).row()
    marks = amber.server.app.desk.server.proofs.logins.marks
    ban = Ban(2**50, "demo", part, "banned", "", "operator", 1_790_000_000, NEVER)
    merged = MergePlayers(part, await amber.row())
    await amber.server.app.storage.apply([merged, AddBan(ban), MarkIdentity(marks.of(EPIC), ban.id)])
    assert (await unlink(amber, STEAM)).status_code == 200


@pytest.mark.parametrize("may_stay", [False, True])
async def test_a_device_counts_where_players_may_stay_guests(*, may_stay: bool) -> None:
    async with served(guests_may_stay=may_stay) as server:
        guest = await resident(server, "guest")
        await guest.has(STEAM)
        answer = await unlink(guest, STEAM)
        assert answer.status_code == (200 if may_stay else 409)


async def test_a_device_goes_while_a_platform_is_left(server: Server) -> None:
    guest = await resident(server, "guest")
    (device,) = await guest.keys()
    await guest.has(STEAM)
    assert (await unlink(guest, device)).status_code == 200
    assert await guest.keys() == {STEAM}


async def test_a_guest_keeps_the_device(server: Server) -> None:
    guest = await resident(server, "guest")
    (device,) = await guest.keys()
    await refused_as_last(guest, device)


# --- what ends with it ---


async def both(server: Server) -> tuple[Resident, Resident]:
    """The same player, signed in by Steam and by Epic."""
    steam = await resident(server)
    await steam.has(EPIC)
    return steam, await resident(server, "epicgames")


async def alive(of: Resident) -> bool:
    """Whether its tokens are good; the access token and the refresh token must agree."""
    active = await is_active(of.server, of.tokens["access_token"])
    refreshed = await of.server.refresh(of.tokens["refresh_token"])
    assert active == (refreshed.status_code == 200), refreshed.text
    return active


async def test_tokens_by_the_account_end_and_others_stay(server: Server) -> None:
    steam, epic = await both(server)
    assert (await unlink(steam, EPIC)).status_code == 200
    assert (await alive(steam), await alive(epic)) == (True, False)


async def test_who_unlinks_what_they_signed_in_by_is_signed_out(server: Server) -> None:
    steam, epic = await both(server)
    assert (await unlink(epic, EPIC)).status_code == 200
    assert (await alive(steam), await alive(epic)) == (True, False)
    assert (await epic.get("/v1/me")).status_code == 401


async def test_a_code_that_waits_dies_with_the_account(server: Server) -> None:
    steam, _ = await both(server)
    code = await server.code("epicgames")
    await unlink(steam, EPIC)
    assert token_error(await server.redeem(code)) == "invalid_grant"


async def test_what_was_given_before_a_merge_ends_too(server: Server) -> None:
    steam, epic = await resident(server), await resident(server, "epicgames")
    storage, row = server.app.storage, await steam.row()
    await storage.apply([MergePlayers(await epic.row(), row)])
    tables(server).identities.pop(EPIC)
    await storage.apply([LinkIdentity(EPIC, row, 1_790_000_000)])
    assert await alive(epic)
    await unlink(steam, EPIC)
    assert not await alive(Resident(server, epic.tokens))


async def test_what_ends_with_everything_ends_for_who_was_merged_too() -> None:
    async with served(unlink_ends="all") as server:
        steam, birch = await resident(server), await resident(server, "steam", "birch")
        await steam.has(EPIC)
        browser = Browser(server)
        await browser.tokens("steam", "birch")
        await server.app.storage.apply([MergePlayers(await birch.row(), await steam.row())])
        assert (await unlink(steam, EPIC)).status_code == 200
        assert not await alive(birch)
        assert not await signed_in(browser)


@pytest.mark.parametrize(
    ("policy", "tokens_by_steam", "session_by_epic", "session_by_steam"),
    [("none", True, True, True), ("identity", True, False, True), ("all", False, False, False)],
)
async def test_the_project_says_which_sign_ins_end(
    policy: str, *, tokens_by_steam: bool, session_by_epic: bool, session_by_steam: bool
) -> None:
    async with served(unlink_ends=policy) as server:
        steam, epic = await both(server)
        with_epic, with_steam = Browser(server), Browser(server)
        await with_epic.tokens("epicgames")
        await with_steam.tokens("steam")
        assert (await unlink(steam, EPIC)).status_code == 200
        assert await alive(steam) is tokens_by_steam
        assert not await alive(epic)
        assert await signed_in(with_epic) is session_by_epic
        assert await signed_in(with_steam) is session_by_steam


async def signed_in(browser: Browser) -> bool:
    return "code" in (await browser.authorize(prompt="none")).answer


async def test_clients_are_told_of_the_sessions_that_end(server: Server) -> None:
    steam, _ = await both(server)
    await Browser(server).tokens("epicgames")
    await unlink(steam, EPIC)
    await server.app.notices.round()
    assert [url for url, _ in server.notified.got] == ["https://shop.example/logout"]


# --- who may ---


async def test_an_old_sign_in_unlinks_nothing(amber: Resident) -> None:
    amber.server.clock.now += 601
    for answer in (await unlink(amber, EPIC), await unlink(amber, EPIC, preview="true")):
        assert (answer.status_code, answer.json()["error"]) == (403, "reauthentication_required")
    assert await amber.keys() == {STEAM, EPIC}
    assert kinds(amber.server) == []


async def test_a_new_sign_in_unlinks(amber: Resident) -> None:
    amber.server.clock.now += 601
    assert (await unlink(await resident(amber.server), EPIC)).status_code == 200


@pytest.mark.parametrize("bearer", [None, "Bearer x", "Basic eDp5"])
async def test_nobody_unlinks_without_a_token(amber: Resident, bearer: str | None) -> None:
    answer = await amber.server.http.delete(
        f"/v1/me/identities/epicgames/{EPIC.subject}", headers={"authorization": bearer} if bearer else {}
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert await amber.keys() == {STEAM, EPIC}


async def test_a_token_without_the_scope_unlinks_nothing(amber: Resident) -> None:
    answer = await unlink(await resident(amber.server, scope="openid offline"), EPIC)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
