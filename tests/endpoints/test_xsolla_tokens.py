"""Tokens in the Xsolla profile at the standard endpoints: a backend may ask about them, and what ends others ends them;
they open nothing there, and nobody there may give them up.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.models import NotBeforeKind
from tests.support.ending import (
    INACTIVE,
    Block,
    Kept,
    is_active,
    made_of,
    refused_offline,
    reload,
    revoke,
    told,
    void_before,
    with_everybody,
)
from tests.support.refusals import clients, token_error
from tests.support.server import ISSUER, Server, running

NOW = 1_790_000_000


def edit(block: Block) -> None:
    with_everybody(block)
    clients(block)["40"] |= {"audiences": ["https://match.example"], "extra_scopes": ["match:join"]}
    clients(block)["41"] = {
        "name": "Game server on an Xsolla SDK",
        "type": "server",
        "compat": "xsolla",
        "secret": "xsolla-secret",
    }


@pytest.fixture
def kept() -> Kept:
    return Kept(edit)


@pytest.fixture
async def server(kept: Kept) -> AsyncIterator[Server]:
    async with running(edit=kept) as started:
        yield started


async def logged_in(server: Server, **parameters: str) -> dict[str, Any]:
    """The token answer of a player's game on an Xsolla SDK."""
    minted = server.mint("steam").parameters
    asked = {"client_id": "40", "response_type": "code", "state": "12345678", "is_redirect": "false"}
    asked |= {"scope": "offline match:join", **minted, **parameters}
    answer = await server.http.get("/api/oauth2/social/steam/cross_auth", params=asked)
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    redemption = {"client_id": "40", "code": code, "redirect_uri": "http://127.0.0.1/blank"}
    answer = await server.http.post("/api/oauth2/token", data={"grant_type": "authorization_code", **redemption})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def own_token(server: Server) -> str:
    form = {"grant_type": "client_credentials", "client_id": "41", "client_secret": "xsolla-secret"}
    answer = await server.http.post("/api/oauth2/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def test_a_backend_learns_what_a_players_token_stands_for(server: Server) -> None:
    token = (await logged_in(server))["access_token"]
    claims = server.claims(token)
    assert await told(server, token) == {
        "active": True,
        "iss": ISSUER,
        "sub": claims["sub"],
        "aud": [],
        "client_id": "40",
        "scope": "offline match:join",
        "exp": NOW + 3600,
        "iat": NOW,
        "jti": claims["jti"],
        "gid": claims["gid"],
        "token_type": "Bearer",
    }


async def test_the_audience_is_told_as_it_stands_in_the_token(server: Server) -> None:
    token = (await logged_in(server, audience="https://match.example"))["access_token"]
    assert (await told(server, token))["aud"] == ["https://match.example"]


async def test_so_it_does_of_a_game_servers_own_token_and_of_refresh_tokens(server: Server) -> None:
    own, refresh_token = await own_token(server), (await logged_in(server))["refresh_token"]
    found = await told(server, own)
    assert (found["sub"], found["client_id"], found["scope"]) == ("41", "41", "")
    assert "gid" not in found
    assert (await told(server, refresh_token))["client_id"] == "40"


async def test_a_backend_of_another_project_learns_nothing(server: Server) -> None:
    for token in (*(await logged_in(server)).values(), await own_token(server)):
        assert await told(server, str(token), "keeper") == INACTIVE


@pytest.mark.parametrize("kind", ["player", "client", "project"])
async def test_a_not_before_ends_it(server: Server, kind: NotBeforeKind) -> None:
    token = (await logged_in(server))["access_token"]
    subject = {"player": server.claims(token)["sub"], "client": "40", "project": "demo"}[kind]
    await void_before(server, kind, subject)
    assert not await is_active(server, token)
    assert await refused_offline(server, token)


async def test_the_reuse_of_its_refresh_token_ends_it(server: Server) -> None:
    first = await logged_in(server)
    refresh = {"grant_type": "refresh_token", "client_id": "40"}
    token = first["refresh_token"]
    for _ in range(2):
        answer = await server.http.post("/api/oauth2/token", data={**refresh, "refresh_token": token})
        token = answer.json()["refresh_token"]
    await server.http.post("/api/oauth2/token", data={**refresh, "refresh_token": first["refresh_token"]})
    assert not await is_active(server, first["access_token"])
    assert await refused_offline(server, first["access_token"])


def without_compat(block: Block) -> None:
    for client_id in ("40", "41"):
        del clients(block)[client_id]["compat"]


async def test_a_client_that_changed_its_profile_has_no_token_of_the_other_one(server: Server, kept: Kept) -> None:
    token, own = (await logged_in(server))["access_token"], await own_token(server)
    await reload(server, kept.changed(without_compat))
    for each in (token, own):
        assert await told(server, each) == INACTIVE
        assert (await server.userinfo(each)).status_code == 401


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("client_id", ["launcher", "backend"])
async def test_no_client_of_the_standard_surface_may_give_it_up(server: Server, kind: str, client_id: str) -> None:
    tokens = await logged_in(server)
    secret = "backend-secret" if client_id == "backend" else None
    refused = await revoke(server, tokens[kind], client_id=client_id, client_secret=secret)
    assert token_error(refused) == "unauthorized_client"
    assert await is_active(server, tokens["access_token"])


async def test_nor_is_its_own_client_known_there(server: Server) -> None:
    tokens = await logged_in(server)
    assert token_error(await revoke(server, tokens["access_token"], client_id="40")) == "invalid_client"
    assert await is_active(server, tokens["access_token"])


async def test_it_opens_nothing_and_nothing_is_made_of_it(server: Server, kept: Kept) -> None:
    allowed = {"exchange_from": ["launcher", "40"]}
    await reload(server, kept.changed(lambda block: clients(block)["backend"].update(allowed)))
    token = (await logged_in(server))["access_token"]
    assert (await server.userinfo(token)).status_code == 401
    assert token_error(await made_of(server, token)) == "invalid_grant"
