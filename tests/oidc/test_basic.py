"""The profile Basic OP, row by row: authorization requests and what comes of them, in every response mode.

Tokens are read as a relying party reads them: by the published keys.
"""

import asyncio
import re
from base64 import b64encode
from typing import Any

import httpx
import jwt
import pytest
from pydantic import ValidationError

from authsrv.config import Config
from authsrv.emulator.base import PLAYERS
from authsrv.oauth.claims import ACR
from authsrv.oauth.tokens import half_hash
from tests.oidc.clients import OLDER, PROFILE, changed, from_older, tell_everything_of
from tests.oidc.forgery import signed
from tests.support.browser import SHOP_CALLBACK, Browser, Page
from tests.support.server import CHALLENGE, ISSUER, VERIFIER, Server, demo_config, emulators
from tests.support.verification import verified

Tokens = dict[str, Any]


async def identity(server: Server, tokens: Tokens, client_id: str = "shop") -> dict[str, Any]:
    """What the id_token says."""
    return await verified(server, tokens["id_token"], client_id)


def asks_to_sign_in(page: Page) -> bool:
    return page.status == 200 and any(button.id == "sign-in-steam" for form in page.forms for button in form.buttons)


def refusal(page: Page) -> tuple[str, bool]:
    """The error that the client is told, and whether a code stands beside it."""
    return page.answer.get("error", ""), "code" in page.answer


async def test_B1_the_code_flow_up_to_userinfo(browser: Browser) -> None:
    landed = await browser.sign_in()
    assert landed.answered_at == SHOP_CALLBACK
    assert list(landed.answer) == ["code", "state", "iss"]
    assert (landed.answer["state"], landed.answer["iss"]) == ("af0ifjsldkj", ISSUER)
    tokens = await browser.exchanged(landed)
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    told = await browser.userinfo(tokens["access_token"])
    assert (told.status_code, told.headers["content-type"]) == (200, "application/json")


