"""Redeeming a link code by a game on another device: what is shown first, and what a yes does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from authsrv.account_models import Account
from authsrv.emulator.base import MintedCredential
from authsrv.storage.changes import SetNotBefore
from tests.support.banning import ban, unban
from tests.support.connecting import credential
from tests.support.linking import Shown, code_of
from tests.support.refusals import clients, tables
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import Server, running

REDEEM = "/v1/me/links/redeem"
STEAM, EPIC = identity("steam"), identity("epicgames")


def edited(block: dict[str, Any]) -> None:
    clients(block)["console"] = {**clients(block)["launcher"], "name": "Console edition"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edited) as started:
        yield started


@pytest.fixture
async def amber(server: Server) -> Resident:
    return await resident(server)


@pytest.fixture
async def code(amber: Resident) -> Shown:
    return await code_of(amber)


async def present(
    server: Server, code: str, minted: MintedCredential | None = None, /, **changes: object
) -> httpx.Response:
    """Another device shows a code, with a fresh Epic credential unless another one is given."""
    shown = credential(minted or server.mint("epicgames"))
    sent = {"client_id": "console", "code": code, "provider": "epicgames", "credential": shown, **changes}
    return await server.http.post(REDEEM, json={name: value for name, value in sent.items() if value is not None})


async def confirm(server: Server, code: str, token: str, **changes: object) -> httpx.Response:
    """Its player says yes."""
    sent = {"client_id": "console", "code": code, "confirm": True, "confirmation_token": token, **changes}
    return await server.http.post(REDEEM, json={name: value for name, value in sent.items() if value is not None})


async def token_of(server: Server, code: str) -> str:
    answer = await present(server, code)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["confirmation_token"]
    return token


# --- shown, then linked ---


async def test_what_a_code_is_about_is_shown_first_and_nothing_is_linked(
    server: Server, amber: Resident, code: Shown
) -> None:
    answer = await present(server, code.code)
    told = answer.json()
    assert answer.status_code == 200
    assert told == {
        "outcome": "confirmation_required",
        "account": {"display_name": "Amber", "created_at": "2026-09-21T14:13:20Z"},
        "identity": {"provider": "epicgames", "kind": "epic", "environment": "", "subject": EPIC.subject},
        "client": "Demo launcher",
        "check_number": code.check_number,
        "confirmation_token": told["confirmation_token"],
        "expires_in": 300,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert amber.sub not in answer.text
    assert await amber.keys() == {STEAM}
    assert kinds(server) == []
    assert (await amber.get("/v1/me/links/code")).json()["state"] == "pending"


async def test_a_yes_links_without_the_credential_being_sent_again(
    server: Server, amber: Resident, code: Shown
) -> None:
    answer = await confirm(server, code.code, await token_of(server, code.code))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "outcome": "linked",
        "rule": "3",
        "account": {"display_name": "Amber", "created_at": "2026-09-21T14:13:20Z"},
        "identity": {"provider": "epicgames", "kind": "epic", "environment": "", "subject": EPIC.subject},
    }
    assert await amber.keys() == {STEAM, EPIC}
    assert (await amber.get("/v1/me/links/code")).json()["state"] == "linked"
    assert (await resident(server, "epicgames")).sub == amber.sub
    (audited,) = server.audited("identity.linked")
    assert (audited["sub"], audited["platform"]) == (amber.sub, "epicgames")


async def loses_steam(amber: Resident) -> None:
    await amber.has(EPIC)
    answer = await amber.post("/v1/me/identities/unlink", {"provider": "steam", "subject": STEAM.subject})
    assert answer.status_code == 200, answer.text


async def is_banned_for_a_while(amber: Resident) -> None:
    await ban(amber.server, amber.sub)
    await unban(amber.server, amber.sub)


async def signs_out_of_the_game(amber: Resident) -> None:
    sent = {"token": amber.tokens["refresh_token"], "client_id": "launcher"}
    assert (await amber.server.http.post("/oauth2/revoke", data=sent)).status_code == 200


async def signs_out_everywhere(amber: Resident) -> None:
    await amber.server.app.storage.apply([SetNotBefore("player", amber.sub, int(amber.server.clock.now))])


ENDINGS = [loses_steam, is_banned_for_a_while, signs_out_of_the_game, signs_out_everywhere]


@pytest.mark.parametrize("is_shown", [False, True])
@pytest.mark.parametrize("ends", ENDINGS, ids=lambda ends: ends.__name__)
async def test_a_code_ends_with_what_it_was_asked_for_by(
    server: Server, amber: Resident, code: Shown, ends: Callable[[Resident], Awaitable[None]], *, is_shown: bool
) -> None:
    """Whoever asked for it may have come by that, and would stay by what they link."""
    token = await token_of(server, code.code) if is_shown else ""
    server.clock.now += 1
    await ends(amber)
    answer = await (confirm(server, code.code, token) if is_shown else present(server, code.code))
    assert (answer.status_code, answer.json()["reason"]) == (400, "link_code_invalid")
    assert EPIC not in await amber.keys() or ends is loses_steam


async def test_a_code_that_ends_while_it_is_used_links_nothing(
    server: Server, amber: Resident, code: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, storage = await token_of(server, code.code), server.app.storage
    server.clock.now += 1
    load_account = storage.load_account

    async def meanwhile(player_id: int) -> Account | None:
        monkeypatch.setattr(storage, "load_account", load_account)
        await signs_out_everywhere(amber)
        return await load_account(player_id)

    monkeypatch.setattr(storage, "load_account", meanwhile)
    answer = await confirm(server, code.code, token)
    assert (answer.status_code, answer.json()["reason"]) == (400, "link_code_invalid")
    assert await amber.keys() == {STEAM}


async def test_what_the_player_has_already_stays(server: Server, amber: Resident, code: Shown) -> None:
    await amber.has(EPIC)
    answer = await confirm(server, code.code, await token_of(server, code.code))
    assert (answer.json()["outcome"], answer.json()["rule"]) == ("unchanged", "5")
    assert kinds(server) == []


async def test_a_request_whose_answer_was_lost_may_come_again(server: Server, code: Shown) -> None:
    minted = server.mint("epicgames")
    first, again = await present(server, code.code, minted), await present(server, code.code, minted)
    assert (first.status_code, again.status_code) == (200, 200)
    assert (await confirm(server, code.code, again.json()["confirmation_token"])).status_code == 200


@pytest.mark.parametrize("provider", ["steam", "xbox", "guest"])
async def test_every_platform_can_be_linked_by_code(server: Server, provider: str) -> None:
    epic = await resident(server, "epicgames")
    code = await code_of(epic)
    minted = server.mint(provider)
    value = dict(minted.parameters).get("session_ticket") or minted.headers["Authorization"]
    answer = await present(server, code.code, provider=provider, credential={"value": value})
    assert answer.status_code == 200, answer.text
    assert (await confirm(server, code.code, answer.json()["confirmation_token"])).status_code == 200
    assert len(await epic.keys()) == 2


# --- what does not link ---


async def test_the_account_of_another_player_is_refused_at_once(server: Server, amber: Resident, code: Shown) -> None:
    birch = await resident(server, "epicgames", "birch")
    answer = await present(server, code.code, server.mint("epicgames", "birch"))
    assert (answer.status_code, answer.json()["error"]) == (409, "account_conflict")
    assert answer.json()["reason"] == "switch_required"
    for told in (amber.sub, birch.sub, "Amber", "Birch", "continuation_token"):
        assert told not in answer.text


async def test_a_second_account_of_a_platform_is_refused_at_once(server: Server, amber: Resident, code: Shown) -> None:
    await amber.has(identity("epicgames", "birch"))
    answer = await present(server, code.code)
    assert (answer.status_code, answer.json()["reason"]) == (409, "already_linked")


async def test_what_became_anothers_meanwhile_is_refused(server: Server, code: Shown) -> None:
    token = await token_of(server, code.code)
    await resident(server, "epicgames")
    answer = await confirm(server, code.code, token)
    assert (answer.status_code, answer.json()["error"]) == (409, "account_conflict")


async def test_a_credential_that_is_refused_says_so_and_shows_nobody(server: Server, code: Shown) -> None:
    answer = await present(server, code.code, server.mint("epicgames", case="expired"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert "Amber" not in answer.text


async def test_a_wrong_code_costs_no_credential(server: Server, code: Shown) -> None:
    minted = server.mint("epicgames")
    assert (await present(server, "BCDF-GHJK", minted)).json()["reason"] == "link_code_invalid"
    assert (await present(server, code.code, minted)).status_code == 200


BAD = [
    pytest.param({"code": None}, "code", id="no code"),
    pytest.param({"code": 12345678}, "code", id="a number for a code"),
    pytest.param({"provider": None}, "provider", id="no provider"),
    pytest.param({"credential": None}, "credential", id="no credential"),
    pytest.param({"credential": "abc"}, "credential", id="a text for a credential"),
    pytest.param({"confirm": "yes"}, "confirm", id="a text for a yes"),
    pytest.param({"confirm": True}, "confirmation_token", id="a yes to what was not shown"),
    pytest.param({"client_id": None}, None, id="nobody"),
]


@pytest.mark.parametrize(("changes", "parameter"), BAD)
async def test_a_request_that_cannot_be_read_costs_neither_code_nor_credential(
    server: Server, code: Shown, changes: dict[str, object], parameter: str | None
) -> None:
    minted = server.mint("epicgames")
    answer = await present(server, code.code, minted, **changes)
    assert answer.status_code in {400, 401}
    assert answer.json().get("parameter") == parameter
    assert (await present(server, code.code, minted)).status_code == 200


async def test_a_member_with_another_name_is_refused(server: Server, code: Shown) -> None:
    assert (await present(server, code.code, session_ticket="x")).status_code == 400


TOKENS = ["", "A", "A" * 400, "eyJhbGciOiJub25lIn0.e30.", "é", "=" * 8]


@pytest.mark.parametrize("token", TOKENS)
async def test_a_yes_that_we_did_not_ask_for_links_nothing(
    server: Server, amber: Resident, code: Shown, token: str
) -> None:
    answer = await confirm(server, code.code, token)
    assert answer.status_code == 400
    assert await amber.keys() == {STEAM}


async def test_a_yes_to_something_else_links_nothing(server: Server, amber: Resident, code: Shown) -> None:
    birch = await resident(server, "steam", "birch")
    token, of_birch = await token_of(server, code.code), await code_of(birch)
    for answer in (
        await confirm(server, of_birch.code, token),
        await confirm(server, code.code, token, client_id="launcher"),
        *[await confirm(server, code.code, token[:-1] + letter) for letter in "ABCDefgh012_-" if letter != token[-1]],
    ):
        assert (answer.status_code, answer.json()["reason"]) == (400, "confirmation_invalid")
    assert await birch.keys() == {identity("steam", "birch")}
    assert await amber.keys() == {STEAM}


async def test_a_yes_comes_within_five_minutes(server: Server, amber: Resident, code: Shown) -> None:
    token = await token_of(server, code.code)
    server.clock.now += 300
    answer = await confirm(server, code.code, token)
    assert (answer.status_code, answer.json()["reason"]) == (400, "confirmation_invalid")
    assert await amber.keys() == {STEAM}


async def test_a_client_of_somebody_elses_redeems_nothing() -> None:
    def edit(block: dict[str, Any]) -> None:
        edited(block)
        clients(block)["console"]["first_party"] = False

    async with running(edit=edit) as server:
        code = await code_of(await resident(server))
        answer = await present(server, code.code)
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_a_token_in_the_header_has_nothing_to_do_with_it(server: Server, amber: Resident, code: Shown) -> None:
    birch = await resident(server, "steam", "birch")
    shown_to_us = credential(server.mint("epicgames"))
    sent = {"client_id": "console", "code": code.code, "provider": "epicgames", "credential": shown_to_us}
    shown = await server.http.post(REDEEM, json=sent, headers=birch.bearer)
    yes = {"client_id": "console", "code": code.code, "confirm": True}
    yes["confirmation_token"] = shown.json()["confirmation_token"]
    assert (await server.http.post(REDEEM, json=yes, headers=birch.bearer)).status_code == 200
    assert EPIC in await amber.keys()
    assert await birch.keys() == {identity("steam", "birch")}


async def test_no_secret_of_it_is_logged(server: Server, code: Shown) -> None:
    token = await token_of(server, code.code)
    await confirm(server, code.code, token)
    logged = str(server.events)
    assert token not in logged
    assert code.code not in logged
    assert EPIC.subject not in logged
    assert tables(server).link_codes
