"""Rows B32, B33 and C25, and X6 of the requirements of consumers: what `POST /oauth2/revoke` ends, and what not."""

import string
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.ending import (
    Block,
    Kept,
    down,
    feed,
    is_active,
    made_of,
    own_token,
    refused_offline,
    reload,
    revoke,
    with_everybody,
)
from tests.support.refusals import clients, demo, tables, token_error
from tests.support.server import Server, running

SHOP = {"client_id": "shop", "client_secret": "shop-secret"}
BACKEND = {"client_id": "backend", "client_secret": "backend-secret"}


def edit(block: Block) -> None:
    with_everybody(block)
    clients(block)["lone"] = {**clients(block)["launcher"], "revoke_grant_with_access_token": False}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


async def newest_of(server: Server, token: str, refreshes: int) -> dict[str, Any]:
    """The last token answer after so many refreshes, at least one."""
    found: dict[str, Any] = {}
    for _ in range(refreshes):
        found = (await server.refresh(token)).json()
        token = found["refresh_token"]
    return found


# --- B32: an answer of 200 is a promise ---


@pytest.mark.parametrize("step", ["load_grant", "apply"])
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_B32_a_database_that_fails_is_503_and_the_repeat_revokes(
    server: Server, step: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await server.login("steam")
    with monkeypatch.context() as patch:
        patch.setattr(server.app.storage, step, down)
        failed = await revoke(server, tokens[kind])
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "1")
    assert failed.headers["cache-control"] == "no-store"
    assert failed.json()["error"] == "temporarily_unavailable"
    assert server.audited("token.revoked") == []
    assert (await server.userinfo(tokens["access_token"])).status_code == 200
    assert (await revoke(server, tokens[kind])).status_code == 200
    assert (await server.userinfo(tokens["access_token"])).status_code == 401


async def test_B32_a_clients_own_token_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await own_token(server)
    for step in ("load_standing", "apply"):
        with monkeypatch.context() as patch:
            patch.setattr(server.app.storage, step, down)
            assert (await revoke(server, token, **BACKEND)).status_code == 503
    assert await is_active(server, token)


async def test_B32_what_needs_no_database_is_answered_without_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.app.storage, "load_grant", down)
    assert (await revoke(server, "made up")).status_code == 200
    assert token_error(await revoke(server, "made up", client_id="nobody")) == "invalid_client"


# --- B33: whose token it is ---


@pytest.mark.parametrize("thief", ["other", "spa", "keep", "shop"])
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_B33_a_token_of_another_client_is_refused_and_stays_good(server: Server, thief: str, kind: str) -> None:
    tokens = await server.login("steam")
    secret = "shop-secret" if thief == "shop" else None
    refused = await revoke(server, tokens[kind], client_id=thief, client_secret=secret)
    assert token_error(refused) == "unauthorized_client"
    assert await is_active(server, tokens["access_token"])
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200
    assert server.audited("token.revoked") == []


async def test_B33_nor_is_a_servers_own_token_another_servers_to_end(server: Server) -> None:
    token = await own_token(server)
    refused = await revoke(server, token, client_id="plain", client_secret="plain-secret")
    assert token_error(refused) == "unauthorized_client"
    assert await is_active(server, token)


@pytest.mark.parametrize("state", ["previous", "long ago"])
async def test_B33_a_replaced_refresh_token_of_another_client_ends_nothing_either(server: Server, state: str) -> None:
    first = (await server.login("steam"))["refresh_token"]
    newest = await newest_of(server, first, 1 if state == "previous" else 3)
    assert token_error(await revoke(server, first, client_id="other")) == "unauthorized_client"
    assert (await server.refresh(newest["refresh_token"])).status_code == 200


