"""What introspection says of a token in force (RFC 7662 section 2.2): exactly which members, and whose."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.ending import INACTIVE, Block, introspect, made_of, own_token, told, with_everybody
from tests.support.refusals import clients
from tests.support.server import ISSUER, Server, running

NOW = 1_790_000_000
MATCH = "https://match.example"


def edit(block: Block) -> None:
    with_everybody(block)
    clients(block)["launcher"]["audiences"] = [MATCH, "https://chat.example"]
    clients(block)["backend"]["audiences"] = [MATCH]
    clients(block)["shop"]["first_party"] = False


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


async def test_a_players_access_token(server: Server) -> None:
    tokens = await server.login("steam")
    claims = server.claims(tokens["access_token"])
    answer = await introspect(server, tokens["access_token"])
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "active": True,
        "iss": ISSUER,
        "sub": claims["sub"],
        "aud": ISSUER,
        "client_id": "launcher",
        "scope": "openid offline",
        "exp": NOW + 900,
        "iat": NOW,
        "jti": claims["jti"],
        "gid": claims["gid"],
        "auth_time": NOW,
        "idp": "steam",
        "idp_sub": claims["idp_sub"],
        "token_type": "Bearer",
    }


async def test_several_audiences_are_a_list(server: Server) -> None:
    tokens = await server.login("steam", None, audience=f"{MATCH} https://chat.example")
    assert (await told(server, tokens["access_token"]))["aud"] == [MATCH, "https://chat.example"]


async def test_the_platforms_account_is_told_no_further_than_to_the_client(server: Server) -> None:
    browser = Browser(server)
    page = await browser.sign_in()
    tokens = await browser.exchanged(await browser.press(page, "allow"))
    assert not {"idp", "idp_sub"} & (await told(server, tokens["access_token"])).keys()


async def test_a_servers_own_token(server: Server) -> None:
    token = await own_token(server)
    assert await told(server, token) == {
        "active": True,
        "iss": ISSUER,
        "sub": "backend",
        "aud": ISSUER,
        "client_id": "backend",
        "scope": "openid",
        "exp": NOW + 900,
        "iat": NOW,
        "jti": server.claims(token)["jti"],
        "token_type": "Bearer",
    }


async def test_a_token_made_by_exchange_says_who_acts_and_ends_with_what_it_was_made_of(server: Server) -> None:
    tokens = await server.login("steam")
    server.clock.now += 300
    made = (await made_of(server, tokens["access_token"], actor_token=await own_token(server))).json()
    found = await told(server, made["access_token"])
    before = server.claims(tokens["access_token"])
    assert (found["client_id"], found["act"]) == ("backend", {"sub": "backend"})
    assert (found["sub"], found["gid"], found["exp"]) == (before["sub"], before["gid"], NOW + 900)


async def test_the_present_refresh_token(server: Server) -> None:
    tokens = await server.login("steam")
    claims = server.claims(tokens["access_token"])
    expected: dict[str, Any] = {
        "active": True,
        "iss": ISSUER,
        "sub": claims["sub"],
        "client_id": "launcher",
        "scope": "openid offline",
        "exp": NOW + 30 * 86400,
        "iat": NOW,
        "gid": claims["gid"],
    }
    assert await told(server, tokens["refresh_token"]) == expected
    server.clock.now += 86400
    newest = (await server.refresh(tokens["refresh_token"], scope="openid")).json()["refresh_token"]
    assert await told(server, newest) == {**expected, "iat": NOW + 86400, "exp": NOW + 31 * 86400}
    assert await told(server, tokens["refresh_token"]) == INACTIVE


@pytest.mark.parametrize(
    ("kind", "lives"),
    [pytest.param("access_token", 900, id="access"), pytest.param("refresh_token", 30 * 86400, id="refresh")],
)
async def test_a_token_is_in_force_to_its_last_second(server: Server, kind: str, lives: int) -> None:
    token = (await server.login("steam"))[kind]
    server.clock.now += lives - 1
    assert (await told(server, token))["exp"] == server.clock.now + 1
    server.clock.now += 1
    assert await told(server, token) == INACTIVE


async def test_asking_changes_nothing(server: Server) -> None:
    tokens = await server.login("steam")
    audited = len(server.audited("token.issued"))
    for _ in range(3):
        for kind in ("access_token", "refresh_token"):
            assert (await told(server, tokens[kind]))["active"] is True
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200
    assert len(server.audited("token.issued")) == audited
