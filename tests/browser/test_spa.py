"""The demo's single-page application in the browser it is made for."""

import json
from urllib.parse import urlencode

import pytest

from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def sign_in(visitor: Visitor) -> None:
    await visitor.open("/demo/spa")
    await visitor.press("#sign-in")
    await visitor.prove()
    await visitor.press("#allow")
    await visitor.page.wait_for_selector("#signed-in:not([hidden])")


async def test_the_application_signs_in_and_shows_what_userinfo_says(visitor: Visitor) -> None:
    await sign_in(visitor)
    told = json.loads(await visitor.page.inner_text("#userinfo"))
    assert (told["name"], told["email"], told["phone_number"]) == (
        "Amber Vale",
        "amber@players.example",
        "+12025550143",
    )
    assert told["address"]["locality"] == "Nowhere"
    assert visitor.page.url == f"{visitor.demo.issuer}/demo/spa"  # without the code, which has no place in the history
    assert await visitor.page.evaluate("sessionStorage.length") == 0


async def test_the_application_signs_out(visitor: Visitor) -> None:
    await sign_in(visitor)
    await visitor.press("#sign-out")
    await visitor.page.wait_for_selector("#signed-out:not([hidden])")
    await visitor.open("/login")
    await visitor.is_titled("Sign in from your game")


async def test_who_cancels_is_told_so(visitor: Visitor) -> None:
    await visitor.open("/demo/spa")
    await visitor.press("#sign-in")
    await visitor.press("#cancel")
    await visitor.reads("You are not signed in: The player did not go on.")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"state": "guessed"}, "this sign-in was not begun in this tab, or is over", id="state"),
        pytest.param({"iss": "https://elsewhere.example"}, "the answer comes from another login server", id="issuer"),
        pytest.param({}, "The code, token or credential is wrong, expired, used", id="code"),
    ],
)
async def test_an_answer_that_is_not_for_this_sign_in_signs_nobody_in(
    visitor: Visitor, changes: dict[str, str], problem: str
) -> None:
    await visitor.open("/demo/spa")
    await visitor.press("#sign-in")
    await visitor.page.wait_for_selector("#sign-in-steam")
    await visitor.open("/demo/spa")
    state = await visitor.page.evaluate("sessionStorage.key(0).split(' ')[1]")
    answer = {"code": "asc_guessed", "state": state, "iss": visitor.demo.issuer} | changes
    await visitor.open(f"/demo/spa?{urlencode(answer)}")
    await visitor.reads(f"You are not signed in: {problem}")
