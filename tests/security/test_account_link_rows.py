"""Linking from the account page. Rows D43 to D46 and D52: what comes back belongs to whoever left, and counts once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from authsrv.models import IdentityKey
from authsrv.storage.changes import LinkIdentity
from tests.support.browser import Browser, Page
from tests.support.callbacks import altered, state_of, way_back, with_value
from tests.support.refusals import counts, demo, page, tables
from tests.support.residents import identity, kinds
from tests.support.server import Server, running

PAGE = "http://127.0.0.1:8080/account"
LINKED = "The platform is linked to your account."


@asynccontextmanager
async def served(**rules: object) -> AsyncIterator[Server]:
    """A server whose project has these rules for accounts."""

    def edit(block: dict[str, Any]) -> None:
        demo(block)["accounts"] = rules

    async with running(edit=edit) as started:
        yield started


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with served() as started:
        yield started


@pytest.fixture
async def generous() -> AsyncIterator[Server]:
    """Where players may do whatever there is to do about a conflict."""
    async with served(transfer=True, merge=True) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def shows(shown: Page) -> str:
    return shown.html.partition('id="player">')[2].partition("<")[0]


async def left(browser: Browser, platform: str = "epicgames") -> Page:
    """The platform's page, to which the player of the account page went."""
    return await browser.press(await browser.open("/account"), f"link-{platform}")


async def link(browser: Browser, platform: str = "epicgames", player: str = "amber", case: str = "good") -> Page:
    return await browser.press(await left(browser, platform), player, case=case)


async def callback(browser: Browser, player: str = "amber") -> str:
    """The address to which a platform answers, before anybody opens it."""
    shown = await browser.open("/account")
    shown.html = shown.html.replace('id="link-epicgames"', 'id="sign-in-epicgames"')
    return await way_back(browser, shown, "epicgames", player)


def owned(server: Server) -> dict[str, set[str]]:
    """The kinds of platform accounts of each player by name."""
    found: dict[str, set[str]] = {player.display_name: set() for player in tables(server).players.values()}
    for key, linked in tables(server).identities.items():
        found[tables(server).players[linked.player_id].display_name].add(key.kind)
    return found


# What happens


async def test_a_player_links_another_platform_and_signs_in_by_it_from_then_on(browser: Browser) -> None:
    await browser.sign_in()
    done = await link(browser)
    assert (done.url, LINKED in done.html) == (f"{PAGE}?done=link", True)
    assert "<bdi>Epic Games</bdi> linked" in done.html
    assert 'id="link-epicgames"' not in done.html
    assert kinds(browser.server) == ["linked"]
    assert owned(browser.server) == {"Amber": {"steam", "epic"}}
    other = Browser(browser.server)
    assert shows(await other.prove(await other.open("/account"), "epicgames")) == "Amber"


async def test_the_event_and_the_audit_trail_say_who_linked_and_where(browser: Browser) -> None:
    await browser.sign_in()
    await link(browser)
    (event,) = [event for event in tables(browser.server).events.values() if event.kind == "linked"]
    assert (event.actor, event.client_id, event.identity) == ("player", "account.demo", identity("epicgames"))
    (audited,) = [dict(each) for each in browser.server.events if each["event"] == "identity.linked"]
    assert (audited["platform"], audited["client_id"]) == ("epicgames", "account.demo")


async def test_linking_leaves_the_session_its_cookie_and_the_sign_in_as_they_were(browser: Browser) -> None:
    await browser.sign_in()
    (before,) = tables(browser.server).sessions.values()
    cookie = dict(browser.cookies)
    browser.server.clock.now += 60
    await link(browser)
    assert list(tables(browser.server).sessions.values()) == [before]
    assert browser.cookies == cookie
    assert counts(browser.server)["grants"] == 1


async def test_what_is_linked_already_changes_nothing(browser: Browser) -> None:
    await browser.sign_in()
    again = Browser(browser.server)
    await again.sign_in()
    gone = await left(again)
    await link(browser)
    assert LINKED in (await again.press(gone, "amber", case="good")).html
    assert kinds(browser.server) == ["linked"]


async def test_who_cancels_at_the_platform_is_back_at_the_page(browser: Browser) -> None:
    await browser.sign_in("epicgames")
    back = await link(browser, "steam", case="openid-cancelled")
    assert (back.url, 'id="done"' in back.html) == (PAGE, False)
    assert owned(browser.server) == {"Amber": {"epic"}}


