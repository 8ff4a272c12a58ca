"""Row B34: who may ask what a token stands for, and what is told of tokens that are none of theirs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.ending import (
    INACTIVE,
    INTROSPECT,
    Block,
    Kept,
    introspect,
    own_token,
    reload,
    told,
    with_everybody,
)
from tests.support.refusals import clients, tables, token_error
from tests.support.server import Server, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_everybody) as started:
        yield started


async def logged_in(server: Server, client_id: str) -> dict[str, Any]:
    answer = await server.redeem(await server.code("steam", client_id=client_id), client_id=client_id)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# --- who may ask ---


@pytest.mark.parametrize(
    "authentication",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"client_id": "backend"}, id="an id alone"),
        pytest.param({"client_id": "backend", "client_secret": "wrong"}, id="a wrong secret"),
        pytest.param({"client_id": "nobody", "client_secret": "backend-secret"}, id="an unknown client"),
        pytest.param({"client_id": "launcher"}, id="a public client"),
        pytest.param({"client_id": "launcher", "client_secret": "backend-secret"}, id="a public client with a secret"),
        pytest.param({"client_id": "40"}, id="a client of the other surface"),
    ],
)
async def test_B34_whoever_does_not_prove_to_be_a_client_learns_nothing(
    server: Server, authentication: dict[str, str]
) -> None:
    token = (await server.login("steam"))["access_token"]
    for text in (token, "made up"):
        answer = await server.http.post(INTROSPECT, data={"token": text, **authentication})
        assert token_error(answer) == "invalid_client"


@pytest.mark.parametrize("scheme", ["Bearer {}", "bearer {}"])
async def test_B34_a_token_is_no_authentication(server: Server, scheme: str) -> None:
    token, asked = await own_token(server), (await server.login("steam"))["access_token"]
    header = {"authorization": scheme.format(token)}
    answer = await server.http.post(INTROSPECT, data={"token": asked}, headers=header)
    assert token_error(answer) == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("client_id", ["plain", "shop"])
async def test_B34_a_client_without_introspect_is_told_so_and_nothing_about_the_token(
    server: Server, client_id: str
) -> None:
    tokens = await server.login("steam")
    answers = [await introspect(server, text, client_id) for text in (tokens["access_token"], "made up")]
    assert [token_error(answer) for answer in answers] == ["unauthorized_client"] * 2
    assert answers[0].content == answers[1].content


async def test_B34_secrets_cannot_be_guessed_there(server: Server) -> None:
    failures = [(await introspect(server, "made up", client_secret="wrong")).status_code for _ in range(1001)]
    assert failures == [401] * 1000 + [429]  # ten a minute, and the demo allows a hundred times as much


# --- token scanning: what is none of the asker's ---


async def tokens_of_ironkeep(server: Server) -> dict[str, str]:
    tokens = await logged_in(server, "keep")
    own = await own_token(server, "keeper")
    return {"access": tokens["access_token"], "refresh": tokens["refresh_token"], "own": own}


async def test_B34_a_server_of_another_project_learns_nothing(server: Server) -> None:
    for token in (await tokens_of_ironkeep(server)).values():
        assert (await told(server, token, "keeper"))["active"] is True
        assert await told(server, token, "backend") == INACTIVE


async def test_B34_what_is_inactive_looks_the_same_whatever_it_is(server: Server) -> None:
    foreign = await tokens_of_ironkeep(server)
    browser = Browser(server)
    landed = await browser.sign_in(player="birch")
    unused, used = landed.answer["code"], await server.code("steam", client_id="launcher")
    tokens = await browser.exchanged(landed)
    replaced = (await server.login("xbox"))["refresh_token"]
    assert (await server.refresh(replaced)).status_code == 200
    (grant, *_), (session,) = tables(server).grants.values(), tables(server).sessions.values()
    ids = server.app.desk.server.opaque
    everything = [
        *foreign.values(),
        *(unused, used, replaced, tokens["id_token"], tokens["access_token"][:-1], tokens["refresh_token"][:-1]),
        *(ids.public_id("gid", grant.id), ids.public_id("sid", session.id), *browser.cookies.values()),
        *("made up", "asr_" + "A" * 65, "a.b.c", ".", "\N{SNOWMAN}", "a\r\nb", "x" * 16384, "." * 16384),
        server.claims(tokens["access_token"])["jti"],
    ]
    answers = [await introspect(server, text) for text in everything]
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, b'{"active":false}')}
    lengths = {answer.headers["content-length"] for answer in answers}
    assert len(lengths) == 1


async def test_B34_a_client_that_moved_to_another_project_takes_no_token_along() -> None:
    def move(block: Block) -> None:
        for client_id in ("launcher", "plain"):
            block["projects"]["ironkeep"]["clients"][client_id] = clients(block).pop(client_id)

    kept = Kept()
    async with running(edit=kept) as server:
        tokens, own = await server.login("steam"), await own_token(server, "plain")
        await reload(server, kept.changed(move))
        for token in (tokens["access_token"], tokens["refresh_token"], own):
            assert await told(server, token, "backend") == INACTIVE
            assert await told(server, token, "keeper") == INACTIVE


async def test_B34_a_client_that_left_has_no_token_in_force() -> None:
    kept = Kept()
    async with running(edit=kept) as server:
        tokens, own = await server.login("steam"), await own_token(server, "plain")
        await reload(server, kept.changed(lambda block: [clients(block).pop(name) for name in ("launcher", "plain")]))
        for token in (tokens["access_token"], tokens["refresh_token"], own):
            assert await told(server, token) == INACTIVE
        await reload(server, kept.block)
        assert (await told(server, own))["active"] is True


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"scopes": ["openid"]}, id="offline"),
        pytest.param({"grants": ["authorization_code"]}, id="the grant"),
    ],
)
async def test_B34_a_refresh_token_that_its_client_may_no_longer_use_is_not_in_force(change: Block) -> None:
    kept = Kept()
    async with running(edit=kept) as server:
        tokens = await server.login("steam")
        await reload(server, kept.changed(lambda block: clients(block)["launcher"].update(change)))
        assert await told(server, tokens["refresh_token"]) == INACTIVE
        assert (await told(server, tokens["access_token"]))["active"] is True
