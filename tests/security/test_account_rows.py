"""The account page: who sees it, what its forms may do, and for whom. Rows A32, D51, E04, E05, E10 and E16."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from authsrv import __version__
from authsrv.models import ACCOUNT_PREFIX, IdentityKey
from authsrv.storage.changes import LinkIdentity
from tests.support.browser import SHOP_CALLBACK, Browser, Page, PageForm
from tests.support.refusals import clients, counts, demo, page, tables
from tests.support.residents import identity, kinds
from tests.support.server import Server, running

PAGE = "http://127.0.0.1:8080/account"
NOBODY = "/login?request="


def edit(block: dict[str, Any]) -> None:
    """A second project, without players so far, beside the demo's, and a client that must ask."""
    shop = clients(block)["shop"]
    clients(block)["partner"] = {**shop, "name": "Partner", "first_party": False, "initiate_login_uri": ""}
    block["projects"]["arcade"] = {
        **demo(block),
        "name": "Arcade",
        "clients": {"arcade": {**shop, "name": "Arcade shop"}},
    }


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
async def two() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def is_signed_in(browser: Browser) -> bool:
    return "code" in (await browser.authorize(prompt="none")).query


def shows(shown: Page) -> str:
    """Whose page it is."""
    return shown.html.partition('id="player">')[2].partition("<")[0]


def events(server: Server, kind: str) -> list[dict[str, Any]]:
    return [dict(event) for event in server.events if event["event"] == kind]


# Signing in to it


async def test_who_is_not_signed_in_comes_to_the_page_by_signing_in(browser: Browser) -> None:
    begun = await browser.open("/account")
    assert "/login?request=" in begun.url
    assert "Choose how you want to continue to your account." in begun.html
    landed = await browser.prove(begun)
    assert (landed.url, landed.status, shows(landed)) == (PAGE, 200, "Amber")


async def test_who_is_signed_in_sees_the_page_at_once_and_nothing_is_written(browser: Browser) -> None:
    await browser.sign_in()
    before = counts(browser.server)
    shown = await browser.open("/account")
    assert (shown.url, shows(shown)) == (PAGE, "Amber")
    assert counts(browser.server) == before


async def test_signing_in_to_it_gives_nobody_a_code_and_no_client_a_part_in_the_session(browser: Browser) -> None:
    landed = await browser.prove(await browser.open("/account"))
    assert landed.query == {}
    assert counts(browser.server)["grants"] == 0
    assert tables(browser.server).session_clients == set()
    assert await is_signed_in(browser)


async def test_the_audit_trail_names_the_page_as_the_client(browser: Browser) -> None:
    await browser.prove(await browser.open("/account"))
    (login,) = events(browser.server, "login.succeeded")
    assert (login["client_id"], login["project"]) == (f"{ACCOUNT_PREFIX}demo", "demo")


@pytest.mark.parametrize("case", ["cancel", "openid-cancelled"])
async def test_who_does_not_go_on_is_shown_no_account_and_can_begin_again(browser: Browser, case: str) -> None:
    begun = await browser.open("/account")
    left = await browser.press(begun, case) if case == "cancel" else await browser.prove(begun, case=case)
    assert (left.url, left.status, shows(left)) == ("http://127.0.0.1:8080/login", 200, "")
    assert 'id="account"' in left.html
    assert shows(await browser.prove(await browser.open("/account"))) == "Amber"


async def test_a_sign_in_to_it_that_is_over_leads_to_it_and_does_nothing(browser: Browser) -> None:
    begun = await browser.open("/account")
    await browser.prove(begun)
    before = counts(browser.server)
    again = await browser.open(begun.url.removeprefix(browser.issuer))
    for late in (again, await browser.press(begun, "sign-in-steam")):
        assert f'id="account" href="{PAGE}"' in page(late)
    assert counts(browser.server) == before


