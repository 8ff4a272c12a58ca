"""What a connect request may look like, who may send it, and what it may say beside the credential."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.models import TOKEN_EXCHANGE
from tests.support.connecting import CONNECT, CONTINUE, body, connect, redeemed
from tests.support.exchange import ACCESS_TOKEN
from tests.support.refusals import clients, demo, tables
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import Server, running

OF_THE_SHOP: dict[str, Any] = {
    "redirect_uri": None,
    "scope": "openid",
    "code_challenge": None,
    "code_challenge_method": None,
}
"""A client with one redirect URI that need not do PKCE."""


def edit(block: dict[str, Any]) -> None:
    demo(block)["accounts"] = {"segments": ["tier", "wave"]}
    clients(block)["shop"] |= {"scopes": ["openid", "account"], "pkce": "optional"}
    clients(block)["backend"] |= {"grants": ["client_credentials", TOKEN_EXCHANGE], "exchange_from": ["launcher"]}
    clients(block)["backend"]["scopes"] = ["openid", "account"]
    clients(block)["foreign"] = {**clients(block)["launcher"], "first_party": False}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
async def ann(server: Server) -> Resident:
    return await resident(server, "epicgames", "amber")


async def raw(server: Server, content: str | bytes, content_type: str = "application/json") -> httpx.Response:
    return await server.http.post(CONNECT, content=content, headers={"content-type": content_type})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


# --- the body ---


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"flags": {"error_on_switch": "false"}}, id="a flag as text"),
        pytest.param({"flags": {"error_on_switch": 0}}, id="a flag as a number"),
        pytest.param({"flags": {"error_on_switch": None}}, id="a flag as null"),
        pytest.param({"flags": {"error_on_swich": False}}, id="a flag misspelt"),
        pytest.param({"flags": {"errorOnSwitch": False}}, id="a flag in another dialect"),
        pytest.param({"flags": []}, id="flags as a list"),
        pytest.param({"flags": "error_on_switch"}, id="flags as text"),
        pytest.param({"preview": "true"}, id="preview as text"),
        pytest.param({"preveiw": True}, id="preview misspelt"),
        pytest.param({"preview": 1}, id="preview as a number"),
        pytest.param({"provider": ["steam"]}, id="provider as a list"),
        pytest.param({"provider": "steam\0"}, id="NUL"),
        pytest.param({"credential": "14000000"}, id="credential as text"),
        pytest.param({"credential": {"value": "14", "kind": "session_ticket"}}, id="credential with an unknown member"),
        pytest.param({"credential": {"value": 14}}, id="value as a number"),
        pytest.param({"credential": {"value": "14" * 50_000}}, id="a value without end"),
        pytest.param({"credential": {"value": "14", "type": "guess"}}, id="an unknown type"),
        pytest.param({"client_id": 57}, id="client_id as a number"),
        pytest.param({"scope": "s" * 1025}, id="a scope without end"),
        pytest.param({"code_challenge": "short"}, id="a code challenge that is none"),
        pytest.param({"code_challenge": None}, id="no code challenge"),
        pytest.param({"code_challenge_method": "plain"}, id="another method"),
        pytest.param({"redirect_uri": "https://evil.example/"}, id="a redirect URI that is not registered"),
        pytest.param({"scope": "admin"}, id="a scope that the client may not have"),
        pytest.param({"audience": "https://evil.example"}, id="an audience that the client may not have"),
        pytest.param({"nonce": "\n"}, id="a nonce with a control character"),
    ],
)
async def test_a_wrong_parameter_costs_no_credential(server: Server, ann: Resident, change: dict[str, Any]) -> None:
    minted = server.mint("steam", "birch")
    before = tables(server).copy()
    answer = await connect(server, "steam", "birch", ann, minted=minted, **change)
    assert answer.status_code == 400, answer.text
    assert tables(server) == before
    assert server.platforms["steam"].calls.total() == 0
    assert (await connect(server, "steam", "birch", ann, minted=minted)).json()["outcome"] == "linked"


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b'"x"', b"{", b'{"provider":"steam","provider":"xbox"}', b"\xff", b"\xef\xbb\xbf{}", b"{}{}"],
)
async def test_what_is_no_json_object_is_refused(server: Server, content: bytes) -> None:
    assert refusal(await raw(server, content)) == (400, "invalid_request")


async def test_a_body_without_end_is_refused_before_it_is_read(server: Server) -> None:
    assert (await raw(server, b"{" + b" " * 200_000)).status_code == 413


# --- D55: a web page that the player visits ---


@pytest.mark.parametrize("path", [CONNECT, CONTINUE])
@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "application/jsonp", "text/json", ""],
)
async def test_D55_a_web_page_cannot_send_a_simple_request(server: Server, path: str, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    content = json.dumps(body("steam", server.mint("steam")))
    answer = await server.http.post(path, content=content, headers=headers)
    assert refusal(answer) == (415, "invalid_request")
    assert not tables(server).players


@pytest.mark.parametrize("path", [CONNECT, CONTINUE])
async def test_D55_no_web_page_may_read_or_preflight(server: Server, path: str) -> None:
    origin = {"origin": "http://127.0.0.1:8080", "access-control-request-method": "POST"}
    preflight = await server.http.options(path, headers=origin)
    assert preflight.status_code == 405
    answer = await server.http.post(path, json={}, headers={"origin": "http://127.0.0.1:8080"})
    for got in (preflight, answer):
        assert not [name for name in got.headers if name.startswith("access-control-")]


async def test_D55_cookies_are_neither_read_nor_set(server: Server, ann: Resident) -> None:
    bare = await connect(server, "steam", "birch")
    cookies = {"cookie": f"authsrv_sid={ann.tokens['refresh_token']}; access_token={ann.tokens['access_token']}"}
    answer = await connect(server, "steam", "birch", headers=cookies)
    assert (bare.json()["outcome"], answer.json()["outcome"]) == ("created", "signed_in")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_post_is_taken(server: Server, method: str) -> None:
    answer = await server.http.request(method, CONNECT)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# --- the client and the session ---


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"client_id": None}, (401, "invalid_client"), id="no client"),
        pytest.param({"client_id": "nobody"}, (401, "invalid_client"), id="an unknown one"),
        pytest.param({"client_id": "40"}, (401, "invalid_client"), id="one of the other surface"),
        pytest.param({"client_id": "shop"}, (401, "invalid_client"), id="a confidential one without its secret"),
        pytest.param({"client_id": "shop", "client_secret": "x"}, (401, "invalid_client"), id="with a wrong secret"),
        pytest.param({"client_secret": "x"}, (401, "invalid_client"), id="a public one with a secret"),
        pytest.param({"client_id": "foreign"}, (400, "unauthorized_client"), id="one that is not the studio's own"),
        pytest.param(
            {"client_id": "backend", "client_secret": "backend-secret"}, (400, "invalid_request"), id="a server"
        ),
    ],
)
async def test_only_the_studios_own_clients_connect(
    server: Server, change: dict[str, Any], error: tuple[int, str]
) -> None:
    assert refusal(await connect(server, "steam", "birch", **change)) == error
    assert server.platforms["steam"].calls.total() == 0


async def test_a_confidential_client_proves_itself_by_body_or_header(server: Server) -> None:
    by_body = await connect(server, "steam", "birch", client_id="shop", client_secret="shop-secret", **OF_THE_SHOP)
    basic = {"authorization": f"Basic {b64encode(b'shop:shop-secret').decode()}"}
    by_header = await connect(server, "steam", "birch", headers=basic, client_id=None, **OF_THE_SHOP)
    assert (by_body.json()["outcome"], by_header.json()["outcome"]) == ("created", "signed_in")
    both = await connect(
        server, "steam", "birch", headers=basic, client_id="shop", client_secret="shop-secret", **OF_THE_SHOP
    )
    assert refusal(both) == (400, "invalid_request")


@pytest.mark.parametrize("header", ["Bearer ", "Bearer x", "Bearer a.b.c", "XBL3.0 x=1;2"])
async def test_a_session_that_is_none_is_no_session_by_default(server: Server, header: str) -> None:
    answer = await connect(server, "steam", "birch", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith(("Bearer ", "Basic "))
    assert not tables(server).players


async def test_a_session_without_the_scope_is_refused(server: Server) -> None:
    plain = await resident(server, "epicgames", "amber", scope="openid offline")
    answer = await connect(server, "steam", "birch", plain)
    assert refusal(answer) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == 'Bearer realm="authsrv", error="insufficient_scope"'


async def test_the_scope_is_never_implied(server: Server) -> None:
    """A client that lists it gets it by name alone, so that no game server is sent a token that changes accounts."""
    code = await server.code("steam", server.mint("steam"), scope=None)
    assert "account" not in (await server.redeem(code)).json()["scope"].split()


async def test_another_clients_session_is_refused(server: Server, ann: Resident) -> None:
    answer = await connect(server, "steam", "birch", ann, client_id="shop", client_secret="shop-secret", **OF_THE_SHOP)
    assert refusal(answer) == (401, "invalid_token")


async def test_a_token_that_was_made_of_the_players_is_no_session(server: Server, ann: Resident) -> None:
    asked = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "backend",
        "client_secret": "backend-secret",
        "subject_token": ann.tokens["access_token"],
        "subject_token_type": ACCESS_TOKEN,
        "scope": "account",
    }
    exchanged = await server.token(**asked)
    assert exchanged.status_code == 200, exchanged.text
    answer = await connect(server, "steam", "birch", Resident(server, exchanged.json()))
    assert answer.status_code in {401, 403}


async def test_an_ended_session_is_refused(server: Server, ann: Resident) -> None:
    await server.http.post("/oauth2/revoke", data={"client_id": "launcher", "token": ann.tokens["refresh_token"]})
    assert refusal(await connect(server, "steam", "birch", ann)) == (401, "invalid_token")


# --- what it may say besides ---


async def test_the_code_is_for_what_was_asked(server: Server) -> None:
    answer = await connect(server, "steam", "birch", scope="openid", nonce="n-0S6_WzA2Mj")
    arrived = await redeemed(server, answer)
    assert arrived.tokens["scope"] == "openid"
    assert server.claims(arrived.tokens["id_token"])["nonce"] == "n-0S6_WzA2Mj"


async def test_segments_are_stored_at_every_arrival_and_the_last_ones_win(server: Server, ann: Resident) -> None:
    async def segments(player: Resident) -> dict[str, str]:
        found: dict[str, str] = (await player.get("/v1/me")).json()["segments"]
        return found

    made = await redeemed(server, await connect(server, "steam", "cedar", flags={"segments": {"tier": "alpha"}}))
    assert await segments(made) == {"tier": "alpha"}
    await connect(server, "steam", "birch", ann, flags={"segments": {"tier": "beta", "wave": "\u00fc"}})
    assert await segments(ann) == {"tier": "beta", "wave": "\u00fc"}
    await connect(server, "steam", "birch", ann)
    assert await segments(ann) == {"tier": "beta", "wave": "\u00fc"}
    await connect(server, "steam", "birch", ann, flags={"segments": {}})
    assert await segments(ann) == {}


@pytest.mark.parametrize(
    "segments",
    [
        {"rank": "admin"},
        {"tier": 1},
        {"tier": True},
        {"tier": None},
        {"tier": {"a": "b"}},
        {"tier": ["a"]},
        {"tier": "a\0"},
        {"tier": "x" * 2048},
        {"tier": "\u20ac" * 700},
        [],
        "tier",
        None,
    ],
)
async def test_segments_are_a_small_object_of_texts_with_the_projects_keys(
    server: Server, ann: Resident, segments: object
) -> None:
    answer = await connect(server, "steam", "birch", ann, flags={"segments": segments})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "segments")
    assert server.platforms["steam"].calls.total() == 0


async def test_a_conflict_stores_no_segments(server: Server, ann: Resident) -> None:
    await resident(server, "steam", "birch")
    assert (await connect(server, "steam", "birch", ann, flags={"segments": {"tier": "beta"}})).status_code == 409
    assert not any(tables(server).segments.values())


# --- names ---


async def test_the_name_follows_the_platform_account_only_if_that_is_wanted(server: Server, ann: Resident) -> None:
    first = await connect(server, "steam", "birch", ann)
    assert first.json()["user"]["display_name"] == "Amber"
    synced = await connect(server, "steam", "birch", ann, flags={"sync_display_name": True})
    assert synced.json()["user"]["display_name"] == "Birch"
    assert kinds(server) == ["linked", "renamed"]
    again = await connect(server, "steam", "birch", ann, flags={"sync_display_name": True})
    assert (again.json()["user"]["display_name"], kinds(server)) == ("Birch", ["linked", "renamed"])


async def test_a_link_may_bring_its_name(server: Server, ann: Resident) -> None:
    linked = await connect(server, "steam", "birch", ann, flags={"sync_display_name": True})
    assert linked.json()["user"]["display_name"] == "Birch"
    assert (await resident(server, "epicgames", "amber")).sub == ann.sub
    assert (await ann.get("/v1/me")).json()["display_name"] == "Birch"


async def test_a_name_stays_when_the_platform_account_has_none(server: Server, ann: Resident) -> None:
    answer = await connect(server, "guest", "amber", ann, flags={"sync_display_name": True})
    assert (answer.json()["outcome"], answer.json()["user"]["display_name"]) == ("linked", "Amber")
    assert identity("epicgames", "amber") in await ann.keys()
