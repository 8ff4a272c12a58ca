"""Rows A37, A38 and E16: who may sign a player out, where the browser is sent then, and whose session stays."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
import pytest

from tests.support.browser import SHOP_CALLBACK, Browser
from tests.support.refusals import clients, demo, page, tables, told_at
from tests.support.server import Server, running
from tests.support.wire import ask

BYE = "https://shop.example/bye"
BYES = [BYE, "https://shop.example/bye?from=login", "https://shop.example/bye?from=login&", "https://shop.example/?"]
SILENT = {"prompt": "none"}


def edit(block: dict[str, Any]) -> None:
    found = clients(block)
    found["shop"]["post_logout_redirect_uris"] = BYES
    found["other"] = {**found["shop"], "post_logout_redirect_uris": ["https://other.example/bye"]}
    arcade = {**found["shop"], "name": "Arcade"}
    block["projects"]["second"] = {**deepcopy(demo(block)), "name": "Second", "clients": {"arcade": arcade}}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def arcade(browser: Browser) -> Browser:
    """The same browser, sent by a client of the other project."""
    return browser.sent_by("arcade", SHOP_CALLBACK, "shop-secret")


def shop(browser: Browser) -> Browser:
    return browser.sent_by("shop", SHOP_CALLBACK, "shop-secret")


async def is_signed_in(browser: Browser) -> bool:
    return "code" in (await browser.authorize(**SILENT)).query


async def test_A37_a_logout_leads_to_a_registered_address_with_the_state_and_nothing_else(server: Server) -> None:
    for uri in BYES:
        browser = Browser(server)
        hint = (await browser.tokens())["id_token"]
        state = "a&b=c#d\r\n?%00\u00e9<x>"
        landed = await browser.open("/oauth2/logout", id_token_hint=hint, post_logout_redirect_uri=uri, state=state)
        place, told = told_at(landed.url)
        assert (landed.html, landed.url.startswith(uri), told.pop("state")) == ("", True, state)
        assert told == dict(parse_qsl(uri.partition("?")[2]))
        assert place == uri.partition("?")[0]
        assert not await is_signed_in(browser)


UNREGISTERED = [
    "https://evil.test/",
    "https://other.example/bye",
    f"{BYE}/",
    f"{BYE}?",
    f"{BYE}?a=b",
    f"{BYE}#x",
    f"{BYE}\r\nX: y",
    f" {BYE}",
    "https://shop.example@evil.test/bye",
    "https://SHOP.example/bye",
    "//shop.example/bye",
    "javascript:alert(1)",
    SHOP_CALLBACK,
]


@pytest.mark.parametrize("uri", UNREGISTERED)
async def test_A37_an_address_that_is_not_the_clients_is_shown_and_the_session_stays(
    browser: Browser, uri: str
) -> None:
    hint = (await browser.tokens())["id_token"]
    for named in ({"id_token_hint": hint}, {"client_id": "shop"}, {"id_token_hint": hint, "client_id": "shop"}):
        assert uri not in page(await browser.open("/oauth2/logout", post_logout_redirect_uri=uri, **named))
    shown = await browser.open("/oauth2/logout", post_logout_redirect_uri=uri)
    assert uri not in (await browser.press(shown, "no")).url
    assert await is_signed_in(browser)


async def test_A37_without_a_hint_nobody_is_sent_anywhere(browser: Browser) -> None:
    await browser.sign_in()
    for named in ({"client_id": "shop"}, {}, {"client_id": "nobody"}, {"client_id": "40"}):
        asked = await browser.open("/oauth2/logout", post_logout_redirect_uri=BYE, state="x", **named)
        ended = await browser.press(asked, "yes")
        assert (ended.status, "shop.example" in ended.html, "location" in ended.headers) == (200, False, False)
        await browser.sign_in()


async def test_A37_the_parameters_in_the_confirming_form_are_checked_again(browser: Browser) -> None:
    hint = (await browser.tokens())["id_token"]
    asked = await browser.open("/oauth2/logout", client_id="shop")
    for request in (
        urlencode({"client_id": "shop", "post_logout_redirect_uri": "https://evil.test/"}),
        urlencode({"id_token_hint": hint, "post_logout_redirect_uri": "https://evil.test/"}),
        urlencode({"id_token_hint": hint[:-2], "post_logout_redirect_uri": BYE}),
        f"client_id=shop&client_id=other&post_logout_redirect_uri={BYE}",
        "client_id=%ff",
    ):
        page(await browser.press(asked, "yes", request=request))
    assert await is_signed_in(browser)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"client_id": "shop"},
        {"logout_hint": "amber"},
        {"client_id": "nobody"},
        {"state": "x"},
        {"id_token_hint": ""},
    ],
    ids=str,
)
async def test_A38_a_logout_that_nobody_vouches_for_asks_and_ends_nothing(
    browser: Browser, parameters: dict[str, str]
) -> None:
    await browser.sign_in()
    asked = await browser.open("/oauth2/logout", **parameters)
    assert [button.id for button in asked.forms[0].buttons] == ["yes", "no"]
    sent = await browser.post_from_elsewhere("/oauth2/logout", **parameters)
    assert sent.status_code == 303
    asked = await browser.follow(sent)
    assert await is_signed_in(browser)
    await browser.press(asked, "no")
    assert await is_signed_in(browser)
    await browser.press(asked, "yes")
    assert not await is_signed_in(browser)


async def test_A38_only_a_hint_of_this_very_session_ends_it_without_a_question(server: Server) -> None:
    browser, elsewhere = Browser(server), Browser(server)
    mine_elsewhere = (await elsewhere.tokens())["id_token"]
    before = (await browser.tokens())["id_token"]
    birch = (await browser.tokens(player="birch", prompt="login"))["id_token"]
    now = (await browser.tokens(prompt="login"))["id_token"]
    for stale in (mine_elsewhere, before, birch):
        assert 'id="yes"' in (await browser.open("/oauth2/logout", id_token_hint=stale)).html
    assert await is_signed_in(browser)
    server.clock.now += 3600  # the id_token has expired, the session has not
    assert 'id="yes"' not in (await browser.open("/oauth2/logout", id_token_hint=now)).html
    assert not await is_signed_in(browser)
    assert await is_signed_in(elsewhere)
    await browser.sign_in()
    assert 'id="yes"' in (await browser.open("/oauth2/logout", id_token_hint=now)).html  # a replay
    assert await is_signed_in(browser)


async def test_A38_what_is_no_id_token_of_ours_ends_nothing_and_leads_nowhere(browser: Browser) -> None:
    tokens = await browser.tokens()
    good: str = tokens["id_token"]
    head, body, signature = good.split(".")
    none = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    own_key = jwt.encode(
        browser.server.claims(good), "k" * 64, headers=jwt.get_unverified_header(good) | {"alg": "HS256"}
    )
    forged = [f"{none}.{body}.", f"{head}.{body}.{signature[::-1]}", own_key, "x", "..", good + "="]
    for hint in [*forged, tokens["access_token"], tokens["refresh_token"], good + "\u00e9"]:
        asked = {"id_token_hint": hint, "post_logout_redirect_uri": BYE}
        page(await browser.open("/oauth2/logout", **asked))
        page(await browser.follow(await browser.post("/oauth2/logout", asked)))
    page(await browser.open("/oauth2/logout", id_token_hint=good, client_id="other", post_logout_redirect_uri=BYE))
    assert await is_signed_in(browser)


async def test_A38_an_id_token_opens_no_resource_and_a_hint_is_no_session(browser: Browser) -> None:
    tokens = await browser.tokens()
    assert (await browser.userinfo(tokens["id_token"])).status_code == 401
    stranger = Browser(browser.server)
    ended = await stranger.open("/oauth2/logout", id_token_hint=tokens["id_token"])
    assert (ended.status, 'id="yes"' in ended.html) == (200, False)
    assert await is_signed_in(browser)


@pytest.mark.parametrize("parameter", ["client_id", "post_logout_redirect_uri", "id_token_hint", "state"])
async def test_A38_A13_a_repeated_parameter_ends_nothing(browser: Browser, parameter: str) -> None:
    hint = (await browser.tokens())["id_token"]
    sent = {"client_id": "shop", "post_logout_redirect_uri": BYE, "id_token_hint": hint, "state": "x"}
    query = urlencode([*sent.items(), (parameter, sent[parameter])])
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items()).encode()
    answer = await ask(browser.server.app, "GET", f"/oauth2/logout?{query}".encode(), [(b"cookie", cookie)])
    assert (answer.status, answer.location) == (400, "")
    assert await is_signed_in(browser)


async def test_two_projects_in_one_browser_have_nothing_to_do_with_each_other(browser: Browser) -> None:
    first = browser.server.claims((await shop(browser).tokens())["id_token"])
    assert not await is_signed_in(arcade(browser))
    second = browser.server.claims((await arcade(browser).tokens())["id_token"])
    assert len({first["sub"], second["sub"]}) == len({first["sid"], second["sid"]}) == 2
    hint = (await shop(browser).tokens_at_once())["id_token"]
    await browser.open("/oauth2/logout", id_token_hint=hint)
    assert not await is_signed_in(shop(browser))
    assert await is_signed_in(arcade(browser))
    await shop(browser).sign_in(player="birch")
    asked = await browser.open("/oauth2/logout", client_id="arcade")
    await browser.press(asked, "yes")
    assert (await is_signed_in(shop(browser)), await is_signed_in(arcade(browser))) == (True, False)


async def test_a_hint_of_one_project_says_nothing_about_a_session_of_the_other(browser: Browser) -> None:
    await arcade(browser).sign_in()
    foreign = (await arcade(browser).tokens_at_once())["id_token"]
    hint = (await shop(browser).tokens())["id_token"]
    assert (await shop(browser).authorize(id_token_hint=foreign)).query["error"] == "invalid_request"
    await browser.open("/oauth2/logout", id_token_hint=hint)
    assert 'id="yes"' not in (await browser.open("/oauth2/logout", id_token_hint=hint)).html
    assert await is_signed_in(arcade(browser))


async def test_E16_the_account_page_shows_who_is_signed_in_and_ends_every_session_of_the_browser(
    browser: Browser,
) -> None:
    elsewhere = Browser(browser.server)
    await elsewhere.sign_in()
    await shop(browser).sign_in()
    await arcade(browser).sign_in(player="birch")
    shown = await browser.open("/login")
    assert 'id="player">Birch</bdi>' in shown.html
    await browser.press(shown, "sign-out")
    assert not await is_signed_in(shop(browser))
    assert not await is_signed_in(arcade(browser))
    assert await is_signed_in(elsewhere)
    assert 'id="player"' not in (await browser.open("/login")).html


async def test_E16_a_player_ends_all_sessions_in_all_browsers_and_nobody_elses(browser: Browser) -> None:
    elsewhere, stranger = Browser(browser.server), Browser(browser.server)
    await elsewhere.sign_in()
    await stranger.sign_in(player="birch")
    assert 'id="everywhere"' not in (await stranger.open("/login")).html
    await browser.sign_in()
    shown = await browser.open("/login")
    assert shown.html.count('value="end"') == 1
    await browser.press(shown, "everywhere")
    assert not await is_signed_in(browser)
    assert not await is_signed_in(elsewhere)
    assert await is_signed_in(stranger)


async def test_E04_a_form_of_another_browser_ends_nothing_anywhere(browser: Browser) -> None:
    attacker = Browser(browser.server)
    await attacker.sign_in(player="birch")
    await browser.sign_in()
    form, _ = (await attacker.open("/login")).find("sign-out")
    answer = await browser.post("/oauth2/logout/confirm", {**form.fields, "decision": "everywhere"})
    assert answer.status_code == 403
    assert await is_signed_in(browser)


async def test_E10_a_session_that_is_over_shows_nobody(browser: Browser) -> None:
    await browser.sign_in()
    browser.server.clock.now += 12 * 3600
    assert "Amber" not in (await browser.open("/login")).html
    assert "Amber" not in (await browser.authorize()).html
    assert tables(browser.server).sessions
