"""The profile Third-Party-Initiated Login: links of ours that make a client begin a sign-in."""

import re
from html import unescape
from pathlib import Path

import pytest

from tests.oidc.clients import changed, clients_of
from tests.support.browser import SHOP_CALLBACK, Browser
from tests.support.configuration import WEB, problems
from tests.support.server import running

BEGIN = "https://shop.example/login?from=studio"


@pytest.mark.usefixtures("environment")
def test_T1_an_entry_takes_initiate_login_uri(tmp_path: Path) -> None:
    assert problems(tmp_path, WEB + 'initiate_login_uri = "https://web.example/login"') == []


NOT_HTTPS = ["http://web.example/", "javascript:alert(1)", "com.example.game:/login", "//web.example/login", "/login"]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("uri", NOT_HTTPS)
def test_T3_one_that_is_not_https_is_refused(tmp_path: Path, uri: str) -> None:
    assert len(problems(tmp_path, f'{WEB}initiate_login_uri = "{uri}"')) == 1


async def test_T4_the_link_that_opens_a_game_names_the_issuer() -> None:
    async with running(edit=changed("shop", initiate_login_uri=BEGIN)) as server:
        browser = Browser(server)
        await browser.sign_in()
        page = await browser.open("/login")
        links = [unescape(link) for link in re.findall(r'<a class="button" href="([^"]*)">', page.html)]
        assert f"{BEGIN}&iss=http%3A%2F%2F127.0.0.1%3A8080" in links
        assert "Open <bdi>Demo shop</bdi>" in page.html


async def test_T4_what_the_game_begins_then_needs_no_second_sign_in() -> None:
    async with running(edit=changed("shop", initiate_login_uri=BEGIN)) as server:
        browser = Browser(server)
        await browser.sign_in()
        landed = await browser.authorize()
        assert (landed.answered_at, "code" in landed.answer) == (SHOP_CALLBACK, True)


async def test_T4_there_is_no_link_to_a_client_without_such_an_address() -> None:
    def nowhere(block: dict[str, object]) -> None:
        changed("shop", initiate_login_uri="")(block)
        for client in clients_of(block).values():
            client.pop("initiate_login_uri", None)

    async with running(edit=nowhere) as server:
        browser = Browser(server)
        await browser.sign_in()
        assert "Open <bdi>" not in (await browser.open("/login")).html
