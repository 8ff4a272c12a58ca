"""The profile Form Post: the answer as a page that posts itself. What else holds for Basic is tested there (F1)."""

import html
import inspect
import re
from urllib.parse import urlsplit

import pytest

from tests.oidc import test_basic
from tests.oidc.clients import MODES, PARTNER, changed, from_partner
from tests.support.browser import SHOP_CALLBACK, Browser, Page
from tests.support.server import ISSUER, Server, running

AWKWARD = "a\"b'c<d>e&amp;f\u00e9\u65e5 +%20\\"


@pytest.fixture
def browser(server: Server) -> Browser:
    browser = Browser(server)
    browser.request["response_mode"] = "form_post"
    return browser


def directives(page: Page) -> dict[str, list[str]]:
    """The page's content-security-policy."""
    parted = (part.split() for part in page.headers["content-security-policy"].split(";"))
    return {name: sources for name, *sources in parted}


def test_F1_the_tests_of_basic_run_in_this_mode() -> None:
    """All but those that need no browser, or another one."""
    tests = [test for name, test in vars(test_basic).items() if name.startswith("test_B")]
    without = [test.__name__ for test in tests if "browser" not in inspect.signature(test).parameters]
    assert "form_post" in MODES
    assert without == ["test_B4_no_client_can_ask_for_unsigned_tokens"]


async def test_F2_the_answer_is_a_page_with_one_form_to_the_redirect_uri(browser: Browser) -> None:
    page = await browser.sign_in()
    (form,) = page.forms
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (form.method, form.action) == ("post", SHOP_CALLBACK)
    assert re.findall(r'enctype="([^"]*)"', page.html) == ["application/x-www-form-urlencoded"]
    assert form.fields == {"code": form.fields["code"], "state": "af0ifjsldkj", "iss": ISSUER}
    assert "location" not in page.headers


async def test_F2_values_are_escaped_and_arrive_as_they_were_sent(browser: Browser) -> None:
    page = await browser.sign_in(state=AWKWARD)
    assert page.answer["state"] == AWKWARD
    (raw,) = re.findall(r'name="state" value="([^"]*)"', page.html)
    assert html.unescape(raw) == AWKWARD
    assert not {"<", ">", '"', "'"} & set(raw)


async def test_F2_a_registered_query_stays_the_only_one() -> None:
    uri = "https://shop.example/callback?shop=1&lang=en"
    async with running(edit=changed("shop", redirect_uris=[uri])) as server:
        browser = Browser(server).sent_by("shop", uri, "shop-secret")
        page = await browser.sign_in(response_mode="form_post")
        assert page.forms[0].action == uri
        assert (await browser.redeem(page.answer["code"])).status_code == 200


async def test_F3_it_works_without_a_script_and_the_policy_allows_form_and_script(browser: Browser) -> None:
    page = await from_partner(browser).sign_in()
    page = await browser.press(page, "allow")
    found = directives(page)
    assert [button.id for button in page.forms[0].buttons] == ["continue"]
    (script,) = re.findall(r"<script([^>]*)>", page.html)
    (nonce,) = re.findall(r'nonce="([^"]+)"', script)
    assert found["script-src"] == [f"'nonce-{nonce}'"]
    assert found["default-src"] == ["'none'"]
    assert found["form-action"] == [f"{urlsplit(PARTNER).scheme}:"]
    assert not re.search(r"\son[a-z]+=|javascript:", page.html)


async def test_F3_each_page_has_a_nonce_of_its_own(browser: Browser) -> None:
    await browser.sign_in()
    pages = [await browser.authorize() for _ in range(3)]
    assert len({str(directives(page)["script-src"]) for page in pages}) == 3


async def test_F4_errors_go_the_same_way_and_nobody_caches_either(browser: Browser) -> None:
    pages = [
        await browser.sign_in(),
        await browser.authorize(prompt="none", max_age="0"),
        await browser.authorize(response_type="token"),
        await browser.authorize(request="x"),
        await browser.press(await browser.authorize(prompt="login"), "cancel"),
    ]
    assert [page.answer.get("error", "") for page in pages] == [
        "",
        "login_required",
        "unsupported_response_type",
        "request_not_supported",
        "access_denied",
    ]
    for page in pages:
        assert (page.status, page.answered_at, page.answer["state"]) == (200, SHOP_CALLBACK, "af0ifjsldkj")
        assert page.headers.get_list("cache-control") == ["no-store"]
        assert page.headers["referrer-policy"] == "no-referrer"


async def test_F4_what_is_wrong_with_the_address_is_never_posted_to_it(browser: Browser) -> None:
    page = await browser.authorize(redirect_uri="https://evil.example/")
    assert (page.status, page.forms) == (400, [])


async def test_F5_the_mode_is_advertised(server: Server) -> None:
    found = (await server.http.get("/.well-known/openid-configuration")).json()
    assert found["response_modes_supported"] == ["query", "fragment", "form_post"]
