"""What players ask for about their data over HTTP: all of it, and that it goes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from authsrv.account_models import Doer
from authsrv.accounts.forgetting import Order
from authsrv.models import TOKEN_EXCHANGE
from authsrv.storage.account_changes import MergePlayers, SetSegments
from authsrv.storage.changes import SetProfile
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.browser import Browser
from tests.support.ending import FEED, is_active, with_everybody
from tests.support.exchange import ACCESS_TOKEN
from tests.support.refusals import clients, tables, token_error
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

NOW = "2026-09-21T14:13:20Z"
OPERATOR = Order(Doer("admin", "otto"), "ticket 77")


def edited(block: dict[str, Any]) -> None:
    with_everybody(block)
    shop = clients(block)["shop"]
    shop |= {"scopes": [*shop["scopes"], "account"], "backchannel_logout_uri": "https://shop.example/logout"}


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=edited) as started:
        yield started


@pytest.fixture
async def amber(server: Server) -> Resident:
    return await resident(server)


async def delete(of: Resident, **more: str) -> httpx.Response:
    return await of.delete("/v1/me", **{"confirm": of.sub, **more})


# --- export ---


async def test_P04_players_get_everything_about_themselves_as_a_file(amber: Resident) -> None:
    answer = await amber.get("/v1/me/export")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="player.json"'
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["format"], told["version"], told["exported_at"]) == ("authsrv-player", 1, NOW)
    assert told["account"]["sub"] == amber.sub
    assert [one["subject"] for one in told["identities"]] == ["76561202255232001"]
    assert [(one["client_id"], one["client_name"]) for one in told["grants"]] == [("launcher", "Demo launcher")]
    assert [one["kind"] for one in told["journal"]] == ["created"]
    assert told["journal"][0]["address"] == "127.0.0.0/24"
    assert [one["client_id"] for one in told["recipients"]] == ["launcher"]
    (event,) = amber.server.audited("player.exported")
    assert (event["sub"], event["client_id"]) == (amber.sub, "launcher")


async def test_P04_what_was_done_in_a_browser_is_told_too(server: Server) -> None:
    tokens = await Browser(server).tokens("steam", scope="openid account")
    told = (await Resident(server, tokens).get("/v1/me/export")).json()
    (session,) = told["sessions"]
    assert [one["client_id"] for one in session["clients"]] == ["shop"]
    assert session["ended_at"] is None


MARKED = ("Birch", identity("steam", "birch").subject, "birch@players.example", "birch-tier")


async def test_P04_nothing_of_another_player_is_ever_among_it(amber: Resident) -> None:
    server = amber.server
    birch = await resident(server, "steam", "birch")
    row = await birch.row()
    profile = json.dumps({"name": MARKED[0], "email": MARKED[2]})
    await server.app.storage.apply([SetProfile(row, profile), SetSegments(row, json.dumps({"t": MARKED[3]}))])
    await Browser(server).tokens("steam", "birch")
    theirs, own = (await birch.get("/v1/me/export")).text, (await amber.get("/v1/me/export")).text
    found = [mark for mark in (*MARKED, birch.sub) if mark in theirs]
    assert found == [*MARKED, birch.sub]
    assert [mark for mark in found if mark in own] == []


async def test_P04_no_secret_and_no_digest_is_ever_among_it(amber: Resident) -> None:
    tokens = (await amber.server.refresh(amber.tokens["refresh_token"])).json()
    told = (await Resident(amber.server, tokens).get("/v1/me/export")).text
    stored = [digest for one in await amber.server.grants() for digest in (one.code_hash, one.refresh_hash)]
    digests = [one.hex() for one in stored if one]
    assert len(digests) == 2
    secrets = [tokens["refresh_token"], tokens["access_token"], amber.tokens["refresh_token"], *digests]
    assert [secret for secret in secrets if secret in told or secret[:20] in told] == []


async def test_P04_an_operator_exports_whoever_is_kept_out_and_an_alias_is_who_they_are_now(amber: Resident) -> None:
    server, birch = amber.server, await resident(amber.server, "steam", "birch")
    await server.app.storage.apply([MergePlayers(await birch.row(), await amber.row())])
    told = await server.app.desk.forgetting.export(birch.sub, OPERATOR)
    assert told["account"]["sub"] == amber.sub
    assert [alias["sub"] for alias in told["aliases"]] == [birch.sub]
    assert {one["client_id"] for one in told["grants"]} == {"launcher"}
    assert len(told["grants"]) == 2
    (event,) = server.audited("player.exported")
    assert (event["operator"], event["reason"], event["sub"]) == ("otto", "ticket 77", amber.sub)


# --- erasure ---


async def test_P05_whoever_deletes_their_account_is_gone_and_every_door_is_closed(amber: Resident) -> None:
    server = amber.server
    answer = await delete(amber)
    assert (answer.status_code, answer.json()) == (
        200,
        {"outcome": "erased", "erased": [amber.sub], "erased_at": NOW},
    )
    assert await server.app.storage.load_subject(amber.sub) is None
    assert token_error(await server.refresh(amber.tokens["refresh_token"])) == "invalid_grant"
    assert (await server.userinfo(amber.tokens["access_token"])).status_code == 401
    assert not await is_active(server, amber.tokens["access_token"])
    assert (await amber.get("/v1/me")).status_code == 401
    feed = jwt.decode((await server.http.get(FEED)).text, options={"verify_signature": False})
    assert feed["not_before"] == {amber.sub: 1_790_000_001}
    (event,) = server.audited("player.erased")
    assert (event["sub"], event["client_id"], event["address"]) == (amber.sub, "launcher", "127.0.0.0/24")


async def test_P05_the_same_platform_account_makes_a_new_player(amber: Resident) -> None:
    await delete(amber)
    amber.server.clock.now += 1
    anew = await resident(amber.server)
    assert anew.sub != amber.sub
    told = (await anew.get("/v1/me/export")).json()
    assert [one["kind"] for one in told["journal"]] == ["created"]


async def test_P05_what_is_looked_at_first_changes_nothing(amber: Resident) -> None:
    answer = await delete(amber, preview="true")
    assert answer.json() == {"outcome": "would_erase", "erased": [amber.sub], "erased_at": None}
    assert (await amber.get("/v1/me")).status_code == 200
    assert amber.server.audited("player.erased") == []


@pytest.mark.parametrize("confirm", [None, "", "true", "0b6ae1a4-8f0b-4a57-9a38-3a6b1d1b9f10"])
@pytest.mark.parametrize("preview", ["true", "false"])
async def test_P05_nobody_deletes_an_account_by_mistake(amber: Resident, confirm: str | None, preview: str) -> None:
    query = {"preview": preview} | ({"confirm": confirm} if confirm is not None else {})
    answer = await amber.delete("/v1/me", **query)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "confirm")
    assert (await amber.get("/v1/me")).status_code == 200


async def test_P05_clients_are_told_of_the_sessions_that_end(server: Server) -> None:
    tokens = await Browser(server).tokens("steam", scope="openid account")
    await delete(Resident(server, tokens))
    await server.app.notices.round()
    ((url, form),) = server.notified.got
    assert url == "https://shop.example/logout"
    assert server.claims(form["logout_token"])["sub"] == server.claims(tokens["access_token"])["sub"]


async def test_P05_with_an_account_go_those_that_were_merged_into_it(amber: Resident) -> None:
    server, birch = amber.server, await resident(amber.server, "steam", "birch")
    await server.app.storage.apply([MergePlayers(await birch.row(), await amber.row())])
    assert set((await delete(amber)).json()["erased"]) == {amber.sub, birch.sub}
    for gone in (amber, birch):
        assert token_error(await server.refresh(gone.tokens["refresh_token"])) == "invalid_grant"
        assert await server.app.storage.load_subject(gone.sub) is None


async def test_P05_an_erasure_can_be_asked_for_again(amber: Resident) -> None:
    forgetting = amber.server.app.desk.forgetting
    first = await forgetting.erase(amber.sub, OPERATOR)
    amber.server.clock.now += 60
    again = await forgetting.erase(amber.sub, OPERATOR)
    assert (first.was_done, again.was_done) == (False, True)
    assert (again.subs, again.erased_at) == (first.subs, first.erased_at)
    assert len(amber.server.audited("player.erased")) == 1


# --- who may ---


async def test_D46_an_old_sign_in_neither_exports_nor_erases(amber: Resident) -> None:
    amber.server.clock.now += 601
    for answer in (await amber.get("/v1/me/export"), await delete(amber), await delete(amber, preview="true")):
        assert (answer.status_code, answer.json()["error"]) == (403, "reauthentication_required")
    assert (await amber.get("/v1/me")).status_code == 200


async def asked(path: str, of: Resident) -> httpx.Response:
    return await (of.get(path) if path.endswith("export") else delete(of))


@pytest.mark.parametrize("path", ["/v1/me/export", "/v1/me"])
async def test_a_token_without_the_scope_neither_exports_nor_erases(server: Server, path: str) -> None:
    answer = await asked(path, await resident(server, scope="openid offline"))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("path", ["/v1/me/export", "/v1/me"])
async def test_a_token_that_was_made_of_another_neither_exports_nor_erases(amber: Resident, path: str) -> None:
    subject = {"subject_token": amber.tokens["access_token"], "subject_token_type": ACCESS_TOKEN}
    answer = await amber.server.token(grant_type=TOKEN_EXCHANGE, client_id="launcher", scope="account", **subject)
    assert (await asked(path, Resident(amber.server, answer.json()))).status_code == 403
    assert (await amber.get("/v1/me")).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/me/export"), ("DELETE", "/v1/me")])
async def test_without_a_token_nobody_exports_or_erases(server: Server, method: str, path: str) -> None:
    answer = await server.http.request(method, path)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize("query", [{"preview": "maybe"}, {"confirm": "x" * 5000}])
async def test_what_cannot_be_read_erases_nobody(amber: Resident, query: dict[str, str]) -> None:
    assert (await amber.delete("/v1/me", **query)).status_code in {400, 414}
    assert (await amber.get("/v1/me")).status_code == 200


async def test_a_player_asks_for_ten_exports_a_minute_at_most(amber: Resident) -> None:
    answers = [await amber.get("/v1/me/export") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [*[200] * 10, 429]
    assert answers[-1].headers["ratelimit-policy"] == '"data-requests";q=10;w=60'
    birch = await resident(amber.server, "steam", "birch")
    assert (await birch.get("/v1/me/export")).status_code == 200


def proved(server: Server) -> list[object]:
    """Whom each credential that was ever presented proved to be there."""
    if isinstance(server.app.storage, MemoryStorage):
        return [row.identity and row.identity.subject for row in tables(server).reservations.values()]
    return [subject for (subject,) in server.rows("SELECT identity_subject FROM credentials")]


async def test_P01_a_used_ticket_names_nobody_after_two_minutes(amber: Resident) -> None:
    assert proved(amber.server) == [identity("steam").subject]
    await amber.server.app.storage.sweep(int(amber.server.clock.now) + 121, 100)
    assert proved(amber.server) == [None]
