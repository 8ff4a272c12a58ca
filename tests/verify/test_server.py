"""The verifier against the server itself: every token that it makes, everything by which one ends."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest

from authsrv.models import TOKEN_EXCHANGE
from authsrv.storage.changes import SetNotBefore
from authsrv.verify import Fetched, InvalidToken, Verifier
from tests.support.banning import ban
from tests.support.refusals import clients
from tests.support.server import ISSUER, Server, running
from tests.support.token_source import Rounds
from tests.support.verifying_page import shown_feed

BLANK = "http://127.0.0.1/blank"
SECRET = "secret-of-the-game-server-in-a-test"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def with_a_match_server(block: dict[str, Any]) -> None:
    """A server that acts for the launcher's players, beside the demo's clients."""
    clients(block)["match"] = {
        "type": "server",
        "secret": SECRET,
        "grants": ["client_credentials", TOKEN_EXCHANGE],
        "scopes": ["openid", "match:join"],
        "exchange_from": ["launcher"],
    }


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_a_match_server) as started:
        yield started


class Backend:
    """A game's backend: a verifier whose polls come when the test says."""

    def __init__(self, server: Server, project_id: str) -> None:
        self._server = server
        self._rounds = Rounds()
        self.asked: list[str] = []
        self.verifier = Verifier(
            ISSUER,
            audience=ISSUER,
            xsolla_project=project_id,
            fetch=self._fetch,
            clock=server.clock,
            sleep=self._rounds.sleep,
        )

    async def _fetch(self, url: str, headers: Mapping[str, str], max_body: int) -> Fetched:
        answer = await self._server.http.get(url, headers=dict(headers))
        self.asked.append(f"{answer.status_code} {httpx.URL(url).path}")
        assert len(answer.content) <= max_body
        return Fetched(answer.status_code, answer.headers, answer.content)

    async def poll(self) -> None:
        """What happens `poll` seconds later."""
        self._server.clock.now += 30
        await self._rounds.next()

    async def takes(self, token: str) -> bool:
        try:
            await self.verifier.verify(token)
        except InvalidToken as refused:
            return refused.reason != "revoked"
        return True


@pytest.fixture
async def backend(server: Server) -> AsyncIterator[Backend]:
    project_id = server.claims(await xsolla_token(server))["xsolla_login_project_id"]
    backend = Backend(server, project_id)
    async with backend.verifier:
        yield backend


async def players_token(server: Server) -> str:
    return str((await server.login("steam"))["access_token"])


async def servers_token(server: Server) -> str:
    form = {"grant_type": "client_credentials"}
    answer = await server.http.post("/oauth2/token", data=form, auth=("match", SECRET))
    return str(answer.json()["access_token"])


async def exchanged_token(server: Server) -> str:
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": await players_token(server),
        "subject_token_type": ACCESS_TOKEN,
        "actor_token": await servers_token(server),
        "actor_token_type": ACCESS_TOKEN,
    }
    answer = await server.http.post("/oauth2/token", data=form, auth=("match", SECRET))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def xsolla_token(server: Server) -> str:
    common = {"client_id": "40", "redirect_uri": BLANK}
    sent = {**common, "response_type": "code", "state": "xsollatest", "scope": "offline", "is_redirect": "false"}
    credential = dict(server.mint("steam").parameters)
    answer = await server.http.get("/api/oauth2/social/steam/cross_auth", params=sent | credential)
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    form = {**common, "grant_type": "authorization_code", "code": code}
    return str((await server.http.post("/api/oauth2/token", data=form)).json()["access_token"])


async def test_a_players_token_says_to_the_backend_what_the_server_said(server: Server, backend: Backend) -> None:
    tokens = await server.login("steam")
    token = await backend.verifier.verify(tokens["access_token"], scope="openid")
    said = server.claims(tokens["access_token"])
    assert (token.sub, token.client_id, token.gid, token.jti) == (said["sub"], "launcher", said["gid"], said["jti"])
    assert set(token.scope) == set(tokens["scope"].split())
    assert token.claims == said
    assert backend.asked == [
        "200 /.well-known/openid-configuration",
        "200 /oauth2/jwks",
        "200 /oauth2/revocations",
    ]


async def test_C18_an_id_token_is_no_access_token(server: Server, backend: Backend) -> None:
    tokens = await server.login("steam")
    with pytest.raises(InvalidToken):
        await backend.verifier.verify(tokens["id_token"])
    with pytest.raises(InvalidToken):
        await backend.verifier.verify(tokens["refresh_token"])
    with pytest.raises(InvalidToken):
        await backend.verifier.verify((await server.http.get("/oauth2/revocations")).text)


