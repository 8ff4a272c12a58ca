"""`login_redirect` and `login_url`: a game on an Xsolla SDK sends its player straight to a platform, in a browser."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.banning import ban
from tests.support.browser import COOKIE, SHOP_CALLBACK, Browser, Page
from tests.support.callbacks import altered, way_back, with_value
from tests.support.ending import Block, Kept, reload
from tests.support.outbound import BASE_URL
from tests.support.refusals import clients, counts, page, refused
from tests.support.server import CHALLENGE, ISSUER, VERIFIER, Server, running
from tests.support.xsolla import BLANK, STATE, Game, Refusal, is_error_to_unity, redeemed, refusal

PLATFORMS = ["steam", "xbox", "epicgames"]
REDIRECT, URL = "/api/oauth2/social/{}/login_redirect", "/api/oauth2/social/{}/login_url"
LOOPBACK = "http://localhost:65421"
ERROR_PAGE = "https://game.example/sorry"
OUT_OF_TIME = "This sign-in can no longer be finished"
UNCLAIMED, REQUEST = 600, 3600
either = pytest.mark.parametrize("address", [REDIRECT, URL], ids=["login_redirect", "login_url"])
everywhere = pytest.mark.parametrize("platform", PLATFORMS)


def edit(block: Block) -> None:
    game = {"compat": "xsolla", "type": "public", "native": True}
    found = clients(block)
    found["40"]["extra_scopes"] = "*"
    found["43"] = game | {"redirect_uris": [BLANK, LOOPBACK, "app://xlogin.com.example.game"]}
    found["44"] = game | {"redirect_uris": [BLANK], "error_redirect_uri": ERROR_PAGE}
    found["46"] = game | {"redirect_uris": [BLANK], "first_party": False, "name": "Somebody's game"}
    found["47"] = {"compat": "xsolla", "type": "server", "secret": "forty-seven-secret"}
    demo = block["projects"]["demo"]
    steam = {"steam": demo["platforms"]["steam"]}
    block["projects"]["bare"] = {"platforms": steam, "clients": {"45": game | {"redirect_uris": [BLANK]}}}


@pytest.fixture
def kept() -> Kept:
    return Kept(edit)


@pytest.fixture
async def server(kept: Kept) -> AsyncIterator[Server]:
    async with running(edit=kept) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def asked(**changes: str | None) -> dict[str, str]:
    """What SDKs send, their additions included."""
    sent: dict[str, str | None] = {
        "client_id": "40",
        "response_type": "code",
        "state": STATE,
        "redirect_uri": BLANK,
        "scope": "offline",
        "engine": "unity",
        "sdk_v": "1.0",
    }
    return {name: value for name, value in (sent | changes).items() if value is not None}


async def url_for(server: Server, platform: str = "steam", **changes: str | None) -> str:
    """The address that a game opens in a browser, as a path here."""
    answer = await server.http.get(URL.format(platform), params=asked(**changes))
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["url"]
    assert url.startswith(f"{ISSUER}/")
    return url.removeprefix(ISSUER)


async def begin(browser: Browser, address: str, platform: str = "steam", **changes: str | None) -> Page:
    """Open the one or the other address in a browser, wherever that leads."""
    if address == URL:
        return await browser.open(await url_for(browser.server, platform, **changes))
    return await browser.open(address.format(platform), **asked(**changes))


async def sign_in(
    browser: Browser, address: str = REDIRECT, platform: str = "steam", case: str = "good", **changes: str | None
) -> Page:
    """From the game to the platform and back to the game, or to where it ends."""
    there = await begin(browser, address, platform, **changes)
    assert at_platform(there), (there.url, there.html)
    return await browser.press(there, "amber", case=case)


def at_platform(place: Page) -> bool:
    return place.url.startswith(BASE_URL)


def code_of(landed: Page, redirect_uri: str = BLANK) -> str:
    """The code that the game is told, in the order in which SDKs read it."""
    address, _, query = landed.url.partition("?")
    assert address == redirect_uri, (landed.url, landed.html)
    assert [pair.partition("=")[0] for pair in query.split("&")] == ["code", "state", "iss"]
    assert landed.query["state"] == STATE
    return landed.query["code"]


def told_of_error(landed: Page, redirect_uri: str = BLANK) -> tuple[str, str]:
    """The error that the game is told, with everything that some SDK reads."""
    assert landed.url.partition("?")[0] == redirect_uri, (landed.url, landed.html)
    told = landed.query
    assert told.keys() - {"state"} == {"error", "error_code", "error_description", "iss"}
    assert told["error_description"].isascii()
    return told["error"], told["error_code"]


# --- the way there and back ---


@either
@everywhere
async def test_the_player_goes_straight_to_the_platform_and_comes_back_with_a_code(
    browser: Browser, address: str, platform: str
) -> None:
    landed = await sign_in(browser, address, platform)
    told = redeemed(await Game(browser.server).redeem(code_of(landed)))
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("bearer", 3600, "offline")
    assert redeemed(await Game(browser.server).refresh(told["refresh_token"]))["refresh_token"]


async def test_login_redirect_is_302_to_the_platforms_own_page(browser: Browser) -> None:
    answer = await browser.get(REDIRECT.format("steam"), **asked())
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{BASE_URL}/steam/openid/login?")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert COOKIE in browser.cookies


async def test_login_url_is_one_member_in_json_and_sets_no_cookie(server: Server) -> None:
    answer = await server.http.get(URL.format("steam"), params=asked())
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"url"}
    assert "set-cookie" not in answer.headers
    assert not is_error_to_unity(answer.text)


async def test_the_address_tells_nothing_of_the_request(server: Server) -> None:
    path = await url_for(server, state="a-very-particular-state", client_id="43", redirect_uri=LOOPBACK)
    assert path.startswith("/login/steam/go?request=")
    assert not any(told in path for token in ("particular", "65421", "43=") for told in (token,))


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_token_names_the_platform_and_is_of_no_cross_auth(browser: Browser, platform: str) -> None:
    landed = await sign_in(browser, REDIRECT, platform)
    told = redeemed(await Game(browser.server).redeem(code_of(landed)))
    again = redeemed(await Game(browser.server).refresh(told["refresh_token"]))
    for token in (told["access_token"], again["access_token"]):
        claims = browser.server.claims(token)
        assert (claims["type"], claims["provider"]) == ("social", platform)
        assert "is_cross_auth" not in claims
        assert claims["groups"] == claims["aud"] == []
        assert claims["scp"] == ["offline"]
    silent = browser.server.claims(await Game(browser.server).access_token())
    assert silent["is_cross_auth"] is True


async def test_the_player_is_the_one_of_the_silent_login(browser: Browser) -> None:
    silent = await Game(browser.server).access_token()
    told = redeemed(await Game(browser.server).redeem(code_of(await sign_in(browser))))
    subs = {browser.server.claims(token)["sub"] for token in (silent, told["access_token"])}
    assert len(subs) == 1


@either
async def test_whoever_is_signed_in_in_the_browser_proves_it_again(browser: Browser, address: str) -> None:
    await browser.sign_in()
    there = await begin(browser, address)
    assert at_platform(there)
    landed = await browser.press(there, "birch", case="good")
    token = redeemed(await Game(browser.server).redeem(code_of(landed)))["access_token"]
    assert (await Game(browser.server).me(token)).json()["nickname"] == "Birch"


async def test_a_standard_client_uses_the_session_that_it_leaves(browser: Browser) -> None:
    await sign_in(browser)
    assert "code" in (await browser.authorize()).answer


@either
async def test_a_browser_that_has_a_cookie_keeps_its_place(browser: Browser, address: str) -> None:
    shop = await browser.authorize()
    code_of(await sign_in(browser, address))
    assert "code" in (await browser.prove(shop)).answer


async def test_a_cookie_that_may_just_be_changing_is_not_replaced_at_once(browser: Browser) -> None:
    await browser.authorize()
    own = browser.cookies[COOKIE]
    browser.cookies[COOKIE] = own[:-4] + "AAAA"
    answer = await browser.get(REDIRECT.format("steam"), **asked())
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{ISSUER}/login/steam/go?request=")
    assert "set-cookie" not in answer.headers
    browser.cookies[COOKIE] = own
    there = await browser.follow(answer)
    assert browser.cookies[COOKIE] == own
    code_of(await browser.press(there, "amber", case="good"))


@either
async def test_a_cookie_that_is_none_of_ours_is_no_obstacle(browser: Browser, address: str) -> None:
    browser.cookies[COOKIE] = "junk"
    code_of(await sign_in(browser, address))


# --- whose address it is, and for how long ---


async def test_an_address_is_good_for_ten_minutes(server: Server) -> None:
    browser, path, other = Browser(server), await url_for(server), await url_for(server)
    server.clock.now += UNCLAIMED - 1
    there = await browser.open(path)
    server.clock.now += 1
    assert OUT_OF_TIME in page(await browser.open(other))
    code_of(await browser.press(there, "amber", case="good"))


async def test_once_it_is_opened_the_player_has_as_long_as_for_any_sign_in(server: Server) -> None:
    browser, path = Browser(server), await url_for(server)
    await browser.open(path)
    server.clock.now += REQUEST - 1
    code_of(await browser.press(await browser.open(path), "amber", case="good"))


async def test_the_first_browser_that_opens_it_has_it(server: Server) -> None:
    mine, other, path = Browser(server), Browser(server), await url_for(server)
    there = await mine.open(path)
    page(await other.open(path))
    await other.authorize()
    page(await other.open(path))
    code_of(await mine.press(there, "amber", case="good"))


async def test_of_two_browsers_at_the_same_moment_one_has_it(server: Server) -> None:
    path = await url_for(server)
    found = await asyncio.gather(*(Browser(server).open(path) for _ in range(8)))
    assert sum(map(at_platform, found)) == 1


async def test_the_same_browser_may_open_it_again_until_it_is_used(server: Server) -> None:
    browser, path = Browser(server), await url_for(server)
    await browser.open(path)
    code_of(await browser.press(await browser.open(path), "amber", case="good"))
    before = counts(server)
    page(await browser.open(path))
    assert counts(server) == before


async def test_D43_a_callback_is_good_once_and_in_its_own_browser(server: Server) -> None:
    browser, stranger = Browser(server), Browser(server)
    there = await begin(browser, REDIRECT)
    callback = await back_from(browser, there)
    page(await stranger.open(callback))
    code_of(await browser.open(callback))
    before = counts(server)
    page(await browser.open(callback))
    assert counts(server) == before


async def test_D44_a_state_of_one_platform_is_none_of_another(server: Server) -> None:
    browser = Browser(server)
    callback = await back_from(browser, await begin(browser, URL, "epicgames"))
    page(await browser.open(callback.replace("/epicgames/", "/xbox/")))
    code_of(await browser.open(callback))


async def back_from(browser: Browser, there: Page, player: str = "amber", case: str = "good") -> str:
    """The callback address that a platform sends the browser to, not yet opened."""
    form, pressed = there.find(player)
    data = {**form.fields, "case": case, **({pressed.name: pressed.value} if pressed.name else {})}
    answer = await browser._platforms.post(urlsplit(there.url)._replace(query="").geturl(), data=data)
    location: str = answer.headers["location"]
    return location.removeprefix(ISSUER)


@pytest.mark.parametrize("handle", ["", "x", "A" * 22, "A" * 1000])
async def test_a_made_up_address_is_nobodys(browser: Browser, handle: str) -> None:
    assert OUT_OF_TIME in page(await browser.open("/login/steam/go", request=handle))


async def test_an_address_leads_to_its_own_platform_alone(server: Server) -> None:
    browser, path = Browser(server), await url_for(server)
    for provider in ("xbox", "nowhere", "STEAM"):
        page(await browser.open(path.replace("/steam/", f"/{provider}/")))
    code_of(await browser.press(await browser.open(path), "amber", case="good"))


async def test_a_sign_in_with_a_page_of_ours_cannot_be_sent_to_a_platform_by_a_link(browser: Browser) -> None:
    begun = await browser.authorize()
    handle = begun.query["request"]
    before = counts(browser.server)
    page(await browser.open("/login/steam/go", request=handle))
    assert counts(browser.server) == before
    assert "code" in (await browser.prove(begun)).answer


@pytest.mark.parametrize("signed_in", [True, False])
async def test_a_direct_sign_in_shows_no_page_of_ours_wherever_it_is_gone_on_with(
    browser: Browser, signed_in: bool
) -> None:
    if signed_in:
        await browser.sign_in()
    path = await url_for(browser.server)
    for _ in range(2):  # before the browser has been at the platform, and after
        there = await browser.open(f"/login?{urlsplit(path).query}")
        assert at_platform(there)
    code_of(await browser.press(there, "amber", case="good"))


# --- what is wrong with the request ---


NEVER_REDIRECTED = [
    pytest.param({"client_id": None}, (400, "0", {"parameter": "client_id"}), id="no client"),
    pytest.param({"client_id": "99"}, (404, "003-061", {"reason": "unknown_client"}), id="unknown client"),
    pytest.param({"client_id": "shop"}, (404, "003-061", {"reason": "unknown_client"}), id="standard client"),
    pytest.param({"client_id": "47"}, (400, "010-019", {}), id="server client"),
    pytest.param({"client_id": "43", "redirect_uri": None}, (422, "010-011", {}), id="several redirect URIs"),
    pytest.param({"redirect_uri": "https://evil.test/"}, (422, "010-012", {}), id="unregistered redirect URI"),
    pytest.param({"redirect_uri": f"{BLANK}/"}, (422, "010-012", {}), id="redirect URI almost right"),
    pytest.param({"redirectUrl": "https://evil.test/", "redirect_uri": None}, (422, "010-012", {}), id="old name"),
]


@either
@pytest.mark.parametrize(("changes", "outcome"), NEVER_REDIRECTED)
async def test_before_client_and_redirect_uri_are_good_the_answer_is_json(
    server: Server, address: str, changes: dict[str, str | None], outcome: Refusal
) -> None:
    before = counts(server)
    answer = await server.http.get(address.format("steam"), params=asked(**changes))
    assert "location" not in answer.headers
    status, code, details = refusal(answer)
    assert (status, code) == outcome[:2]
    assert details.items() >= outcome[2].items()
    assert counts(server) == before


@either
@pytest.mark.parametrize("provider", ["abyss", "epic", "STEAM"])
async def test_an_unknown_provider_is_003_061(server: Server, address: str, provider: str) -> None:
    answer = await server.http.get(address.format(provider), params=asked())
    assert refusal(answer) == (404, "003-061", {"reason": "unknown_provider"})


WRONG = [
    pytest.param({"response_type": None}, (400, "0", "invalid_request"), id="no response_type"),
    pytest.param({"response_type": "token"}, (400, "0", "invalid_request"), id="response_type token"),
    pytest.param({"state": None}, (400, "010-022", "invalid_request"), id="no state"),
    pytest.param({"state": "1234567"}, (400, "010-022", "invalid_request"), id="state of 7"),
    *(
        pytest.param({"state": f"abc{char}defgh"}, (400, "0", "invalid_request"), id=f"state with {ord(char):#x}")
        for char in "&?#%\n\x7f"
    ),
    pytest.param({"scope": 'offline "'}, (400, "0", "invalid_request"), id="scope"),
    pytest.param({"audience": "https://x.test"}, (400, "0", "invalid_request"), id="audience"),
    pytest.param({"code_challenge": CHALLENGE}, (400, "0", "invalid_request"), id="challenge without method"),
    pytest.param({"client_id": "45"}, (422, "003-022", "access_denied"), id="not configured"),
]


@pytest.mark.parametrize(("changes", "outcome"), WRONG)
async def test_a_wrong_parameter_has_its_code_at_login_url(
    server: Server, changes: dict[str, str | None], outcome: tuple[int, str, str]
) -> None:
    before = counts(server)
    answer = await server.http.get(URL.format("xbox"), params=asked(**changes))
    assert refusal(answer)[:2] == outcome[:2]
    assert counts(server) == before


@pytest.mark.parametrize(("changes", "outcome"), WRONG)
async def test_a_wrong_parameter_goes_back_to_the_game_from_login_redirect(
    browser: Browser, changes: dict[str, str | None], outcome: tuple[int, str, str]
) -> None:
    before = counts(browser.server)
    answer = await browser.get(REDIRECT.format("xbox"), **asked(**changes))
    assert answer.status_code == 302
    landed = await browser.follow(answer)
    assert told_of_error(landed) == (outcome[2], outcome[1])
    assert landed.query.get("state") == (None if "state" in changes else STATE)
    assert counts(browser.server) == before


@either
async def test_a_repeated_parameter_is_refused_and_an_unknown_one_ignored(server: Server, address: str) -> None:
    query = httpx.QueryParams(asked())
    answer = await server.http.get(f"{address.format('steam')}?{query}&client_id=40")
    assert refusal(answer)[:2] == (400, "0")
    fine = await server.http.get(f"{address.format('steam')}?{query}&sdk=%ff&sdk=%00&prompt=none&provider=xbox")
    assert fine.status_code == (302 if address == REDIRECT else 200)


@pytest.mark.parametrize("prompt", ["none", "consent"])
async def test_nothing_that_browsers_of_others_may_ask_has_an_effect(browser: Browser, prompt: str) -> None:
    more = {"prompt": prompt, "response_mode": "fragment", "max_age": "0", "request": "x", "id_token_hint": "x"}
    code_of(await sign_in(browser, URL, **more))


@pytest.mark.parametrize("state", ["12345678", "0b0c2e9e-7f1b-4a0b-8f0e-2f0e6c8b4d22", "a" * 512, "with space"])
async def test_a_state_of_8_characters_and_more_comes_back_unchanged(browser: Browser, state: str) -> None:
    assert (await sign_in(browser, URL, state=state)).query["state"] == state


@either
async def test_unity_before_2022_calls_the_redirect_uri_redirect_url(browser: Browser, address: str) -> None:
    landed = await sign_in(browser, address, client_id="43", redirect_uri=None, redirectUrl=LOOPBACK)
    code = code_of(landed, LOOPBACK)
    redeemed(await Game(browser.server, "43", LOOPBACK).redeem(code))


@either
async def test_the_only_redirect_uri_may_be_left_out(browser: Browser, address: str) -> None:
    code = code_of(await sign_in(browser, address, redirect_uri=None))
    redeemed(await Game(browser.server).redeem(code))


@either
@pytest.mark.parametrize("uri", [BLANK, "http://localhost:50123", "http://localhost", "app://xlogin.com.example.game"])
async def test_the_code_goes_to_the_games_own_address_and_with_it_alone(
    browser: Browser, address: str, uri: str
) -> None:
    code = code_of(await sign_in(browser, address, client_id="43", redirect_uri=uri), uri)
    other = await Game(browser.server, "43", BLANK if uri != BLANK else LOOPBACK).redeem(code)
    assert refusal(other) == (400, "010-023", {})
    redeemed(await Game(browser.server, "43", uri).redeem(code))


async def test_pkce_is_honoured_where_a_game_knows_it(browser: Browser) -> None:
    challenge = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    code = code_of(await sign_in(browser, URL, **challenge))
    game = Game(browser.server)
    assert refusal(await game.redeem(code, code_verifier="x" * 43))[:2] == (400, "010-023")
    redeemed(await game.redeem(code, code_verifier=VERIFIER))


async def test_an_audience_and_other_scopes_stand_in_the_token(browser: Browser) -> None:
    code = code_of(await sign_in(browser, URL, scope="email my:own"))
    told = redeemed(await Game(browser.server).redeem(code))
    assert told["refresh_token"] == ""
    assert browser.server.claims(told["access_token"])["scp"] == ["email", "my:own"]


async def test_a_body_and_its_type_are_ignored(server: Server) -> None:
    headers = {"content-type": "application/json"}
    answer = await server.http.request(
        "GET", URL.format("steam"), params=asked(), headers=headers, content=b'{"client_id": "99"}'
    )
    assert answer.status_code == 200


@either
async def test_they_are_asked_by_get_alone(server: Server, address: str) -> None:
    answer = await server.http.post(address.format("steam"), data=asked())
    assert refusal(answer)[:2] == (405, "0")


@either
async def test_the_other_surface_does_not_have_them(server: Server, address: str) -> None:
    answer = await server.http.get(address.format("steam").removeprefix("/api"), params=asked(client_id="shop"))
    assert answer.status_code == 404


async def test_the_game_is_unknown_where_the_standard_clients_go(browser: Browser) -> None:
    page(await browser.open("/oauth2/authorize", **asked()))


async def test_addresses_of_one_machine_are_limited(kept: Kept) -> None:
    def limited(block: Block) -> None:
        kept(block)
        block["limits"] = {"sign_ins_per_minute_per_address": 2}

    async with running(edit=limited) as server:
        for _ in range(2):
            await url_for(server)
        for address in (URL, REDIRECT):
            answer = await server.http.get(address.format("steam"), params=asked())
            assert refusal(answer) == (429, "002-057", {"reason": "rate_limited"})
            assert int(answer.headers["retry-after"]) > 0


# --- what goes wrong on the way ---


FAILED = [
    pytest.param("steam", "openid-cancelled", ("access_denied", "010-015"), id="cancelled"),
    pytest.param("steam", "openid-forged", ("access_denied", "010-015"), id="forged"),
    pytest.param("xbox", "browser-banned", ("access_denied", "010-015"), id="banned by the platform"),
    pytest.param("xbox", "browser-no-account", ("access_denied", "010-015"), id="the player must act there"),
    pytest.param("xbox", "browser-token-down", ("temporarily_unavailable", "004-001"), id="outage"),
    pytest.param("xbox", "browser-wrong-secret", ("server_error", "004-001"), id="our fault"),
]


@either
@pytest.mark.parametrize(("platform", "case", "told_as"), FAILED)
async def test_whatever_fails_at_the_platform_is_told_to_the_game(
    browser: Browser, address: str, platform: str, case: str, told_as: tuple[str, str]
) -> None:
    landed = await sign_in(browser, address, platform, case)
    assert told_of_error(landed) == told_as
    assert landed.query["state"] == STATE
    found = counts(browser.server)
    assert found["sessions"] == found["players"] == found["grants"] == 0


@either
async def test_a_player_who_was_banned_meanwhile_is_told_to_the_game(browser: Browser, address: str) -> None:
    token = await Game(browser.server).access_token()
    there = await begin(browser, address)
    await ban(browser.server, browser.server.claims(token)["sub"])
    landed = await browser.press(there, "amber", case="good")
    assert told_of_error(landed) == ("access_denied", "002-040")
    assert counts(browser.server)["sessions"] == 0


async def test_an_error_goes_to_the_address_that_waits_for_the_answer(browser: Browser) -> None:
    landed = await sign_in(browser, case="openid-cancelled", client_id="44")
    assert told_of_error(landed) == ("access_denied", "010-015")


async def test_a_sign_in_that_failed_is_over(browser: Browser) -> None:
    path = await url_for(browser.server)
    there = await browser.open(path)
    callback = await back_from(browser, there, case="openid-forged")
    told_of_error(await browser.open(callback))
    for again in (path, callback):
        page(await browser.open(again))


async def test_a_forged_way_back_reaches_the_game_as_an_error_and_never_as_a_code(browser: Browser) -> None:
    callback = await back_from(browser, await begin(browser, REDIRECT))
    landed = await browser.open(altered(callback, with_value("openid.sig", "forged")))
    assert told_of_error(landed)[0] == "access_denied"


async def test_of_two_ways_back_at_the_same_moment_one_brings_the_code(browser: Browser) -> None:
    callback = await back_from(browser, await begin(browser, REDIRECT))
    answers = await asyncio.gather(*(browser.get(callback) for _ in range(4)))
    going_on = [answer for answer in answers if answer.headers.get("location", "").startswith(f"{ISSUER}/login?")]
    assert len(going_on) == 1
    assert all(answer.status_code == 400 for answer in answers if answer not in going_on)
    code_of(await browser.follow(going_on[0]))


@pytest.mark.parametrize("change", [{"redirect_uris": ["http://127.0.0.1/other"]}, None], ids=["address", "client"])
async def test_what_a_reload_took_from_the_game_is_told_on_a_page_and_never_redirected(
    browser: Browser, kept: Kept, change: Mapping[str, Any] | None
) -> None:
    def less(block: Block) -> None:
        if change is None:
            clients(block).pop("40")
        else:
            clients(block)["40"] |= change

    there = await begin(browser, REDIRECT)
    await reload(browser.server, kept.changed(less))
    page(await browser.press(there, "amber", case="good"))


async def test_a_platform_that_a_reload_took_is_told_to_the_game(browser: Browser, kept: Kept) -> None:
    there = await begin(browser, REDIRECT, "xbox")
    await reload(browser.server, kept.changed(lambda block: block["projects"]["demo"]["platforms"].pop("xbox")))
    assert told_of_error(await browser.press(there, "amber", case="good")) == ("access_denied", "003-022")


# --- clients of somebody else ---


async def test_a_client_of_somebody_elses_asks_for_consent_on_the_way_back(browser: Browser) -> None:
    there = await begin(browser, URL, client_id="46")
    asking = await browser.press(there, "amber", case="good")
    assert "Somebody&#39;s game" in asking.html
    landed = await browser.press(asking, "allow")
    redeemed(await Game(browser.server, "46").redeem(code_of(landed)))


async def test_a_refused_consent_is_told_to_the_game(browser: Browser) -> None:
    asking = await browser.press(await begin(browser, URL, client_id="46"), "amber", case="good")
    landed = await browser.press(asking, "deny")
    assert told_of_error(landed) == ("access_denied", "010-015")


async def test_another_account_is_chosen_at_the_platform_too(browser: Browser) -> None:
    asking = await browser.press(await begin(browser, URL, client_id="46"), "amber", case="good")
    there = await browser.press(asking, "switch")
    assert at_platform(there)
    asking = await browser.press(there, "birch", case="good")
    landed = await browser.press(asking, "allow")
    token = redeemed(await Game(browser.server, "46").redeem(code_of(landed)))["access_token"]
    assert (await Game(browser.server, "46").me(token)).json()["nickname"] == "Birch"


async def test_a_form_of_ours_sends_nobody_to_another_platform_than_the_game_named(browser: Browser) -> None:
    asking = await browser.press(await begin(browser, URL, client_id="46"), "amber", case="good")
    before = counts(browser.server)
    page(await browser.follow(await browser.post("/login/xbox", asking.forms[0].fields)))
    assert counts(browser.server) == before


async def test_the_page_speaks_the_language_that_the_game_asked_for(browser: Browser) -> None:
    there = await begin(browser, URL, client_id="46", locale="de_DE")
    asking = await browser.press(there, "amber", case="good")
    assert '<html lang="de"' in asking.html


async def test_the_standard_surface_still_asks_where_anybody_could_take_the_answer(browser: Browser) -> None:
    browser.sent_by("launcher", "http://127.0.0.1/callback")
    asking = await browser.sign_in()
    assert asking.find("allow")
    assert (
        refused(
            await browser.get("/oauth2/authorize", **(browser.request | {"prompt": "none"})),
            "http://127.0.0.1/callback",
        )
        == "consent_required"
    )
    assert SHOP_CALLBACK not in asking.url


async def test_a_way_back_of_a_standard_sign_in_still_offers_to_try_again(browser: Browser) -> None:
    callback = await way_back(browser, await browser.authorize(), case="openid-forged")
    assert 'id="again"' in page(await browser.open(callback))
