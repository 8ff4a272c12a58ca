"""Consent: who is asked, for what, how long it is remembered, and for whom it holds."""

import re
from collections.abc import Sequence

import pytest

from authsrv.storage.changes import Change, UseConsent, WithdrawConsent
from tests.oidc.clients import changed, from_older, from_partner
from tests.support.browser import Browser, Page
from tests.support.server import Server, running


@pytest.fixture
def browser(server: Server) -> Browser:
    return from_partner(Browser(server))


def asks(page: Page) -> bool:
    return page.status == 200 and any(button.value == "allow" for form in page.forms for button in form.buttons)


async def allowed(browser: Browser, **changes: str | None) -> Page:
    """Ask, and let the player allow it."""
    page = await browser.authorize(**changes)
    assert asks(page)
    return await browser.press(page, "allow")


async def test_a_client_of_somebody_elses_is_asked_for_once(browser: Browser) -> None:
    assert asks(await browser.sign_in())
    assert "code" in (await allowed(browser)).answer
    for scope in ("openid profile offline", "profile openid", "openid"):
        assert "code" in (await browser.authorize(scope=scope)).answer
    assert "code" in (await browser.authorize(prompt="none")).answer


async def test_more_scopes_are_asked_for_again_and_remembered_with_the_others(browser: Browser) -> None:
    await browser.sign_in()
    await allowed(browser, scope="openid profile")
    page = await browser.authorize(scope="openid email")
    assert asks(page)
    assert "See your e-mail address" in page.html
    await browser.press(page, "allow")
    assert "code" in (await browser.authorize(scope="openid profile email")).answer
    assert asks(await browser.authorize(scope="openid phone"))


async def test_without_consent_prompt_none_is_consent_required(browser: Browser) -> None:
    await browser.sign_in()
    assert (await browser.authorize(prompt="none")).answer["error"] == "consent_required"
    await allowed(browser, scope="openid")
    assert (await browser.authorize(prompt="none", scope="openid email")).answer["error"] == "consent_required"


async def test_prompt_consent_asks_although_it_is_remembered_and_of_the_studios_own(server: Server) -> None:
    own = Browser(server)
    await own.sign_in()
    for _ in range(2):
        assert "code" in (await allowed(own, prompt="consent")).answer
    assert "code" in (await own.authorize()).answer


async def test_what_was_denied_is_asked_again(browser: Browser) -> None:
    page = await browser.sign_in()
    landed = await browser.press(page, "deny")
    assert (landed.answer["error"], landed.answer["state"]) == ("access_denied", "af0ifjsldkj")
    assert asks(await browser.authorize())


async def test_consent_holds_in_every_browser_of_the_player_and_for_nobody_else(
    server: Server, browser: Browser
) -> None:
    await browser.press(await browser.sign_in(), "allow")
    elsewhere, other = from_partner(Browser(server)), from_partner(Browser(server))
    assert "code" in (await elsewhere.sign_in()).answer
    assert asks(await other.sign_in(player="birch"))


async def test_consent_to_one_client_is_none_to_another() -> None:
    async with running(edit=changed("older", first_party=False)) as server:
        browser = from_partner(Browser(server))
        await browser.press(await browser.sign_in(), "allow")
        assert asks(await from_older(browser).authorize())


async def test_the_page_names_every_scope_that_is_granted(browser: Browser) -> None:
    page = await browser.sign_in(scope="openid profile email address phone offline unknown")
    words = [
        "Recognise you by a player ID that stays the same",
        "See your profile, such as your player name",
        "See your e-mail address",
        "See your postal address",
        "See your phone number",
        "Keep this access while you are away",
    ]
    (listed,) = re.findall(r'<ul class="scopes">(.*?)</ul>', page.html, re.DOTALL)
    assert sorted(re.findall(r"<li>(.*?)</li>", listed)) == sorted(words)
    tokens = await browser.exchanged(await browser.press(page, "allow"))
    assert tokens["scope"] == "openid profile email address phone offline"


async def test_the_player_may_use_another_account_instead(server: Server, browser: Browser) -> None:
    page = await browser.press(await browser.sign_in(), "switch")
    consent = await browser.prove(page, player="birch")
    assert "Birch" in consent.html
    tokens = await browser.exchanged(await browser.press(consent, "allow"))
    assert (await browser.userinfo(tokens["access_token"])).json()["name"] == "Birch"
    amber = from_partner(Browser(server))
    assert asks(await amber.sign_in())


async def test_offline_access_of_a_third_party_is_never_granted_unasked(browser: Browser) -> None:
    page = await browser.sign_in(scope="openid")
    await browser.press(page, "allow")
    page = await browser.authorize(scope="openid offline_access")
    assert asks(page)
    assert "Keep this access while you are away" in page.html


async def test_consent_is_audited(server: Server, browser: Browser) -> None:
    await browser.press(await browser.sign_in(), "allow")
    (event,) = [event for event in server.events if event["event"] == "consent.given"]
    assert (event["client_id"], event["project"]) == ("partner", "demo")
    await browser.authorize()
    assert len([event for event in server.events if event["event"] == "consent.given"]) == 1


async def test_what_is_taken_back_while_the_code_is_made_gives_none(
    server: Server, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in()
    await allowed(browser)
    apply = server.app.storage.apply

    async def overtaken(changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, UseConsent):
                await apply([WithdrawConsent(change.player_id, change.client_id, int(server.clock.now))])
        await apply(changes)

    monkeypatch.setattr(server.app.storage, "apply", overtaken)
    assert asks(await browser.authorize())


async def test_a_scope_that_the_client_lost_while_the_page_stood_open_is_not_granted(
    server: Server, browser: Browser
) -> None:
    page = await browser.sign_in(scope="openid email")
    config = server.app.config.model_copy(deep=True)
    partner = config.projects["demo"].clients["partner"].model_copy(update={"scopes": ("openid",)})
    config.projects["demo"].clients["partner"] = partner
    await server.app.reload(config)
    page = await browser.press(page, "allow")
    assert asks(page)
    tokens = await browser.exchanged(await browser.press(page, "allow"))
    assert tokens["scope"] == "openid"
