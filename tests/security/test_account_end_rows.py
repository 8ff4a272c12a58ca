"""The account page: what players take back, take along and delete. Rows D46, D51, E04, E05 and duties P04 and P05."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from authsrv.storage.changes import LinkIdentity
from tests.support.browser import Browser, Page
from tests.support.refusals import page, tables
from tests.support.residents import identity, kinds
from tests.support.server import Server, running

PAGE = "http://127.0.0.1:8080/account"
DELETE = f"{PAGE}/delete"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def shows(shown: Page) -> str:
    return shown.html.partition('id="player">')[2].partition("<")[0]


async def fields(browser: Browser, button: str, path: str = "/account") -> dict[str, str]:
    """The hidden fields of the form that has a button."""
    return (await browser.open(path)).find(button)[0].fields


async def with_epic(browser: Browser) -> Browser:
    """Signed in by Steam, with an Epic account besides that was linked without asking anybody."""
    await browser.sign_in()
    browser.server.clock.now += 1
    (player,) = tables(browser.server).players
    await browser.server.app.storage.apply([LinkIdentity(identity("epicgames"), player, int(browser.server.clock()))])
    return browser


# What was changed is taken back


async def unlinked(browser: Browser) -> Page:
    shown = await (await with_epic(browser)).open("/account")
    forms = [form for form in shown.forms if any(button.value == "unlink" for button in form.buttons)]
    return await browser.follow(await browser.post("/account", {**forms[1].fields, "decision": "unlink"}))


async def test_a_player_takes_back_an_unlink_and_then_the_undo_is_not_offered(browser: Browser) -> None:
    back = await browser.press(await unlinked(browser), "undo")
    assert "The change is undone." in back.html
    assert set(tables(browser.server).identities) == {identity("steam"), identity("epicgames")}
    assert 'value="undo"' not in back.html
    assert kinds(browser.server) == ["unlinked", "undone"]


async def test_a_change_is_taken_back_once(browser: Browser) -> None:
    shown = await unlinked(browser)
    await browser.press(shown, "undo")
    html = page(await browser.press(shown, "undo"), 409)
    assert "Your account has changed meanwhile" in html
    assert f'id="account" href="{PAGE}"' in html


async def test_D46_to_take_something_back_takes_a_sign_in_of_a_moment_ago(browser: Browser) -> None:
    shown = await unlinked(browser)
    browser.server.clock.now += 601
    assert "Please sign in once more to go on." in (await browser.press(shown, "undo")).html
    assert kinds(browser.server) == ["unlinked"]


async def test_D51_what_was_done_to_another_player_is_taken_back_by_nobody_else(server: Server) -> None:
    browser, stranger = Browser(server), Browser(server)
    event = (await unlinked(browser)).find("undo")[0].fields["item"]
    await stranger.sign_in(player="birch")
    own = await fields(stranger, "download")
    for item in (event, "", "A" * 22, "x" * 3000):
        answer = await stranger.post("/account", {**own, "decision": "undo", "item": item})
        assert 400 <= answer.status_code < 500, answer.text
    assert kinds(server) == ["unlinked"]


async def test_after_its_time_nothing_is_offered_to_be_taken_back(browser: Browser) -> None:
    await unlinked(browser)
    browser.server.clock.now += 14 * 86400
    shown = await browser.prove(await browser.open("/account"))
    assert ("unlinked" in shown.html, 'value="undo"' in shown.html) == (True, False)


# Everything that is stored


async def test_P04_a_player_downloads_what_is_stored_about_them_and_about_nobody_else(server: Server) -> None:
    browser, stranger = Browser(server), Browser(server)
    theirs = server.claims((await stranger.tokens(player="birch"))["id_token"])["sub"]
    await browser.sign_in()
    answer = await browser.post("/account", {**await fields(browser, "download"), "decision": "download"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="account.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["format"] == "authsrv-player"
    assert identity("steam").subject in answer.text
    for foreign in (theirs, "Birch", identity("steam", "birch").subject):
        assert foreign not in answer.text


async def test_D46_a_download_takes_a_sign_in_of_a_moment_ago(browser: Browser) -> None:
    await browser.sign_in()
    shown = await browser.open("/account")
    browser.server.clock.now += 601
    assert "Please sign in once more to go on." in (await browser.press(shown, "download")).html


async def test_E04_a_download_takes_a_form_of_ours(server: Server) -> None:
    browser, attacker = Browser(server), Browser(server)
    for each in (browser, attacker):
        await each.sign_in()
    foreign = await fields(attacker, "download")
    for sent in (foreign, {}, {**foreign, "csrf": ""}):
        page(await browser.post("/account", {**sent, "decision": "download"}), 403)
    own = {**await fields(browser, "download"), "decision": "download"}
    page(await browser.post("/account", own, **{"sec-fetch-site": "cross-site"}), 403)


# The end


async def deletion(browser: Browser, **changes: str) -> httpx.Response:
    own = await fields(browser, "delete", "/account/delete")
    return await browser.post("/account/delete", {**own, "decision": "delete", "confirm": "yes", **changes})


async def test_P05_an_account_is_deleted_and_every_sign_in_and_token_of_it_is_over(server: Server) -> None:
    browser, elsewhere = Browser(server), Browser(server)
    tokens = await browser.tokens()
    sub = server.claims(tokens["id_token"])["sub"]
    await elsewhere.sign_in()
    answer = await deletion(browser)
    assert "Your account is deleted" in answer.text
    assert tables(server).identities == {}
    assert (await browser.userinfo(tokens["access_token"])).status_code == 401
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    for each in (browser, elsewhere):
        assert 'id="sign-in-steam"' in (await each.open("/account")).html
    again = await browser.prove(await browser.open("/account"))
    assert shows(again) == "Amber"
    assert server.claims((await browser.tokens_at_once())["id_token"])["sub"] != sub


async def test_the_page_says_what_is_lost_and_a_box_must_be_ticked(browser: Browser) -> None:
    await browser.sign_in()
    asked = await browser.open("/account/delete")
    assert "This cannot be undone." in asked.html
    for changes in ({"confirm": ""}, {"confirm": "no"}, {"confirm": "YES"}, {"confirm": "", "decision": ""}):
        answer = await deletion(browser, **changes)
        assert "Tick the box to confirm that you want this." in answer.text
    assert shows(await browser.open("/account")) == "Amber"


async def test_an_address_deletes_nothing(browser: Browser) -> None:
    await browser.sign_in()
    own = await fields(browser, "delete", "/account/delete")
    shown = await browser.open("/account/delete", **{**own, "decision": "delete", "confirm": "yes"})
    assert 'id="confirm"' in shown.html
    assert shows(await browser.open("/account")) == "Amber"


async def test_D46_a_deletion_takes_a_sign_in_of_a_moment_ago_and_leads_back_to_it(browser: Browser) -> None:
    await browser.sign_in()
    own = await fields(browser, "delete", "/account/delete")
    browser.server.clock.now += 601
    sent: Mapping[str, Any] = {**own, "decision": "delete", "confirm": "yes"}
    for asked in (
        await browser.open("/account/delete"),
        await browser.follow(await browser.post("/account/delete", sent)),
    ):
        assert "Please sign in once more to go on." in asked.html
    assert (await browser.prove(asked)).url == DELETE
    assert len(tables(browser.server).identities) == 1


async def test_E04_E05_a_deletion_takes_the_form_of_this_browser_and_the_session_that_it_speaks_of(
    server: Server,
) -> None:
    browser, attacker = Browser(server), Browser(server)
    await attacker.sign_in(player="birch")
    await browser.sign_in()
    own = await fields(browser, "delete", "/account/delete")
    foreign = await fields(attacker, "delete", "/account/delete")
    for sent in (foreign, {}, {**own, "csrf": ""}, {**own, "csrf": foreign["csrf"]}):
        page(await browser.post("/account/delete", {**sent, "confirm": "yes"}), 403)
    page(await browser.post("/account/delete", {**own, "confirm": "yes"}, **{"sec-fetch-site": "cross-site"}), 403)
    for session in (foreign["session"], "", "A" * 22):
        answer = await browser.post("/account/delete", {**own, "session": session, "confirm": "yes"})
        assert answer.headers["location"] == PAGE
    await browser.sign_in(player="birch", prompt="login")
    assert (await browser.post("/account/delete", {**own, "confirm": "yes"})).headers["location"] == PAGE
    assert {player.display_name for player in tables(server).players.values()} == {"Amber", "Birch"}


async def test_who_is_not_signed_in_is_sent_to_sign_in(browser: Browser) -> None:
    assert 'id="sign-in-steam"' in (await browser.open("/account/delete")).html
