"""Linking by code in tests: a code on one device, and a browser in which somebody types it."""

from dataclasses import dataclass
from typing import Any

from tests.support.browser import Browser, Page
from tests.support.residents import Resident

LINK = "/link"


@dataclass
class Shown:
    """What the first device shows."""

    code: str
    check_number: str
    uri: str


async def code_of(player: Resident) -> Shown:
    """A link code of this player."""
    answer = await player.post("/v1/me/links/code")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return Shown(told["code"], told["check_number"], told["verification_uri_complete"])


async def typed(browser: Browser, code: str) -> Page:
    """The page that follows when a code is typed."""
    return await browser.press(await browser.open(LINK), "continue", code=code)


async def proven(browser: Browser, page: Page, platform: str = "epicgames", player: str = "amber", **how: str) -> Page:
    """From the page that names the receiving player to the platform and back."""
    return await browser.prove(page, platform, player, **how)


async def to_confirm(browser: Browser, code: str, platform: str = "epicgames", player: str = "amber") -> Page:
    """The page that asks for the last word."""
    return await proven(browser, await typed(browser, code), platform, player)


def heading(page: Page) -> str:
    """What a page is called."""
    return page.html.partition("<h1>")[2].partition("</h1>")[0].strip()
