"""What the `sub` of a merged player means everywhere: refresh, introspection, UserInfo, exchange, hints and orders."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.models import TOKEN_EXCHANGE
from authsrv.orders.tokens import revoke_tokens
from authsrv.storage.changes import SetProfile
from tests.support.browser import Browser
from tests.support.ending import feed
from tests.support.exchange import ACCESS_TOKEN, ID_TOKEN, MOD_IO
from tests.support.managing import BACKEND, Manager, may_manage
from tests.support.refusals import clients, refused, token_error
from tests.support.residents import Resident, resident
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS


def edit(block: dict[str, Any]) -> None:
    may_manage(block)
    clients(block)["backend"] |= {
        "grants": ["client_credentials", TOKEN_EXCHANGE],
        "scopes": ["openid", "profile"],
        "exchange_from": ["launcher"],
        "id_token_audiences": [MOD_IO],
    }


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=edit) as started:
        yield started


@pytest.fixture
def manager(server: Server) -> Manager:
    return Manager(server)


@pytest.fixture
async def old(server: Server) -> Resident:
    """Will be merged, and was called Amber."""
    return await resident(server)


@pytest.fixture
async def new(server: Server) -> Resident:
    """Remains, and is called Birch."""
    return await resident(server, "epicgames", "birch")


@pytest.fixture
async def last(server: Server) -> Resident:
    """Remains after a second merge."""
    return await resident(server, "guest")


async def refreshed(who: Resident) -> dict[str, Any]:
    """What a refresh gives; the player goes on with it."""
    answer = await who.server.refresh(who.tokens["refresh_token"])
    assert answer.status_code == 200, answer.text
    who.tokens = answer.json()
    return who.tokens


async def exchanged(server: Server, token: str, **changes: str) -> httpx.Response:
    asked = {"grant_type": TOKEN_EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN, **changes}
    return await server.http.post("/oauth2/token", data={**asked}, auth=BACKEND)


# --- refresh ---


async def test_a_refresh_gives_tokens_of_the_one_who_remains_and_no_id_token(
    manager: Manager, old: Resident, new: Resident
) -> None:
    assert "id_token" in await refreshed(old)
    gone = old.sub
    await manager.merge(old, new)
    tokens = await refreshed(old)
    assert manager.server.claims(tokens["access_token"])["sub"] == new.sub != gone
    assert "id_token" not in tokens
    assert tokens["scope"] == "openid offline account"
    assert (await manager.server.userinfo(tokens["access_token"])).json()["sub"] == new.sub


async def test_the_family_of_the_one_who_remains_has_id_tokens_as_before(
    manager: Manager, old: Resident, new: Resident
) -> None:
    await manager.merge(old, new)
    assert manager.server.claims((await refreshed(new))["id_token"])["sub"] == new.sub


async def test_a_code_that_was_given_before_a_merge_is_redeemed_for_the_one_who_remains(
    manager: Manager, old: Resident, new: Resident
) -> None:
    code = await manager.server.code("steam")
    await manager.merge(old, new)
    tokens = (await manager.server.redeem(code)).json()
    subs = [manager.server.claims(tokens[name])["sub"] for name in ("access_token", "id_token")]
    assert subs == [new.sub, new.sub]


async def test_a_refresh_after_an_undone_merge_is_for_a_new_sign_in(
    manager: Manager, old: Resident, new: Resident
) -> None:
    event = (await manager.merge(old, new)).json()["undo"]["event"]
    await refreshed(old)
    await manager.undo(event)
    assert token_error(await manager.server.refresh(old.tokens["refresh_token"])) == "invalid_grant"
    assert (await manager.server.refresh(new.tokens["refresh_token"])).status_code == 200


# --- introspection and UserInfo ---


async def test_introspection_of_an_old_token_names_the_one_who_remains_and_the_old_sub(
    manager: Manager, old: Resident, new: Resident
) -> None:
    gone = old.sub
    await manager.merge(old, new)
    for token in (old.tokens["access_token"], old.tokens["refresh_token"]):
        told = await manager.introspect(token)
        assert (told["active"], told["sub"], told["merged_from"]) == (True, new.sub, [gone])
    told = await manager.introspect(new.tokens["access_token"])
    assert (told["sub"], "merged_from" in told) == (new.sub, False)


async def test_introspection_of_a_new_token_of_an_old_family_names_nobody_else(
    manager: Manager, old: Resident, new: Resident
) -> None:
    await manager.merge(old, new)
    told = await manager.introspect((await refreshed(old))["access_token"])
    assert (told["sub"], "merged_from" in told) == (new.sub, False)


async def test_userinfo_keeps_the_sub_of_the_token_and_tells_of_the_one_who_remains(manager: Manager) -> None:
    server = manager.server
    old, new = await resident(server, scope="openid profile"), await resident(server, "epicgames", "birch")
    await server.app.storage.apply([SetProfile(await new.row(), '{"nickname":"B"}')])
    await manager.merge(old, new)
    told = (await server.userinfo(old.tokens["access_token"])).json()
    assert (told["sub"], told["name"], told["nickname"]) == (old.sub, "Birch", "B")
    assert server.claims(old.tokens["id_token"])["sub"] == told["sub"]


# --- exchange ---


async def test_what_is_made_of_an_old_token_names_the_one_who_remains(
    manager: Manager, old: Resident, new: Resident
) -> None:
    await manager.merge(old, new)
    server = manager.server
    access = (await exchanged(server, old.tokens["access_token"])).json()["access_token"]
    told = (await exchanged(server, old.tokens["access_token"], requested_token_type=ID_TOKEN, audience=MOD_IO)).json()[
        "access_token"
    ]
    assert [server.claims(token)["sub"] for token in (access, told)] == [new.sub, new.sub]
    assert (await manager.introspect(access))["active"]


# --- several merges ---


async def test_every_token_ever_given_resolves_after_two_merges_in_a_row(
    manager: Manager, old: Resident, new: Resident, last: Resident
) -> None:
    """One names a player in the middle, and its grant is the first one's."""
    first, middle = old.sub, new.sub
    of_first = old.tokens["access_token"]
    await manager.merge(old, new)
    of_middle = (await refreshed(old))["access_token"]
    await manager.merge(new, last)
    of_last = (await refreshed(old))["access_token"]
    subs = [manager.server.claims(token)["sub"] for token in (of_first, of_middle, of_last)]
    assert subs == [first, middle, last.sub]
    for token, named in ((of_first, first), (of_middle, middle)):
        told = await manager.introspect(token)
        assert (told["active"], told["sub"], told["merged_from"]) == (True, last.sub, [named])
        assert (await manager.server.userinfo(token)).json()["sub"] == named
    assert (await manager.introspect(of_last))["active"]


