"""The claims parameter (OpenID Connect Core section 5.5): what it may ask for, and what becomes of a bad one."""

import json
from pathlib import Path
from typing import Any

import pytest

from authsrv.oauth.claims import ACR
from tests.oidc.clients import changed, from_older, from_partner, provider, tell_everything_of
from tests.support.browser import Browser
from tests.support.server import Server, running
from tests.support.verification import verified

LIMIT = 8 * 1024


@pytest.fixture
def browser(server: Server) -> Browser:
    browser = Browser(server)
    browser.request["scope"] = "openid"
    return browser


async def told(browser: Browser, tokens: dict[str, Any], client_id: str = "shop") -> tuple[dict[str, Any], ...]:
    """What userinfo and the id_token say, less what they always say."""
    userinfo = (await browser.userinfo(tokens["access_token"])).json()
    id_token = await verified(browser.server, tokens["id_token"], client_id)
    always = {
        "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash", "sid", "idp", "idp_sub",
    }  # fmt: skip
    return tuple({name: each[name] for name in each if name not in always} for each in (userinfo, id_token))


async def known(browser: Browser) -> None:
    """Sign in, as a player of whom everything is known."""
    await browser.sign_in()
    await tell_everything_of(browser.server)


ASKED: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "voluntary": ({"userinfo": {"nickname": None}}, {"nickname": "Ambs"}, {}),
    "essential": ({"userinfo": {"email": {"essential": True}}}, {"email": "amber@players.example"}, {}),
    "a value that it has not": ({"userinfo": {"locale": {"value": "de-DE"}}}, {"locale": "fr-FR"}, {}),
    "one of values": ({"userinfo": {"gender": {"values": ["female", "male"]}}}, {"gender": "female"}, {}),
    "in the id_token": ({"id_token": {"birthdate": None}}, {}, {"birthdate": "1999-12-31"}),
    "in both": (
        {"userinfo": {"email_verified": None}, "id_token": {"email_verified": None}},
        {"email_verified": True},
        {"email_verified": True},
    ),
    "always there": ({"id_token": {"auth_time": {"essential": True}, "sub": None}}, {}, {}),
    "unknown": ({"userinfo": {"http://example.info/claims/groups": None, "height": {"essential": True}}}, {}, {}),
    "another language": ({"userinfo": {"name#ja-Hani-JP": None}}, {}, {}),
    "unknown place": ({"introspection": {"email": None}, "transaction": 5}, {}, {}),
    "nothing": ({}, {}, {}),
    "nothing at a place": ({"userinfo": None}, {}, {}),
}


@pytest.mark.parametrize(("asked", "userinfo", "id_token"), ASKED.values(), ids=ASKED)
async def test_B36_a_claim_is_told_where_it_was_asked_for(
    browser: Browser, asked: Any, userinfo: dict[str, Any], id_token: dict[str, Any]
) -> None:
    await known(browser)
    tokens = await browser.tokens_at_once(claims=json.dumps(asked))
    assert await told(browser, tokens) == (userinfo, id_token)


async def test_B36_what_was_asked_for_is_told_after_a_refresh_too(browser: Browser) -> None:
    await known(browser)
    asked = {"userinfo": {"nickname": None}, "id_token": {"locale": None, "acr": None}}
    tokens = await browser.tokens_at_once(scope="openid offline", claims=json.dumps(asked))
    refreshed = (await browser.refresh(tokens["refresh_token"])).json()
    expected = ({"nickname": "Ambs"}, {"locale": "fr-FR", "acr": ACR})
    assert await told(browser, tokens) == await told(browser, refreshed) == expected


async def test_B36_a_claim_of_a_scope_that_the_client_may_not_have_is_not_told(browser: Browser) -> None:
    await known(browser)
    landed = await from_older(browser).authorize(claims='{"userinfo":{"email":{"essential":true},"name":null}}')
    tokens = (await browser.redeem(landed.answer["code"], code_verifier=None)).json()
    assert await told(browser, tokens, "older") == ({"name": "Amber Ochre"}, {})


async def test_B36_consent_is_asked_for_the_scope_of_a_single_claim(browser: Browser) -> None:
    await known(browser)
    from_partner(browser)
    await browser.press(await browser.authorize(), "allow")
    page = await browser.authorize(claims='{"userinfo":{"email":null}}')
    assert "See your e-mail address" in page.html
    landed = await browser.press(page, "allow")
    assert await told(browser, await browser.exchanged(landed), "partner") == ({"email": "amber@players.example"}, {})
    assert "code" in (await browser.authorize(claims='{"id_token":{"email":null}}', prompt="none")).answer


