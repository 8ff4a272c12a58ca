"""The demo's single-page application in the browser it is made for."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from playwright.async_api import Route

from tests.browser.visitor import MARKS, Visitor

pytestmark = MARKS


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


FORGED: Mapping[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "nonce": ("/oauth2/token", lambda tokens: change_claim(tokens, nonce="of-another-sign-in")),
    "audience": ("/oauth2/token", lambda tokens: change_claim(tokens, aud="another-client")),
    "issuer": ("/oauth2/token", lambda tokens: change_claim(tokens, iss="https://elsewhere.example")),
    "expired": ("/oauth2/token", lambda tokens: change_claim(tokens, exp=1)),
    "other player": ("/oauth2/userinfo", lambda told: told.update(sub="another-player")),
    "other server": ("/.well-known/openid-configuration", lambda told: told.update(issuer="https://elsewhere.example")),
}
"""What a server may say that is not for this sign-in: the address, and what becomes of its answer."""


async def test_what_the_server_says_is_believed_only_if_it_is_for_this_sign_in(visitor: Visitor) -> None:
    await sign_in(visitor)
    shown = {}
    for name, (path, forge) in FORGED.items():
        await visitor.open("/demo/spa")
        await visitor.press("#sign-in")
        await visitor.page.wait_for_selector("#allow")
        await visitor.page.route(f"**{path}", answering(forge))
        await visitor.press("#allow")
        await visitor.page.wait_for_selector("#problem:not([hidden])")
        shown[name] = await visitor.page.inner_text("#problem")
        assert await visitor.page.is_hidden("#signed-in")
        await visitor.page.unroute_all()
    assert shown == dict.fromkeys(FORGED, "You are not signed in: the id_token was not made for this sign-in") | {
        "other player": "You are not signed in: UserInfo tells of another player",
        "other server": "You are not signed in: the metadata is another login server's",
    }


def answering(forge: Callable[[dict[str, Any]], None]) -> Callable[[Route], Awaitable[None]]:
    """Passes the request on and the answer back, altered."""

    async def handle(route: Route) -> None:
        answer = await route.fetch()
        told = await answer.json()
        forge(told)
        await route.fulfill(response=answer, json=told)

    return handle


def change_claim(tokens: dict[str, Any], **claims: object) -> None:
    """Put other claims into an id_token; the application leaves its signature to the connection it came by."""
    told = jwt.decode(tokens["id_token"], options={"verify_signature": False}) | claims
    tokens["id_token"] = jwt.encode(told, "", algorithm="none")
