"""The account page with Chromium: signing in to it, and looking after the account without a script or a mouse."""

import asyncio
import json

from tests.browser.places import RESIDENT
from tests.browser.visitor import MARKS, Visitor, Visitors

pytestmark = MARKS


async def test_a_player_comes_to_the_page_and_ends_the_session_of_another_browser_without_a_script(
    visitors: Visitors,
) -> None:
    lost, visitor = await visitors.come(), await visitors.come(java_script_enabled=False)
    await lost.sign_in("epicgames", "amber")
    await visitor.open("/account")
    await visitor.is_titled("Sign in")
    await visitor.prove("epicgames", "amber")
    await visitor.is_at("/account")
    await visitor.press("button[value=end] >> nth=0")
    await visitor.reads("You are signed out there.")
    await lost.open("/account")
    await lost.is_titled("Sign in")


async def test_access_is_withdrawn_with_the_keyboard_alone(visitor: Visitor) -> None:
    await visitor.sign_in(*RESIDENT)
    await visitor.forum_allowed()
    await visitor.open("/account")
    await visitor.reads("Fan forum")
    await visitor.tab_to("button[value=withdraw]")
    async with visitor.page.expect_navigation():
        await visitor.page.keyboard.press("Enter")
    await visitor.reads("The access is withdrawn.")
    assert await visitor.page.locator("#consents").count() == 0


async def test_who_cancels_is_not_signed_in(visitor: Visitor) -> None:
    await visitor.open("/account")
    await visitor.press("#cancel")
    await visitor.is_titled("Sign in from your game")
    await visitor.press("#account")
    await visitor.is_titled("Sign in")


async def test_the_mark_of_this_browser_stays_in_one_line_on_the_smallest_phone(visitors: Visitors) -> None:
    visitor = await visitors.come(320, locale="de-DE")
    await visitor.sign_in(*RESIDENT)
    await visitor.open("/account")
    mark = visitor.page.locator(".badge")
    assert await mark.inner_text() == "Dieser Browser"
    box = await mark.bounding_box()
    assert box is not None
    assert box["height"] < 24
    assert await visitor.fits()


async def test_an_account_is_deleted_and_its_platform_linked_to_another_without_a_script(visitors: Visitors) -> None:
    leaving, staying = [await visitors.come(java_script_enabled=False) for _ in range(2)]
    await leaving.open("/account")
    await leaving.prove("xbox", "birch")
    await leaving.press("#delete")
    await leaving.press("#delete")
    await leaving.reads("Tick the box to confirm that you want this.")
    await leaving.page.check("#confirm")
    await leaving.press("#delete")
    await leaving.is_titled("Your account is deleted")
    await leaving.open("/account")
    await leaving.is_titled("Sign in")
    await staying.open("/account")
    await staying.prove("steam", "birch")
    await staying.press("#link-xbox")
    await staying.press("button[value=birch]")
    await staying.reads("The platform is linked to your account.")
    await staying.press("button[value=undo]")
    await staying.reads("The change is undone.")


async def test_a_player_downloads_everything_that_is_stored_about_them(visitor: Visitor) -> None:
    await visitor.sign_in(*RESIDENT)
    await visitor.open("/account")
    async with visitor.page.expect_download() as download:
        await visitor.press("#download")
    told = json.loads(await asyncio.to_thread((await (await download.value).path()).read_bytes))
    assert told["format"] == "authsrv-player"
