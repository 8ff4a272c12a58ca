"""What clients get: consent to a third party, every response mode, several clients at once, the choice of accounts."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.visitor import MARKS, Visitor, Visitors

pytestmark = MARKS

AGAIN = {"prompt": "consent"}


async def test_a_third_party_is_allowed_once_and_asked_again_for_more(visitor: Visitor) -> None:
    await visitor.ask(scope="openid profile")
    await visitor.prove("epicgames", "cedar")
    await visitor.is_titled("Allow access?")
    await visitor.reads("Fan forum asks for access to your account.")
    assert await visitor.page.locator(".scopes li").all_inner_texts() == [
        "Recognise you by a player ID that stays the same",
        "See your profile, such as your player name",
    ]
    await visitor.press("#allow")
    assert set(await visitor.is_back()) == {"code", "state", "iss"}
    await visitor.ask(scope="openid")
    assert set(await visitor.is_back()) == {"code", "state", "iss"}
    await visitor.ask(scope="openid email inventory:read")
    await visitor.reads("Use the permission inventory:read")


async def test_who_denies_gives_nothing_and_is_asked_again(visitor: Visitor) -> None:
    await visitor.ask(**AGAIN)
    await visitor.prove()
    await visitor.press("#deny")
    assert (await visitor.is_back())["error"] == "access_denied"
    await visitor.ask(**AGAIN)
    await visitor.is_titled("Allow access?")


async def test_a_form_brings_the_answer_by_itself_and_keeps_it_out_of_the_address(visitor: Visitor) -> None:
    await visitor.ask(response_mode="form_post", state="by-form", **AGAIN)
    await visitor.prove()
    await visitor.press("#allow")
    assert await visitor.is_back() == {}
    assert set(form_of(visitor, "by-form")) == {"code", "state", "iss"}


async def test_without_scripts_a_button_brings_the_form(visitors: Visitors) -> None:
    visitor = await visitors.come(java_script_enabled=False)
    await visitor.ask(response_mode="form_post", state="by-button", **AGAIN)
    await visitor.prove()
    await visitor.press("#allow")
    await visitor.press("#continue")
    assert await visitor.is_back() == {}
    assert set(form_of(visitor, "by-button")) == {"code", "state", "iss"}


def form_of(visitor: Visitor, state: str) -> dict[str, str]:
    """The form that came to the client with this `state`."""
    (found,) = [visit for visit in visitor.site.visited("/callback") if visit.form.get("state") == state]
    assert found.method == "POST"
    return dict(found.form)


async def test_a_fragment_brings_the_answer_past_the_clients_server(visitor: Visitor) -> None:
    await visitor.ask(response_mode="fragment", state="by-fragment", **AGAIN)
    await visitor.prove()
    await visitor.press("#allow")
    await visitor.is_back()
    assert set(parse_qs(urlsplit(visitor.page.url).fragment)) == {"code", "state", "iss"}
    assert not [visit for visit in visitor.site.visited("/callback") if visit.query.get("state") == "by-fragment"]


async def test_two_tabs_sign_in_to_two_clients_at_once(visitor: Visitor) -> None:
    other = await visitor.new_tab()
    await visitor.open("/demo/shop/login")
    await other.ask(**AGAIN)
    await visitor.press("#sign-in-steam")
    await other.press("#sign-in-steam")
    await visitor.press("button[value=amber]")
    await visitor.is_at("/demo/shop")
    await other.press("button[value=amber]")
    await other.press("#allow")
    assert set(await other.is_back()) == {"code", "state", "iss"}


async def test_a_tab_that_shows_consent_asks_again_once_another_tab_signed_somebody_else_in(visitor: Visitor) -> None:
    await visitor.ask(**AGAIN)
    await visitor.prove("steam", "amber")
    await visitor.reads("Amber")
    other = await visitor.new_tab()
    await other.ask(prompt="login")
    await other.prove("steam", "birch")
    await other.page.wait_for_selector("#player:text('Birch')")
    await visitor.press("#allow")
    await visitor.page.wait_for_selector("#player:text('Birch')")


async def test_a_player_may_go_on_with_the_present_account(visitor: Visitor) -> None:
    await visitor.sign_in("steam", "amber")
    await visitor.ask(prompt="select_account consent")
    await visitor.is_titled("Choose an account")
    await visitor.press("#continue")
    await visitor.is_titled("Allow access?")
    await visitor.press("#allow")
    assert set(await visitor.is_back()) == {"code", "state", "iss"}


@pytest.mark.parametrize("prompt", ["select_account consent", "consent"])
async def test_a_player_may_change_to_another_account(visitor: Visitor, prompt: str) -> None:
    await visitor.sign_in("steam", "amber")
    await visitor.ask(prompt=prompt)
    await visitor.press("#switch")
    await visitor.prove("xbox", "birch")
    await visitor.page.wait_for_selector("#player:text('Birch')")
    await visitor.press("#allow")
    assert set(await visitor.is_back()) == {"code", "state", "iss"}