def unknown_tokens() -> list[Any]:
    made_up = {
        "text": "made up",
        "a refresh token's form": "asr_" + "A" * 65,
        "a code's form": "asc_" + "A" * 65,
        "three parts": "a.b.c",
        "not ASCII": "\N{SNOWMAN}",
        "control characters": "a\r\nb\x01",
        "white space": " ",
        "16 KiB": "x" * 16384,
        "16 KiB of dots": "." * 16384,
        "a JWT of nobody": "eyJhbGciOiJub25lIn0.e30.",
    }
    return [pytest.param(text, id=name) for name, text in made_up.items()]


@pytest.mark.parametrize("token", unknown_tokens())
@pytest.mark.parametrize("client", [{}, SHOP], ids=["public", "confidential"])
async def test_B33_an_unknown_token_is_no_error(server: Server, token: str, client: dict[str, str]) -> None:
    answer = await revoke(server, token, **client)
    assert (answer.status_code, answer.content) == (200, b"")
    assert server.audited("token.revoked") == []


async def test_B33_what_is_no_token_of_a_client_is_left_alone(server: Server) -> None:
    browser = Browser(server)
    landed = await browser.sign_in()
    tokens = await browser.exchanged(landed)
    (grant,), (session,) = tables(server).grants.values(), tables(server).sessions.values()
    ids = server.app.desk.server.opaque
    others = [*browser.cookies.values(), ids.public_id("gid", grant.id), ids.public_id("sid", session.id)]
    for text in (tokens["id_token"], server.claims(tokens["access_token"])["jti"], str(grant.id), *others):
        assert (await revoke(server, text, **SHOP)).status_code == 200
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 200
    assert "code" in (await browser.authorize()).answer
    assert (await feed(server))["gid"] == []


async def test_B33_a_code_is_no_token_and_can_be_redeemed_after_all(server: Server) -> None:
    code = await server.code("steam")
    assert (await revoke(server, code)).status_code == 200
    assert (await server.redeem(code)).status_code == 200


@pytest.mark.parametrize("refreshes", [0, 1], ids=["the present one", "the one before"])
async def test_B33_whoever_knows_but_a_part_of_a_refresh_token_ends_nothing(server: Server, refreshes: int) -> None:
    tokens = await server.login("steam")
    token = tokens["refresh_token"]
    newest = (await newest_of(server, token, refreshes) or tokens)["refresh_token"]
    gid, secret = server.claims(tokens["access_token"])["gid"], token[26:]
    halves = (token[:26], token[:26] + "A" * 43, f"asr_{gid}{secret}", token[:-1], f"{token}A", token.upper())
    for text in (*halves, f"asc_{token[4:]}", token[:30] + token[30:].swapcase()):
        assert (await revoke(server, text)).status_code == 200
    assert (await server.refresh(newest)).status_code == 200


# --- X6: what goes with a token ---


@pytest.mark.parametrize(
    ("refreshes", "after"),
    [
        pytest.param(0, 0, id="the present one"),
        pytest.param(1, 0, id="replaced, within the grace"),
        pytest.param(1, 30, id="replaced, after the grace"),
        pytest.param(3, 3600, id="replaced long ago"),
    ],
)
async def test_X6_a_refresh_token_of_any_generation_ends_its_family_and_all_access_tokens(
    server: Server, refreshes: int, after: int
) -> None:
    first = await server.login("steam")
    newest = await newest_of(server, first["refresh_token"], refreshes) or first
    server.clock.now += after
    assert (await revoke(server, first["refresh_token"])).status_code == 200
    for tokens in (first, newest):
        assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
        assert not await is_active(server, tokens["refresh_token"])
        assert not await is_active(server, tokens["access_token"])
        assert (await server.userinfo(tokens["access_token"])).status_code == 401
        assert await refused_offline(server, tokens["access_token"])
    assert server.audited("refresh.reused") == []


async def test_X6_an_access_token_takes_its_refresh_token_with_it(server: Server) -> None:
    first = await server.login("steam")
    second = (await server.refresh(first["refresh_token"])).json()
    assert (await revoke(server, first["access_token"])).status_code == 200
    assert token_error(await server.refresh(second["refresh_token"])) == "invalid_grant"
    assert not await is_active(server, second["access_token"])
    assert (await feed(server))["jti"] == [server.claims(first["access_token"])["jti"]]


