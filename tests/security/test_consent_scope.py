"""Consent is to what stood on the page, whatever the client may ask for by the time that it is given."""

from copy import deepcopy
from typing import Any

import pytest

from authsrv.config import Config
from tests.support.browser import SHOP_CALLBACK, Browser, Page
from tests.support.refusals import clients, tables
from tests.support.registration import registered, registering
from tests.support.server import Server, running


async def asked(block: dict[str, Any], server: Server, scopes: list[str]) -> tuple[Browser, Page]:
    """The consent page for a client whose entry grows or shrinks to `scopes` while the page is looked at."""
    browser = Browser(server).sent_by("partner", SHOP_CALLBACK, "shop-secret")
    shown = await browser.sign_in(scope="openid profile email address")
    clients(block)["partner"]["scopes"] = scopes
    await server.app.reload(Config.model_validate(block))
    return browser, shown


@pytest.mark.parametrize("scopes", [["openid", "profile", "email"], ["openid", "profile", "address"], ["openid"]])
async def test_E05_what_a_client_may_ask_for_since_the_page_was_shown_is_asked_about_first(scopes: list[str]) -> None:
    kept: list[dict[str, Any]] = []

    def edit(block: dict[str, Any]) -> None:
        shop = clients(block)["shop"]
        clients(block)["partner"] = {**shop, "name": "Partner", "first_party": False, "scopes": ["openid", "profile"]}
        kept.append(deepcopy(block))

    async with running(edit=edit) as server:
        browser, shown = await asked(kept[0], server, scopes)
        again = await browser.press(shown, "allow")
        assert 'id="allow"' in again.html
        assert tables(server).consents == {}
        granted = await browser.exchanged(await browser.press(again, "allow"))
        assert granted["scope"] == " ".join(scopes)


async def test_E05_a_registered_client_gets_no_more_than_was_shown_by_changing_itself_meanwhile() -> None:
    async with running(edit=registering(mode="open", scopes=["openid", "profile", "email"])) as server:
        client = await registered(server, scope="openid profile")
        browser = client.browser()
        shown = await browser.sign_in(scope="openid profile email")
        assert "e-mail" not in shown.html
        assert (await client.update(scope="openid profile email")).status_code == 200
        again = await browser.press(shown, "allow")
        assert "e-mail" in again.html
        assert tables(server).consents == {}
