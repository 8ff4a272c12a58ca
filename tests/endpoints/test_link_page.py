"""The page that takes link codes: from the code, by way of a platform, to the player's last word."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from authsrv.accounts.access import AccountSession
from authsrv.accounts.link_codes import LinkCodes
from authsrv.models import IdentityKey
from authsrv.storage.account_changes import MergePlayers
from tests.support.browser import Browser, Page
from tests.support.linking import LINK, Shown, code_of, heading, proven, to_confirm, typed
from tests.support.oauth import SENDER
from tests.support.refusals import clients, demo, page, tables
from tests.support.residents import Resident, identity, kinds, resident
from tests.support.server import ISSUER, Server, running

STEAM, EPIC = identity("steam"), identity("epicgames")


def edited(block: dict[str, Any]) -> None:
    shop = clients(block)["shop"]
    shop |= {"scopes": [*shop["scopes"], "account"]}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edited) as started:
        yield started


@pytest.fixture
async def amber(server: Server) -> Resident:
    return await resident(server)


@pytest.fixture
async def code(amber: Resident) -> Shown:
    return await code_of(amber)


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


# --- from the code to the link ---


async def test_a_typed_code_links_what_the_platform_vouches_for(browser: Browser, amber: Resident, code: Shown) -> None:
    check = await typed(browser, code.code)
    assert heading(check) == "Is this your player?"
    for words in ("Demo launcher", "Amber", code.check_number):
        assert words in check.html
    confirm = await proven(browser, check)
    assert heading(confirm) == "Link this platform account?"
    for words in ("Epic Games", "Amber", code.check_number):
        assert words in confirm.html
    assert await amber.keys() == {STEAM}
    linked = await browser.press(confirm, "link")
    assert heading(linked) == "The platform account is linked"
    assert await amber.keys() == {STEAM, EPIC}
    assert (await amber.get("/v1/me/links/code")).json()["state"] == "linked"


async def test_a_code_is_typed_in_any_way(browser: Browser, amber: Resident) -> None:
    ways = (str.lower, lambda text: text.replace("-", ""), lambda text: f" {text[:2]} {text[2:]} ")
    for way in ways:
        code = (await code_of(amber)).code
        assert heading(await typed(browser, way(code))) == "Is this your player?"


async def test_the_link_is_in_the_journal_and_can_be_undone(browser: Browser, amber: Resident, code: Shown) -> None:
    await browser.press(await to_confirm(browser, code.code), "link")
    newest = (await amber.get("/v1/me/timeline")).json()["events"][0]
    assert (newest["kind"], newest["identity"]["subject"], newest["client"]) == (
        "linked",
        EPIC.subject,
        "Demo launcher",
    )
    undone = await amber.post(f"/v1/events/{newest['undo']['event']}/undo")
    assert undone.status_code == 200, undone.text
    assert await amber.keys() == {STEAM}
    (audited,) = amber.server.audited("identity.linked")
    assert (audited["sub"], audited["platform"], audited["client_id"]) == (amber.sub, "epicgames", "launcher")


async def test_what_was_linked_signs_the_player_in(
    browser: Browser, server: Server, amber: Resident, code: Shown
) -> None:
    await browser.press(await to_confirm(browser, code.code), "link")
    assert (await resident(server, "epicgames")).sub == amber.sub


async def test_linking_signs_nobody_in_in_the_browser(browser: Browser, code: Shown) -> None:
    await browser.press(await to_confirm(browser, code.code), "link")
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"


async def test_the_platform_account_that_the_player_has_already_links_again_to_nothing(
    browser: Browser, amber: Resident, code: Shown
) -> None:
    await amber.has(EPIC)
    assert (
        heading(await browser.press(await to_confirm(browser, code.code), "link")) == "The platform account is linked"
    )
    assert await amber.keys() == {STEAM, EPIC}
    assert kinds(amber.server) == []


async def test_a_code_of_a_player_who_was_merged_since_links_to_who_is_left(
    browser: Browser, server: Server, amber: Resident, code: Shown
) -> None:
    birch = await resident(server, "steam", "birch")
    await server.app.storage.apply([MergePlayers(await amber.row(), await birch.row())])
    await browser.press(await to_confirm(browser, code.code), "link")
    assert EPIC in await birch.keys()


async def test_what_was_linked_can_be_looked_at_again(browser: Browser, code: Shown) -> None:
    linked = await browser.press(await to_confirm(browser, code.code), "link")
    again = await browser.open(linked.url.removeprefix(ISSUER))
    assert (again.status, heading(again)) == (200, "The platform account is linked")


# --- the page that takes the code ---


async def test_the_code_in_an_address_is_only_filled_in(browser: Browser, server: Server, code: Shown) -> None:
    before = tables(server).copy()
    shown = await browser.open(code.uri.removeprefix(ISSUER))
    assert f'value="{code.code}"' in shown.html
    assert "Amber" not in shown.html
    assert tables(server).copy() == before
    assert not browser.cookies


async def test_nothing_is_done_by_looking(browser: Browser, server: Server, code: Shown) -> None:
    check = await typed(browser, code.code)
    confirm = await proven(browser, check)
    before = tables(server).copy()
    for url in (check.url, confirm.url, f"{confirm.url}&decision=link", code.uri):
        await browser.open(url.removeprefix(ISSUER))
    assert tables(server).copy() == before


@pytest.mark.parametrize(
    "text", ["", "BCDF", "AEIO-UYAE", "BCDF-GHJK-LMNP", "BCDF-GHJK", "1' OR '1'='1", "\u202eBCDFGHJK", "B" * 32]
)
async def test_a_wrong_code_is_asked_for_again(browser: Browser, server: Server, code: Shown, text: str) -> None:
    asked = await browser.press(await browser.open(LINK), "continue", code=text)
    html = page(asked)
    assert "This code is wrong, too old or was used." in html
    assert not tables(server).requests


async def test_a_code_of_another_moment_is_as_wrong_as_any_other(
    browser: Browser, server: Server, amber: Resident, code: Shown
) -> None:
    replaced = code.code
    used = await code_of(amber)
    await browser.press(await to_confirm(browser, used.code), "link")
    old = await code_of(amber)
    server.clock.now += 600
    told = set()
    for text in (replaced, used.code, old.code, "BCDF-GHJK"):
        answer = await browser.post(LINK, {"code": text})
        told.add((answer.status_code, answer.text.partition("<body>")[2].replace(text, "")))
    assert len(told) == 1


async def test_what_is_typed_is_shown_as_text(browser: Browser) -> None:
    answer = await browser.post(LINK, {"code": '"><script>alert(1)</script>'})
    assert "<script>" not in answer.text


async def test_a_platform_that_the_address_names_is_the_only_one_offered(browser: Browser, code: Shown) -> None:
    asked = await browser.open(f"{LINK}?code={code.code}&provider=epicgames")
    check = await browser.press(asked, "continue", code=code.code)
    assert [button.id for form in check.forms for button in form.buttons] == ["sign-in-epicgames", "cancel"]
    request = check.forms[0].fields
    elsewhere = await browser.post(f"{LINK}/steam", request)
    assert elsewhere.status_code == 400
    assert heading(await proven(browser, check)) == "Link this platform account?"


async def test_a_platform_that_nobody_knows_is_refused_before_anything_is_kept(
    browser: Browser, server: Server, code: Shown
) -> None:
    answer = await browser.post(LINK, {"code": code.code, "provider": "discord"})
    assert answer.status_code == 404
    assert not tables(server).requests


async def test_who_is_signed_in_as_somebody_else_is_told_so(browser: Browser, code: Shown) -> None:
    await browser.tokens("steam", "birch")
    check = await typed(browser, code.code)
    assert "In this browser <bdi>Birch</bdi> is signed in, which is another player." in check.html
    confirm = await proven(browser, check)
    assert "In this browser <bdi>Birch</bdi> is signed in, which is another player." in confirm.html


async def test_who_is_signed_in_as_the_same_player_is_told_nothing(browser: Browser, code: Shown) -> None:
    await browser.tokens("steam", "amber")
    assert "In this browser" not in (await typed(browser, code.code)).html


async def test_the_page_speaks_the_players_language(server: Server, code: Shown) -> None:
    german = Browser(server, **{"accept-language": "de"})
    assert heading(await typed(german, code.code)) == "Ist das dein Konto?"


# --- what does not link ---


async def test_a_platform_account_of_another_player_is_not_linked(
    browser: Browser, server: Server, amber: Resident, code: Shown
) -> None:
    birch = await resident(server, "epicgames", "birch")
    refused = await to_confirm(browser, code.code, player="birch")
    assert heading(refused) == "This platform account is another player"
    assert page(refused, 409)
    assert await birch.keys() == {identity("epicgames", "birch")}
    # Another one can still be chosen.
    assert heading(await proven(browser, await browser.open(_again(refused)))) == "Link this platform account?"


def _again(shown: Page) -> str:
    return shown.html.partition('id="again" href="')[2].partition('"')[0].removeprefix(ISSUER).replace("&amp;", "&")


async def test_a_second_account_of_a_platform_is_not_linked(browser: Browser, amber: Resident, code: Shown) -> None:
    refused = await to_confirm(browser, code.code, platform="steam", player="birch")
    assert heading(refused) == "There is another one already"
    assert await amber.keys() == {STEAM}


async def test_a_player_who_turns_back_links_nothing_and_may_go_on(
    browser: Browser, amber: Resident, code: Shown
) -> None:
    stopped = await browser.press(await to_confirm(browser, code.code), "cancel")
    assert "Nothing was linked." in stopped.html
    assert await amber.keys() == {STEAM}
    assert (
        heading(await browser.press(await to_confirm(browser, code.code), "link")) == "The platform account is linked"
    )


async def test_who_comes_back_from_the_platform_without_signing_in_may_choose_again(
    browser: Browser, code: Shown
) -> None:
    back = await proven(browser, await typed(browser, code.code), platform="steam", case="openid-cancelled")
    assert heading(back) == "Is this your player?"


async def test_a_platform_that_refuses_is_told_on_a_page(browser: Browser, code: Shown) -> None:
    back = await proven(browser, await typed(browser, code.code), platform="steam", case="openid-forged")
    assert heading(back) == "The platform did not confirm the sign-in"
    assert heading(await browser.open(_again(back))) == "Is this your player?"


async def test_a_code_that_becomes_too_old_on_the_way_links_nothing(
    browser: Browser, server: Server, amber: Resident, code: Shown
) -> None:
    confirm = await to_confirm(browser, code.code)
    server.clock.now += 600
    refused = await browser.press(confirm, "link")
    assert heading(refused) == "This code is not good any more"
    assert await amber.keys() == {STEAM}


async def test_a_banned_player_gets_nothing_linked(
    browser: Browser, server: Server, amber: Resident, code: Shown
) -> None:
    player = tables(server).players[await amber.row()]
    tables(server).players[player.id] = replace(player, barred_until=2**53, barred_as="banned")
    assert page(await typed(browser, code.code))


async def test_a_platform_account_that_shall_rest_is_told_so() -> None:
    def edit(block: dict[str, Any]) -> None:
        demo(block)["accounts"] = {"relink_cooldown": 3600}

    async with running(edit=edit) as server:
        birch = await resident(server, "steam", "birch")
        await birch.has(EPIC)
        await birch.post("/v1/me/identities/unlink", {"provider": "epicgames", "subject": EPIC.subject})
        browser, code = Browser(server), await code_of(await resident(server))
        assert heading(await to_confirm(browser, code.code)) == "It is too early for that"


async def test_what_waits_for_the_last_word_is_kept_without_the_code(
    browser: Browser, server: Server, code: Shown
) -> None:
    await to_confirm(browser, code.code)
    (request,) = tables(server).requests.values()
    assert code.code.replace("-", "") not in request.parameters
    proof = json.loads(json.loads(request.parameters)["proof"])
    assert IdentityKey(**proof["key"]) == EPIC


# --- back to a game on an Xsolla SDK ---

BLANK = "http://127.0.0.1/blank"


async def game_code(server: Server, player: str = "cedar") -> str:
    """A code that a game on an Xsolla SDK asked for, which shows no number and wants the browser back."""
    desk = server.app.desk
    codes = LinkCodes(desk.server, desk.keys.ring.derive(b"authsrv link codes v1"), os.urandom)
    there = await resident(server, "steam", player)
    owner = await server.app.storage.load_subject(there.sub)
    grant_id = desk.server.opaque.row_id("gid", server.claims(there.tokens["access_token"])["gid"])
    game = desk.server.registry.get("40")
    assert owner
    assert game
    assert grant_id
    session = AccountSession(game, owner, grant_id, int(server.clock()), SENDER)
    return (await codes.issue(session, BLANK, checked=False)).text


async def test_a_game_gets_its_browser_back(browser: Browser, server: Server) -> None:
    code = await game_code(server)
    check = await typed(browser, code)
    assert 'id="check-number"' not in check.html
    assert "Only go on if you have just started this yourself." in check.html
    back = await browser.press(await proven(browser, check, player="cedar"), "link")
    assert (back.url, back.status) == (BLANK, 303)
    assert (await resident(server, "epicgames", "cedar")).sub == (await resident(server, "steam", "cedar")).sub


async def test_a_game_is_told_of_a_conflict_by_its_own_code(browser: Browser, server: Server) -> None:
    await resident(server, "epicgames", "birch")
    back = await to_confirm(browser, await game_code(server), player="birch")
    assert back.url.partition("?")[0] == BLANK
    assert (back.answer["error"], back.answer["error_code"]) == ("access_denied", "010-016")
    assert "code" not in back.answer


async def test_a_game_is_told_of_a_conflict_that_came_at_the_last_moment(browser: Browser, server: Server) -> None:
    confirm = await to_confirm(browser, await game_code(server), player="birch")
    await resident(server, "epicgames", "birch")
    assert (await browser.press(confirm, "link")).answer["error_code"] == "010-016"


async def test_a_game_is_told_that_its_player_turned_back(browser: Browser, server: Server) -> None:
    stopped = await browser.press(await typed(browser, await game_code(server)), "cancel")
    assert (stopped.url.partition("?")[0], stopped.answer["error"]) == (BLANK, "access_denied")
    away = await proven(browser, await typed(browser, await game_code(server)), "steam", case="openid-cancelled")
    assert (away.url.partition("?")[0], away.answer["error"]) == (BLANK, "access_denied")
