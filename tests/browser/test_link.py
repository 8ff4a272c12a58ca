"""Linking by code in a real browser: what one device shows is typed in another one, and nothing needs a script."""

import pytest
from playwright.async_api import expect

from tests.browser.visitor import MARKS, PHONE, Visitors

pytestmark = MARKS


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_code_is_typed_and_the_platform_account_linked(visitors: Visitors, *, scripts: bool) -> None:
    visitor = await visitors.come(PHONE, java_script_enabled=scripts)
    code = await visitor.link_code()
    await visitor.open("/link")
    await visitor.page.fill("#code", code.lower().replace("-", " "))
    await visitor.press("#continue")
    await visitor.is_titled("Is this your player?")
    await expect(visitor.page.locator("#player")).to_have_text("Cedar")
    await visitor.prove("xbox", "cedar")
    await visitor.is_titled("Link this platform account?")
    await visitor.press("#link")
    await visitor.is_titled("The platform account is linked")
    await visitor.page.reload()
    await visitor.is_titled("The platform account is linked")


async def test_who_presses_enter_sends_the_code(visitors: Visitors) -> None:
    visitor = await visitors.come(PHONE)
    await visitor.open(f"/link?code={await visitor.link_code()}")
    await visitor.tab_to("#code")
    await visitor.page.keyboard.press("Enter")
    await visitor.is_titled("Is this your player?")


async def test_a_wrong_code_is_asked_for_again_and_said_to_be_wrong(visitors: Visitors) -> None:
    visitor = await visitors.come(PHONE)
    await visitor.open("/link?code=BCDF-GHJK")
    await visitor.press("#continue")
    await expect(visitor.page.locator("#notice")).to_contain_text("This code is wrong, too old or was used.")
    await expect(visitor.page.locator("#code")).to_have_value("BCDF-GHJK")


async def test_who_turns_back_has_linked_nothing(visitors: Visitors) -> None:
    visitor = await visitors.come(PHONE)
    await visitor.open("/link")
    await visitor.page.fill("#code", await visitor.link_code())
    await visitor.press("#continue")
    await visitor.press("#cancel")
    await expect(visitor.page.locator("#notice")).to_contain_text("Nothing was linked.")
    await visitor.page.go_back()
    await visitor.reads("This sign-in is complete")