async def test_a_platform_that_was_taken_from_the_project_lets_nobody_see_the_page(browser: Browser) -> None:
    await browser.sign_in("xbox")
    config = browser.server.app.config.model_copy(deep=True)
    del config.projects["demo"].platforms["xbox"]
    await browser.server.app.reload(config)
    assert 'id="sign-in-steam"' in (await browser.open("/account")).html
    assert 'id="account"' in (await browser.open("/login")).html


async def test_E10_the_page_is_closed_with_the_session(browser: Browser) -> None:
    await browser.sign_in()
    browser.server.clock.now += 12 * 3600
    assert 'id="sign-in-steam"' in (await browser.open("/account")).html


# It is a client that nobody else can be


@pytest.mark.parametrize("secret", [None, "", "0" * 64, "x"])
async def test_nobody_authenticates_as_the_account_page(browser: Browser, secret: str | None) -> None:
    for path in ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"):
        form = {"client_id": f"{ACCOUNT_PREFIX}demo", "grant_type": "client_credentials", "token": "x"}
        form |= {} if secret is None else {"client_secret": secret}
        answer = await browser.server.http.post(path, data=form)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_no_request_names_the_account_page_as_its_client(browser: Browser) -> None:
    await browser.sign_in()
    own = {"client_id": f"{ACCOUNT_PREFIX}demo", "redirect_uri": PAGE}
    html = page(await browser.authorize(**own))
    assert "not known here" in html
    answer = await browser.server.silent("steam", **own)
    assert (answer.status_code, answer.json()["reason"]) == (400, "unknown_client")
    assert ACCOUNT_PREFIX not in str((await browser.server.http.get("/.well-known/openid-configuration")).json())


# Which project


async def test_with_several_projects_the_session_of_the_browser_decides(two: Server) -> None:
    browser = Browser(two)
    chosen = await browser.open("/account")
    assert [link in chosen.html for link in ("/account?project=arcade", "/account?project=demo")] == [True, True]
    assert counts(two)["requests"] == 0
    landed = await browser.prove(await browser.open("/account", project="arcade"), player="birch")
    assert (shows(landed), "Arcade" in landed.html) == ("Birch", True)
    assert shows(await browser.open("/account")) == "Birch"


async def test_two_projects_are_two_accounts_in_one_browser(two: Server) -> None:
    browser = Browser(two)
    await browser.sign_in()
    two.clock.now += 1
    await browser.sent_by("arcade", SHOP_CALLBACK, "shop-secret").sign_in(player="birch")
    seen = {key: await browser.open("/account", project=key) for key in ("demo", "arcade")}
    assert {key: shows(each) for key, each in seen.items()} == {"demo": "Amber", "arcade": "Birch"}
    assert "/account?project=demo" in seen["arcade"].html
    assert shows(await browser.open("/account")) == "Birch"
    for key in ("nobody", "../demo", "DEMO", "x" * 2000):
        page(await browser.open("/account", project=key), 404)


# Sessions


async def session_rows(browser: Browser) -> list[str]:
    """The public ids of the sessions that can be ended from here."""
    forms = (await browser.open("/account")).forms
    return [form.fields["item"] for form in forms if any(button.value == "end" for button in form.buttons)]


async def test_E16_every_session_of_the_player_is_shown_and_each_ends_by_itself(browser: Browser) -> None:
    others = [Browser(browser.server) for _ in range(3)]
    for other, platform in zip(others, ("steam", "steam", "xbox"), strict=True):
        browser.server.clock.now += 60
        await other.sign_in(platform)
    await browser.sign_in()
    newest, oldest = await session_rows(browser)  # whoever comes by another platform is another player
    assert 'id="done"' in (await ended(browser, newest)).html
    assert [await is_signed_in(each) for each in (browser, *others)] == [True, True, False, True]
    assert await session_rows(browser) == [oldest]
    assert 'id="done"' not in (await ended(browser, newest)).html


