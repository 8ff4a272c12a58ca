"""A request whose answer was lost is answered alike for thirty seconds, whatever happened the first time."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.storage.account_changes import AdvanceVersion, UnlinkIdentity
from tests.support.connecting import connect, redeemed
from tests.support.refusals import tables
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import CHALLENGE, Server, running

STEAM = identity("steam", "birch")
KEY = {"idempotency-key": "5f1e9c34-3d0b"}
REPLAYED = (400, "credential_replayed")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
async def ann(server: Server) -> Resident:
    return await resident(server, "epicgames", "amber")


def without_code(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return {name: value for name, value in told.items() if name != "code"}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("reason", "")


async def test_linked_stays_linked_and_is_done_once(server: Server, ann: Resident) -> None:
    minted = server.mint("steam", "birch")
    first = await connect(server, "steam", "birch", ann, minted=minted)
    server.clock.now += 29
    again = await connect(server, "steam", "birch", ann, minted=minted)
    assert first.json()["outcome"] == "linked"
    assert first.json()["undo"] is not None
    assert again.json() == first.json()
    assert kinds(server) == ["linked"]


@pytest.mark.parametrize(
    ("who", "flags", "outcome"),
    [
        ("", {}, "created"),
        ("ann", {"do_not_link_to_current_player": True}, "created"),
        ("ann", {"do_not_link_to_current_player": True, "error_on_switch": False}, "created"),
    ],
)
async def test_created_stays_created_and_a_fresh_code_replaces_the_unused_one(
    server: Server, ann: Resident, who: str, flags: dict[str, bool], outcome: str
) -> None:
    session, minted = ann if who else None, server.mint("steam", "birch")
    first = await connect(server, "steam", "birch", session, minted=minted, flags=flags)
    again = await connect(server, "steam", "birch", session, minted=minted, flags=flags)
    assert first.json()["outcome"] == outcome
    assert without_code(again) == without_code(first)
    assert (await server.redeem(first.json()["code"])).status_code == 400
    assert (await redeemed(server, again)).sub == first.json()["user"]["sub"]
    assert len(server.audited("player.created")) == 2


async def test_switched_stays_switched_and_is_told_once_in_the_journal(server: Server, ann: Resident) -> None:
    other, minted = await resident(server, "steam", "birch"), server.mint("steam", "birch")
    flags = {"error_on_switch": False}
    first = await connect(server, "steam", "birch", ann, minted=minted, flags=flags)
    again = await connect(server, "steam", "birch", ann, minted=minted, flags=flags)
    assert without_code(again) == without_code(first)
    assert (await redeemed(server, again)).sub == other.sub
    assert kinds(server) == ["switched"]


async def test_signed_in_and_unchanged_stay_so(server: Server, ann: Resident) -> None:
    birch, minted = await resident(server, "steam", "birch"), server.mint("steam", "birch")
    answers = [await connect(server, "steam", "birch", minted=minted) for _ in range(2)]
    assert [answer.json()["outcome"] for answer in answers] == ["signed_in"] * 2
    minted = server.mint("steam", "birch")
    answers = [await connect(server, "steam", "birch", birch, minted=minted) for _ in range(2)]
    assert [answer.json()["outcome"] for answer in answers] == ["unchanged"] * 2


async def test_a_conflict_is_reported_again_with_a_fresh_token(server: Server, ann: Resident) -> None:
    await resident(server, "steam", "birch")
    minted = server.mint("steam", "birch")
    first, again = [await connect(server, "steam", "birch", ann, minted=minted) for _ in range(2)]
    assert first.json().pop("continuation_token") != again.json().pop("continuation_token")
    assert {**first.json(), "continuation_token": ""} == {**again.json(), "continuation_token": ""}


async def test_a_credential_that_may_come_again_is_answered_alike_too(server: Server, ann: Resident) -> None:
    minted = server.mint("xbox", "birch")
    first = await connect(server, "xbox", "birch", ann, minted=minted, headers=KEY)
    again = await connect(server, "xbox", "birch", ann, minted=minted, headers=KEY)
    assert (first.json()["outcome"], again.json()) == ("linked", first.json())
    other = await connect(server, "xbox", "birch", ann, minted=minted, headers={"idempotency-key": "another-key"})
    assert other.json()["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("later", "changes"),
    [
        pytest.param(30, {}, id="after its time"),
        pytest.param(0, {"headers": {"idempotency-key": "another-key"}}, id="with another key"),
        pytest.param(0, {"headers": None}, id="without the key"),
        pytest.param(0, {"flags": {"error_on_switch": False}}, id="with other flags"),
        pytest.param(0, {"preview": True}, id="as a preview"),
        pytest.param(0, {"code_challenge": CHALLENGE[:-1] + "A"}, id="with another code challenge"),
        pytest.param(0, {"scope": "openid"}, id="for another scope"),
    ],
)
async def test_another_request_with_the_credential_is_a_replay(
    server: Server, ann: Resident, later: int, changes: dict[str, Any]
) -> None:
    minted = server.mint("steam", "birch")
    sent: dict[str, Any] = {"minted": minted, "headers": KEY}
    assert (await connect(server, "steam", "birch", ann, **sent)).status_code == 200
    server.clock.now += later
    assert refusal(await connect(server, "steam", "birch", ann, **(sent | changes))) == REPLAYED


async def test_D50_another_players_session_with_the_credential_is_a_replay(server: Server, ann: Resident) -> None:
    minted, thief = server.mint("steam", "birch"), await resident(server, "epicgames", "cedar")
    assert (await connect(server, "steam", "birch", ann, minted=minted, headers=KEY)).status_code == 200
    for session in (thief, None):
        assert refusal(await connect(server, "steam", "birch", session, minted=minted, headers=KEY)) == REPLAYED


async def test_a_credential_of_the_silent_login_is_a_replay_here_and_the_other_way_round(
    server: Server, ann: Resident
) -> None:
    minted = server.mint("steam", "birch")
    assert (await server.silent("steam", minted)).status_code == 200
    assert refusal(await connect(server, "steam", "birch", minted=minted)) == REPLAYED
    minted = server.mint("steam", "birch")
    assert (await connect(server, "steam", "birch", minted=minted)).status_code == 200
    assert refusal(await server.silent("steam", minted)) == REPLAYED


async def test_D52_a_link_that_was_undone_meanwhile_is_not_repeated(server: Server, ann: Resident) -> None:
    minted, row = server.mint("steam", "birch"), await ann.row()
    await connect(server, "steam", "birch", ann, minted=minted)
    version = tables(server).players[row].version
    await server.app.storage.apply([AdvanceVersion(row, version), UnlinkIdentity(STEAM, row)])
    answer = await connect(server, "steam", "birch", ann, minted=minted)
    assert (answer.status_code, answer.json()["error"]) == (409, "state_changed")
    assert STEAM not in await ann.keys()


async def test_a_backend_without_anything_that_tells_requests_apart_repeats_nothing(server: Server) -> None:
    """Whoever stole a ticket can have the same backend present it."""

    def confidential(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["shop"]["pkce"] = "optional"

    async with running(edit=confidential) as other:
        shop: dict[str, Any] = {
            "client_id": "shop",
            "client_secret": "shop-secret",
            "redirect_uri": None,
            "scope": "openid",
        }
        plain = {**shop, "code_challenge": None, "code_challenge_method": None}
        minted = other.mint("steam", "birch")
        assert (await connect(other, "steam", "birch", minted=minted, **plain)).status_code == 200
        assert refusal(await connect(other, "steam", "birch", minted=minted, **plain)) == REPLAYED
        minted = other.mint("steam", "birch")
        keyed = [await connect(other, "steam", "birch", minted=minted, headers=KEY, **plain) for _ in range(2)]
        assert [answer.status_code for answer in keyed] == [200, 200]


@pytest.mark.parametrize("key", ["short", "", "with space in it", "x" * 256, "tab\there"])
async def test_an_idempotency_key_has_a_form(server: Server, key: str) -> None:
    answer = await connect(server, "steam", "birch", headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "Idempotency-Key")
    assert server.platforms["steam"].calls.total() == 0
