"""When a sign-in does not go straight on: the player cancels, comes back too late, or the platform is down."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest
from playwright.async_api import Route

from tests.browser.visitor import MARKS, PLATFORMS, Visitor, Visitors

pytestmark = MARKS

EMULATED = {"steam": "steam", "xbox": "xbox", "epicgames": "epic"}


async def test_cancel_leads_back_to_the_client_with_nobody_signed_in(visitor: Visitor) -> None:
    await visitor.ask()
    await visitor.press("#cancel")
    assert await visitor.is_back() == {
        "error": "access_denied",
        "error_description": "The player did not go on.",
        "state": "af0ifjsldkj",
        "iss": visitor.demo.issuer,
    }


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_platforms_own_cancel_leads_back_to_the_shop(visitor: Visitor, platform: str) -> None:
    await visitor.open("/demo/shop/login")
    await visitor.press(f"#sign-in-{platform}")
    await visitor.press("button[name=cancel]")
    await visitor.is_at("/demo/callback")
    await visitor.reads("You came back without signing in.")


async def test_the_back_button_does_not_sign_in_a_second_time(visitor: Visitor) -> None:
    await visitor.open("/demo")
    await visitor.press("#shop-login")
    sign_in = visitor.page.url
    await visitor.prove()
    await visitor.is_at("/demo/shop")
    while visitor.page.url != sign_in:
        await visitor.page.go_back()
    await visitor.is_titled("This sign-in is complete")
    await visitor.press("#return")
    await visitor.reads("Welcome, Amber Vale")


async def test_a_sign_in_page_that_was_left_open_too_long_says_so_and_the_next_one_works(visitor: Visitor) -> None:
    await visitor.open("/demo/shop/login")
    expire(visitor, "requests")
    await visitor.press("#sign-in-steam")
    await visitor.is_titled("This sign-in can no longer be finished")
    await visitor.sign_in()


async def test_a_platforms_page_that_was_left_open_too_long_says_so_and_the_next_one_works(visitor: Visitor) -> None:
    await visitor.open("/demo/shop/login")
    await visitor.press("#sign-in-steam")
    expire(visitor, "trips")
    await visitor.press("button[value=amber]")
    await visitor.is_titled("This sign-in can no longer be finished")
    await visitor.sign_in()


def expire(visitor: Visitor, table: str) -> None:
    """Let everything in a table be as old as its time limit."""
    with closing(sqlite3.connect(visitor.demo.database, timeout=10)) as database, database:
        database.execute(f"UPDATE {table} SET expires_at = created_at")  # noqa: S608 - a name of this module


async def test_a_sign_in_goes_on_in_its_own_browser_only(visitors: Visitors, visitor: Visitor) -> None:
    await visitor.open("/demo/shop/login")
    other = await visitors.come()
    await other.page.goto(visitor.page.url)
    await other.is_titled("This sign-in cannot go on in this browser")
    await visitor.prove()
    await visitor.is_at("/demo/shop")


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_while_a_platform_is_down_another_one_still_signs_in(visitor: Visitor, platform: str) -> None:
    await visitor.open("/demo/shop/login")
    await visitor.press(f"#sign-in-{platform}")
    with visitor.demo.faulty(EMULATED[platform]) as begin:
        await visitor.page.route(f"http://127.0.0.1:{visitor.demo.emulator_port}/**", last_answer_before(begin))
        await visitor.press("button[value=birch]")
        await visitor.is_titled("The platform does not answer")
        await visitor.page.unroute_all()
        await visitor.press("#again")
        await visitor.prove("xbox" if platform == "steam" else "steam", "birch")
        await visitor.is_at("/demo/shop")


def last_answer_before(begin: Callable[[str], None]) -> Callable[[Route], Awaitable[None]]:
    """Lets the platform send the browser back, and go down before the server can ask it about that."""

    async def handle(route: Route) -> None:
        answer = await route.fetch(max_redirects=0)
        begin("down")
        await route.fulfill(response=answer)

    return handle


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        pytest.param({"client_id": "nobody"}, "This app is not known here", id="unknown-client"),
        pytest.param({"redirect_uri": "https://evil.test/"}, "The way back is not safe", id="bad-redirect"),
    ],
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(
    visitor: Visitor, changes: dict[str, str], title: str
) -> None:
    request = {"client_id": "forum", "redirect_uri": f"{visitor.site.url}/callback"} | changes
    await visitor.page.goto(visitor.demo.authorize(**request))
    await visitor.is_at("/oauth2/authorize")
    await visitor.is_titled(title)