async def ended(browser: Browser, item: str) -> Page:
    form, _ = (await browser.open("/account")).find("end")
    return await browser.follow(await browser.post("/account", {**form.fields, "decision": "end", "item": item}))


async def test_E16_the_end_of_a_session_is_told_to_the_player_its_clients_and_the_audit_trail(browser: Browser) -> None:
    other = Browser(browser.server)
    await other.sign_in()
    await browser.sign_in()
    (row,) = await session_rows(browser)
    shown = await ended(browser, row)
    assert "You are signed out there." in shown.html
    (event,) = events(browser.server, "session.ended")
    assert (event["reason"], event["project"]) == ("signed_out", "demo")
    assert "session_id" not in event


async def test_D51_the_session_of_another_player_cannot_be_ended(browser: Browser) -> None:
    stranger, other = Browser(browser.server), Browser(browser.server)
    tokens = await stranger.tokens(player="birch")
    await other.sign_in()
    await browser.sign_in()
    theirs = browser.server.claims(tokens["id_token"])["sid"]
    for item in (theirs, "", "A" * 22, "x" * 2000):
        assert 'id="done"' not in (await ended(browser, item)).html
    assert await is_signed_in(stranger)


async def test_E05_a_form_acts_for_the_session_whose_page_it_stood_on(browser: Browser) -> None:
    other = Browser(browser.server)
    await other.sign_in()
    await browser.sign_in()
    form, _ = (await browser.open("/account")).find("end")
    await browser.sign_in(player="birch", prompt="login")
    sent = {**form.fields, "decision": "end"}
    assert shows(await browser.follow(await browser.post("/account", sent))) == "Birch"
    for session in ("", "A" * 22):
        await browser.post("/account", {**sent, "session": session})
    assert await is_signed_in(other)


async def test_E04_a_form_of_another_browser_does_nothing(browser: Browser) -> None:
    attacker, other = Browser(browser.server), Browser(browser.server)
    for each in (attacker, other, browser):
        await each.sign_in()
    form, _ = (await attacker.open("/account")).find("end")
    for fields in (form.fields, {}, {**form.fields, "csrf": ""}, {**form.fields, "csrf": "\u00e9" * 32}):
        page(await browser.post("/account", {**fields, "decision": "end"}), 403)
    page(await Browser(browser.server).post("/account", {**form.fields, "decision": "end"}), 403)
    assert await is_signed_in(other)


@pytest.mark.parametrize("decision", ["", "End", "end ", "everywhere", "delete-everything"])
async def test_E05_what_is_no_decision_is_none(browser: Browser, decision: str) -> None:
    other = Browser(browser.server)
    for each in (other, browser):
        await each.sign_in()
    form, _ = (await browser.open("/account")).find("end")
    page(await browser.post("/account", {**form.fields, "decision": decision}))
    assert await is_signed_in(other)


# Consents


async def consented(browser: Browser) -> dict[str, Any]:
    """A session and tokens of a client that had to ask; the tokens."""
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    return await browser.exchanged(await browser.press(await browser.sign_in(), "allow"))


async def test_a_withdrawn_consent_ends_what_the_client_was_given_and_is_asked_for_again(two: Server) -> None:
    browser = Browser(two)
    tokens = await consented(browser)
    shown = await browser.open("/account", project="demo")
    assert "<bdi>Partner</bdi>" in shown.html
    assert "See your profile, such as your player name" in shown.html
    assert (await browser.userinfo(tokens["access_token"])).status_code == 200
    done = await browser.press(shown, "withdraw")
    assert "The access is withdrawn." in done.html
    assert 'value="withdraw"' not in done.html
    assert (await browser.userinfo(tokens["access_token"])).status_code == 401
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert 'id="allow"' in (await browser.authorize()).html
    (event,) = events(two, "consent.withdrawn")
    assert (event["client_id"], event["sub"]) == ("partner", two.claims(tokens["id_token"])["sub"])


