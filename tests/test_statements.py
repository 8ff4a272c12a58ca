"""How many statements and transactions a request costs on SQLite. Whoever adds one must say so here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.browser import Browser, shop_request
from tests.support.ending import FEED, introspect, is_active, own_token, revoke, with_everybody
from tests.support.exchange import (
    ACCESS_TOKEN,
    ID_TOKEN,
    exchange,
    exchange_of,
    exchanging,
    narrow,
    ticket,
)
from tests.support.exchange import own_token as match_token
from tests.support.server import Server, running
from tests.support.storage import reading_connection, traced, writing_connection


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path) as started:
        yield started


@pytest.fixture
async def exchanging_server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, edit=exchanging) as started:
        yield started


@dataclass
class Ran:
    """What the two connections ran, by the first words of each statement."""

    read: list[str]
    wrote: list[str]


@asynccontextmanager
async def watching(server: Server) -> AsyncIterator[Ran]:
    storage = server.app.storage
    assert isinstance(storage, SqliteStorage)
    async with traced(reading_connection(storage)) as read, traced(writing_connection(storage)) as wrote:
        yield Ran(read, wrote)


async def test_the_exchange_of_a_code_is_one_read_and_one_write(server: Server) -> None:
    code = await server.code("steam")
    async with watching(server) as ran:
        assert (await server.redeem(code)).status_code == 200
    assert ran == Ran(["SELECT g.id,"], ["BEGIN IMMEDIATE", "UPDATE grants", "COMMIT"])


async def test_a_refresh_is_one_read_and_one_write(server: Server) -> None:
    token = (await server.login("steam"))["refresh_token"]
    async with watching(server) as ran:
        assert (await server.refresh(token)).status_code == 200
    assert ran == Ran(["SELECT g.id,"], ["BEGIN IMMEDIATE", "UPDATE grants", "COMMIT"])


async def test_a_repeated_refresh_writes_nothing(server: Server) -> None:
    token = (await server.login("steam"))["refresh_token"]
    await server.refresh(token)
    async with watching(server) as ran:
        assert (await server.refresh(token)).status_code == 200
    assert ran == Ran(["SELECT g.id,"], [])


async def test_a_playfab_session_costs_no_statement(server: Server) -> None:
    code = await server.code("steam", scope="offline playfab")
    async with watching(server) as ran:
        exchanged = (await server.redeem(code)).json()
        refreshed = (await server.refresh(exchanged["refresh_token"])).json()
    assert ran == Ran(["SELECT g.id,"] * 2, ["BEGIN IMMEDIATE", "UPDATE grants", "COMMIT"] * 2)
    assert all("session_ticket" in server.claims(one["access_token"]) for one in (exchanged, refreshed))


async def test_client_credentials_touch_no_database(server: Server) -> None:
    async with watching(server) as ran:
        answer = await server.token(
            grant_type="client_credentials", client_id="backend", client_secret="backend-secret"
        )
        assert answer.status_code == 200
    assert ran == Ran([], [])


async def test_a_sign_in_begun_without_a_cookie_is_one_write(server: Server) -> None:
    browser = Browser(server)
    async with watching(server) as ran:
        assert (await browser.get("/oauth2/authorize", **shop_request())).status_code == 302
    assert ran.read == []
    assert ran.wrote == ["BEGIN IMMEDIATE", "INSERT INTO", "INSERT INTO", "DELETE FROM", "COMMIT"]


async def test_single_sign_on_is_one_read_and_one_write(server: Server) -> None:
    browser = Browser(server)
    await browser.sign_in()
    async with watching(server) as ran:
        assert (await browser.get("/oauth2/authorize", **shop_request())).status_code == 302
    assert ran.read == ["SELECT b.id,"]
    assert ran.wrote == ["BEGIN IMMEDIATE", "UPDATE sessions", "INSERT INTO", "INSERT INTO", "COMMIT"]


async def test_prompt_none_without_a_session_writes_nothing(server: Server) -> None:
    async with watching(server) as ran:
        await Browser(server).get("/oauth2/authorize", **(shop_request() | {"prompt": "none"}))
    assert ran == Ran([], [])


async def test_a_logout_reads_browser_sessions_and_participants_once_and_writes_once(server: Server) -> None:
    browser = Browser(server)
    hint = (await browser.tokens())["id_token"]
    async with watching(server) as ran:
        assert (await browser.get("/oauth2/logout", id_token_hint=hint)).status_code == 200
    assert ran.read == ["SELECT b.id,", "SELECT s.id,", "SELECT client_id"]
    assert (ran.wrote[0], ran.wrote.count("COMMIT")) == ("BEGIN IMMEDIATE", 1)


async def test_userinfo_is_one_read(server: Server) -> None:
    browser = Browser(server)
    token = (await browser.tokens())["access_token"]
    async with watching(server) as ran:
        assert (await browser.userinfo(token)).status_code == 200
    assert ran == Ran(["SELECT g.id,"], [])


BACKEND = {"client_id": "backend", "client_secret": "backend-secret"}


async def test_introspection_is_one_read_whatever_the_token(tmp_path: Path) -> None:
    async with running(tmp_path, edit=with_everybody) as server:
        tokens, own = await server.login("steam"), await own_token(server)
        async with watching(server) as ran:
            for token in (tokens["access_token"], tokens["refresh_token"], own):
                assert await is_active(server, token)
        assert ran == Ran(["SELECT g.id,", "SELECT g.id,", "SELECT coalesce((SELECT"], [])


async def test_the_revocation_of_a_refresh_token_is_one_read_and_one_write(server: Server) -> None:
    token = (await server.login("steam"))["refresh_token"]
    async with watching(server) as ran:
        assert (await revoke(server, token)).status_code == 200
    assert ran == Ran(["SELECT g.id,"], ["BEGIN IMMEDIATE", "UPDATE grants", "COMMIT"])


async def test_the_revocation_of_an_access_token_is_one_read_and_one_write(server: Server) -> None:
    token, own = (await server.login("steam"))["access_token"], await own_token(server)
    async with watching(server) as ran:
        assert (await revoke(server, token)).status_code == 200
    assert ran == Ran(["SELECT g.id,"], ["BEGIN IMMEDIATE", "INSERT INTO", "UPDATE grants", "COMMIT"])
    async with watching(server) as ran:
        assert (await revoke(server, own, **BACKEND)).status_code == 200
    assert ran == Ran(["SELECT coalesce((SELECT"], ["BEGIN IMMEDIATE", "INSERT INTO", "COMMIT"])


async def test_a_second_revocation_writes_nothing(server: Server) -> None:
    tokens = await server.login("steam")
    assert (await revoke(server, tokens["access_token"])).status_code == 200
    async with watching(server) as ran:
        for kind in ("access_token", "refresh_token"):
            assert (await revoke(server, tokens[kind])).status_code == 200
    assert ran == Ran(["SELECT g.id,"] * 2, [])


async def test_what_is_no_token_or_names_no_client_costs_no_statement(server: Server) -> None:
    tokens = await server.login("steam")
    async with watching(server) as ran:
        for text in ("garbage", "asr_" + "A" * 65, tokens["id_token"], tokens["access_token"][:-4] + "AAAA"):
            assert (await revoke(server, text)).status_code == 200
        assert (await revoke(server, tokens["access_token"], client_id="nobody")).status_code == 401
        assert (await revoke(server, tokens["access_token"], **BACKEND)).status_code == 400
        assert (await introspect(server, tokens["access_token"], client_secret="wrong")).status_code == 401
    assert ran == Ran([], [])


async def test_the_revocation_feed_is_one_read_a_second(server: Server) -> None:
    async with watching(server) as ran:
        for _ in range(3):
            assert (await server.http.get(FEED)).status_code == 200
    assert ran == Ran(["SELECT 'jti'"], [])


async def test_discovery_and_keys_touch_no_database(server: Server) -> None:
    async with watching(server) as ran:
        for path in ("/.well-known/openid-configuration", "/oauth2/jwks", "/health/live"):
            assert (await server.http.get(path)).status_code == 200
    assert ran == Ran([], [])


SINGLE_USE = [
    *("BEGIN IMMEDIATE", "INSERT INTO", "COMMIT"),  # the reservation
    "BEGIN IMMEDIATE",
    "INSERT INTO",  # the player
    "INSERT INTO",  # the identity
    "INSERT INTO",  # the journal's entry
    "UPDATE grants",  # what an earlier answer to the same credential carried, had there been one
    "UPDATE credentials",
    "INSERT INTO",  # the grant
    "COMMIT",
]


@pytest.mark.parametrize("provider", ["steam", "epicgames"])
async def test_the_exchange_of_a_single_use_credential_is_a_reservation_a_read_and_a_write(
    exchanging_server: Server, provider: str
) -> None:
    async with watching(exchanging_server) as ran:
        assert (await exchange_of(exchanging_server, provider)).status_code == 200
    assert ran == Ran(["SELECT p.id,"], SINGLE_USE)


@pytest.mark.parametrize("provider", ["xbox", "guest"])
async def test_the_exchange_of_a_credential_of_many_uses_is_one_read_and_one_write(
    exchanging_server: Server, provider: str
) -> None:
    await exchange_of(exchanging_server, provider)
    async with watching(exchanging_server) as ran:
        assert (await exchange_of(exchanging_server, provider)).status_code == 200
    assert ran == Ran(
        ["SELECT p.id,"], ["BEGIN IMMEDIATE", "UPDATE players", "UPDATE identities", "INSERT INTO", "COMMIT"]
    )


async def test_a_repeated_exchange_writes_no_reservation(exchanging_server: Server) -> None:
    credential = ticket(exchanging_server)
    await exchange(exchanging_server, credential, nonce="nonce-of-the-launcher")
    async with watching(exchanging_server) as ran:
        assert (await exchange(exchanging_server, credential, nonce="nonce-of-the-launcher")).status_code == 200
    changes = ["UPDATE players", "UPDATE identities", "UPDATE grants", "UPDATE credentials", "INSERT INTO"]
    assert ran.read == ["SELECT p.id,"]
    assert ran.wrote == [
        "BEGIN IMMEDIATE",
        "INSERT INTO",
        "SELECT digest,",
        "COMMIT",
        "BEGIN IMMEDIATE",
        *changes,
        "COMMIT",
    ]


async def test_the_exchange_of_an_access_token_is_one_read_and_another_for_the_actor(exchanging_server: Server) -> None:
    token = (await exchanging_server.login("steam"))["access_token"]
    actor: dict[str, str | None] = {
        "actor_token": await match_token(exchanging_server),
        "actor_token_type": ACCESS_TOKEN,
    }
    async with watching(exchanging_server) as ran:
        made = (await narrow(exchanging_server, token)).json()["access_token"]
        assert (await narrow(exchanging_server, made, requested_token_type=ID_TOKEN, audience=None)).status_code == 200
    assert ran == Ran(["SELECT g.id,"] * 2, [])
    async with watching(exchanging_server) as ran:
        assert (await narrow(exchanging_server, token, **actor)).status_code == 200
    assert ran == Ran(["SELECT g.id,", "SELECT coalesce((SELECT"], [])


EXCHANGE_MISTAKES: dict[str, dict[str, str | None]] = {
    "client_id": {"client_id": "nobody"},
    "grant": {"client_id": "spa"},
    "scope": {"scope": "admin"},
    "audience": {"audience": "https://elsewhere.example"},
    "type": {"subject_token_type": "urn:x"},
    "kind": {"subject_token_type": "urn:authsrv:params:oauth:token-type:steam:x"},
    "requested type": {"requested_token_type": "urn:x"},
    "nonce": {"nonce": "a\x01"},
    "credential": {"subject_token": "00"},
    "access token": {"subject_token_type": ACCESS_TOKEN},
}


@pytest.mark.parametrize("changes", EXCHANGE_MISTAKES.values(), ids=EXCHANGE_MISTAKES)
async def test_a_wrong_exchange_costs_no_statement_and_no_call(
    exchanging_server: Server, changes: dict[str, str | None]
) -> None:
    async with watching(exchanging_server) as ran:
        assert (await exchange(exchanging_server, **changes)).status_code in {400, 401}
    assert ran == Ran([], [])
    assert exchanging_server.platforms["steam"].calls.total() == 0


@pytest.mark.parametrize("provider", ["steam", "epicgames"])
async def test_a_login_with_a_single_use_credential_writes_its_reservation_first(server: Server, provider: str) -> None:
    async with watching(server) as ran:
        assert (await server.silent(provider)).status_code == 200
    assert ran == Ran(["SELECT p.id,"], SINGLE_USE)


@pytest.mark.parametrize("provider", ["xbox", "guest"])
async def test_a_first_login_with_a_credential_of_many_uses_is_one_read_and_one_write(
    server: Server, provider: str
) -> None:
    async with watching(server) as ran:
        assert (await server.silent(provider)).status_code == 200
    assert ran.read == ["SELECT p.id,"]
    assert ran.wrote == ["BEGIN IMMEDIATE", *["INSERT INTO"] * 4, "COMMIT"]


@pytest.mark.parametrize("provider", ["xbox", "guest"])
async def test_a_later_login_with_a_credential_of_many_uses_is_one_read_and_one_write(
    server: Server, provider: str
) -> None:
    await server.login(provider)
    async with watching(server) as ran:
        assert (await server.silent(provider)).status_code == 200
    assert ran.read == ["SELECT p.id,"]
    assert ran.wrote == ["BEGIN IMMEDIATE", "UPDATE players", "UPDATE identities", "INSERT INTO", "COMMIT"]


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "https://elsewhere.example/"},
        {"response_type": None},
        {"state": "short"},
        {"scope": "admin"},
        {"audience": "https://elsewhere.example"},
        {"code_challenge": None},
        {"session_ticket": "00"},
        {"session_ticket": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_wrong_parameter_costs_no_statement_and_no_call(server: Server, changes: dict[str, str | None]) -> None:
    async with watching(server) as ran:
        assert (await server.silent("steam", None, **changes)).status_code == 400
    assert ran == Ran([], [])
    assert server.platforms["steam"].calls.total() == 0


async def test_an_opaque_token_that_cannot_be_ours_costs_no_statement(server: Server) -> None:
    async with watching(server) as ran:
        assert (await server.redeem("asc_" + "A" * 65)).status_code == 400
        assert (await server.refresh("asr_" + "A" * 65)).status_code == 400
        assert (await server.refresh("garbage")).status_code == 400
    assert ran == Ran([], [])


async def test_a_client_that_fails_to_authenticate_costs_no_statement(server: Server) -> None:
    code = await server.code("steam")
    async with watching(server) as ran:
        assert (await server.redeem(code, client_id="shop", client_secret="wrong")).status_code == 401
    assert ran == Ran([], [])


async def test_refusals_of_a_genuine_code_write_only_their_penalty(server: Server) -> None:
    code = await server.code("steam")
    async with watching(server) as ran:
        assert (await server.redeem(code, redirect_uri="http://127.0.0.1/elsewhere")).status_code == 400
        assert ran.wrote == []
        assert (await server.redeem(code, code_verifier="x" * 43)).status_code == 400
    assert ran == Ran(["SELECT g.id,"] * 2, ["BEGIN IMMEDIATE", "UPDATE grants", "COMMIT"])