async def test_B2_the_id_token_says_who_when_for_whom_and_by_which_key(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    told = await identity(server, tokens)
    now = int(server.clock.now)
    assert told.keys() == {
        "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash", "sid", "idp", "idp_sub",
    }  # fmt: skip
    assert (told["iss"], told["aud"], told["nonce"]) == (ISSUER, "shop", "n-0S6_WzA2Mj")
    assert (told["iat"], told["exp"], told["auth_time"]) == (now, now + 900, now)
    assert (told["amr"], told["at_hash"]) == (["steam"], half_hash(tokens["access_token"], "RS256"))
    assert told["sub"].isascii()
    assert 0 < len(told["sub"]) <= 255


async def test_B3_a_client_that_names_no_algorithm_gets_rs256(browser: Browser) -> None:
    tokens = await browser.tokens()
    assert jwt.get_unverified_header(tokens["id_token"])["alg"] == "RS256"


async def test_B4_unsigned_is_neither_advertised_nor_accepted(server: Server, browser: Browser) -> None:
    found = (await server.http.get("/.well-known/openid-configuration")).json()
    assert not [
        name for name, value in found.items() if isinstance(value, list) and "none" in value and "_alg_" in name
    ]
    tokens = await browser.tokens()
    unsigned = jwt.encode(await identity(server, tokens), "", algorithm="none")
    assert refusal(await browser.authorize(id_token_hint=unsigned)) == ("invalid_request", False)
    assert (await browser.userinfo(unsigned)).status_code == 401


def test_B4_no_client_can_ask_for_unsigned_tokens() -> None:
    block = demo_config(emulators(lambda: 0.0), "memory://")
    changed("shop", id_token_alg="none")(block)
    with pytest.raises(ValidationError, match="id_token_alg"):
        Config.model_validate(block)


async def test_B5_a_request_without_a_response_type_is_refused(browser: Browser) -> None:
    for missing in (None, ""):
        assert refusal(await browser.authorize(response_type=missing)) == ("invalid_request", False)


async def test_B6_userinfo_by_get_is_about_the_subject_of_the_id_token(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    told = await browser.userinfo(tokens["access_token"])
    assert told.headers["content-type"] == "application/json"
    assert told.json()["sub"] == (await identity(server, tokens))["sub"]


async def test_B7_B8_userinfo_by_post_with_the_token_in_header_or_form(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    by_get = await browser.userinfo(tokens["access_token"])
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    by_header = await server.http.post("/oauth2/userinfo", headers=bearer)
    by_form = await server.http.post("/oauth2/userinfo", data={"access_token": tokens["access_token"]})
    assert [answer.status_code for answer in (by_get, by_header, by_form)] == [200, 200, 200]
    assert by_get.json() == by_header.json() == by_form.json()


async def test_B9_without_a_nonce_none_is_in_the_id_token(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens(nonce=None)
    assert "nonce" not in await identity(server, tokens)


async def test_B10_neither_nonce_nor_pkce_for_a_confidential_client_that_may(server: Server, browser: Browser) -> None:
    landed = await from_older(browser).sign_in()
    answer = await browser.redeem(landed.answer["code"], code_verifier=None)
    assert answer.status_code == 200
    assert "nonce" not in await identity(server, answer.json(), "older")


async def test_B10_any_other_client_owes_pkce(browser: Browser) -> None:
    landed = await browser.authorize(code_challenge=None, code_challenge_method=None)
    assert refusal(landed) == ("invalid_request", False)


SCOPED = {
    "openid": [],
    "openid profile": [
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
        "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
    ],
    "openid email": ["email", "email_verified"],
    "openid address": ["address"],
    "openid phone": ["phone_number", "phone_number_verified"],
}  # fmt: skip


async def told_for(server: Server, browser: Browser, scope: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What userinfo and the id_token say of a player with a full profile."""
    await browser.sign_in()
    await tell_everything_of(server)
    tokens = await browser.tokens_at_once(scope=scope)
    assert tokens["scope"] == scope
    return (await browser.userinfo(tokens["access_token"])).json(), await identity(server, tokens)


@pytest.mark.parametrize("scope", SCOPED)
async def test_B11_B12_B13_B14_what_a_scope_promises_is_told_by_userinfo_and_not_by_the_id_token(
    server: Server, browser: Browser, scope: str
) -> None:
    told, id_token = await told_for(server, browser, scope)
    assert told == {"sub": id_token["sub"], **{name: PROFILE[name] for name in SCOPED[scope]}}
    assert not PROFILE.keys() & id_token.keys()


async def test_B15_all_scopes_together_give_every_claim_in_its_type(server: Server, browser: Browser) -> None:
    told, id_token = await told_for(server, browser, "openid profile email address phone")
    assert told == {"sub": id_token["sub"], **PROFILE}
    assert type(told["updated_at"]) is int
    assert re.fullmatch(r"[0-9]{4}(-[0-9]{2}-[0-9]{2})?", told["birthdate"])
    assert (type(told["email_verified"]), type(told["phone_number_verified"])) == (bool, bool)
    assert type(told["address"]) is dict
    assert all(type(told[name]) is str for name in SCOPED["openid profile"] if name != "updated_at")


async def test_B15_a_player_without_a_profile_has_the_platform_name_and_nothing_made_up(browser: Browser) -> None:
    tokens = await browser.tokens(scope="openid profile email address phone")
    told = (await browser.userinfo(tokens["access_token"])).json()
    assert told == {"sub": told["sub"], "name": "Amber", "preferred_username": "Amber"}


async def test_B16_the_order_of_scopes_and_parameters_says_nothing(server: Server, browser: Browser) -> None:
    await browser.sign_in()
    browser.request = dict(reversed(browser.request.items()))
    tokens = [await browser.tokens_at_once(scope=scope) for scope in ("openid email profile", "profile openid email")]
    told = [(await browser.userinfo(each["access_token"])).json() for each in tokens]
    assert told[0] == told[1]
    assert {type((await identity(server, each))["sub"]) for each in tokens} == {str}


@pytest.mark.parametrize("display", ["page", "popup", "touch", "wap"])
async def test_B17_every_display_is_taken(browser: Browser, display: str) -> None:
    assert "code" in (await browser.sign_in(display=display)).answer


async def test_B18_prompt_login_makes_the_player_sign_in_again(server: Server, browser: Browser) -> None:
    before = await identity(server, await browser.tokens())
    server.clock.now += 60
    page = await browser.authorize(prompt="login")
    assert asks_to_sign_in(page)
    after = await identity(server, await browser.exchanged(await browser.prove(page)))
    assert (after["sub"], after["auth_time"]) == (before["sub"], before["auth_time"] + 60)


async def test_B19_prompt_none_without_a_session_is_login_required_and_shows_no_page(browser: Browser) -> None:
    for landed in (
        await browser.authorize(prompt="none"),
        await browser.follow(await browser.post_from_elsewhere("/oauth2/authorize", **browser.request, prompt="none")),
    ):
        assert refusal(landed) == ("login_required", False)
        assert (landed.answer["state"], landed.answered_at) == ("af0ifjsldkj", SHOP_CALLBACK)


async def test_B19_prompt_none_is_answered_at_once_and_nothing_is_kept(server: Server, browser: Browser) -> None:
    answer = await browser.get("/oauth2/authorize", **(browser.request | {"prompt": "none"}))
    assert "/login" not in answer.headers.get("location", "")
    assert "set-cookie" not in answer.headers


async def test_B20_prompt_none_with_a_session_answers_at_once_for_the_same_sign_in(
    server: Server, browser: Browser
) -> None:
    before = await identity(server, await browser.tokens())
    server.clock.now += 60
    after = await identity(server, await browser.tokens_at_once(prompt="none"))
    assert {name: after[name] for name in ("sub", "auth_time", "sid")} == {
        name: before[name] for name in ("sub", "auth_time", "sid")
    }
    assert after["iat"] == before["iat"] + 60


@pytest.mark.parametrize("prompt", ["none login", "consent none", "none select_account", "login consent none"])
async def test_B21_prompt_none_goes_with_no_other_value(browser: Browser, prompt: str) -> None:
    await browser.sign_in()
    assert refusal(await browser.authorize(prompt=prompt)) == ("invalid_request", False)


async def test_B22_a_sign_in_older_than_max_age_is_not_enough(server: Server, browser: Browser) -> None:
    before = await identity(server, await browser.tokens())
    server.clock.now += 2
    page = await browser.authorize(max_age="1")
    assert asks_to_sign_in(page)
    after = await identity(server, await browser.exchanged(await browser.prove(page)))
    assert after["auth_time"] == before["auth_time"] + 2 == int(server.clock.now)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
async def test_B22_a_fraction_of_a_second_too_old_is_too_old(server: Server, browser: Browser, part: float) -> None:
    server.clock.now += part
    await browser.sign_in()
    server.clock.now += 1.1
    assert asks_to_sign_in(await browser.authorize(max_age="1"))


async def test_B22_max_age_and_prompt_none_end_in_login_required(server: Server, browser: Browser) -> None:
    await browser.sign_in()
    server.clock.now += 2
    assert refusal(await browser.authorize(max_age="1", prompt="none")) == ("login_required", False)
    assert refusal(await browser.authorize(max_age="0", prompt="none")) == ("login_required", False)


async def test_B22_max_age_0_is_a_new_sign_in_also_within_the_same_second(browser: Browser) -> None:
    await browser.sign_in()
    assert refusal(await browser.authorize(max_age="0", prompt="none")) == ("login_required", False)
    page = await browser.authorize(max_age="0")
    assert asks_to_sign_in(page)
    assert "code" in (await browser.prove(page)).answer


async def test_B23_a_sign_in_within_max_age_is_enough(server: Server, browser: Browser) -> None:
    before = await identity(server, await browser.tokens())
    server.clock.now += 60
    after = await identity(server, await browser.tokens_at_once(max_age="10000"))
    assert after["auth_time"] == before["auth_time"]


@pytest.mark.parametrize("max_age", ["-1", "1.5", "soon", "1e3", "12345678901"])
async def test_B23_a_max_age_that_is_no_number_of_seconds_is_refused(browser: Browser, max_age: str) -> None:
    assert refusal(await browser.authorize(max_age=max_age)) == ("invalid_request", False)


async def test_B24_a_parameter_that_nobody_knows_is_ignored(browser: Browser) -> None:
    assert "code" in (await browser.sign_in(extra="foobar", vtr="[]")).answer


async def test_B25_the_hint_of_the_player_who_is_there_answers_silently(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    before = await identity(server, tokens)
    server.clock.now += 3600  # an hour after the id_token expired
    hinted = {"prompt": "none", "id_token_hint": tokens["id_token"]}
    after = await identity(server, await browser.tokens_at_once(**hinted))
    assert (after["sub"], after["auth_time"]) == (before["sub"], before["auth_time"])


async def test_B25_the_hint_of_another_player_needs_that_player(server: Server, browser: Browser) -> None:
    ambers = await browser.tokens()
    elsewhere = Browser(server)
    elsewhere.request = browser.request
    await elsewhere.sign_in(player="birch")
    hint = {"id_token_hint": ambers["id_token"]}
    assert refusal(await elsewhere.authorize(**hint, prompt="none")) == ("login_required", False)
    page = await elsewhere.authorize(**hint)
    assert asks_to_sign_in(page)
    still_birch = await elsewhere.prove(page, player="birch")
    assert asks_to_sign_in(still_birch)
    after = await identity(server, await elsewhere.exchanged(await elsewhere.prove(still_birch, player="amber")))
    assert after["sub"] == (await identity(server, ambers))["sub"]


async def test_B25_a_hint_that_is_no_id_token_of_this_client_is_refused(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    other = Browser(server)
    landed = await from_older(other).sign_in()
    others = (await other.redeem(landed.answer["code"], code_verifier=None)).json()
    for hint in (others["id_token"], tokens["access_token"], tokens["id_token"][:-8] + "AAAAAAAA", "nonsense"):
        assert refusal(await browser.authorize(id_token_hint=hint, prompt="none")) == ("login_required", False)
        assert refusal(await browser.authorize(id_token_hint=hint)) == ("invalid_request", False)


NO_HINTS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "another client": {"aud": "older"},
    "several clients": {"aud": ["shop", "older"]},
    "no client": {"aud": None},
    "no subject": {"sub": None},
    "no time": {"iat": None},
    "bound to no access token": {"at_hash": None},
    "an access token of the other surface": {"token_use": "access"},
}


@pytest.mark.parametrize("changes", NO_HINTS.values(), ids=NO_HINTS)
async def test_B25_a_token_of_ours_that_is_not_quite_an_id_token_is_no_hint(
    server: Server, browser: Browser, changes: dict[str, Any]
) -> None:
    claims = await identity(server, await browser.tokens())
    good = await signed(server, claims, "RS256", typ="JWT")
    assert "code" in (await browser.authorize(id_token_hint=good, prompt="none")).answer
    left = {name: value for name, value in (claims | changes).items() if value is not None}
    bad = await signed(server, left, "RS256", typ="JWT")
    assert refusal(await browser.authorize(id_token_hint=bad, prompt="none")) == ("login_required", False)


@pytest.mark.parametrize("hint", ["amber", "nobody@nowhere.example", PLAYERS["birch"].steam_id, "\u200b'\"<>"])
async def test_B26_login_hint_may_name_anybody(browser: Browser, hint: str) -> None:
    assert "code" in (await browser.sign_in(login_hint=hint)).answer


@pytest.mark.parametrize("tags", ["se", "tlh-Latn zz-ZZ-x-nothing", "de fr", "*", "not a tag at all !"])
async def test_B27_no_language_is_an_error(browser: Browser, tags: str) -> None:
    assert "code" in (await browser.sign_in(ui_locales=tags, claims_locales=tags)).answer


async def test_B27_the_page_speaks_the_first_language_it_knows(browser: Browser) -> None:
    for tags, language in (("se de fr", "de"), ("fr-CA", "fr"), ("se", "en")):
        page = await browser.authorize(ui_locales=tags)
        assert page.headers["content-language"] == language


@pytest.mark.parametrize("asked", [ACR, f"1 {ACR}", "1 2"])
async def test_B28_acr_says_what_was_met_where_acr_values_asked(server: Server, browser: Browser, asked: str) -> None:
    told = await identity(server, await browser.tokens(acr_values=asked))
    assert told["acr"] == ACR


async def test_B28_without_asking_there_is_no_acr(server: Server, browser: Browser) -> None:
    assert "acr" not in await identity(server, await browser.tokens())


async def test_B29_of_two_uses_at_once_one_is_refused(browser: Browser) -> None:
    code = await browser.code()
    answers = await asyncio.gather(browser.redeem(code), browser.redeem(code))
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    (refused,) = [answer for answer in answers if answer.status_code == 400]
    assert refused.json()["error"] == "invalid_grant"


async def test_B30_a_code_used_again_after_30_s_ends_what_its_first_use_gave(server: Server, browser: Browser) -> None:
    code = await browser.code()
    tokens = (await browser.redeem(code)).json()
    assert (await browser.userinfo(tokens["access_token"])).status_code == 200
    server.clock.now += 30
    again = await browser.redeem(code)
    assert (again.status_code, again.headers["content-type"]) == (400, "application/json")
    assert again.json()["error"] == "invalid_grant"
    assert (await browser.userinfo(tokens["access_token"])).status_code == 401
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("uri", ["https://shop.example/callback", SHOP_CALLBACK + "/", SHOP_CALLBACK + "?x=1", OLDER])
async def test_B31_an_unregistered_redirect_uri_ends_on_a_page(browser: Browser, uri: str) -> None:
    await browser.sign_in()
    page = await browser.authorize(redirect_uri=uri)
    assert (page.status, page.answer) == (400, {})
    assert "location" not in page.headers
    assert uri not in page.html


async def test_B32_the_request_may_come_by_post(server: Server, browser: Browser) -> None:
    page = await browser.follow(await browser.post_from_elsewhere("/oauth2/authorize", **browser.request))
    before = await identity(server, await browser.exchanged(await browser.prove(page)))
    answer = await browser.post_from_elsewhere("/oauth2/authorize", **browser.request, prompt="none")
    after = await identity(server, await browser.exchanged(await browser.follow(answer)))
    assert after["sid"] == before["sid"]


async def test_B32_a_post_that_brings_the_cookie_is_answered_at_once(browser: Browser) -> None:
    await browser.sign_in()
    sent = {name: value for name, value in browser.request.items() if value is not None}
    answer = await browser.post("/oauth2/authorize", sent)
    assert answer.status_code == (200 if sent["response_mode"] == "form_post" else 303)
    assert "code" in (await browser.follow(answer)).answer


async def test_B33_a_secret_may_come_in_the_header_or_in_the_form(server: Server, browser: Browser) -> None:
    in_form = await browser.redeem(await browser.code())
    form = {
        "grant_type": "authorization_code",
        "code": (await browser.authorize()).answer["code"],
        "redirect_uri": SHOP_CALLBACK,
        "code_verifier": VERIFIER,
    }
    basic = {"authorization": "Basic " + b64encode(b"shop:shop-secret").decode()}
    in_header = await server.http.post("/oauth2/token", data=form, headers=basic)
    assert (in_form.status_code, in_header.status_code) == (200, 200)


UNSIGNED = jwt.encode({"redirect_uri": OLDER, "state": "inner", "client_id": "shop"}, "", algorithm="none")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("request", UNSIGNED, "request_not_supported"),
        ("request", "", "request_not_supported"),
        ("request_uri", "https://shop.example/request.jwt", "request_uri_not_supported"),
        ("registration", "{}", "registration_not_supported"),
    ],
)
async def test_B34_request_objects_are_refused_by_their_own_codes(
    browser: Browser, name: str, value: str, error: str
) -> None:
    await browser.sign_in()
    landed = await browser.open("/oauth2/authorize", **browser.request, **{name: value})
    assert refusal(landed) == (error, False)
    assert (landed.answer["state"], landed.answered_at) == ("af0ifjsldkj", SHOP_CALLBACK)


async def test_B35_a_redirect_uri_inside_a_request_object_saves_no_request_whose_outer_one_is_wrong(
    browser: Browser,
) -> None:
    await browser.sign_in()
    inside = jwt.encode({"redirect_uri": SHOP_CALLBACK, "client_id": "shop"}, "", algorithm="none")
    for outer in ("https://evil.example/callback", None):
        page = await browser.authorize(request=inside, redirect_uri=outer)
        assert (page.status, page.answer) == (400, {})


async def test_B35_two_redirect_uris_never_give_a_code(browser: Browser) -> None:
    await browser.sign_in()
    landed = await browser.authorize(request=UNSIGNED)
    assert refusal(landed) == ("request_not_supported", False)
    assert (landed.answered_at, landed.answer["state"]) == (SHOP_CALLBACK, "af0ifjsldkj")


async def test_B36_single_claims_may_be_asked_for_and_unknown_ones_are_ignored(
    server: Server, browser: Browser
) -> None:
    asked = '{"userinfo":{"name":{"essential":true},"shoe_size":null},"id_token":{"horoscope":{"essential":true}}}'
    tokens = await browser.tokens(scope="openid", claims=asked)
    told = (await browser.userinfo(tokens["access_token"])).json()
    assert told == {"sub": told["sub"], "name": "Amber"}
    assert not {"name", "horoscope"} & (await identity(server, tokens)).keys()


async def test_B37_offline_access_with_consent_gives_a_refresh_token_that_works(
    server: Server, browser: Browser
) -> None:
    page = await browser.sign_in(scope="openid offline_access", prompt="consent")
    tokens = await browser.exchanged(await browser.press(page, "allow"))
    assert tokens["scope"] == "openid offline_access"
    before = await identity(server, tokens)
    server.clock.now += 60
    answer = await browser.refresh(tokens["refresh_token"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    after = await identity(server, answer.json())
    kept = ("iss", "sub", "aud", "auth_time", "sid", "amr")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert (after["iat"], after["exp"]) == (before["iat"] + 60, before["exp"] + 60)
    assert "nonce" not in after
    assert (await browser.userinfo(answer.json()["access_token"])).status_code == 200


async def test_B37_a_refresh_token_is_of_no_use_to_another_client(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    stolen = await server.refresh(tokens["refresh_token"], client_id="older", client_secret="older-secret")
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert stolen.headers["cache-control"] == "no-store"
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 200


async def test_B37_without_offline_access_there_is_no_refresh_token(browser: Browser) -> None:
    assert "refresh_token" not in await browser.tokens(scope="openid profile")


async def test_B38_pkce_by_s256_and_nothing_weaker(browser: Browser) -> None:
    assert (await browser.redeem(await browser.code())).status_code == 200
    wrong = await browser.redeem((await browser.authorize()).answer["code"], code_verifier="x" * 43)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    for changes in ({"code_challenge_method": "plain"}, {"code_challenge_method": None}, {"code_challenge": "short"}):
        assert refusal(await browser.authorize(**changes)) == ("invalid_request", False)
    assert len(CHALLENGE) == 43


async def test_B38_a_downgrade_at_the_token_endpoint_is_refused(browser: Browser) -> None:
    """RFC 9700 section 4.8.2: a verifier for a code that knows no challenge, and none for one that does."""
    without: httpx.Response = await browser.redeem(await browser.code(), code_verifier=None)
    assert without.json()["error"] == "invalid_request"
    landed = await from_older(browser).authorize()
    assert (await browser.redeem(landed.answer["code"])).json()["error"] in {"invalid_request", "invalid_grant"}
