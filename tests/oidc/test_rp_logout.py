"""The profile RP-Initiated Logout: whose session ends, who is asked, and where nobody is sent."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from starlette.responses import HTMLResponse

from tests.oidc.clients import changed, clients_of, from_older, player_of
from tests.oidc.forgery import forged
from tests.pages.documents import Document, read
from tests.support.browser import SHOP_CALLBACK, Browser, Page
from tests.support.server import Server, running
from tests.support.verification import verified

GOODBYE = "http://127.0.0.1:8080/demo/goodbye"
WITH_QUERY = "https://shop.example/bye?from=login"
OLDER_GOODBYE = "https://older.example/bye"
TAVERN = "https://tavern.example/callback"
LOGOUT = "/oauth2/logout"
STATE = "s" * 128


def with_goodbyes(block: dict[str, Any]) -> None:
    """Addresses for after a logout, and a second project with a client of its own."""
    changed("shop", post_logout_redirect_uris=[GOODBYE, WITH_QUERY])(block)
    clients_of(block)["older"]["post_logout_redirect_uris"] = [OLDER_GOODBYE]
    second = copy.deepcopy(block["projects"]["demo"])
    second["clients"] = {"tavern": {"secret": "tavern-secret", "redirect_uris": [TAVERN]}}
    block["projects"]["second"] = second


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_goodbyes) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def asks(page: Page) -> bool:
    return page.status == 200 and any(button.value == "yes" for form in page.forms for button in form.buttons)


def says_signed_out(page: Page) -> bool:
    return page.status == 200 and "<h1>You are signed out</h1>" in page.html and "continue" not in page.html


def seen(page: Page) -> Document:
    return read(HTMLResponse(page.html))


def is_refused(page: Page) -> bool:
    return page.status == 400 and "location" not in page.headers and not page.forms


async def is_signed_in(browser: Browser) -> bool:
    return "code" in (await browser.authorize(prompt="none")).answer


async def hint_of(browser: Browser) -> str:
    """The id_token of a sign-in for the shop."""
    found: str = (await browser.tokens())["id_token"]
    return found


async def test_L1_the_endpoint_is_advertised_and_takes_get_and_post(server: Server) -> None:
    found = (await server.http.get("/.well-known/openid-configuration")).json()
    assert found["end_session_endpoint"] == "http://127.0.0.1:8080/oauth2/logout"
    for method in ("get", "post"):
        browser = Browser(server)
        hint = await hint_of(browser)
        sent = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE}
        page = await browser.open(LOGOUT, **sent) if method == "get" else await posted(browser, **sent)
        assert (page.url, await is_signed_in(browser)) == (GOODBYE, False)
    assert (await server.http.put(LOGOUT)).status_code == 405


async def posted(browser: Browser, **sent: str | None) -> Page:
    """A form of the client's page, which brings no cookie."""
    return await browser.follow(await browser.post_from_elsewhere(LOGOUT, **sent))


async def test_L2_the_session_ends_and_the_state_comes_back(browser: Browser) -> None:
    hint = await hint_of(browser)
    assert await is_signed_in(browser)
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=GOODBYE, state=STATE)
    assert (page.status, page.url) == (302, f"{GOODBYE}?state={STATE}")
    landed = await browser.authorize(prompt="none")
    assert landed.answer["error"] == "login_required"


async def test_L2_a_registered_query_is_kept_and_the_state_added(browser: Browser) -> None:
    hint = await hint_of(browser)
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=WITH_QUERY, state="a&b=c d")
    assert page.url == f"{WITH_QUERY}&state=a%26b%3Dc%20d"


async def test_L2_client_id_may_go_with_the_hint(browser: Browser) -> None:
    hint = await hint_of(browser)
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=GOODBYE, client_id="shop")
    assert page.url == GOODBYE


