"""Signing out: asked or at once, back to the client or not, and who else learns of it."""

import pytest

from tests.browser.visitor import MARKS, Visitor

pytestmark = MARKS

SIGNED_OUT = "Sign in from your game"


async def test_the_shop_signs_out_without_a_question_and_everywhere(visitor: Visitor) -> None:
    await visitor.sign_in()
    await visitor.press("#sign-out")
    await visitor.is_at("/demo/shop")
    await visitor.reads("Sign in with the account that you play with")
    await visitor.open("/login")
    await visitor.is_titled(SIGNED_OUT)


@pytest.mark.parametrize(("button", "title"), [("#no", "Your account"), ("#yes", "You are signed out")])
async def test_without_proof_of_the_client_the_player_is_asked(visitor: Visitor, button: str, title: str) -> None:
    await visitor.sign_in()
    await visitor.open(f"/oauth2/logout?client_id=forum&post_logout_redirect_uri={visitor.site.url}/signed-out")
    await visitor.is_titled("Sign out?")
    await visitor.press(button)
    await visitor.is_titled(title)


async def test_the_own_page_signs_out(visitor: Visitor) -> None:
    await visitor.sign_in()
    await visitor.open("/demo")
    await visitor.press("text=your account")
    await visitor.is_titled("Your account")
    await visitor.press("#sign-out")
    await visitor.is_titled("You are signed out")


async def test_a_frame_tells_the_forum_before_the_player_goes_back_to_it(visitor: Visitor) -> None:
    id_token = await visitor.forum_token()
    back = f"{visitor.site.url}/signed-out"
    async with visitor.page.expect_response(lambda answer: "/frontchannel" in answer.url) as frame:
        await visitor.open(f"/oauth2/logout?id_token_hint={id_token}&post_logout_redirect_uri={back}&state=s1")
    assert (await frame.value).ok
    told = visitor.site.visited("/frontchannel")[-1].query
    assert set(told) == {"iss", "sid"}
    assert told["iss"] == visitor.demo.issuer
    assert await visitor.is_back("/signed-out") == {"state": "s1"}
