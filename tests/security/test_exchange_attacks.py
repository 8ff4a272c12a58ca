"""Token exchange under attack: by services that were sent a token, by clients that anybody can name, by thieves of
credentials and tokens, and by a configuration that changes between two steps.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from authsrv.storage.changes import SetNotBefore
from tests.support.ending import refused_offline, revoke
from tests.support.exchange import (
    ID_TOKEN,
    MATCH,
    MOD_IO,
    SECRET,
    exchanging,
    match_server,
    narrow,
)
from tests.support.refusals import clients, token_error
from tests.support.server import ISSUER, Server, running

MARKET = "https://market.example"
AS_LAUNCHER: dict[str, str | None] = {"client_id": "launcher", "client_secret": None, "audience": None}
AS_MARKET: dict[str, str | None] = {"client_id": "market", "audience": MARKET}
WANTS_ID_TOKEN: dict[str, str | None] = {"requested_token_type": ID_TOKEN, "audience": MOD_IO}


def attacked(block: dict[str, Any]) -> None:
    """The launcher and the game server, a market that takes the game server's tokens, and a launcher whose access
    tokens are given up one by one.
    """
    exchanging(block)
    found = clients(block)
    found["lone"] = {**found["launcher"], "revoke_grant_with_access_token": False}
    found["match"]["exchange_from"] = ["launcher", "lone"]
    found["market"] = match_server("match") | {"audiences": [MARKET]}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=attacked) as started:
        yield started


async def is_active(server: Server, token: str) -> bool:
    asked = {"client_id": "match", "client_secret": SECRET, "token": token}
    answer = await server.http.post("/oauth2/introspect", data=asked)
    found: bool = answer.json()["active"]
    return found


async def narrowed(server: Server, token: str, **changes: str | None) -> str:
    """An exchange that must be good; the access token."""
    answer = await narrow(server, token, **changes)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found


# --- a service that was sent a token ---


async def test_a_service_whose_token_is_for_it_alone_does_not_make_it_one_for_everybody(server: Server) -> None:
    token = (await server.login("steam", audience=MATCH))["access_token"]
    assert token_error(await narrow(server, token, audience=ISSUER)) == "invalid_target"
    kept = await narrowed(server, token, audience=None)
    assert server.claims(kept)["aud"] == MATCH


async def test_a_token_that_was_narrowed_to_be_sent_gives_whoever_got_it_no_id_token(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    sent = await narrowed(server, token, **AS_LAUNCHER, scope="openid")
    assert token_error(await narrow(server, sent, **AS_LAUNCHER | WANTS_ID_TOKEN)) == "invalid_grant"
    assert (await narrow(server, token, **AS_LAUNCHER | WANTS_ID_TOKEN)).status_code == 200


async def test_a_client_without_a_secret_exchanges_no_token_twice(server: Server) -> None:
    """Whoever was sent the first could keep copies of it that nobody knows of and nobody can revoke."""
    token = (await server.login("steam"))["access_token"]
    sent = await narrowed(server, token, **AS_LAUNCHER, scope="openid")
    assert token_error(await narrow(server, sent, **AS_LAUNCHER)) == "invalid_grant"


async def test_whoever_was_sent_a_narrowed_token_cannot_log_the_player_out_with_it(server: Server) -> None:
    tokens = await server.login("steam")
    sent = await narrowed(server, tokens["access_token"], **AS_LAUNCHER, scope="openid")
    assert (await revoke(server, sent)).status_code == 200
    assert not await is_active(server, sent)
    assert await is_active(server, tokens["access_token"])
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


# --- what was made of a token ends with it ---


@pytest.mark.parametrize("thief", ["launcher", "match"])
async def test_what_was_made_of_a_token_ends_when_that_token_alone_is_revoked(server: Server, thief: str) -> None:
    tokens = await server.redeem(await server.code("steam", client_id="lone"), client_id="lone")
    token = tokens.json()["access_token"]
    by: dict[str, str | None] = AS_LAUNCHER | {"client_id": "lone"} if thief == "launcher" else {}
    made = await narrowed(server, token, **by)
    made_of_it = await narrowed(server, made, **AS_MARKET) if thief == "match" else made
    assert (await revoke(server, token, client_id="lone")).status_code == 200
    for each in (made, made_of_it):
        assert not await is_active(server, each)
        assert await refused_offline(server, each)
        assert (await server.userinfo(each)).status_code == 401
    assert token_error(await narrow(server, made, **by)) == "invalid_grant"
    again = await server.refresh(tokens.json()["refresh_token"], client_id="lone")
    assert await is_active(server, again.json()["access_token"])


@pytest.mark.parametrize("kind", ["client", "project", "player"])
async def test_B35_a_not_before_of_where_a_token_came_from_reaches_game_servers_that_never_ask(
    server: Server, kind: Any
) -> None:
    token = (await server.login("steam"))["access_token"]
    made = await narrowed(server, await narrowed(server, token), **AS_MARKET)
    subject = {"client": "launcher", "project": "demo", "player": server.claims(token)["sub"]}[kind]
    await server.app.storage.apply([SetNotBefore(kind, subject, int(server.clock.now) + 1)])
    server.clock.now += 1
    assert not await is_active(server, made)
    assert await refused_offline(server, made)
    assert token_error(await narrow(server, token)) == "invalid_grant"


# --- times ---


@pytest.mark.parametrize("left", [1, 2, 60])
async def test_at_the_end_of_a_token_nothing_made_of_it_is_good_for_longer(server: Server, left: int) -> None:
    token = (await server.login("steam"))["access_token"]
    end = server.claims(token)["exp"]
    server.clock.now = end - left
    for wish in ({}, AS_LAUNCHER | WANTS_ID_TOKEN):
        got = (await narrow(server, token, **wish)).json()
        assert (got["expires_in"], server.claims(got["access_token"])["exp"]) == (left, end)
    server.clock.now = end
    for wish in ({}, AS_LAUNCHER | WANTS_ID_TOKEN):
        assert token_error(await narrow(server, token, **wish)) == "invalid_grant"
