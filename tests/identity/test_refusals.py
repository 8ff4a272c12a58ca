"""Who is kept out of connecting, and what is told of other players: rows of group D, limits, cool-downs and bans."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from authsrv.account_models import Ban, JournalEvent
from authsrv.models import NEVER, IdentityKey
from authsrv.storage.account_changes import AddBan, AdvanceVersion, BarPlayer, MarkIdentity, RecordEvent, UnlinkIdentity
from authsrv.storage.changes import SetProfile
from tests.support.connecting import connect, redeemed
from tests.support.refusals import demo, tables
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, running

STEAM = identity("steam", "birch")


def edit(block: dict[str, Any]) -> None:
    demo(block)["accounts"] = {"relink_cooldown": 3600}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
async def ann(server: Server) -> Resident:
    return await resident(server, "epicgames", "amber")


def now(server: Server) -> int:
    return int(server.clock())


# --- D40: which accounts are one ---


async def test_D40_the_same_id_on_two_platforms_and_sandboxes_is_as_many_accounts(
    server: Server, ann: Resident
) -> None:
    subject = STEAM.subject
    await ann.has(IdentityKey("demo", "epic", "", subject), IdentityKey("demo", "xbox", "DEV", subject))
    other = await connect(server, "steam", "birch")
    assert (other.json()["outcome"], other.json()["user"]["sub"] != ann.sub) == ("created", True)


async def test_D40_one_more_environment_is_no_second_account_of_the_platform(server: Server, ann: Resident) -> None:
    await ann.has(IdentityKey("demo", "xbox", "another-sandbox", "A11CE0"))
    assert (await connect(server, "xbox", "birch", ann)).json()["outcome"] == "linked"


# --- D46 ---


@pytest.mark.parametrize(("age", "status"), [(600, 200), (601, 403)])
async def test_D46_a_link_needs_a_recent_sign_in(server: Server, ann: Resident, age: int, status: int) -> None:
    server.clock.now += age
    answer = await connect(server, "steam", "birch", ann)
    assert answer.status_code == status, answer.text
    if status == 403:
        assert answer.json()["error"] == "reauthentication_required"
        assert STEAM not in await ann.keys()


async def test_D46_a_refreshed_token_is_no_recent_sign_in(server: Server, ann: Resident) -> None:
    server.clock.now += 601
    fresh = Resident(server, (await server.refresh(ann.tokens["refresh_token"])).json())
    assert (await connect(server, "steam", "birch", fresh)).json()["error"] == "reauthentication_required"


async def test_what_does_not_change_the_account_needs_no_recent_sign_in(server: Server, ann: Resident) -> None:
    other = await resident(server, "steam", "birch")
    server.clock.now += 800
    assert (await connect(server, "epicgames", "amber", ann)).json()["outcome"] == "unchanged"
    switched = await connect(server, "steam", "birch", ann, flags={"error_on_switch": False})
    assert (await redeemed(server, switched)).sub == other.sub


# --- D47, D57: what is told of another player ---


async def test_D47_a_summary_holds_no_email_no_real_name_and_no_address(server: Server, ann: Resident) -> None:
    other = await resident(server, "steam", "birch")
    await other.has(IdentityKey("demo", "guest", "", "the-digest-of-a-secret"))
    profile = {"email": "birch@players.example", "name": "Beatrix Birch", "phone_number": "+49 30 1", "address": {}}
    await server.app.storage.apply([SetProfile(await other.row(), json.dumps(profile))])
    answer = await connect(server, "steam", "birch", ann)
    told = answer.json()
    assert told["other"]["sub"] == other.sub
    names = {"sub", "display_name", "created_at", "last_login", "guest", "identities"}
    assert told["other"].keys() == told["current"].keys() == names
    for secret in ("birch@players.example", "Beatrix", "+49", "127.0.0", "the-digest-of-a-secret"):
        assert secret not in answer.text
    assert {"provider": "guest"} in told["other"]["identities"]


@pytest.mark.parametrize("case", ["forged", "other-app", "expired-ownership", "banned"])
async def test_D47_D57_without_a_good_credential_a_known_account_looks_like_an_unknown_one(
    server: Server, ann: Resident, case: str
) -> None:
    refused = []
    for known in (False, True):
        if known:
            await resident(server, "steam", "birch")
        answer = await connect(server, "steam", "birch", ann, minted=server.mint("steam", "birch", case=case))
        refused.append((answer.status_code, answer.json()))
        assert answer.status_code >= 400
        assert not {"current", "other", "choices", "continuation_token"} & answer.json().keys()
    assert refused[0] == refused[1]


async def test_D53_no_player_is_made_against_the_clients_will(server: Server) -> None:
    answer = await connect(server, "steam", "birch", flags={"do_not_create_new_player": True})
    assert (answer.status_code, answer.json()["error"]) == (404, "user_not_found")
    assert not tables(server).players
    assert not tables(server).identities


async def test_D51_a_platform_that_the_project_does_not_have_is_refused_at_once(server: Server, ann: Resident) -> None:
    project = server.app.config.projects["demo"]
    platforms = {name: block for name, block in project.platforms.items() if name != "steam"}
    minted = server.mint("steam", "birch")
    await server.app.reload(
        server.app.config.model_copy(update={"projects": {"demo": project.model_copy(update={"platforms": platforms})}})
    )
    answer = await connect(server, "steam", "birch", ann, minted=minted)
    assert (answer.status_code, answer.json()["reason"]) == (400, "provider_not_configured")
    assert server.platforms["steam"].calls.total() == 0


# --- how many, and how soon again ---


async def test_as_many_accounts_of_a_platform_as_the_project_allows() -> None:
    def two(block: dict[str, Any]) -> None:
        demo(block)["accounts"] = {"identities": 2}

    async with running(edit=two) as server:
        ann = await resident(server, "steam", "amber")
        assert (await connect(server, "steam", "birch", ann)).json()["rule"] == "3"
        refused = await connect(server, "steam", "cedar", ann)
        assert (refused.status_code, refused.json()["error"], refused.json()["rule"]) == (409, "link_limit", "8")
        other = await resident(server, "steam", "cedar")
        taken = await connect(server, "steam", "cedar", ann)
        assert (taken.json()["error"], taken.json()["rule"]) == ("account_conflict", "9b")
        assert taken.json()["other"]["sub"] == other.sub


async def unlinked(server: Server, player: Resident) -> None:
    """The player loses the Steam account, as the journal tells."""
    row = await player.row()
    told = JournalEvent(server.app.storage.next_id(), "demo", "unlinked", now(server), row, identity=STEAM)
    version = tables(server).players[row].version
    await server.app.storage.apply([AdvanceVersion(row, version), UnlinkIdentity(STEAM, row), RecordEvent(told)])


async def test_an_account_that_was_unlinked_rests_before_somebody_else_has_it(server: Server, ann: Resident) -> None:
    other = await resident(server, "steam", "birch")
    await other.has(identity("epicgames", "birch"))
    await unlinked(server, other)
    refused = await connect(server, "steam", "birch", ann)
    assert (refused.status_code, refused.json()["error"]) == (409, "relink_cooldown")
    assert refused.json()["retry_at"] == now(server) + 3600
    assert (await connect(server, "steam", "birch", other)).json()["outcome"] == "linked"


async def test_an_account_that_has_rested_may_be_linked(server: Server, ann: Resident) -> None:
    other = await resident(server, "steam", "birch")
    await unlinked(server, other)
    server.clock.now += 3600
    again = await resident(server, "epicgames", "amber")
    assert (await connect(server, "steam", "birch", again)).json()["outcome"] == "linked"


async def test_whoever_owns_a_resting_account_may_still_sign_in_by_it(server: Server) -> None:
    other = await resident(server, "steam", "birch")
    await unlinked(server, other)
    assert (await connect(server, "steam", "birch")).json()["outcome"] == "created"


# --- bans ---


async def banned_identity(server: Server, until: int = NEVER) -> None:
    marks = server.app.desk.server.proofs.logins.marks
    ban = Ban(server.app.storage.next_id(), "demo", 0, "banned", "cheating", "operator", now(server), until)
    await server.app.storage.apply([AddBan(ban), MarkIdentity(marks.of(STEAM), ban.id)])


@pytest.mark.parametrize("who", ["nobody", "a clean player"])
async def test_a_banned_platform_account_comes_in_with_nobody(server: Server, ann: Resident, who: str) -> None:
    """A clean player who links a banned account would carry it back in (PlayFab 1613)."""
    await banned_identity(server, now(server) + 500)
    answer = await connect(server, "steam", "birch", ann if who == "a clean player" else None)
    assert answer.status_code == 403
    told = answer.json()
    assert (told["error"], told["reason"], told["until"]) == ("access_denied", "banned", now(server) + 500)
    assert STEAM not in tables(server).identities
    assert (await ann.get("/v1/me")).status_code == 200


async def test_a_banned_players_account_cannot_be_switched_to_or_asked_about(server: Server, ann: Resident) -> None:
    other = await resident(server, "steam", "birch")
    await server.app.storage.apply([BarPlayer(await other.row(), NEVER, "banned")])
    for flags in ({}, {"error_on_switch": False}):
        answer = await connect(server, "steam", "birch", ann, flags=flags)
        assert (answer.status_code, answer.json()["reason"]) == (403, "banned")
        assert not {"until", "current", "other", "continuation_token"} & answer.json().keys()


async def test_a_banned_player_links_nothing_even_with_tokens_from_before(server: Server, ann: Resident) -> None:
    await server.app.storage.apply([BarPlayer(await ann.row(), now(server) + 9, "banned")])
    answer = await connect(server, "steam", "birch", ann)
    assert answer.status_code in {401, 403}
    assert STEAM not in tables(server).identities


async def test_a_restricted_player_is_refused_without_a_reason(server: Server, ann: Resident) -> None:
    other = await resident(server, "steam", "birch")
    await server.app.storage.apply([BarPlayer(await other.row(), NEVER, "restricted")])
    answer = await connect(server, "steam", "birch", ann)
    assert (answer.status_code, answer.json().keys()) == (403, {"error", "error_description"})


# --- device accounts ---


async def test_a_device_account_signs_in_and_is_never_linked() -> None:
    def devices(block: dict[str, Any]) -> None:
        demo(block)["platforms"]["epicgames"]["allow_device_accounts"] = True

    async with running(edit=devices) as server:
        minted = server.mint("epicgames", "birch", kind="connect_id_token", case="device-account")
        ann = await resident(server, "steam", "amber")
        refused = await connect(server, "epicgames", "birch", ann, minted=minted)
        assert (refused.status_code, refused.json()["reason"]) == (400, "credential_unsupported")
        again = await connect(server, "epicgames", "birch", ann, minted=minted)
        assert again.status_code == 400
        assert len(await ann.keys()) == 1
        server.clock.now += 1
        fresh = server.mint("epicgames", "birch", kind="connect_id_token", case="device-account")
        assert (await connect(server, "epicgames", "birch", minted=fresh)).json()["outcome"] == "created"