BAD: dict[str, str] = {
    "no JSON": "name",
    "half of it": '{"userinfo":{"name":null}',
    "a list": "[]",
    "a text": '"userinfo"',
    "null": "null",
    "a place that is a list": '{"userinfo":["name"]}',
    "a place that is a text": '{"id_token":"name"}',
    "a place that is true": '{"id_token":true}',
    "a place twice": '{"userinfo":{"name":null},"userinfo":{"email":null}}',
    "a claim twice": '{"userinfo":{"name":null,"name":{"essential":true}}}',
    "a member of a claim twice": '{"id_token":{"sub":{"value":"a","value":"b"}}}',
    "a sub that is a number": '{"id_token":{"sub":{"value":1}}}',
    "half a character in sub": '{"id_token":{"sub":{"value":"\\ud800"}}}',
    "NUL in sub": '{"id_token":{"sub":{"value":"\\u0000"}}}',
    "deep lists": "[" * 4000,
    "deep members": '{"userinfo":' * 600,
    "a byte too long": '{"userinfo":{"name":null}}' + " " * (LIMIT - 25),
}


@pytest.mark.parametrize("claims", BAD.values(), ids=BAD)
async def test_B36_a_claims_parameter_that_cannot_be_read_is_refused(browser: Browser, claims: str) -> None:
    await browser.sign_in()
    landed = await browser.authorize(claims=claims)
    assert landed.answer["error"] == "invalid_request"
    assert "code" not in landed.answer


async def test_B36_the_longest_claims_parameter_is_read(browser: Browser) -> None:
    await browser.sign_in()
    whole = '{"userinfo":{"name":null}}'
    assert "code" in (await browser.authorize(claims=whole + " " * (LIMIT - len(whole)))).answer


async def test_B36_a_hundred_thousand_levels_are_too_large_however_they_come(browser: Browser) -> None:
    by_post = await browser.post_from_elsewhere("/oauth2/authorize", **browser.request, claims="[" * 100_000)
    by_get = await browser.get("/oauth2/authorize", **browser.request, claims="[" * 20_000)
    assert (by_get.status_code, by_post.status_code) == (414, 413)


async def sub_of(browser: Browser) -> str:
    return str((await verified(browser.server, (await browser.tokens())["id_token"], "shop"))["sub"])


async def test_the_player_it_must_be_may_be_named_by_sub(browser: Browser) -> None:
    claims = json.dumps({"id_token": {"sub": {"value": await sub_of(browser)}}})
    assert "code" in (await browser.authorize(claims=claims, prompt="none")).answer
    other = Browser(browser.server)
    await other.sign_in(player="birch")
    assert (await other.authorize(claims=claims, prompt="none")).answer["error"] == "login_required"
    page = await other.prove(await other.authorize(claims=claims), player="birch")
    assert 'id="notice"' in page.html
    assert "code" in (await other.prove(page, player="amber")).answer


async def test_hint_and_sub_that_name_two_players_are_refused(browser: Browser) -> None:
    hint = (await browser.tokens())["id_token"]
    claims = '{"id_token":{"sub":{"value":"somebody-else"}}}'
    assert (await browser.authorize(claims=claims, id_token_hint=hint)).answer["error"] == "invalid_request"


ACRS: dict[str, tuple[Any, bool]] = {
    "voluntary": (None, True),
    "essential": ({"essential": True}, True),
    "essential and ours": ({"essential": True, "value": ACR}, True),
    "essential, ours among others": ({"essential": True, "values": ["gold", ACR]}, True),
    "voluntary and not ours": ({"values": ["gold"]}, True),
    "essential and not ours": ({"essential": True, "values": ["gold"]}, False),
    "essential, one value, not ours": ({"essential": True, "value": "gold"}, False),
    "essential and of no kind": ({"essential": True, "values": 5}, False),
}


@pytest.mark.parametrize(("asked", "met"), ACRS.values(), ids=ACRS)
async def test_B28_an_essential_acr_is_met_or_refused(browser: Browser, asked: Any, met: bool) -> None:
    await browser.sign_in()
    landed = await browser.authorize(claims=json.dumps({"id_token": {"acr": asked}}))
    assert landed.answer.get("error", "") == ("" if met else "unmet_authentication_requirements")
    if met:
        tokens = await browser.exchanged(landed)
        assert (await verified(browser.server, tokens["id_token"], "shop"))["acr"] == ACR


async def test_what_the_database_cannot_hold_is_refused_before_it_gets_there(tmp_path: Path) -> None:
    async with running(tmp_path, edit=provider) as server:
        for text in ("\\ud800", "\\u0000"):
            browser = Browser(server)
            landed = await browser.authorize(claims='{"id_token":{"sub":{"value":"' + text + '"}}}')
            assert landed.answer["error"] == "invalid_request"


async def test_claims_of_scopes_go_into_the_id_token_for_a_client_that_reads_nothing_else() -> None:
    async with running(edit=changed("shop", profile_in_id_token=True)) as server:
        browser = Browser(server)
        await known(browser)
        tokens = await browser.tokens_at_once(scope="openid email", claims='{"userinfo":{"nickname":null}}')
        mail = {"email": "amber@players.example", "email_verified": True}
        assert await told(browser, tokens) == (mail | {"nickname": "Ambs"}, mail)