async def test_L3_without_a_state_none_comes_back(browser: Browser) -> None:
    hint = await hint_of(browser)
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=GOODBYE)
    assert page.url == GOODBYE


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("https://evil.example/", id="L4 unknown"),
        pytest.param(SHOP_CALLBACK, id="L4 a redirect URI"),
        pytest.param(OLDER_GOODBYE, id="L4 another client's"),
        pytest.param(GOODBYE + "/", id="L4 a slash more"),
        pytest.param(GOODBYE.upper(), id="L4 capitals"),
        pytest.param(GOODBYE + "#x", id="L4 a fragment"),
        pytest.param(GOODBYE + "?foo=bar", id="L5 a query"),
        pytest.param(WITH_QUERY + "&foo=bar", id="L5 a longer query"),
        pytest.param("javascript:alert(1)", id="L4 a script"),
    ],
)
async def test_L4_L5_an_address_that_is_not_registered_to_the_letter_is_not_gone_to(browser: Browser, uri: str) -> None:
    hint = await hint_of(browser)
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=uri, state="x")
    assert is_refused(page)
    assert uri not in page.html
    assert await is_signed_in(browser)


async def test_L6_an_unsigned_hint_is_refused(browser: Browser) -> None:
    hint = await hint_of(browser)
    told = await verified(browser.server, hint, "shop")
    header = jwt.get_unverified_header(hint)
    _, body, _ = hint.split(".")
    unsigned = jwt.encode(told, "", algorithm="none", headers=header | {"alg": "none"})
    for text in (unsigned, f"{unsigned.split('.')[0]}.{body}.", f"{hint.rpartition('.')[0]}."):
        assert is_refused(await browser.open(LOGOUT, id_token_hint=text, post_logout_redirect_uri=GOODBYE))
    assert await is_signed_in(browser)


async def test_L7_a_hint_that_somebody_else_signed_is_refused(browser: Browser) -> None:
    hint = await hint_of(browser)
    told, header = await verified(browser.server, hint, "shop"), jwt.get_unverified_header(hint)
    foreign = forged(told, header)
    assert is_refused(await browser.open(LOGOUT, id_token_hint=foreign, post_logout_redirect_uri=GOODBYE))
    assert await is_signed_in(browser)


@pytest.mark.parametrize("client_id", [None, "shop"])
async def test_L8_without_a_hint_nobody_is_redirected(browser: Browser, client_id: str | None) -> None:
    await browser.tokens()
    sent = {"post_logout_redirect_uri": GOODBYE, "client_id": client_id, "state": STATE}
    page = await browser.open(LOGOUT, **sent)
    assert asks(page)
    assert says_signed_out(await browser.press(page, "yes"))
    assert says_signed_out(await browser.open(LOGOUT, **sent))
    assert not await is_signed_in(browser)


async def test_L9_a_bare_request_asks_then_says_that_the_player_is_signed_out(browser: Browser) -> None:
    assert says_signed_out(await browser.open(LOGOUT))
    await browser.tokens()
    page = await browser.open(LOGOUT)
    assert asks(page)
    assert await is_signed_in(browser)
    assert says_signed_out(await browser.press(page, "yes"))
    assert not await is_signed_in(browser)


async def test_L10_a_hint_without_an_address_ends_on_the_page_that_says_so(browser: Browser) -> None:
    hint = await hint_of(browser)
    assert says_signed_out(await browser.open(LOGOUT, id_token_hint=hint, state=STATE))
    assert not await is_signed_in(browser)


SHOPS_PAGE = "https://shop.example/"
LOGS_IN = "https://shop.example/login?from=authsrv"
WAYS_ON = {
    "to the client's page": (SHOPS_PAGE, LOGS_IN, SHOPS_PAGE),
    "to where it begins a sign-in": ("", LOGS_IN, f"{LOGS_IN}&iss=http%3A%2F%2F127.0.0.1%3A8080"),
    "nowhere, for it names no address": ("", "", None),
}


@pytest.mark.parametrize(("page", "sign_in", "way_on"), WAYS_ON.values(), ids=WAYS_ON)
async def test_L10_the_page_leads_on_to_an_address_of_the_clients_entry(
    page: str, sign_in: str, way_on: str | None
) -> None:
    edit = changed("shop", client_uri=page, initiate_login_uri=sign_in, post_logout_redirect_uris=[GOODBYE])
    async with running(edit=edit) as server:
        browser = Browser(server)
        end = await browser.open(LOGOUT, id_token_hint=await hint_of(browser), state=STATE)
        assert says_signed_out(end)
        shown = seen(end)
        assert [link["href"] for link in shown.attributes_of("a") if "button" in link.get("class", "")] == (
            [way_on] if way_on else []
        )
        assert ("Back to Demo shop" in shown.text) == (way_on is not None)