async def test_a_consent_and_its_end_stand_in_the_journal_and_the_same_consent_again_does_not(two: Server) -> None:
    browser = Browser(two)
    await consented(browser)
    await browser.press(await browser.authorize(prompt="consent"), "allow")
    await browser.press(await browser.open("/account", project="demo"), "withdraw")
    told = [(event.kind, event.client_id, event.actor) for event in tables(two).events.values()]
    assert told[1:] == [("consent_given", "partner", "player"), ("consent_withdrawn", "partner", "player")]
    assert len({event.player_id for event in tables(two).events.values()}) == 1


async def test_P07_the_record_of_a_consent_has_what_it_was_given_to_when_and_by_which_text(two: Server) -> None:
    browser = Browser(two)
    await consented(browser)
    at = int(two.clock.now)
    two.clock.now += 60
    await browser.press(await browser.open("/account", project="demo"), "withdraw")
    given, withdrawn = [one for one in tables(two).events.values() if one.kind.startswith("consent")]
    facts = json.loads(given.facts)
    assert (given.at, withdrawn.at, facts["text"]) == (at, at + 60, f"authsrv {__version__}")
    assert facts["scope"] == json.loads(withdrawn.facts)["scope"]
    assert "profile" in facts["scope"]
    assert facts.keys() == {"scope", "text", "policy_uri"}


async def test_D51_the_consent_of_another_player_stays(two: Server) -> None:
    browser, stranger = Browser(two), Browser(two)
    await consented(browser)
    stranger.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    await stranger.press(await stranger.sign_in(player="birch"), "allow")
    await browser.press(await browser.open("/account", project="demo"), "withdraw")
    assert "<bdi>Partner</bdi>" in (await stranger.open("/account", project="demo")).html


async def test_what_a_client_was_given_without_asking_cannot_be_ended_by_a_made_up_row(two: Server) -> None:
    browser = Browser(two)
    tokens = await consented(browser)
    own = await browser.sent_by("shop", SHOP_CALLBACK, "shop-secret").tokens_at_once()
    form, _ = (await browser.open("/account", project="demo")).find("withdraw")
    for item in ("shop", "", f"{ACCOUNT_PREFIX}demo"):
        answer = await browser.post("/account", {**form.fields, "decision": "withdraw", "item": item})
        assert answer.headers["location"] == PAGE
    for each in (own, tokens):
        assert (await browser.userinfo(each["access_token"])).status_code == 200


# Platform accounts


async def with_epic(browser: Browser) -> Browser:
    """Signed in by Steam, with an Epic account besides that was linked without asking anybody."""
    await browser.sign_in()
    browser.server.clock.now += 1
    (player,) = tables(browser.server).players
    await browser.server.app.storage.apply([LinkIdentity(identity("epicgames"), player, int(browser.server.clock()))])
    return browser


def unlink_forms(shown: Page) -> list[PageForm]:
    return [form for form in shown.forms if any(button.value == "unlink" for button in form.buttons)]


async def unlinked(browser: Browser, form: PageForm, **changes: str) -> Page:
    return await browser.follow(await browser.post("/account", {**form.fields, "decision": "unlink", **changes}))


async def test_a_platform_account_is_unlinked_and_the_only_one_left_cannot_be(browser: Browser) -> None:
    shown = await (await with_epic(browser)).open("/account")
    steam, epic = unlink_forms(shown)
    done = await unlinked(browser, epic)
    assert "The platform is no longer linked to your account." in done.html
    assert "<bdi>Epic Games</bdi> unlinked" in done.html
    assert ("Your only way to sign in." in done.html, unlink_forms(done)) == (True, [])
    assert kinds(browser.server) == ["unlinked"]
    html = page(await unlinked(browser, steam), 409)
    assert "This is your only way to sign in" in html
    assert f'id="account" href="{PAGE}"' in html
    assert set(tables(browser.server).identities) == {identity("steam")}