async def test_a_token_of_the_one_in_the_middle_is_dead_after_the_first_merge_alone_was_undone(
    manager: Manager, old: Resident, new: Resident
) -> None:
    event = (await manager.merge(old, new)).json()["undo"]["event"]
    of_middle = (await refreshed(old))["access_token"]
    await manager.undo(event)
    assert await manager.introspect(of_middle) == {"active": False}
    told_offline = await feed(manager.server)
    assert manager.server.claims(of_middle)["gid"] in told_offline["gid"]
    assert (await manager.introspect(new.tokens["access_token"]))["active"]


# --- hints ---


async def authorized(browser: Browser, **changes: str | None) -> httpx.Response:
    return await browser.get("/oauth2/authorize", **{**browser.request, "prompt": "none", **changes})


@pytest.mark.parametrize("by", ["hint", "claims"])
async def test_an_authorization_request_for_an_old_sub_is_for_the_one_who_remains(manager: Manager, by: str) -> None:
    server = manager.server
    elsewhere, browser = Browser(server), Browser(server)
    old, new = await elsewhere.tokens(), await browser.tokens("epicgames", "birch")
    await manager.merge(Resident(server, old), Resident(server, new))
    named = json.dumps({"id_token": {"sub": {"value": server.claims(old["id_token"])["sub"]}}})
    asked = {"id_token_hint": old["id_token"]} if by == "hint" else {"claims": named}
    answer = await authorized(browser, **asked)
    tokens = await browser.exchanged(await browser.follow(answer))
    assert server.claims(tokens["id_token"])["sub"] == server.claims(new["id_token"])["sub"]


async def test_an_old_sub_of_somebody_else_is_somebody_else(manager: Manager) -> None:
    server = manager.server
    elsewhere, browser = Browser(server), Browser(server)
    old, other = await elsewhere.tokens(), await resident(server, "guest")
    await manager.merge(Resident(server, old), other)
    await browser.tokens("epicgames", "birch")
    assert refused(await authorized(browser, id_token_hint=old["id_token"])) == "login_required"


# --- orders ---


@pytest.mark.parametrize("named", ["old", "new"])
async def test_what_voids_the_player_is_told_under_every_sub(
    manager: Manager, old: Resident, new: Resident, named: str
) -> None:
    gone, stays = old.sub, new.sub
    await manager.merge(old, new)
    await revoke_tokens(manager.server.app.desk, {"kind": "player", "subject": gone if named == "old" else stays})
    for token in (old.tokens["access_token"], new.tokens["access_token"]):
        assert await manager.introspect(token) == {"active": False}
    assert token_error(await manager.server.refresh(old.tokens["refresh_token"])) == "invalid_grant"
    told_offline = await feed(manager.server)
    assert told_offline["not_before"].keys() == {gone, stays}
    (audited,) = manager.server.audited("tokens.revoked_before")
    assert audited["sub"] == stays


async def test_a_login_after_a_merge_is_told_to_nobody_under_the_old_sub(
    manager: Manager, old: Resident, new: Resident
) -> None:
    await manager.merge(old, new)
    tokens = (await resident(manager.server)).tokens
    subs = {manager.server.claims(tokens[name])["sub"] for name in ("access_token", "id_token")}
    assert subs == {new.sub}