async def test_L10_nobody_is_led_to_an_address_of_the_request(browser: Browser) -> None:
    end = await browser.open(LOGOUT, client_id="shop", post_logout_redirect_uri=WITH_QUERY, state=STATE)
    assert says_signed_out(end)
    assert seen(end).of_id("return")["href"] == "http://127.0.0.1:8080/demo/shop"
    assert WITH_QUERY not in end.html


async def test_L10_who_came_from_no_client_is_led_to_the_account_page(browser: Browser) -> None:
    end = await browser.open(LOGOUT)
    assert seen(end).of_id("account")["href"] == "http://127.0.0.1:8080/account"
    assert (await browser.open("/account")).status == 200


async def test_L11_a_state_alone_changes_nothing(browser: Browser) -> None:
    assert says_signed_out(await browser.open(LOGOUT, state=STATE))
    await browser.tokens()
    page = await browser.open(LOGOUT, state=STATE)
    assert asks(page)
    assert STATE not in (await browser.press(page, "yes")).html


async def test_L12_the_player_may_stay(browser: Browser) -> None:
    await browser.tokens()
    page = await browser.press(await browser.open(LOGOUT), "no")
    assert "<h1>Your account</h1>" in page.html
    assert await is_signed_in(browser)


async def test_L12_the_question_names_the_player_and_the_client(browser: Browser) -> None:
    await browser.tokens()
    page = await browser.open(LOGOUT, client_id="shop")
    assert "Amber" in page.html
    assert "<bdi>Demo shop</bdi> asks to sign you out." in page.html


FOREIGN_FORMS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "no token": ({"csrf": ""}, {}),
    "another token": ({"csrf": "0" * 32}, {}),
    "another site": ({}, {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}),
    "another origin": ({}, {"origin": "https://evil.example"}),
    "a neighbour": ({}, {"sec-fetch-site": "same-site"}),
}


@pytest.mark.parametrize(("fields", "headers"), FOREIGN_FORMS.values(), ids=FOREIGN_FORMS)
async def test_L12_a_form_that_is_not_ours_signs_nobody_out(
    browser: Browser, fields: dict[str, str], headers: dict[str, str]
) -> None:
    await browser.tokens()
    form, _ = (await browser.open(LOGOUT)).find("yes")
    sent = {**form.fields, "decision": "yes", **fields}
    answer = await browser.post("/oauth2/logout/confirm", sent, **headers)
    assert answer.status_code == 403
    assert await is_signed_in(browser)


async def test_L12_the_form_of_another_browser_signs_nobody_out(server: Server, browser: Browser) -> None:
    await browser.tokens()
    other = Browser(server)
    await other.tokens(player="birch")
    form, _ = (await other.open(LOGOUT)).find("yes")
    assert (await browser.post("/oauth2/logout/confirm", {**form.fields, "decision": "yes"})).status_code == 403
    assert await is_signed_in(browser)


async def test_L13_an_expired_hint_is_good(server: Server, browser: Browser) -> None:
    hint = await hint_of(browser)
    server.clock.now += 3 * 3600
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=GOODBYE)
    assert page.url == GOODBYE
    assert not await is_signed_in(browser)


async def test_L13_a_hint_of_another_client_than_client_id_names_is_refused(browser: Browser) -> None:
    hint = await hint_of(browser)
    for uri in (None, GOODBYE, OLDER_GOODBYE):
        page = await browser.open(LOGOUT, id_token_hint=hint, client_id="older", post_logout_redirect_uri=uri)
        assert is_refused(page)
    assert await is_signed_in(browser)


async def test_L13_no_other_token_is_a_hint(browser: Browser) -> None:
    tokens = await browser.tokens()
    for text in (tokens["access_token"], tokens["refresh_token"], "nonsense", "a.b.c", "é"):
        assert is_refused(await browser.open(LOGOUT, id_token_hint=text))
    assert await is_signed_in(browser)


async def test_L13_the_hint_of_an_ended_session_asks_before_it_ends_the_next(browser: Browser) -> None:
    old = await hint_of(browser)
    await browser.open(LOGOUT, id_token_hint=old)
    await browser.tokens()
    page = await browser.open(LOGOUT, id_token_hint=old, post_logout_redirect_uri=GOODBYE)
    assert asks(page)
    assert await is_signed_in(browser)
    assert (await browser.press(page, "yes")).url == GOODBYE


