"""Sign-ins that do not go straight: two tabs, the back button, another browser, and requests that grow old."""

import pytest

from tests.oidc.clients import PARTNER, from_older, from_partner
from tests.support.browser import SHOP_CALLBACK, Browser, Page
from tests.support.server import Server
from tests.support.verification import verified


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def says(page: Page, title: str) -> bool:
    """Whether it is a page of this title that answers no client."""
    return page.status == 400 and f"<h1>{title}</h1>" in page.html and page.answer == {}


DONE = "This sign-in is complete"
NO_MORE = "This sign-in can no longer be finished"


async def test_two_tabs_each_get_the_answer_to_their_own_request(server: Server, browser: Browser) -> None:
    first = await browser.authorize(state="first", nonce="one")
    second = await browser.authorize(state="second", nonce="two")
    assert first.url != second.url
    landed = await browser.prove(first)
    assert landed.answer["state"] == "first"
    other = await browser.prove(second)
    assert other.answer["state"] == "second"
    nonces = [
        (await verified(server, (await browser.exchanged(page))["id_token"], "shop"))["nonce"]
        for page in (landed, other)
    ]
    assert nonces == ["one", "two"]


async def test_a_tab_that_is_loaded_again_goes_on_once_another_has_signed_in(browser: Browser) -> None:
    first, second = await browser.authorize(state="first"), await browser.authorize(state="second")
    await browser.prove(first)
    assert (await browser.open(second.url)).answer["state"] == "second"


async def test_tabs_of_two_clients_do_not_mix(server: Server, browser: Browser) -> None:
    shops = await browser.authorize(state="shop")
    partners = await from_partner(browser).authorize(state="partner")
    assert (await browser.prove(shops)).answered_at == SHOP_CALLBACK
    consent = await browser.open(partners.url)
    landed = await browser.press(consent, "allow")
    assert (landed.answered_at, landed.answer["state"]) == (PARTNER, "partner")


async def test_a_prompt_that_one_tab_satisfied_is_not_satisfied_in_another(browser: Browser) -> None:
    await browser.sign_in()
    first, second = await browser.authorize(prompt="login"), await browser.authorize(prompt="login")
    await browser.prove(first)
    again = await browser.open(second.url)
    assert again.find("sign-in-steam")


async def test_the_back_button_after_a_sign_in_leads_to_a_page_that_says_it_is_done(browser: Browser) -> None:
    page = await browser.authorize()
    await browser.prove(page)
    assert says(await browser.open(page.url), DONE)
    assert says(await browser.press(page, "sign-in-steam"), DONE)
    assert says(await browser.press(page, "cancel"), DONE)


async def test_consent_that_is_given_twice_gives_one_code(browser: Browser) -> None:
    page = await from_partner(browser).sign_in()
    assert "code" in (await browser.press(page, "allow")).answer
    for button in ("allow", "deny", "switch"):
        assert says(await browser.press(page, button), DONE)


async def test_a_platform_that_sends_the_browser_back_twice_signs_in_once(server: Server, browser: Browser) -> None:
    there = await browser.press(await browser.authorize(), "sign-in-steam")
    assert "code" in (await browser.press(there, "amber")).answer
    again = await browser.press(there, "birch")
    assert says(again, DONE)
    tokens = await browser.tokens_at_once()
    assert (await browser.userinfo(tokens["access_token"])).json()["name"] == "Amber"


async def test_a_request_grows_old_in_an_hour(server: Server, browser: Browser) -> None:
    page = await browser.authorize()
    server.clock.now += 3599
    assert (await browser.open(page.url)).find("sign-in-steam")
    server.clock.now += 1
    for answer in (await browser.open(page.url), await browser.press(page, "sign-in-steam")):
        assert says(answer, NO_MORE)


async def test_an_address_that_is_no_request_of_ours_says_so(browser: Browser) -> None:
    for handle in ("A" * 22, "x"):
        assert says(await browser.open(f"/login?request={handle}"), NO_MORE)
    for unreadable in ("%00", "A" * 3000):
        assert (await browser.open(f"/login?request={unreadable}")).status == 400


async def test_the_oldest_of_more_than_eight_tabs_is_told_that_they_were_too_many(browser: Browser) -> None:
    tabs = [await browser.authorize(state=f"tab-{number}") for number in range(9)]
    oldest = await browser.open(tabs[0].url)
    assert says(oldest, NO_MORE)
    assert "It took too long, or too many were begun in other tabs." in oldest.html
    assert (await browser.open(tabs[1].url)).status == 200


async def test_another_browser_cannot_go_on_with_a_request(server: Server, browser: Browser) -> None:
    page = await browser.authorize()
    other = Browser(server)
    await other.sign_in(player="birch")
    assert (await other.open(page.url)).status == 400
    other.cookies = {}
    refused = await other.open(page.url)
    assert says(refused, "This sign-in cannot go on in this browser")
    for both in ("It began in another browser, or this one blocks cookies.", "go on there. Otherwise allow cookies"):
        assert both in refused.html


async def test_a_request_by_post_belongs_to_the_browser_that_comes_for_it_first(
    server: Server, browser: Browser
) -> None:
    answer = await browser.post_from_elsewhere("/oauth2/authorize", **browser.request)
    assert answer.status_code == 303
    assert "set-cookie" not in answer.headers
    page = await browser.follow(answer)
    assert (await Browser(server).open(page.url)).status == 400
    assert "code" in (await browser.prove(page)).answer


async def test_a_session_that_ended_meanwhile_is_asked_for_again(browser: Browser) -> None:
    page = await from_partner(browser).sign_in()
    form, _ = (await browser.open("/oauth2/logout")).find("yes")
    await browser.post("/oauth2/logout/confirm", {**form.fields, "decision": "yes"})
    again = await browser.press(page, "allow")
    assert again.find("sign-in-steam")
    assert "code" in (await browser.press(await browser.prove(again), "allow")).answer


async def test_a_client_that_lost_its_address_meanwhile_is_not_answered_there(server: Server, browser: Browser) -> None:
    page = await from_older(browser).authorize()
    config = server.app.config.model_copy(deep=True)
    older = config.projects["demo"].clients["older"].model_copy(update={"redirect_uris": ("https://new.example/",)})
    config.projects["demo"].clients["older"] = older
    await server.app.reload(config)
    for answer in (await browser.open(page.url), await browser.press(page, "cancel")):
        assert (answer.status, answer.answer) == (400, {})
        assert "location" not in answer.headers
