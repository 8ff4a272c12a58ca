"""The profile Front-Channel Logout: the page that loads every client's own logout page in a frame."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.oidc.clients import changed, clients_of, from_older, from_partner
from tests.support.browser import Browser, Page
from tests.support.configuration import WEB, problems
from tests.support.server import ISSUER, Server, running
from tests.support.verification import verified

LOGOUT = "/oauth2/logout"
GOODBYE = "https://shop.example/bye"
SHOP_OUT = "http://127.0.0.1:8080/demo/out"
OLDER_OUT = "https://older.example/out?brand=old&x"
DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"


def with_frames(block: dict[str, Any]) -> None:
    changed("shop", frontchannel_logout_uri=SHOP_OUT, post_logout_redirect_uris=[GOODBYE])(block)
    clients_of(block)["older"]["frontchannel_logout_uri"] = OLDER_OUT


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_frames) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def frames(page: Page) -> list[str]:
    return [unescape(source) for source in re.findall(r'<iframe[^>]* src="([^"]*)"', page.html)]


async def both(browser: Browser) -> str:
    """Sign in for the shop, take part as the older site and the partner too; the shop's id_token."""
    tokens = await browser.tokens()
    shop = browser.request
    for other in (from_older, from_partner):
        browser.request = dict(shop)
        await other(browser).authorize()
    return str(tokens["id_token"])


async def test_H1_the_front_channel_and_its_sid_are_advertised(server: Server) -> None:
    found = (await server.http.get("/.well-known/openid-configuration")).json()
    assert found["frontchannel_logout_supported"] is True
    assert found["frontchannel_logout_session_supported"] is True


async def test_H2_each_client_of_the_session_is_loaded_with_iss_and_sid(server: Server, browser: Browser) -> None:
    hint = await both(browser)
    sid = (await verified(server, hint, "shop"))["sid"]
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=GOODBYE)
    told = f"iss=http%3A%2F%2F127.0.0.1%3A8080&sid={sid}"
    assert ISSUER == "http://127.0.0.1:8080"
    assert frames(page) == [f"{OLDER_OUT}&{told}", f"{SHOP_OUT}?{told}"]


async def test_H2_a_client_that_took_no_part_is_not_loaded(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    page = await browser.open(LOGOUT, id_token_hint=tokens["id_token"])
    assert [frame.partition("?")[0] for frame in frames(page)] == [SHOP_OUT]


async def test_H2_after_the_question_the_same_page_comes(browser: Browser) -> None:
    await both(browser)
    page = await browser.press(await browser.open(LOGOUT), "yes")
    assert len(frames(page)) == 2
    assert "<h1>You are signed out</h1>" in page.html


async def test_H2_a_session_that_is_over_loads_nobody_again(browser: Browser) -> None:
    hint = await both(browser)
    await browser.open(LOGOUT, id_token_hint=hint)
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=GOODBYE)
    assert (page.url, frames(page)) == (GOODBYE, [])


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "uri",
    [
        "http://web.example/out",
        "https://web.example:8443/out",
        "https://www.web.example/out",
        "https://web.example.evil/",
    ],
)
def test_H3_a_page_elsewhere_than_a_redirect_uri_is_refused(tmp_path: Path, uri: str) -> None:
    assert problems(tmp_path, WEB + 'frontchannel_logout_uri = "https://web.example/out"') == []
    assert len(problems(tmp_path, f'{WEB}frontchannel_logout_uri = "{uri}"')) == 1


async def test_H4_the_policy_allows_these_frames_only_and_the_page_goes_on_by_itself(browser: Browser) -> None:
    hint = await both(browser)
    page = await browser.open(LOGOUT, id_token_hint=hint, post_logout_redirect_uri=GOODBYE, state="a&b")
    policy = [part.split() for part in page.headers["content-security-policy"].split("; ")]
    (sources,) = [sources for name, *sources in policy if name == "frame-src"]
    assert sources == ["https://older.example", "http://127.0.0.1:8080"]
    (refresh,) = re.findall(r'<meta http-equiv="refresh" content="([^"]*)">', page.html)
    assert unescape(refresh) == f"3; url={GOODBYE}?state=a%26b"
    assert f'id="continue" href="{GOODBYE}?state=a%26b"' in page.html
    assert "<script" not in page.html


async def test_H4_without_frames_the_policy_allows_none_and_the_browser_goes_on_at_once(server: Server) -> None:
    browser = from_partner(Browser(server))
    page = await browser.press(await browser.sign_in(), "allow")
    tokens = await browser.exchanged(page)
    ended = await browser.open(LOGOUT, id_token_hint=tokens["id_token"])
    assert "frame-src" not in ended.headers["content-security-policy"]
    assert frames(ended) == []


def test_H5_the_documents_say_that_the_back_channel_is_the_reliable_one() -> None:
    text = " ".join((DOCUMENTS / "configuration.md").read_text(encoding="utf-8").split())
    assert "block third-party cookies load it without the client's session, so prefer the back channel" in text
