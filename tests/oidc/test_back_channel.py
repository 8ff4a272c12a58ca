"""The profile Back-Channel Logout: what clients are told, by what token. Delivery is tested with its job."""

import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import jwt
import pytest

from tests.oidc.clients import changed, clients_of, from_older
from tests.support.browser import Browser
from tests.support.server import ISSUER, Server, running
from tests.support.verification import verified

LOGOUT = "/oauth2/logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
SHOP_URI = "https://shop.example/backchannel"
OLDER_URI = "https://older.example/backchannel"
GOODBYE = "https://shop.example/bye"


def with_back_channels(block: dict[str, Any]) -> None:
    changed(
        "shop",
        backchannel_logout_uri=SHOP_URI,
        backchannel_logout_session_required=True,
        post_logout_redirect_uris=[GOODBYE],
    )(block)
    clients_of(block)["older"] |= {"backchannel_logout_uri": OLDER_URI, "id_token_alg": "ES256"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_back_channels) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def told(server: Server) -> dict[str, str]:
    """The logout tokens that clients have got by now, by address."""
    await server.app.notices.round()
    return {url: form["logout_token"] for url, form in server.notified.got}


async def logout_claims(server: Server, token: str, client_id: str = "shop") -> dict[str, Any]:
    return await verified(server, token, client_id, "logout+jwt")


async def test_K1_the_back_channel_and_its_sid_are_advertised(server: Server) -> None:
    found = (await server.http.get("/.well-known/openid-configuration")).json()
    assert found["backchannel_logout_supported"] is True
    assert found["backchannel_logout_session_supported"] is True


async def sid_of(server: Server, tokens: dict[str, Any], client_id: str = "shop") -> str:
    return str((await verified(server, tokens["id_token"], client_id))["sid"])


async def test_K2_the_sid_is_the_same_in_every_id_token_of_a_session(server: Server, browser: Browser) -> None:
    first = await browser.tokens()
    sid = await sid_of(server, first)
    server.clock.now += 60
    again = await browser.tokens_at_once(prompt="none")
    anew = await browser.exchanged(await browser.prove(await browser.authorize(prompt="login")))
    refreshed = (await browser.refresh(first["refresh_token"])).json()
    assert {await sid_of(server, each) for each in (again, anew, refreshed)} == {sid}
    landed = await from_older(browser).authorize()
    olders = (await browser.redeem(landed.answer["code"], code_verifier=None)).json()
    assert await sid_of(server, olders, "older") == sid


async def test_K2_another_session_has_another_sid_that_nobody_guesses(server: Server) -> None:
    browser = Browser(server)
    sids = [await sid_of(server, await browser.tokens())]
    sids.append(await sid_of(server, await browser.exchanged(await switched(browser, "birch"))))
    sids += [await sid_of(server, await Browser(server).tokens()) for _ in range(8)]
    assert len(set(sids)) == 10
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", sid) for sid in sids)
    shared = [sum(a == b for a, b in zip(one, other, strict=True)) for one, other in pairwise(sids)]
    assert max(shared) < 8  # neighbouring rows do not look alike


async def switched(browser: Browser, player: str) -> Any:
    """Another player signs in in the same browser."""
    return await browser.prove(await browser.authorize(prompt="login"), player=player)


async def test_K2_a_silent_login_has_no_sid(server: Server) -> None:
    tokens = await server.login("steam")
    assert "sid" not in await verified(server, tokens["id_token"], "launcher")


async def test_K4_the_logout_token_says_exactly_this(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    identity = await verified(server, tokens["id_token"], "shop")
    server.clock.now += 3600
    await browser.open(LOGOUT, id_token_hint=tokens["id_token"])
    token = (await told(server))[SHOP_URI]
    claims, now = await logout_claims(server, token), int(server.clock.now)
    assert claims == {
        "iss": ISSUER,
        "sub": identity["sub"],
        "aud": "shop",
        "iat": now,
        "exp": now + 120,
        "jti": claims["jti"],
        "sid": identity["sid"],
        "events": {EVENT: {}},
    }
    assert "nonce" not in claims
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    assert len(claims["jti"]) >= 22


async def test_K4_it_is_signed_as_the_id_tokens_of_its_client_and_never_twice_the_same(
    server: Server, browser: Browser
) -> None:
    tokens = await browser.tokens()
    await from_older(browser).authorize()
    await browser.open(LOGOUT, id_token_hint=tokens["id_token"])
    got = await told(server)
    assert jwt.get_unverified_header(got[OLDER_URI])["alg"] == "ES256"
    shops, olders = await logout_claims(server, got[SHOP_URI]), await logout_claims(server, got[OLDER_URI], "older")
    assert shops["sid"] == olders["sid"]
    assert shops["jti"] != olders["jti"]


async def test_K4_a_logout_token_is_no_other_token(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    await browser.open(LOGOUT, id_token_hint=tokens["id_token"])
    token = (await told(server))[SHOP_URI]
    assert (await browser.userinfo(token)).status_code == 401
    assert (await browser.open(LOGOUT, id_token_hint=token)).status == 400
    assert (await browser.authorize(id_token_hint=token, prompt="none")).answer["error"] == "login_required"


@pytest.mark.parametrize("required", [True, False])
async def test_K5_the_sid_is_there_whether_a_client_needs_it_or_not(required: bool) -> None:
    settings = {"backchannel_logout_uri": SHOP_URI, "backchannel_logout_session_required": required}
    async with running(edit=changed("shop", **settings)) as server:
        browser = Browser(server)
        tokens = await browser.tokens()
        await browser.open(LOGOUT, id_token_hint=tokens["id_token"])
        claims = await logout_claims(server, (await told(server))[SHOP_URI])
        assert claims["sid"] == await sid_of(server, tokens)


async def test_K7_the_browser_goes_on_at_once_and_nobody_is_signed_in(server: Server, browser: Browser) -> None:
    server.notified.status = 500
    tokens = await browser.tokens()
    sent = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": GOODBYE, "state": "x"}
    page = await browser.open(LOGOUT, **sent)
    assert (page.url, server.notified.got) == (f"{GOODBYE}?state=x", [])
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"


async def test_K8_clients_are_told_when_another_player_takes_the_browser_over(server: Server, browser: Browser) -> None:
    before = await verified(server, (await browser.tokens())["id_token"], "shop")
    after = await verified(server, (await browser.exchanged(await switched(browser, "birch")))["id_token"], "shop")
    claims = await logout_claims(server, (await told(server))[SHOP_URI])
    assert (claims["sub"], claims["sid"]) == (before["sub"], before["sid"])
    assert after["sid"] != before["sid"]


async def test_K8_nobody_is_told_while_the_same_player_goes_on(server: Server, browser: Browser) -> None:
    await browser.tokens()
    await switched(browser, "amber")
    await browser.press(await browser.open(LOGOUT), "no")
    assert await told(server) == {}


async def test_K8_nobody_is_told_of_a_session_that_had_run_out_before(server: Server, browser: Browser) -> None:
    await browser.tokens()
    server.clock.now += 12 * 3600
    await browser.prove(await browser.authorize(), player="birch")
    assert await told(server) == {}