async def test_what_the_platform_does_not_confirm_is_a_page_that_leads_back(browser: Browser) -> None:
    await browser.sign_in("epicgames")
    html = page(await link(browser, "steam", case="openid-forged"))
    assert "The platform did not confirm the sign-in" in html
    assert f'id="account" href="{PAGE}"' in html
    assert owned(browser.server) == {"Amber": {"epic"}}


async def test_one_more_than_the_game_allows_is_not_even_begun(browser: Browser) -> None:
    await browser.sign_in()
    shown = await browser.open("/account")
    await link(browser)
    html = page(await browser.press(shown, "link-epicgames"), 409)
    assert "There is another one already" in html
    assert kinds(browser.server) == ["linked"]


async def test_as_many_as_the_game_allows_may_be_linked() -> None:
    async with served(identities=2) as server:
        browser = Browser(server)
        await browser.sign_in()
        for player in ("amber", "birch"):
            assert LINKED in (await link(browser, player=player)).html
        assert 'id="link-epicgames"' not in (await browser.open("/account")).html


@pytest.mark.parametrize("item", ["", "nobody", "guest", "../steam", "x" * 3000])
async def test_a_platform_that_the_page_does_not_offer_is_no_way_out(browser: Browser, item: str) -> None:
    await browser.sign_in()
    form, _ = (await browser.open("/account")).find("link-epicgames")
    before = counts(browser.server)
    page(await browser.post("/account", {**form.fields, "item": item}), 404)
    assert counts(browser.server) == before


# For whom


Change = Callable[[Browser], Awaitable[object]]


async def _signs_out(browser: Browser) -> None:
    await browser.press(await browser.open("/account"), "sign-out")


async def _is_another(browser: Browser) -> None:
    await browser.sign_in(player="birch", prompt="login")


async def _signs_in_anew(browser: Browser) -> None:
    await _signs_out(browser)
    await browser.sign_in()


