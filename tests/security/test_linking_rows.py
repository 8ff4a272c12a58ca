"""Rows D43 to D46, D50, D52 and D57 where one device links what another one proves."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from authsrv.limits import Rule
from tests.endpoints.test_redeem import confirm, edited, present
from tests.support.browser import Browser
from tests.support.callbacks import way_back
from tests.support.connecting import credential
from tests.support.gates import Gate
from tests.support.linking import LINK, Shown, code_of, heading, proven, to_confirm, typed
from tests.support.refusals import page
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, client, running, running_on
from tests.support.storage import BACKENDS

STEAM, EPIC = identity("steam"), identity("epicgames")


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=edited) as started:
        yield started


@pytest.fixture
async def amber(server: Server) -> Resident:
    """Signed in by Steam at the launcher."""
    return await resident(server)


@pytest.fixture
async def code(amber: Resident) -> Shown:
    return await code_of(amber)


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def nothing_linked(amber: Resident) -> None:
    assert await amber.keys() == {STEAM}
    told = (await amber.get("/v1/me/timeline")).json()["events"]
    assert [one["kind"] for one in told] == ["created"]


# --- D43: the state is bound to the browser, the purpose and the player ---


async def test_D43_the_callback_of_an_attacker_links_nothing_in_another_browser(
    server: Server, amber: Resident, browser: Browser, code: Shown
) -> None:
    callback = await way_back(browser, await typed(browser, code.code), platform="epicgames")
    victim = Browser(server)
    await victim.tokens("epicgames", "birch")
    html = page(await victim.open(callback))
    assert "another browser" in html
    page(await Browser(server).open(callback))
    await nothing_linked(amber)


async def test_D43_a_callback_alone_links_nothing_in_its_own_browser_either(
    amber: Resident, browser: Browser, code: Shown
) -> None:
    callback = await way_back(browser, await typed(browser, code.code), platform="epicgames")
    assert heading(await browser.open(callback)) == "Link this platform account?"
    await nothing_linked(amber)


async def test_D43_a_trip_to_link_signs_nobody_in_and_a_sign_in_links_nothing(
    server: Server, amber: Resident, browser: Browser, code: Shown
) -> None:
    await to_confirm(browser, code.code)
    assert not (await browser.authorize(prompt="none")).answer.get("code")
    await Browser(server).tokens("epicgames")
    assert await amber.keys() == {STEAM}


async def test_D43_a_request_of_one_purpose_is_none_of_another(
    server: Server, amber: Resident, browser: Browser, code: Shown
) -> None:
    check = await typed(browser, code.code)
    fields = check.forms[0].fields
    for path in ("/login", "/login/epicgames"):
        assert (await browser.post(path, fields)).status_code == 400
    sign_in = (await browser.authorize()).forms[0].fields
    for path in (LINK, f"{LINK}/epicgames"):
        assert (await browser.post(path, {**sign_in, "decision": "link"})).status_code == 400
    await nothing_linked(amber)


@pytest.mark.parametrize("changes", [{"csrf": ""}, {"csrf": "0" * 32}, {"request": "A" * 22}], ids=str)
async def test_D43_E04_a_form_that_was_not_made_for_the_request(
    amber: Resident, browser: Browser, code: Shown, changes: dict[str, str]
) -> None:
    confirm_page = await to_confirm(browser, code.code)
    fields = {**confirm_page.forms[0].fields, "decision": "link", **changes}
    assert (await browser.post(LINK, fields)).status_code in {400, 403}
    assert (await browser.post(f"{LINK}/steam", fields)).status_code in {400, 403}
    await nothing_linked(amber)


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}], ids=["site", "origin"]
)
async def test_D43_E04_a_form_of_another_site(
    amber: Resident, browser: Browser, code: Shown, headers: dict[str, str]
) -> None:
    fields = {**(await to_confirm(browser, code.code)).forms[0].fields, "decision": "link"}
    for path, data in ((LINK, fields), (f"{LINK}/epicgames", fields), (LINK, {"code": code.code})):
        assert (await browser.post(path, data, **headers)).status_code == 403
    await nothing_linked(amber)


async def test_D43_the_form_of_another_browser(server: Server, amber: Resident, browser: Browser, code: Shown) -> None:
    fields = {**(await to_confirm(browser, code.code)).forms[0].fields, "decision": "link"}
    for stranger in (Browser(server), Browser(server)):
        await stranger.authorize()
        assert (await stranger.post(LINK, fields)).status_code == 400
    await nothing_linked(amber)


# --- D44: a platform's answer counts for that platform ---


async def test_D44_a_callback_at_another_platforms_address(amber: Resident, browser: Browser, code: Shown) -> None:
    callback = await way_back(browser, await typed(browser, code.code), platform="epicgames")
    page(await browser.open(callback.replace("/epicgames/", "/steam/")))
    await nothing_linked(amber)


# --- D45: nobody links to somebody else's player without having seen whose it is ---


async def test_D45_a_victim_who_opens_an_attackers_link_sees_whose_player_it_is(
    server: Server, amber: Resident, code: Shown
) -> None:
    victim = Browser(server)
    await victim.tokens("epicgames", "birch")
    opened = await victim.open(code.uri.removeprefix("http://127.0.0.1:8080"))
    check = await victim.press(opened, "continue", code=code.code)
    for words in ('<bdi id="player">Amber</bdi>', f">{code.check_number}<", "In this browser <bdi>Birch</bdi>"):
        assert words in check.html
    await nothing_linked(amber)
    confirm_page = await proven(victim, check, player="cedar")
    for words in ('<bdi id="player">Amber</bdi>', f">{code.check_number}<", "In this browser <bdi>Birch</bdi>"):
        assert words in confirm_page.html
    await nothing_linked(amber)


async def test_D45_a_single_use_link_leaves_nothing_for_who_only_looks(
    server: Server, amber: Resident, code: Shown
) -> None:
    for path in (f"{LINK}?code={code.code}", f"{LINK}?code={code.code}&provider=steam&decision=link&request=x"):
        await Browser(server).open(path)
    assert not (await server.http.head(LINK)).is_success
    await nothing_linked(amber)


async def test_D45_another_device_is_told_whose_player_it_is_before_it_links(
    server: Server, amber: Resident, code: Shown
) -> None:
    told = (await present(server, code.code)).json()
    assert (told["account"]["display_name"], told["check_number"]) == ("Amber", code.check_number)
    assert told["client"] == "Demo launcher"
    await nothing_linked(amber)


async def test_D45_another_tab_cannot_change_what_is_linked(amber: Resident, browser: Browser, code: Shown) -> None:
    first = await to_confirm(browser, code.code, player="cedar")
    address = first.url.removeprefix("http://127.0.0.1:8080")
    check_again = await typed(browser, code.code)
    second = await proven(browser, check_again, player="birch")
    # Both pages are of requests of their own; within one, what the form speaks of decides.
    fields = {**first.forms[0].fields, "session": second.forms[0].fields["session"], "decision": "link"}
    shown = await browser.follow(await browser.post(LINK, fields))
    assert heading(shown) == "Link this platform account?"
    assert shown.url.endswith(LINK) or address in shown.url
    await nothing_linked(amber)


# --- D46: only a recent sign-in makes a code ---


async def test_D46_link_without_recent_login(server: Server, amber: Resident) -> None:
    server.clock.now += 601
    answer = await amber.post("/v1/me/links/code")
    assert (answer.status_code, answer.json()["error"]) == (403, "reauthentication_required")
    assert await server.app.storage.load_newest_link_code(await amber.row()) is None


async def test_D46_a_code_does_not_outlive_the_sign_in_that_made_it_by_much(
    server: Server, amber: Resident, browser: Browser
) -> None:
    server.clock.now += 600
    code = await code_of(amber)
    server.clock.now += 599
    confirm_page = await to_confirm(browser, code.code)
    server.clock.now += 1
    assert heading(await browser.press(confirm_page, "link")) == "This code is not good any more"
    assert await amber.keys() == {STEAM}


# --- D50: a proof is good for what was proven ---


async def test_D50_a_proof_links_the_account_that_was_proven_and_no_other(
    server: Server, amber: Resident, code: Shown
) -> None:
    token = (await present(server, code.code)).json()["confirmation_token"]
    answer = await confirm(
        server, code.code, token, provider="epicgames", credential=credential(server.mint("epicgames", "birch"))
    )
    assert answer.json()["identity"]["subject"] == EPIC.subject
    assert await amber.keys() == {STEAM, EPIC}


async def test_D50_a_proof_for_one_player_is_none_for_another(server: Server, amber: Resident, code: Shown) -> None:
    birch = await resident(server, "steam", "birch")
    token = (await present(server, code.code)).json()["confirmation_token"]
    answer = await confirm(server, (await code_of(birch)).code, token)
    assert (answer.status_code, answer.json()["reason"]) == (400, "confirmation_invalid")
    assert await birch.keys() == {identity("steam", "birch")}


async def test_D50_a_confirmation_token_is_no_token_of_any_other_kind(server: Server, code: Shown) -> None:
    token = (await present(server, code.code)).json()["confirmation_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert (await server.http.get("/v1/me", headers=bearer)).status_code == 401
    assert (await server.userinfo(token)).status_code == 401
    sent = {"client_id": "console", "continuation_token": token, "choice": "link"}
    assert (await server.http.post("/v1/identity/continue", json=sent)).status_code == 400


# --- D52: once ---


async def test_D52_a_code_is_good_once(server: Server, amber: Resident, browser: Browser, code: Shown) -> None:
    second = await to_confirm(Browser(server), code.code)
    assert second.status == 200
    token = (await present(server, code.code, server.mint("epicgames", "cedar"))).json()["confirmation_token"]
    await browser.press(await to_confirm(browser, code.code), "link")
    for answer in (
        await present(server, code.code, server.mint("epicgames", "birch")),
        await confirm(server, code.code, token),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert answer.json()["reason"] == "link_code_invalid"
    page(await typed(Browser(server), code.code))
    assert await amber.keys() == {STEAM, EPIC}


async def test_D52_a_confirmation_is_good_once(server: Server, amber: Resident, code: Shown) -> None:
    token = (await present(server, code.code)).json()["confirmation_token"]
    assert (await confirm(server, code.code, token)).status_code == 200
    again = await confirm(server, code.code, token)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    told = (await amber.get("/v1/me/timeline")).json()["events"]
    assert [one["kind"] for one in told] == ["linked", "created"]


async def test_D52_a_trip_ends_once(amber: Resident, browser: Browser, code: Shown) -> None:
    callback = await way_back(browser, await typed(browser, code.code), platform="epicgames")
    assert heading(await browser.open(callback)) == "Link this platform account?"
    page(await browser.open(callback))
    await nothing_linked(amber)


async def test_D52_a_form_counts_once(amber: Resident, browser: Browser, code: Shown) -> None:
    confirm_page = await to_confirm(browser, code.code)
    await browser.press(confirm_page, "link")
    # The second press changes nothing; it shows what the first one did.
    assert heading(await browser.press(confirm_page, "link")) == "The platform account is linked"
    assert heading(await browser.press(confirm_page, "cancel")) == "The platform account is linked"
    told = (await amber.get("/v1/me/timeline")).json()["events"]
    assert [one["kind"] for one in told] == ["linked", "created"]


async def test_D52_a_code_that_many_redeem_at_once_links_one(
    server: Server, amber: Resident, code: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    players = ["amber", "birch", "cedar"]
    shown = [await present(server, code.code, server.mint("epicgames", player)) for player in players]
    tokens = [answer.json()["confirmation_token"] for answer in shown]
    gate = Gate(len(tokens))
    monkeypatch.setattr(server.app.storage, "load_account", gate.after(server.app.storage.load_account))
    answers = await asyncio.gather(*(confirm(server, code.code, token) for token in tokens))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert len(await amber.keys()) == 2


async def test_D52_one_platform_account_and_two_codes_at_once(
    server: Server, amber: Resident, code: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    birch = await resident(server, "steam", "birch")
    other = await code_of(birch)
    first, second = await present(server, code.code), await present(server, other.code)
    gate = Gate(2)
    monkeypatch.setattr(server.app.storage, "load_account", gate.after(server.app.storage.load_account))
    answers = await asyncio.gather(
        confirm(server, code.code, first.json()["confirmation_token"]),
        confirm(server, other.code, second.json()["confirmation_token"]),
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 1}
    owners = [one for one in (amber, birch) if EPIC in await one.keys()]
    assert len(owners) == 1


# --- D57: nobody learns of players by trying ---


async def test_D57_codes_that_are_wrong_in_any_way_are_told_alike(server: Server, amber: Resident) -> None:
    replaced = await code_of(amber)
    used = await code_of(amber)
    token = (await present(server, used.code)).json()["confirmation_token"]
    await confirm(server, used.code, token)
    old = await code_of(amber)
    server.clock.now += 600
    texts = [replaced.code, used.code, old.code, "BCDF-GHJK", "", "AEIOU", "x" * 2000]
    answers = [await present(server, text) for text in texts if text]
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.text for answer in answers}) == 1


async def test_D57_a_code_of_another_project_is_as_wrong_as_any_other(tmp_path: Path) -> None:
    def edit(block: dict[str, Any]) -> None:
        edited(block)
        demo = block["projects"]["demo"]
        keep = {**demo["clients"]["launcher"], "name": "Ironkeep launcher"}
        block["projects"]["ironkeep"] = {"name": "Ironkeep", "platforms": demo["platforms"], "clients": {"keep": keep}}

    async with running(tmp_path, edit=edit) as server:
        code = await code_of(await resident(server))
        wrong = await present(server, "BCDF-GHJK", client_id="keep")
        foreign = await present(server, code.code, client_id="keep")
        assert (foreign.status_code, foreign.json()) == (400, wrong.json())


async def test_D57_nobody_is_named_without_a_good_credential(server: Server, code: Shown) -> None:
    for minted in (server.mint("epicgames", case="expired"), server.mint("epicgames", case="bad-signature")):
        answer = await present(server, code.code, minted)
        assert answer.status_code in {400, 503}
        for told in ("Amber", code.check_number, "Demo launcher"):
            assert told not in answer.text.replace("400", "")


def limited(block: dict[str, Any]) -> None:
    edited(block)
    block["limits"] = {"multiplier": 1}


async def test_D57_wrong_codes_are_counted_for_each_address_whatever_the_way() -> None:
    async with running(edit=limited) as server:
        amber = await resident(server)
        code = await code_of(amber)
        browser = Browser(server)
        for _ in range(5):
            assert (await present(server, "BCDF-GHJK")).status_code == 400
            assert (await browser.post(LINK, {"code": "BCDF-GHJK"})).status_code == 400
        for answer in (await present(server, code.code), await browser.post(LINK, {"code": code.code})):
            assert answer.status_code == 429
            assert answer.headers["retry-after"]
        async with client(server.app, "198.51.100.7") as elsewhere:
            server.http = elsewhere
            assert (await present(server, code.code)).status_code == 200


async def test_D57_wrong_codes_are_counted_for_each_client_wherever_they_come_from() -> None:
    async with running(edit=limited) as server:
        code = await code_of(await resident(server))
        statuses = await guesses(server, 101)
        assert statuses[:100] == [400] * 100
        assert statuses[100:] == [429]
        assert (await present(server, code.code, client_id="launcher")).status_code == 200


async def guesses(server: Server, many: int) -> list[int]:
    """Wrong codes by one client, each from an address of its own."""
    statuses = []
    for number in range(many):
        async with client(server.app, f"198.51.{number // 250}.{number % 250 + 1}") as elsewhere:
            sent = {"client_id": "console", "code": "BCDF-GHJK", "provider": "steam", "credential": {"value": "x"}}
            answer: httpx.Response = await elsewhere.post("/v1/me/links/redeem", json=sent)
            statuses.append(answer.status_code)
    return statuses


async def test_D57_good_codes_are_not_counted(server: Server, amber: Resident) -> None:
    for _ in range(3):
        assert (await present(server, (await code_of(amber)).code)).status_code == 200
    limits = server.app.desk.server.limits
    for rule, part in ((Rule.LINK_CODE_FAILURES, "127.0.0.1"), (Rule.CLIENT_LINK_CODE_FAILURES, "console")):
        assert limits.headers(rule, part) == limits.headers(rule, "who never tried")
