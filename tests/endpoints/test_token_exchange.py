"""Token exchange (RFC 8693) over HTTP: a platform's credential in, tokens out; access tokens for less or for others."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.models import TOKEN_EXCHANGE
from tests.support.refusals import clients, tables
from tests.support.server import ISSUER, Server, running
from tests.support.verification import verified

PLATFORM = "urn:authsrv:params:oauth:token-type:"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
SECRET = "secret-of-the-game-server-in-a-test"
MATCH, MOD_IO = "https://match.example", "https://mod.io"
KINDS = {"steam": "session_ticket", "xbox": "xsts_token", "epicgames": "exchange_code"}


def exchanging(block: dict[str, Any]) -> None:
    """The demo's launcher may exchange, and so may a game server, also what is the launcher's."""
    launcher = clients(block)["launcher"]
    launcher |= {
        "grants": ["authorization_code", "refresh_token", TOKEN_EXCHANGE],
        "audiences": [MATCH],
        "id_token_audiences": [MOD_IO],
    }
    clients(block)["match"] = {
        "name": "Match server",
        "type": "server",
        "secret": SECRET,
        "grants": ["client_credentials", TOKEN_EXCHANGE],
        "scopes": ["openid", "profile", "match:join"],
        "audiences": [MATCH],
        "exchange_from": ["launcher"],
        "introspect": True,
    }


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=exchanging) as started:
        yield started


async def exchange(server: Server, provider: str = "steam", **changes: str | None) -> httpx.Response:
    """The launcher shows a platform's credential."""
    credential = dict(server.mint(provider).parameters)
    request: dict[str, str | None] = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "launcher",
        "subject_token": credential.pop("session_ticket"),
        "subject_token_type": f"{PLATFORM}{provider}:{KINDS[provider]}",
        "scope": "openid offline",
    }
    return await server.token(**(request | changes))


async def narrow(server: Server, access_token: str, **changes: str | None) -> httpx.Response:
    """The game server shows the launcher's access token."""
    request: dict[str, str | None] = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "match",
        "client_secret": SECRET,
        "subject_token": access_token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": MATCH,
    }
    return await server.token(**(request | changes))


async def backend_token(server: Server) -> str:
    answer = await server.token(
        grant_type="client_credentials", client_id="match", client_secret=SECRET, scope="match:join"
    )
    token: str = answer.json()["access_token"]
    return token


# --- a platform's credential ---


@pytest.mark.parametrize("provider", KINDS)
async def test_a_credential_gives_all_three_tokens_in_one_round_trip(server: Server, provider: str) -> None:
    answer = await exchange(server, provider, nonce="n-0S6_WzA2Mj")
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert got["issued_token_type"] == ACCESS_TOKEN
    assert (got["token_type"], got["expires_in"], got["scope"]) == ("Bearer", 900, "openid offline")
    access = await verified(server, got["access_token"], ISSUER, "at+jwt")
    id_token = await verified(server, got["id_token"], "launcher", "JWT")
    assert access["sub"] == id_token["sub"]
    assert (id_token["nonce"], id_token["amr"]) == ("n-0S6_WzA2Mj", [provider])
    assert (await server.refresh(got["refresh_token"])).status_code == 200


async def test_an_exchange_and_a_silent_login_find_the_same_player(server: Server) -> None:
    exchanged = server.claims((await exchange(server)).json()["access_token"])
    assert exchanged["sub"] == server.claims((await server.login("steam"))["access_token"])["sub"]


async def test_an_access_token_of_an_exchange_opens_userinfo(server: Server) -> None:
    token = (await exchange(server)).json()["access_token"]
    answer = await server.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text


async def test_an_id_token_for_another_service_needs_no_access_token(server: Server) -> None:
    answer = await exchange(server, requested_token_type=ID_TOKEN, audience=MOD_IO, scope="openid")
    got = answer.json()
    assert (got["token_type"], got["issued_token_type"]) == ("N_A", ID_TOKEN)
    assert (await verified(server, got["access_token"], MOD_IO, "JWT"))["aud"] == MOD_IO
    assert "id_token" not in got