async def test_a_servers_own_token_is_told_from_a_players(server: Server, backend: Backend) -> None:
    token = await backend.verifier.verify(await servers_token(server))
    assert (token.sub, token.client_id, token.gid) == ("match", "match", "")


async def test_a_token_in_the_xsolla_profile_is_taken_for_its_project(server: Server, backend: Backend) -> None:
    token = await backend.verifier.verify(await xsolla_token(server))
    assert (token.client_id, set(token.scope)) == ("40", {"offline"})


async def test_an_exchanged_token_says_who_acts_for_the_player(server: Server, backend: Backend) -> None:
    token = await backend.verifier.verify(await exchanged_token(server))
    assert token.client_id == "match"
    assert token.act
    assert token.act["sub"] == "match"


Makes = Callable[[Server], Awaitable[str]]
Ends = Callable[[Server, str], Awaitable[None]]


async def revoked_by_its_client(server: Server, token: str) -> None:
    client_id = server.claims(token)["client_id"]
    secret = {"client_secret": SECRET} if client_id == "match" else {}
    answer = await server.http.post("/oauth2/revoke", data={"token": token, "client_id": client_id, **secret})
    assert answer.status_code == 200, answer.text


async def player_voided(server: Server, token: str) -> None:
    await end(server, "player", server.claims(token)["sub"])


async def player_banned(server: Server, token: str) -> None:
    await ban(server, server.claims(token)["sub"])


async def client_ended(server: Server, token: str) -> None:
    await end(server, "client", server.claims(token)["client_id"])


async def project_ended(server: Server, _: str) -> None:
    await end(server, "project", "demo")


async def end(server: Server, kind: Any, subject: str) -> None:
    await server.app.storage.apply([SetNotBefore(kind, subject, int(server.clock.now) + 1)])


EVERY_TOKEN = {
    "player": players_token,
    "server": servers_token,
    "exchanged": exchanged_token,
    "xsolla": xsolla_token,
}
EVERY_END = {
    "revoked": revoked_by_its_client,
    "player": player_voided,
    "ban": player_banned,
    "client": client_ended,
    "project": project_ended,
}
NOT_FOR_EACH_OTHER = {("xsolla", "revoked"), ("server", "player"), ("server", "ban")}
"""Clients in the Xsolla profile cannot use the standard paths, and a server is no player."""


@pytest.mark.parametrize(
    ("makes", "ends"),
    [
        pytest.param(makes, ends, id=f"{token}-{end_}")
        for token, makes in EVERY_TOKEN.items()
        for end_, ends in EVERY_END.items()
        if (token, end_) not in NOT_FOR_EACH_OTHER
    ],
)
async def test_what_ended_is_refused_from_the_next_poll_on(
    server: Server, backend: Backend, makes: Makes, ends: Ends
) -> None:
    token = await makes(server)
    assert await backend.takes(token)
    await ends(server, token)
    assert await backend.takes(token)
    await backend.poll()
    assert not await backend.takes(token)


async def test_a_player_who_came_back_after_the_end_is_taken_again(server: Server, backend: Backend) -> None:
    before = await players_token(server)
    await player_voided(server, before)
    server.clock.now += 1
    after = await players_token(server)
    await backend.poll()
    assert not await backend.takes(before)
    assert await backend.takes(after)


async def test_reuse_of_a_refresh_token_ends_every_access_token_of_the_login(server: Server, backend: Backend) -> None:
    first = await server.login("steam")
    second = (await server.refresh(first["refresh_token"])).json()
    server.clock.now += 31
    third = (await server.refresh(second["refresh_token"])).json()
    server.clock.now += 31
    assert (await server.refresh(first["refresh_token"])).status_code == 400
    await backend.poll()
    for tokens in (first, second, third):
        assert not await backend.takes(tokens["access_token"])
    assert await backend.takes((await server.login("xbox"))["access_token"])


async def test_two_hours_of_polls_keep_the_feed_fresh_and_mostly_cost_a_304(server: Server, backend: Backend) -> None:
    for _ in range(2 * 60 * 2):
        await backend.poll()
    feeds = [answer for answer in backend.asked if answer.endswith("/oauth2/revocations")]
    assert feeds.count("304 /oauth2/revocations") > 0.8 * len(feeds)
    assert await backend.takes(await players_token(server))


async def test_the_feed_is_what_the_page_shows(server: Server) -> None:
    answer = await server.http.get("/oauth2/revocations")
    assert answer.headers["content-type"] == "application/revocations+jwt"
    assert server.claims(answer.text).keys() == json.loads(shown_feed()).keys()
