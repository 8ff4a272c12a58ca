"""Signing in with Chromium, from the first click to the shop, on each platform and with every kind of browser."""

import pytest

from tests.browser.visitor import DESKTOP, MARKS, PHONE, PLATFORMS, Visitor, Visitors

pytestmark = MARKS


async def test_a_new_user_is_signed_in_three_clicks_after_opening_the_demo(visitor: Visitor) -> None:
    await visitor.open("/")
    await visitor.press("#shop-login")
    await visitor.press("#sign-in-steam")
    await visitor.press("button[value=amber]")
    await visitor.is_at("/demo/shop")
    await visitor.reads("Welcome, Amber Vale")


LACKING = """
select => {
  const { paddingLeft, paddingRight, paddingTop, paddingBottom, font } = getComputedStyle(select)
  const [width, height] = [[paddingLeft, paddingRight], [paddingTop, paddingBottom]]
    .map((sides) => sides.map(parseFloat).reduce((one, other) => one + other))
  const text = document.createElement("div")
  Object.assign(text.style, { font, width: `${select.clientWidth - width}px` })
  text.textContent = select.selectedOptions[0].text
  document.body.append(text)
  return text.offsetHeight - (select.clientHeight - height)
}
"""
"""By how much the text of a choice is higher than the room that it has."""


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_case_to_try_is_not_cut_on_the_page_of_an_emulated_platform(
    visitors: Visitors, platform: str, width: int
) -> None:
    visitor = await visitors.come(width)
    await visitor.open("/demo/shop/login")
    await visitor.press(f"#sign-in-{platform}")
    assert await visitor.page.locator("#case").evaluate(LACKING) <= 1
    assert await visitor.fits()


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_player_who_comes_back_with_another_browser_is_the_same(visitors: Visitors, platform: str) -> None:
    seen = []
    for _ in range(2):
        visitor = await visitors.come()
        await visitor.sign_in(platform, "cedar")
        seen.append(await visitor.facts())
    assert seen[0]["Platform"] == PLATFORMS[platform]
    assert seen[0] == seen[1]


async def test_who_is_signed_in_already_is_asked_nothing(visitor: Visitor) -> None:
    await visitor.sign_in()
    await visitor.page.context.clear_cookies(name="demo_shop")
    await visitor.open("/demo/shop")
    await visitor.reads("Sign in with the account that you play with")
    await visitor.press("#sign-in")
    await visitor.is_at("/demo/shop")
    await visitor.reads("Welcome, Amber Vale")


async def test_no_page_needs_a_script(visitors: Visitors) -> None:
    visitor = await visitors.come(java_script_enabled=False)
    await visitor.open("/demo")
    await visitor.press("#shop-login")
    await visitor.prove()
    await visitor.is_at("/demo/shop")
    await visitor.press("#sign-out")
    await visitor.is_at("/demo/shop")
    await visitor.reads("Sign in with the account that you play with")


async def test_the_keyboard_is_enough(visitor: Visitor) -> None:
    await visitor.open("/demo")
    for target in ("#shop-login", "#sign-in-steam", "button[value=amber]", "#sign-out"):
        await visitor.tab_to(target)
        async with visitor.page.expect_navigation():
            await visitor.page.keyboard.press("Enter")
    await visitor.is_at("/demo/shop")
    await visitor.reads("Sign in with the account that you play with")


async def test_a_phone_is_wide_enough(visitors: Visitors) -> None:
    visitor = await visitors.come(PHONE, has_touch=True, is_mobile=True)
    await visitor.open("/demo")
    for target in ("#shop-login", "#sign-in-xbox", "button[value=birch]"):
        assert await visitor.fits()
        async with visitor.page.expect_navigation():
            await visitor.page.tap(target)
    await visitor.is_at("/demo/shop")
    assert await visitor.fits()