async def test_what_was_unlinked_is_gone_from_the_page_and_its_session_is_over(browser: Browser) -> None:
    shown = await (await with_epic(browser)).open("/account")
    steam, _ = unlink_forms(shown)
    left = await unlinked(browser, steam)
    assert 'id="sign-in-steam"' in left.html
    assert shows(await browser.prove(left, "epicgames")) == "Amber"


async def test_D46_an_unlink_takes_a_sign_in_of_a_moment_ago_by_the_same_player(browser: Browser) -> None:
    shown = await (await with_epic(browser)).open("/account")
    _, epic = unlink_forms(shown)
    browser.server.clock.now += 601
    asked = await unlinked(browser, epic)
    assert set(tables(browser.server).identities) == {identity("steam"), identity("epicgames")}
    assert "Please sign in once more to go on." in asked.html
    other = await browser.prove(asked, player="birch")
    assert "Sign in with the account that you want to use." in other.html
    back = await browser.prove(other)
    assert "Now choose once more what you want to do." in back.html
    assert "no longer linked" in (await unlinked(browser, unlink_forms(back)[1])).html


async def test_D51_a_platform_account_is_named_for_one_browser_and_one_player(browser: Browser) -> None:
    stranger = Browser(browser.server)
    await with_epic(browser)
    await stranger.sign_in(player="birch")
    player = max(tables(browser.server).players)
    key = IdentityKey("demo", "epic", "", "someone-elses")
    await browser.server.app.storage.apply([LinkIdentity(key, player, int(browser.server.clock()))])
    theirs = unlink_forms(await stranger.open("/account"))
    mine = unlink_forms(await browser.open("/account"))
    assert len({form.fields["item"] for form in (*theirs, *mine)}) == 4
    for item in (theirs[1].fields["item"], "", "A" * 32, identity("epicgames").subject):
        assert 'id="done"' not in (await unlinked(browser, mine[1], item=item)).html
    assert len(tables(browser.server).identities) == 4


async def test_two_accounts_of_one_platform_are_told_apart_by_their_ends(browser: Browser) -> None:
    await with_epic(browser)
    key, (player, *_) = IdentityKey("demo", "epic", "", "e" * 28 + "1234"), tables(browser.server).players
    assert "\u2026" not in (await browser.open("/account")).html
    await browser.server.app.storage.apply([LinkIdentity(key, player, int(browser.server.clock()))])
    shown = await browser.open("/account")
    assert [end in shown.html for end in ("\u20261234", f"\u2026{identity('epicgames').subject[-4:]}")] == [True, True]


# What it says


async def test_the_page_tells_nothing_of_addresses_and_platform_ids(browser: Browser) -> None:
    await browser.sign_in()
    shown = await browser.open("/account")
    (key,) = tables(browser.server).identities
    for told in (key.subject, "127.0.0.1:", "testclient"):
        assert told not in shown.html.replace(browser.issuer, "")


async def test_the_page_tells_when_a_session_began_and_when_it_was_last_used(browser: Browser) -> None:
    def times(shown: Page) -> list[tuple[str, str]]:
        return re.findall(r"Signed in <time[^>]*>([^<]*)</time>, last used <time[^>]*>([^<]*)</time>", shown.html)

    await browser.sign_in()
    browser.server.clock.now += 7200
    assert times(await browser.open("/account")) == [("2 hours ago", "2 hours ago")]
    await browser.authorize()
    browser.server.clock.now += 60
    assert times(await browser.open("/account")) == [("2 hours ago", "1 minute ago")]


async def test_what_was_done_is_one_of_our_own_sentences(browser: Browser) -> None:
    await browser.sign_in()
    assert "You are signed out there." in (await browser.open("/account", done="end")).html
    for done in ("End", "<b>", "everything", "x" * 2000):
        shown = await browser.open("/account", done=done)
        assert (shown.status, 'id="done"' in shown.html) == (200, False)
