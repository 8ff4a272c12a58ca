"""`POST /api/token/validate` as servers use it: 204 for a good token of a player, and a code for each other case."""

from collections.abc import AsyncIterator

import pytest

from authsrv.models import NotBeforeKind
from tests.support.banning import ban
from tests.support.ending import Block, Kept, reload, void_before
from tests.support.refusals import clients, demo, tables
from tests.support.server import Server, running
from tests.support.xsolla import Game, Refusal, refusal

BAD_TOKEN: Refusal = (422, "002-016", {})
PROJECT = "7f1b7d0a-1f53-4a0b-8f0e-2f0e6c8b4d22"


def edit(block: Block) -> None:
    demo(block)["id"] = PROJECT
    clients(block)["41"] = {"compat": "xsolla", "type": "server", "secret": "forty-one-secret"}


@pytest.fixture
def kept() -> Kept:
    return Kept(edit)


@pytest.fixture
async def server(kept: Kept) -> AsyncIterator[Server]:
    async with running(edit=kept) as started:
        yield started


@pytest.fixture
def game(server: Server) -> Game:
    return Game(server)


async def judged(game: Game, token: object) -> Refusal:
    return refusal(await game.validate({"token": token}))


async def test_a_good_token_is_answered_by_204_and_an_empty_body(game: Game) -> None:
    answer = await game.validate({"token": await game.access_token()})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
async def test_the_body_is_json_whatever_it_is_called(game: Game, content_type: str | None) -> None:
    body = f'{{"token": "{await game.access_token()}"}}'
    headers = {"content-type": content_type} if content_type else {}
    answer = await game.server.http.post("/api/token/validate", content=body.encode(), headers=headers)
    assert answer.status_code == 204


@pytest.mark.parametrize(
    "body",
    [b"", b"token=x", b"[]", b"null", b'"token"', b"{", b'{"token": "a", "token": "b"}', b'\xff{"token": "a"}'],
)
async def test_a_body_that_is_no_json_object_is_0(game: Game, body: bytes) -> None:
    answer = await game.server.http.post("/api/token/validate", content=body)
    assert refusal(answer)[:2] == (400, "0")


@pytest.mark.parametrize("token", ["", None, 5, ["x"], {"token": "x"}])
async def test_a_body_without_a_token_is_0(game: Game, token: object) -> None:
    assert await judged(game, token) == (400, "0", {"reason": "invalid_parameter", "parameter": "token"})


async def test_a_body_that_is_too_long_is_0(game: Game) -> None:
    assert (await judged(game, "x" * 30_000))[:2] == (413, "0")


async def test_a_token_that_is_no_players_of_this_surface_is_002_016(game: Game) -> None:
    standard = await game.server.login("steam")
    form = {"grant_type": "client_credentials", "client_id": "41", "client_secret": "forty-one-secret"}
    own = (await game.server.http.post("/api/oauth2/token", data=form)).json()["access_token"]
    mine = await game.tokens()
    forged = mine["access_token"][:-4] + "AAAA"
    for token in ("junk", forged, mine["refresh_token"], own, standard["access_token"], standard["id_token"]):
        assert await judged(game, token) == BAD_TOKEN


async def test_a_token_out_of_time_is_002_016(game: Game) -> None:
    token = await game.access_token()
    game.server.clock.now += 3600
    assert await judged(game, token) == BAD_TOKEN


@pytest.mark.parametrize("kind", ["player", "client", "project"])
async def test_a_token_that_was_voided_is_002_016(game: Game, kind: NotBeforeKind) -> None:
    token = await game.access_token()
    subject = {"player": game.server.claims(token)["sub"], "client": "40", "project": "demo"}[kind]
    await void_before(game.server, kind, subject)
    assert await judged(game, token) == BAD_TOKEN


async def test_a_token_of_a_revoked_family_is_002_016(game: Game) -> None:
    first = await game.tokens()
    await game.refresh(first["refresh_token"])
    game.server.clock.now += 31
    await game.refresh(first["refresh_token"])
    assert await judged(game, first["access_token"]) == BAD_TOKEN


async def test_a_token_of_a_client_that_left_the_file_is_002_016(game: Game, kept: Kept) -> None:
    token = await game.access_token()
    await reload(game.server, kept.changed(lambda block: clients(block).pop("40")))
    assert await judged(game, token) == BAD_TOKEN


async def test_a_token_of_a_player_who_is_gone_is_003_002(game: Game) -> None:
    token = await game.access_token()
    found = tables(game.server)
    found.players.clear()
    found.grants.clear()
    assert await judged(game, token) == (404, "003-002", {"reason": "user_not_found"})


async def test_a_token_of_a_project_that_is_no_longer_there_is_003_019(game: Game, kept: Kept) -> None:
    token = await game.access_token()
    other = "7f1b7d0a-1f53-4a0b-8f0e-2f0e6c8b4d23"
    await reload(game.server, kept.changed(lambda block: demo(block).update(id=other)))
    assert await judged(game, token) == (404, "003-019", {"reason": "unknown_project"})


async def test_a_banned_players_token_is_002_040(game: Game) -> None:
    token = await game.access_token()
    await ban(game.server, game.server.claims(token)["sub"])
    assert await judged(game, token) == (422, "002-040", {"reason": "banned"})


async def test_a_restricted_players_token_is_002_016(game: Game) -> None:
    token = await game.access_token()
    await ban(game.server, game.server.claims(token)["sub"], kind="restricted")
    assert await judged(game, token) == BAD_TOKEN


async def test_whoever_asks_needs_no_token_of_their_own(game: Game) -> None:
    answer = await game.server.http.post("/api/token/validate", json={"token": "junk"})
    assert "www-authenticate" not in answer.headers
    assert refusal(answer) == BAD_TOKEN


async def test_it_is_asked_by_post_alone(game: Game) -> None:
    assert refusal(await game.get("/api/token/validate"))[:2] == (405, "0")