async def test_X6_or_itself_alone_for_a_client_that_wants_it_so(server: Server) -> None:
    first = await logged_in(server, "lone")
    second = (await server.refresh(first["refresh_token"], client_id="lone")).json()
    assert (await revoke(server, first["access_token"], client_id="lone")).status_code == 200
    assert not await is_active(server, first["access_token"])
    assert await refused_offline(server, first["access_token"])
    assert await is_active(server, second["access_token"])
    assert not await refused_offline(server, second["access_token"])
    assert (await server.refresh(second["refresh_token"], client_id="lone")).status_code == 200


async def logged_in(server: Server, client_id: str, platform: str = "steam") -> dict[str, Any]:
    answer = await server.redeem(await server.code(platform, client_id=client_id), client_id=client_id)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_X6_the_other_logins_of_the_player_live_on(server: Server) -> None:
    given_up, other = await server.login("steam"), await server.login("steam")
    assert (await revoke(server, given_up["refresh_token"])).status_code == 200
    assert await is_active(server, other["access_token"])
    assert (await server.refresh(other["refresh_token"])).status_code == 200


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_X6_a_second_revocation_changes_nothing_and_is_audited_no_more(server: Server, kind: str) -> None:
    tokens = await server.login("steam")
    for _ in range(3):
        assert (await revoke(server, tokens[kind])).status_code == 200
    (event,) = server.audited("token.revoked")
    sub = server.claims(tokens["access_token"])["sub"]
    assert (event["project"], event["client_id"], event["sub"]) == ("demo", "launcher", sub)
    assert not {tokens["refresh_token"], tokens["access_token"]} & set(map(str, event.values()))


async def test_X6_a_servers_own_token_ends_once_and_its_next_one_is_good(server: Server) -> None:
    token = await own_token(server)
    for _ in range(2):
        assert (await revoke(server, token, **BACKEND)).status_code == 200
    assert not await is_active(server, token)
    assert await refused_offline(server, token)
    assert await is_active(server, await own_token(server))
    assert len(server.audited("token.revoked")) == 1


# What was given up stays given up, also when the configuration had taken it away meanwhile and gives it back.


def without_platform(block: Block) -> None:
    del demo(block)["platforms"]["steam"]


def without_offline(block: Block) -> None:
    clients(block)["launcher"]["scopes"] = ["openid"]


def in_another_project(block: Block) -> None:
    block["projects"]["ironkeep"]["clients"]["launcher"] = clients(block).pop("launcher")


@pytest.mark.parametrize("take", [without_platform, without_offline, in_another_project], ids=lambda it: it.__name__)
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_X6_what_is_revoked_while_it_is_of_no_use_does_not_come_back(
    take: Callable[[Block], None], kind: str
) -> None:
    kept = Kept(edit)
    async with running(edit=kept) as server:
        tokens = await server.login("steam")
        await reload(server, kept.changed(take))
        assert (await revoke(server, tokens[kind])).status_code == 200
        await reload(server, kept.block)
        assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
        assert (await server.userinfo(tokens["access_token"])).status_code == 401
        assert await refused_offline(server, tokens["access_token"])


async def test_X6_an_access_token_that_outlives_its_family_can_still_be_revoked(server: Server) -> None:
    first = await server.login("steam")
    server.clock.now += 30 * 86400 - 1
    tokens = (await server.refresh(first["refresh_token"])).json()
    (grant,) = tables(server).grants.values()
    tables(server).grants.clear()  # as the sweeper does once the family is over
    assert grant.expires_at > server.clock.now
    assert (await revoke(server, tokens["access_token"])).status_code == 200
    assert await refused_offline(server, tokens["access_token"])