# --- an access token of ours ---


async def test_a_game_server_gets_a_token_for_itself_that_shares_its_end(server: Server) -> None:
    tokens = await server.login("steam")
    answer = await narrow(server, tokens["access_token"], scope="openid")
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert "refresh_token" not in got
    before = server.claims(tokens["access_token"])
    claims = await verified(server, got["access_token"], MATCH, "at+jwt")
    assert {name: claims[name] for name in ("sub", "gid", "exp", "auth_time")} == {
        name: before[name] for name in ("sub", "gid", "exp", "auth_time")
    }
    assert (claims["client_id"], claims["scope"]) == ("match", "openid")


async def test_a_token_that_was_made_of_another_never_lives_longer(server: Server) -> None:
    tokens = await server.login("steam")
    server.clock.now += 600
    got = (await narrow(server, tokens["access_token"])).json()
    assert got["expires_in"] == 300
    assert server.claims(got["access_token"])["exp"] == server.claims(tokens["access_token"])["exp"]


async def test_who_acts_for_the_player_is_told(server: Server) -> None:
    tokens = await server.login("steam")
    actor = {"actor_token": await backend_token(server), "actor_token_type": ACCESS_TOKEN}
    got = (await narrow(server, tokens["access_token"], **actor)).json()
    assert server.claims(got["access_token"])["act"] == {"sub": "match"}


async def test_an_exchange_of_an_access_token_writes_nothing(server: Server) -> None:
    tokens = await server.login("steam")
    before = dict(tables(server).grants)
    assert (await narrow(server, tokens["access_token"])).status_code == 200
    assert tables(server).grants == before


# A session at PlayFab, which is asked for by a scope


def playfab_calls(server: Server) -> int:
    return server.playfab.calls["LoginWithServerCustomId"]


async def test_a_credential_brings_a_playfab_session_with_the_tokens_if_it_is_asked_for(server: Server) -> None:
    without, with_it = (await exchange(server)).json(), (await exchange(server, scope="openid playfab")).json()
    assert "session_ticket" not in server.claims(without["access_token"])
    assert "session_ticket" in server.claims(with_it["access_token"])
    assert "session_ticket" not in server.claims(with_it["id_token"])
    assert playfab_calls(server) == 1


async def test_D33_what_is_made_of_a_token_for_others_has_no_playfab_session(server: Server) -> None:
    token = (await exchange(server, scope="openid playfab")).json()["access_token"]
    narrowed = (await narrow(server, token)).json()
    assert (narrowed["scope"], playfab_calls(server)) == ("openid", 1)
    assert "session_ticket" not in server.claims(narrowed["access_token"])


async def test_an_exchange_for_an_id_token_alone_asks_nobody_for_a_session(server: Server) -> None:
    answer = await exchange(server, scope="openid playfab", requested_token_type=ID_TOKEN)
    assert "session_ticket" not in server.claims(answer.json()["access_token"])
    assert playfab_calls(server) == 0


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"subject_token": "00"}, 400),
        ({"audience": "https://elsewhere.example"}, 400),
        ({"scope": "playfab admin "}, 200),
    ],
)
async def test_only_a_credential_that_proved_good_asks_for_a_session(
    server: Server, changes: dict[str, str], status: int
) -> None:
    assert (await exchange(server, **({"scope": "openid playfab"} | changes))).status_code == status
    assert playfab_calls(server) == (1 if status == 200 else 0)


async def test_a_playfab_that_is_down_fails_no_exchange(server: Server) -> None:
    server.playfab.meet("http-500")
    answer = await exchange(server, scope="openid offline playfab")
    assert (answer.status_code, answer.json()["scope"]) == (200, "openid offline playfab")
    assert "session_ticket" not in server.claims(answer.json()["access_token"])