async def test_L13_the_hint_of_another_player_or_browser_asks(server: Server, browser: Browser) -> None:
    ambers = await hint_of(browser)
    for player in ("birch", "amber"):
        other = Browser(server)
        await other.tokens(player=player)
        assert asks(await other.open(LOGOUT, id_token_hint=ambers, post_logout_redirect_uri=GOODBYE))
        assert await is_signed_in(other)


async def test_L13_the_hint_of_a_silent_login_asks(server: Server, browser: Browser) -> None:
    await browser.tokens()
    tokens = await server.login("steam")
    page = await browser.open(LOGOUT, id_token_hint=tokens["id_token"])
    assert asks(page)


async def test_L13_the_hint_of_a_client_that_is_gone_asks(server: Server, browser: Browser) -> None:
    landed = await from_older(browser).sign_in()
    hint = (await browser.redeem(landed.answer["code"], code_verifier=None)).json()["id_token"]
    config = server.app.config.model_copy(deep=True)
    del config.projects["demo"].clients["older"]
    await server.app.reload(config)
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=OLDER_GOODBYE)
    assert asks(page)
    assert says_signed_out(await browser.press(page, "yes"))


async def test_L14_what_lives_only_by_the_session_ends_with_it(server: Server, browser: Browser) -> None:
    with_offline = await browser.tokens()
    without = await browser.tokens_at_once(scope="openid profile")
    unused = (await browser.authorize()).answer["code"]
    await browser.open(LOGOUT, id_token_hint=without["id_token"])
    assert (await browser.userinfo(without["access_token"])).status_code == 401
    assert (await browser.redeem(unused)).json()["error"] == "invalid_grant"
    assert (await browser.userinfo(with_offline["access_token"])).status_code == 200
    assert (await browser.refresh(with_offline["refresh_token"])).status_code == 200


async def test_L14_the_offline_tokens_of_other_clients_and_browsers_stay(server: Server, browser: Browser) -> None:
    hint = await hint_of(browser)
    older = await from_older(browser).authorize()
    olders = (await browser.redeem(older.answer["code"], code_verifier=None)).json()
    other = Browser(server)
    elsewhere = await other.tokens()
    await browser.open(LOGOUT, id_token_hint=hint)
    assert (await browser.refresh(olders["refresh_token"])).status_code == 200
    assert (await other.refresh(elsewhere["refresh_token"])).status_code == 200
    assert await is_signed_in(other)


async def test_L14_refresh_tokens_end_with_the_session_for_a_client_that_wants_it() -> None:
    async with running(edit=changed("shop", refresh_ends_with_session=True)) as server:
        browser, other = Browser(server), Browser(server)
        tokens, elsewhere = await browser.tokens(), await other.tokens()
        await browser.open(LOGOUT, id_token_hint=tokens["id_token"])
        assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await browser.userinfo(tokens["access_token"])).status_code == 401
        assert (await other.refresh(elsewhere["refresh_token"])).status_code == 200


async def test_L14_the_sessions_of_other_projects_stay_unless_the_player_means_all(
    server: Server, browser: Browser
) -> None:
    hint = await hint_of(browser)
    tavern = Browser(server).sent_by("tavern", TAVERN, "tavern-secret")
    tavern.cookies = browser.cookies
    await tavern.tokens()
    browser.cookies = tavern.cookies
    await browser.open(LOGOUT, id_token_hint=hint)
    assert (await is_signed_in(browser), await is_signed_in(tavern)) == (False, True)
    await browser.prove(await browser.authorize())
    tavern.cookies = browser.cookies
    await browser.press(await browser.open(LOGOUT), "yes")
    assert (await is_signed_in(browser), await is_signed_in(tavern)) == (False, False)


async def test_L14_the_end_is_audited(server: Server, browser: Browser) -> None:
    hint = await hint_of(browser)
    await browser.open(LOGOUT, id_token_hint=hint)
    (event,) = [event for event in server.events if event["event"] == "session.ended"]
    assert (event["sub"], event["reason"]) == ((await player_of(server)).sub, "signed_out")