async def test_X6_an_expired_access_token_ends_nothing(server: Server) -> None:
    tokens = await server.login("steam")
    server.clock.now += 900
    assert (await revoke(server, tokens["access_token"])).status_code == 200
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_X6_an_expired_refresh_token_ends_the_access_token_it_came_with() -> None:
    def impatient(block: Block) -> None:
        edit(block)
        clients(block)["launcher"]["refresh_idle"] = 60

    async with running(edit=impatient) as other:
        tokens = await other.login("steam")
        other.clock.now += 60
        assert token_error(await other.refresh(tokens["refresh_token"])) == "invalid_grant"
        assert await is_active(other, tokens["access_token"])
        assert (await revoke(other, tokens["refresh_token"])).status_code == 200
        assert not await is_active(other, tokens["access_token"])


async def test_X6_a_token_made_for_another_client_is_that_clients_to_end_and_its_grant_is_not(server: Server) -> None:
    tokens = await server.login("steam")
    made: str = (await made_of(server, tokens["access_token"])).json()["access_token"]
    assert await is_active(server, made)
    assert token_error(await revoke(server, made)) == "unauthorized_client"
    assert (await revoke(server, made, **BACKEND)).status_code == 200
    assert not await is_active(server, made)
    assert await is_active(server, tokens["access_token"])
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_X6_a_token_made_for_another_client_ends_with_the_grant_that_it_came_of(server: Server) -> None:
    tokens = await server.login("steam")
    made: str = (await made_of(server, tokens["access_token"])).json()["access_token"]
    assert (await revoke(server, tokens["refresh_token"])).status_code == 200
    assert not await is_active(server, made)
    assert await refused_offline(server, made)


# --- C25: a token in another spelling ---


def respelled(token: str) -> dict[str, str]:
    """The token as a lax reader would take it for the same."""
    head, body, tail = token.split(".")
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    # 64 bytes leave four bits of the last character unused: sixteen spellings of one signature.
    last = alphabet[alphabet.index(tail[-1]) ^ 1]
    return {
        "padded": f"{head}.{body}.{tail}==",
        "padded head": f"{head}=.{body}.{tail}",
        "left-over bits": f"{head}.{body}.{tail[:-1]}{last}",
        "standard alphabet": f"{head}.{body}.{tail.replace('-', '+').replace('_', '/')}",
        "line break": f"{head}.{body}\n.{tail}",
        "header written anew": f"{urlsafe_b64encode(b'{ }').decode().rstrip('=')}.{body}.{tail}",
    }


@pytest.mark.parametrize("spelling", respelled("a.b.c0"))
async def test_C25_a_revoked_token_opens_nothing_in_another_spelling(server: Server, spelling: str) -> None:
    token = (await server.login("steam"))["access_token"]
    again = respelled(token)[spelling]
    assert (await revoke(server, token)).status_code == 200
    assert not await is_active(server, again)
    assert (await server.userinfo(again)).status_code in {400, 401}


@pytest.mark.parametrize("scheme", ["Bearer  {}", "bearer {} ", "BEARER {}"])
async def test_C25_nor_in_another_spelling_of_the_header(server: Server, scheme: str) -> None:
    token = (await server.login("steam"))["access_token"]
    header = {"authorization": scheme.format(token)}
    assert (await server.http.get("/oauth2/userinfo", headers=header)).status_code == 200
    assert (await revoke(server, token)).status_code == 200
    assert (await server.http.get("/oauth2/userinfo", headers=header)).status_code == 401


async def test_C25_a_second_signature_over_the_same_claims_is_the_same_token(server: Server) -> None:
    token = (await logged_in(server, "lone"))["access_token"]
    claims = server.claims(token)
    twin = server.app.desk.server.tokens._sign(claims, "ES256", "at+jwt")
    assert twin != token
    assert await is_active(server, twin)
    assert (await revoke(server, token, client_id="lone")).status_code == 200
    assert not await is_active(server, twin)
    assert (await server.userinfo(twin)).status_code == 401
