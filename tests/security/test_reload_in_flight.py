"""A reload takes something away while players are signing in (D51, H08): nothing begun before brings it back."""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from authsrv.config import Config
from tests.support.browser import Browser, Page, shop_request
from tests.support.callbacks import way_back
from tests.support.refusals import clients, counts, demo, page, tables
from tests.support.server import Server, running

SILENT = {"prompt": "none"}
Change = Callable[[dict[str, Any]], object]


@dataclass
class Host:
    """A running server with the configuration it began with."""

    server: Server
    block: dict[str, Any]

    async def reload(self, change: Change) -> None:
        """Take the first configuration with a change."""
        block = deepcopy(self.block)
        change(block)
        await self.server.app.reload(Config.model_validate(block))


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    kept: list[dict[str, Any]] = []

    def edit(block: dict[str, Any]) -> None:
        clients(block)["other"] = {**clients(block)["shop"], "name": "Other shop"}
        block["projects"]["second"] = {**deepcopy(demo(block)), "name": "Second", "clients": {}}
        kept.append(deepcopy(block))

    async with running(edit=edit) as server:
        yield Host(server, kept[0])


@pytest.fixture
def browser(host: Host) -> Browser:
    return Browser(host.server)


async def test_D51_a_platform_that_was_removed_signs_nobody_in_and_its_sessions_are_over(
    host: Host, browser: Browser
) -> None:
    waiting = Browser(browser.server)
    await browser.sign_in()
    begun = await waiting.authorize()
    callback = await way_back(waiting, begun)
    await host.reload(lambda block: demo(block)["platforms"].pop("steam"))
    page(await waiting.open(callback), 404)
    page(await waiting.press(begun, "sign-in-steam"), 404)
    assert 'id="sign-in-steam"' not in (await waiting.open("/login", request=begun.forms[0].fields["request"])).html
    assert (await browser.authorize(**SILENT)).query["error"] == "login_required"
    assert "code" in (await waiting.prove(begun, "xbox")).query


async def left_behind(browser: Browser) -> tuple[str, list[Page]]:
    """A callback and pages of three requests that were begun before a reload."""
    callback = await way_back(browser, await browser.authorize())
    asked = await browser.authorize()
    await browser.prove(await browser.authorize(client_id="other"))
    return callback, [
        asked,
        await browser.authorize(prompt="select_account"),
        await browser.authorize(prompt="consent"),
    ]


def removed(block: dict[str, Any]) -> None:
    del clients(block)["shop"]


def other_address(block: dict[str, Any]) -> None:
    clients(block)["shop"]["redirect_uris"] = ["https://shop.example/new"]


def compatible(block: dict[str, Any]) -> None:
    clients(block)["shop"] |= {"compat": "xsolla", "native": True}


def without_players(block: dict[str, Any]) -> None:
    clients(block)["shop"] = {"name": "Shop", "type": "server", "secret": "shop-secret"}


def moved(block: dict[str, Any]) -> None:
    block["projects"]["second"]["clients"]["shop"] = clients(block).pop("shop")


@pytest.mark.parametrize("change", [removed, other_address, compatible, without_players, moved])
async def test_H08_what_a_client_lost_by_a_reload_it_gets_from_no_request_begun_before(
    host: Host, browser: Browser, change: Change
) -> None:
    callback, begun = await left_behind(browser)
    before = counts(browser.server)
    await host.reload(change)
    page(await browser.open(callback))
    for shown in begun:
        page(await browser.open("/login", request=shown.forms[0].fields["request"]))
        for button in shown.forms[0].buttons:
            answer = await browser.press(shown, button.id)
            assert (answer.status in {400, 404}, "code" in answer.query) == (True, False)
    after = counts(browser.server)
    assert after["grants"] == before["grants"]
    assert after["sessions"] == before["sessions"]


async def test_H08_a_client_that_moved_to_another_project_gets_its_players_and_no_others(
    host: Host, browser: Browser
) -> None:
    _, begun = await left_behind(browser)
    await host.reload(moved)
    handles = [shown.forms[0].fields["request"] for shown in begun]
    for handle in handles:
        assert "code" not in (await browser.open("/login", request=handle)).query
    assert (await browser.authorize(**SILENT)).query["error"] == "login_required"
    await browser.sign_in()
    assert {grant.project for grant in tables(browser.server).grants.values() if grant.client_id == "shop"} == {
        "second"
    }
    for handle in handles:
        assert "code" not in (await browser.open("/login", request=handle)).query
    players = tables(browser.server).players
    for grant in tables(browser.server).grants.values():
        assert players[grant.player_id].project == grant.project


def third_party(block: dict[str, Any]) -> None:
    clients(block)["shop"]["first_party"] = False


def without_scopes(block: dict[str, Any]) -> None:
    clients(block)["shop"]["scopes"] = ["offline"]


async def test_H08_consent_and_scopes_are_those_of_the_moment_of_the_code(host: Host, browser: Browser) -> None:
    begun = await browser.authorize(scope="openid profile")
    await host.reload(third_party)
    asked = await browser.prove(begun)
    assert 'id="allow"' in asked.html
    await host.reload(without_scopes)
    landed = await browser.open("/login", request=asked.forms[0].fields["request"])
    assert landed.query["error"] == "invalid_scope"
    assert tables(browser.server).consents == {}


async def test_an_xsolla_client_cannot_sign_in_by_the_standard_page(browser: Browser) -> None:
    sent = shop_request() | {"client_id": "40", "redirect_uri": "http://127.0.0.1/blank"}
    page(await browser.get("/oauth2/authorize", **sent))
    page(await browser.post_from_elsewhere("/oauth2/authorize", **sent))
    assert counts(browser.server)["requests"] == 0