CHANGES: dict[str, Change] = {
    "signed out": _signs_out,
    "another player": _is_another,
    "the same player in another session": _signs_in_anew,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_D43_a_link_belongs_to_the_session_and_the_player_that_left(browser: Browser, change: Change) -> None:
    await browser.sign_in()
    address = await callback(browser)
    await change(browser)
    before = owned(browser.server)
    assert f'id="account" href="{PAGE}"' in page(await browser.open(address))
    assert owned(browser.server) == before
    assert identity("epicgames") not in tables(browser.server).identities


async def test_D43_D45_the_way_back_of_an_attacker_links_nothing_in_the_browser_of_a_victim(server: Server) -> None:
    attacker, victim, nobody = Browser(server), Browser(server), Browser(server)
    await attacker.sign_in(player="birch")
    await victim.sign_in()
    address = await callback(attacker, "birch")
    for lured in (victim, nobody):
        page(await lured.open(address))
    assert owned(server) == {"Amber": {"steam"}, "Birch": {"steam"}}
    assert shows(await victim.open("/account")) == "Amber"
    assert LINKED in (await attacker.open(address)).html


async def test_D43_what_left_to_sign_in_links_nothing_and_what_left_to_link_signs_nobody_in(browser: Browser) -> None:
    await browser.sign_in()
    linking = await callback(browser, "birch")
    signing_in = await way_back(browser, await browser.authorize(prompt="login"), "epicgames", "cedar")
    mixed = altered(signing_in, with_value("state", state_of(linking)))
    page(await browser.open(mixed))
    assert owned(browser.server) == {"Amber": {"steam"}}
    again = await way_back(browser, await browser.authorize(prompt="login"), "epicgames", "cedar")
    assert "code" in (await browser.open(again)).answer
    assert owned(browser.server) == {"Amber": {"steam"}, "Cedar": {"epic"}}
    page(await browser.open(linking))
    assert owned(browser.server) == {"Amber": {"steam"}, "Cedar": {"epic"}}


async def test_D44_the_state_of_a_link_is_good_at_its_platform_only(browser: Browser) -> None:
    await browser.sign_in()
    address = await callback(browser)
    for platform in ("steam", "xbox"):
        page(await browser.open(address.replace("/login/epicgames/", f"/login/{platform}/")))
    assert owned(browser.server) == {"Amber": {"steam"}}


async def test_D46_a_link_takes_a_sign_in_of_a_moment_ago_when_it_begins_and_when_it_ends(browser: Browser) -> None:
    await browser.sign_in()
    browser.server.clock.now += 601
    asked = await left(browser)
    assert "Please sign in once more to go on." in asked.html
    assert "Now choose once more what you want to do." in (await browser.prove(asked)).html
    address = await callback(browser)
    browser.server.clock.now += 601
    again = await browser.open(address)
    assert "Please sign in once more to go on." in again.html
    assert owned(browser.server) == {"Amber": {"steam"}}


async def test_D52_a_way_back_counts_once(browser: Browser) -> None:
    await browser.sign_in()
    address = await callback(browser)
    assert LINKED in (await browser.open(address)).html
    before = counts(browser.server), kinds(browser.server)
    assert f'id="account" href="{PAGE}"' in page(await browser.open(address))
    assert (counts(browser.server), kinds(browser.server)) == before


async def test_a_link_under_way_is_no_sign_in_to_go_on_with(browser: Browser) -> None:
    await browser.sign_in()
    await left(browser)
    request = max(tables(browser.server).requests)
    handle = browser.server.app.desk.server.opaque.public_id("request", request)
    page(await browser.open("/login", request=handle))
    for path in ("/login", "/login/steam"):
        page(await browser.post(path, {"request": handle, "decision": "cancel"}))


# Conflicts


async def two(server: Server) -> Browser:
    """Amber, signed in by Steam, before Birch's Epic account."""
    other, browser = Browser(server), Browser(server)
    await other.sign_in("epicgames", "birch")
    server.clock.now += 1
    await browser.sign_in()
    return browser


def offered(shown: Page) -> list[str]:
    return [button.value for button in shown.forms[0].buttons]


async def test_another_players_platform_account_is_not_linked_but_asked_about(server: Server) -> None:
    browser = await two(server)
    shown = await link(browser, player="birch")
    assert "This platform account belongs to another player" in shown.html
    assert [f"<bdi>{name}</bdi>" in shown.html for name in ("Amber", "Birch")] == [True, True]
    assert offered(shown) == ["switch", "cancel"]
    assert owned(server) == {"Birch": {"epic"}, "Amber": {"steam"}}
    stays = await browser.press(shown, "cancel")
    assert (stays.url, shows(stays)) == (PAGE, "Amber")


async def test_a_summary_of_another_player_tells_no_platform_id_and_no_sub(server: Server) -> None:
    shown = await link(await two(server), player="birch")
    told = shown.html.replace(shown.forms[0].fields["item"], "")
    for player in tables(server).players.values():
        assert player.sub not in told
    for key in tables(server).identities:
        assert key.subject not in told


async def test_the_player_switches_to_the_other_one_in_a_session_of_its_own(generous: Server) -> None:
    browser = await two(generous)
    shown = await link(browser, player="birch")
    assert offered(shown) == ["switch", "transfer", "merge-current", "merge-other", "cancel"]
    cookie = dict(browser.cookies)
    there = await browser.press(shown, "switch")
    assert (there.url, shows(there)) == (PAGE, "Birch")
    assert browser.cookies != cookie
    reasons = {session.ended_reason for session in tables(generous).sessions.values()}
    assert reasons == {"", "replaced"}
    assert owned(generous) == {"Birch": {"epic"}, "Amber": {"steam"}}


async def test_the_player_moves_the_platform_account_to_the_one_who_asks(generous: Server) -> None:
    browser = await two(generous)
    shown = await link(browser, player="birch")
    assert "The other player then has no way to sign in any more." in shown.html
    moved = await browser.press(shown, "transfer")
    assert (LINKED in moved.html, shows(moved)) == (True, "Amber")
    assert "<bdi>Epic Games</bdi> moved here from another player" in moved.html
    assert owned(generous) == {"Birch": set(), "Amber": {"steam", "epic"}}


@pytest.mark.parametrize(("button", "remains"), [("merge-current", "Amber"), ("merge-other", "Birch")])
async def test_two_players_become_the_one_who_was_chosen(generous: Server, button: str, remains: str) -> None:
    browser = await two(generous)
    merged = await browser.press(await link(browser, player="birch"), button)
    assert (LINKED in merged.html, shows(merged)) == (True, remains)
    assert owned(generous)[remains] == {"steam", "epic"}
    assert "Another player became one with this one" in merged.html
    assert shows(await browser.open("/account")) == remains


async def test_D52_an_answer_counts_once_and_by_nobody_else(generous: Server) -> None:
    browser, attacker = await two(generous), Browser(generous)
    await attacker.sign_in(player="cedar")
    shown = await link(browser, player="birch")
    stolen = shown.forms[0].fields["item"]
    own = (await attacker.open("/account")).find("link-epicgames")[0].fields
    for decision in ("switch", "transfer", "merge-current", "merge-other"):
        page(await attacker.post("/account", {**own, "decision": decision, "item": stolen}), 409)
        page(await browser.post("/account", {**own, "decision": decision, "item": stolen}), 403)
    assert owned(generous) == {"Birch": {"epic"}, "Amber": {"steam"}, "Cedar": {"steam"}}
    await browser.press(shown, "transfer")
    before = kinds(generous)
    page(await browser.press(shown, "transfer"), 409)
    assert kinds(generous) == before


async def test_D45_an_answer_is_good_in_the_session_that_was_asked_and_no_other_of_the_same_player(
    generous: Server,
) -> None:
    browser, other = await two(generous), Browser(generous)
    await other.sign_in()
    shown = await link(browser, player="birch")
    own = (await other.open("/account")).find("link-epicgames")[0].fields
    stolen = {**own, "decision": "transfer", "item": shown.forms[0].fields["item"]}
    page(await other.post("/account", stolen), 409)
    assert owned(generous) == {"Birch": {"epic"}, "Amber": {"steam"}}


async def test_D52_two_answers_at_once_are_one_and_the_question_is_used_up(generous: Server) -> None:
    browser = await two(generous)
    shown = await link(browser, player="birch")
    before = len(tables(generous).used_proofs)
    sent = {**shown.forms[0].fields, "decision": "transfer"}
    answers = await asyncio.gather(*(browser.post("/account", sent) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409]
    assert len(tables(generous).used_proofs) == before + 1
    assert kinds(generous) == ["transferred"]


async def test_an_answer_is_good_for_the_accounts_that_were_shown_and_for_five_minutes(generous: Server) -> None:
    browser = await two(generous)
    changed = await link(browser, player="birch")
    owner = tables(generous).identities[identity("epicgames", "birch")].player_id
    other = Browser(generous)
    await other.prove(await other.open("/account"), "epicgames", "birch")
    assert LINKED in (await link(other, "steam", "birch")).html
    html = page(await browser.press(changed, "merge-current"), 409)
    assert "Your account has changed meanwhile" in html
    asked = await link(browser, player="birch")
    generous.clock.now += 301
    page(await browser.press(asked, "switch"), 409)
    assert tables(generous).identities[identity("epicgames", "birch")].player_id == owner


async def test_a_choice_that_was_not_offered_is_none(server: Server) -> None:
    browser = await two(server)
    shown = await link(browser, player="birch")
    for decision in ("transfer", "merge-current", "merge-other"):
        page(await browser.post("/account", {**shown.forms[0].fields, "decision": decision}))
    assert owned(server) == {"Birch": {"epic"}, "Amber": {"steam"}}


async def test_D46_a_transfer_takes_a_sign_in_of_a_moment_ago_and_a_switch_does_not() -> None:
    async with served(transfer=True, reauthentication=60) as server:
        browser = await two(server)
        shown = await link(browser, player="birch")
        server.clock.now += 61
        asked = await browser.press(shown, "transfer")
        assert "Please sign in once more to go on." in asked.html
        assert shows(await browser.press(shown, "switch")) == "Birch"


async def test_a_player_with_another_account_of_the_platform_is_told_so(server: Server) -> None:
    browser = await two(server)
    gone = await left(browser)
    key = IdentityKey("demo", "epic", "", "e" * 32)
    amber = next(player.id for player in tables(server).players.values() if player.display_name == "Amber")
    await server.app.storage.apply([LinkIdentity(key, amber, int(server.clock()))])
    html = page(await browser.press(gone, "amber", case="good"), 409)
    assert "There is another one already" in html
    assert owned(server) == {"Birch": {"epic"}, "Amber": {"steam", "epic"}}
