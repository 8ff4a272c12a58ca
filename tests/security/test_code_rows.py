"""Rows B01 to B10: what becomes of an authorization code at `POST /oauth2/token`. The races for one are elsewhere."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.browser import SHOP_CALLBACK
from tests.support.refusals import clients, tables, token_error
from tests.support.server import CALLBACK, VERIFIER, Server, running

WRONG_VERIFIER = "x" * 43


def edit(block: dict[str, Any]) -> None:
    clients(block)["other"] = {**clients(block)["launcher"], "name": "Other launcher"}
    clients(block)["patient"] = {**clients(block)["launcher"], "code_lifetime": 600}
    clients(block)["shop"]["pkce"] = "optional"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


async def still_good(server: Server, code: str) -> bool:
    return (await server.redeem(code)).status_code == 200


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(0, id="B01 at once"),
        pytest.param(30, id="B02 after 30 s"),
        pytest.param(899, id="B02 after the code expired and before the access token does"),
    ],
)
async def test_B01_B02_a_replay_by_its_holder_ends_everything_the_code_gave(server: Server, after: int) -> None:
    code = await server.code("steam")
    tokens = (await server.redeem(code)).json()
    assert (await server.userinfo(tokens["access_token"])).status_code == 200
    server.clock.now += after
    assert token_error(await server.redeem(code)) == "invalid_grant"
    assert (await server.userinfo(tokens["access_token"])).status_code == 401
    assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
    (event,) = server.audited("code.replayed")
    assert event["sub"] == server.claims(tokens["access_token"])["sub"]


async def test_B01_a_replay_ends_a_family_that_was_refreshed_since(server: Server) -> None:
    code = await server.code("steam")
    tokens = (await server.redeem(code)).json()
    newest = (await server.refresh(tokens["refresh_token"])).json()
    assert token_error(await server.redeem(code)) == "invalid_grant"
    assert token_error(await server.refresh(newest["refresh_token"])) == "invalid_grant"
    assert (await server.userinfo(newest["access_token"])).status_code == 401


@pytest.mark.parametrize(("after", "seen"), [(1799, True), (1800, False)], ids=["half an hour", "longer"])
async def test_B02_R34_a_replay_is_seen_for_half_an_hour_though_nothing_of_the_grant_is_good_any_more(
    server: Server, after: int, seen: bool
) -> None:
    code = await server.code("steam", scope="openid")
    assert (await server.redeem(code)).json()["expires_in"] == 900
    server.clock.now += after
    await server.app.storage.sweep(int(server.clock.now), 100)
    assert token_error(await server.redeem(code)) == "invalid_grant"
    assert bool(server.audited("code.replayed")) == seen


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code_verifier": WRONG_VERIFIER}, id="wrong verifier"),
        pytest.param({"code_verifier": None}, id="no verifier"),
        pytest.param({"client_id": "other"}, id="another client"),
        pytest.param({"client_id": "spa"}, id="another client with another redirect URI"),
        pytest.param({"redirect_uri": "http://127.0.0.1:9/callback"}, id="another redirect URI"),
    ],
)
async def test_B03_a_stolen_code_alone_ends_nothing(server: Server, changes: dict[str, str | None]) -> None:
    code = await server.code("steam")
    tokens = (await server.redeem(code)).json()
    for _ in range(6):  # more often than a code bears wrong verifiers
        assert token_error(await server.redeem(code, **changes)) in {"invalid_grant", "invalid_request"}
    assert (await server.userinfo(tokens["access_token"])).status_code == 200
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200
    assert server.audited("code.replayed") == []


@pytest.mark.parametrize("thief", ["other", "spa", "shop"])
async def test_B05_the_code_of_one_client_is_nothing_to_another_and_stays_good(server: Server, thief: str) -> None:
    secret = "shop-secret" if thief == "shop" else None
    code = await server.code("steam")
    for redirect_uri in (CALLBACK, SHOP_CALLBACK, None):
        stolen = await server.redeem(code, client_id=thief, client_secret=secret, redirect_uri=redirect_uri)
        assert token_error(stolen) == "invalid_grant"
    assert await still_good(server, code)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param(CALLBACK + "/", id="a slash more"),
        pytest.param(CALLBACK + "?", id="an empty query more"),
        pytest.param("http://127.0.0.1:9/callback", id="another port, which the client may use"),
        pytest.param("http://127.0.0.1/CALLBACK", id="another case"),
        pytest.param("https://127.0.0.1/callback", id="another scheme"),
        pytest.param("http://localhost/callback", id="another name of the host"),
    ],
)
async def test_B06_a_redirect_uri_that_was_sent_must_be_sent_again(server: Server, redirect_uri: str | None) -> None:
    code = await server.code("steam")
    assert token_error(await server.redeem(code, redirect_uri=redirect_uri)) == "invalid_grant"
    assert await still_good(server, code)


@pytest.mark.parametrize(
    ("client_id", "lifetime"), [pytest.param("launcher", 60, id="default"), pytest.param("patient", 600, id="longest")]
)
async def test_B07_a_code_lives_for_its_time_and_no_second_more(server: Server, client_id: str, lifetime: int) -> None:
    timely, late = [await server.code(platform, client_id=client_id) for platform in ("steam", "xbox")]
    server.clock.now += lifetime - 1
    assert (await server.redeem(timely, client_id=client_id)).status_code == 200
    server.clock.now += 1
    assert token_error(await server.redeem(late, client_id=client_id)) == "invalid_grant"


async def test_B08_a_wrong_verifier_is_refused_and_the_fifth_kills_the_code(server: Server) -> None:
    bears_four, dies = await server.code("steam"), await server.code("xbox")
    for code, tries in ((bears_four, 4), (dies, 5)):
        for _ in range(tries):
            assert token_error(await server.redeem(code, code_verifier=WRONG_VERIFIER)) == "invalid_grant"
    assert await still_good(server, bears_four)
    assert not await still_good(server, dies)


async def test_B08_others_cannot_use_up_the_tries(server: Server) -> None:
    code = await server.code("steam")
    for _ in range(6):
        refused = await server.redeem(code, client_id="other", code_verifier=WRONG_VERIFIER)
        assert token_error(refused) == "invalid_grant"
    assert await still_good(server, code)


@pytest.mark.parametrize("code_verifier", [None, ""], ids=["missing", "empty"])
async def test_B09_a_code_with_a_challenge_needs_the_verifier(server: Server, code_verifier: str | None) -> None:
    code = await server.code("steam")
    assert token_error(await server.redeem(code, code_verifier=code_verifier)) == "invalid_request"
    assert await still_good(server, code)


async def test_B09_a_code_without_a_challenge_takes_no_verifier(server: Server) -> None:
    shop = {"client_id": "shop", "redirect_uri": SHOP_CALLBACK}
    code = await server.code("steam", None, **shop, code_challenge=None, code_challenge_method=None)
    redeeming = {**shop, "client_secret": "shop-secret"}
    for code_verifier in (VERIFIER, WRONG_VERIFIER):
        refused = await server.redeem(code, **redeeming, code_verifier=code_verifier)
        assert token_error(refused) == "invalid_request"
    assert (await server.redeem(code, **redeeming, code_verifier=None)).status_code == 200


@pytest.mark.parametrize(
    "code_verifier",
    [
        pytest.param("x" * 42, id="42 characters"),
        pytest.param("x" * 129, id="129 characters"),
        pytest.param("x" * 10_000, id="far too long"),
        pytest.param(VERIFIER + "\n", id="newline"),
        pytest.param(VERIFIER + "\0", id="NUL"),
        pytest.param("é" * 43, id="not ASCII"),
        pytest.param("x" * 42 + " ", id="space"),
        pytest.param("x" * 42 + "=", id="padding"),
        pytest.param("\N{DIGIT ONE}" * 42 + "\N{FULLWIDTH DIGIT ONE}", id="a digit of another alphabet"),
    ],
)
async def test_B10_a_malformed_verifier_is_refused_and_does_not_count(server: Server, code_verifier: str) -> None:
    code = await server.code("steam")
    for _ in range(6):
        refused = await server.redeem(code, code_verifier=code_verifier)
        assert token_error(refused) == "invalid_request"
    assert [grant.code_failures for grant in tables(server).grants.values()] == [0]
    assert await still_good(server, code)


async def test_B10_the_longest_verifier_is_just_wrong(server: Server) -> None:
    assert token_error(await server.redeem(await server.code("steam"), code_verifier="x" * 128)) == "invalid_grant"
