"""Rows D10 to D19, D43, D44 and D52 over the whole flow: what a callback may do, for whom, and how often."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from authsrv.emulator.steam.openid_cases import NS, OPENID_CASES
from tests.support.browser import COOKIE, Browser
from tests.support.callbacks import Pairs, altered, pairs_of, state_of, way_back, with_value, without
from tests.support.refusals import counts, page, refused
from tests.support.server import Server, running

PLATFORMS = ["steam", "xbox", "epicgames"]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def name_of_player(browser: Browser) -> str:
    """Who is signed in; empty if nobody."""
    html = (await browser.open("/login")).html
    return html.partition('id="player">')[2].partition("<")[0]


def nobody(server: Server) -> bool:
    """Whether no sign-in has left anything behind."""
    found = counts(server)
    return found["sessions"] == found["players"] == found["grants"] == 0


REFUSED_BY_STEAM = [name for name, case in OPENID_CASES.items() if case.summary.startswith("credential_")]
BARRED_BY_STEAM = [name for name, case in OPENID_CASES.items() if case.summary.startswith("account_")]
STEAM_DOWN = [
    name for name, case in OPENID_CASES.items() if case.summary.startswith("unavailable") if "hang" not in name
]


@pytest.mark.parametrize("case", [*REFUSED_BY_STEAM, *BARRED_BY_STEAM])
async def test_D10_D11_D12_D13_D14_D15_D16_D19_a_forged_or_barred_assertion_signs_nobody_in(
    browser: Browser, case: str
) -> None:
    begun = await browser.authorize()
    callback = await way_back(browser, begun, case=case)
    cookie = browser.cookies[COOKIE]
    shown = await browser.open(callback)
    page(shown, 403 if case in BARRED_BY_STEAM else 400)
    assert 'id="again"' in shown.html
    assert nobody(browser.server)
    assert browser.cookies[COOKIE] == cookie
    page(await browser.open(callback))
    assert nobody(browser.server)
    assert "code" in (await browser.prove(begun)).query  # the request itself was not used up


async def test_D10_D14_D16_only_an_assertion_that_could_be_steams_own_is_asked_about(browser: Browser) -> None:
    steam = browser.server.platforms["steam"]
    for case in REFUSED_BY_STEAM:
        await browser.open(await way_back(browser, await browser.authorize(), case=case))
    assert steam.calls["CheckAuthentication"] == 1  # openid-forged
    assert {str(request.url) for request in browser.server.outbounds["steam"].requests} == {
        "http://platform.test/steam/openid/login"
    }


STEAM = "http://platform.test/steam/openid"
FORGERIES: dict[str, Callable[[Pairs], Pairs]] = {
    "D10 op_endpoint": with_value("openid.op_endpoint", "https://evil.test/openid/login"),
    "D10 http for https": with_value("openid.op_endpoint", "https://platform.test/steam/openid/login"),
    "D11 another host": with_value("openid.claimed_id", "https://platform.test.evil.test/openid/id/76561197960287930"),
    "D11 user name": with_value("openid.claimed_id", "http://platform.test@evil.test/openid/id/76561197960287930"),
    "D11 line break": with_value("openid.claimed_id", f"{STEAM}/id/76561197960287930\n"),
    "D11 full-width": with_value("openid.claimed_id", f"{STEAM}/id/7656119796028793\uff10"),
    "D11 path": with_value("openid.claimed_id", f"{STEAM}/id/76561197960287930/../76561197960287931"),
    "D11 identity differs": with_value("openid.identity", f"{STEAM}/id/76561197960287931"),
    "D12 unsigned identity": with_value("openid.signed", "signed,op_endpoint,claimed_id,return_to,response_nonce"),
    "D12 nothing signed": with_value("openid.signed", ""),
    "D12 more signed": with_value("openid.signed", "signed,op_endpoint,claimed_id,identity,return_to,mode"),
    "D13 no ns": without("openid.ns"),
    "D13 ns of version 1": with_value("openid.ns", "http://openid.net/signon/1.1"),
    "D13 mode": with_value("openid.mode", "check_authentication"),
    "D13 mode in another case": with_value("openid.mode", "ID_RES"),
    "D14 no return_to": without("openid.return_to"),
    "D14 another return_to": with_value("openid.return_to", "https://shop.example/login/steam/callback"),
    "D15 no nonce": without("openid.response_nonce"),
    "D16 the public profile alone": lambda pairs: [p for p in pairs if p[0] in {"state", "openid.claimed_id"}],
    "D16 no signature": without("openid.sig"),
    "D16 empty signature": with_value("openid.sig", ""),
    "D19 two claimed_id": lambda pairs: [*pairs, ("openid.claimed_id", f"{STEAM}/id/76561197960287931")],
    "D19 underscores": lambda pairs: [*pairs, ("openid_claimed_id", f"{STEAM}/id/76561197960287931")],
    "D19 upper case": lambda pairs: [*pairs, ("OPENID.claimed_id", f"{STEAM}/id/76561197960287931")],
    "D19 NUL": lambda pairs: [*pairs, ("openid.claimed_id\0", "x")],
    "D19 two states": lambda pairs: [*pairs, ("state", dict(pairs)["state"])],
    "D19 two states, the second empty": lambda pairs: [*pairs, ("state", "")],
    "D19 control character": lambda pairs: [*pairs, ("x", "a\x1bb")],
    "nothing": lambda _: [],
    "the state alone": lambda pairs: [pair for pair in pairs if pair[0] == "state"],
    "an OAuth code": lambda pairs: [("state", dict(pairs)["state"]), ("code", "asc_stolen")],
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
async def test_D10_D11_D12_D13_D14_D15_D16_D19_a_callback_written_by_hand_signs_nobody_in(
    browser: Browser, forge: Callable[[Pairs], Pairs]
) -> None:
    callback = await way_back(browser, await browser.authorize())
    page(await browser.open(altered(callback, forge)))
    assert nobody(browser.server)
    assert await name_of_player(browser) == ""


@pytest.mark.parametrize("second", ["", "x", "the same"])
async def test_D19_a_callback_with_two_states_is_nobodys_and_uses_up_neither(browser: Browser, second: str) -> None:
    callback = await way_back(browser, await browser.authorize())
    added = state_of(callback) if second == "the same" else second
    for pairs in ([("state", added), *pairs_of(callback)], [*pairs_of(callback), ("state", added)]):
        page(await browser.open(f"/login/steam/callback?{urlencode(pairs)}"))
    assert "code" in (await browser.open(callback)).query


async def test_D13_a_cancelled_sign_in_goes_back_to_the_client_once(browser: Browser) -> None:
    callback = await way_back(browser, await browser.authorize(), case="openid-cancelled")
    answer = await browser.get(callback)
    assert refused(answer) == "access_denied"
    assert "completed" not in answer.text
    page(await browser.open(callback))
    assert nobody(browser.server)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_D13_cancelling_is_the_browsers_own_doing(server: Server, platform: str) -> None:
    attacker, victim = Browser(server), Browser(server)
    begun = await victim.authorize()
    theirs = state_of(await way_back(attacker, await attacker.authorize(), platform))
    cancelled = {"steam": f"openid.ns={NS}&openid.mode=cancel"}.get(platform, "error=access_denied")
    for state in (theirs, "", "x"):
        page(await victim.open(f"/login/{platform}/callback?state={state}&{cancelled}"))
    assert "code" in (await victim.prove(begun, platform)).query


async def test_D14_D15_an_assertion_for_one_visit_is_worth_nothing_in_another(server: Server) -> None:
    browser = Browser(server)
    first, second = [await way_back(browser, await browser.authorize()) for _ in range(2)]
    moved = altered(first, with_value("state", state_of(second)))
    page(await browser.open(moved))
    assert nobody(server)
    assert "code" in (await browser.open(first)).query
    before = counts(server)
    first = await way_back(browser, await browser.authorize(prompt="login"), player="birch")
    moved = altered(first, with_value("state", state_of(second)))
    third = state_of(await way_back(browser, await browser.authorize(prompt="login")))
    rewritten = altered(moved, with_value("state", third)).replace(state_of(first), third)
    page(await browser.open(rewritten))
    assert counts(server)["players"] == before["players"]
    assert await name_of_player(browser) == "Amber"


async def test_D15_a_used_nonce_is_used_in_every_browser(server: Server) -> None:
    browser, other = Browser(server), Browser(server)
    callback = await way_back(browser, await browser.authorize())
    assert "code" in (await browser.open(callback)).query
    before = counts(server)
    page(await browser.open(callback))
    page(await other.open(callback))
    stranger = await way_back(other, await other.authorize(), player="birch")
    nonce = dict(pairs_of(callback))["openid.response_nonce"]
    page(await other.open(altered(stranger, with_value("openid.response_nonce", nonce))))
    assert await name_of_player(other) == ""
    assert counts(server)["sessions"] == before["sessions"] == 1
    assert counts(server)["players"] == 1


async def test_D15_an_assertion_is_too_old_after_five_minutes_and_a_visit_after_fifteen(server: Server) -> None:
    late, later = Browser(server), Browser(server)
    callback = await way_back(late, await late.authorize())
    waiting = await way_back(later, await later.authorize(), "xbox")
    server.clock.now += 301
    page(await late.open(callback))
    server.clock.now += 599
    page(await later.open(waiting))
    assert nobody(server)


@pytest.mark.parametrize("case", STEAM_DOWN)
async def test_D17_when_steam_does_not_decide_the_page_says_so_and_offers_to_try_again(
    browser: Browser, case: str
) -> None:
    begun = await browser.authorize()
    shown = await browser.open(await way_back(browser, begun, case=case))
    html = page(shown, 503)
    assert int(shown.headers["retry-after"]) >= 1
    assert nobody(browser.server)
    (again,) = [part.partition('"')[0] for part in html.split('id="again" href="')[1:]]
    retried = await browser.open(again.removeprefix(browser.issuer))
    assert 'id="sign-in-xbox"' in retried.html
    assert "code" in (await browser.prove(retried)).query


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("outage", ["connect_failure", "server_error", "garbage"])
async def test_D17_an_outage_uses_up_neither_the_visit_nor_what_it_brought(
    browser: Browser, platform: str, outage: Any
) -> None:
    callback = await way_back(browser, await browser.authorize(), platform)
    browser.server.outbounds[platform].outage = outage
    page(await browser.open(callback), 503)
    assert nobody(browser.server)
    browser.server.outbounds[platform].outage = None
    shown = await browser.open(callback)
    assert "code" in shown.query or outage in {"server_error", "garbage"}


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_D43_a_callback_that_somebody_else_began_does_nothing_in_this_browser(
    server: Server, platform: str
) -> None:
    attacker, victim, stranger = Browser(server), Browser(server), Browser(server)
    await victim.sign_in()
    await stranger.authorize()
    begun = await attacker.authorize()
    callback = await way_back(attacker, begun, platform, "birch")
    before = counts(server)
    for browser in (victim, stranger, Browser(server)):
        cookies = dict(browser.cookies)
        page(await browser.open(callback))
        assert browser.cookies == cookies
    assert counts(server) == before
    assert await name_of_player(victim) == "Amber"
    assert await name_of_player(stranger) == ""
    assert "code" in (await attacker.open(callback)).query  # nothing of it was used up


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_D43_what_the_attacker_brought_does_nothing_under_the_victims_own_state(
    server: Server, platform: str
) -> None:
    attacker, victim = Browser(server), Browser(server)
    mine = await way_back(victim, await victim.authorize(), platform)
    theirs = await way_back(attacker, await attacker.authorize(), platform, "birch")
    injected = altered(theirs, with_value("state", state_of(mine)))
    shown = await victim.open(injected)
    assert shown.status >= 400
    assert await name_of_player(victim) == ""


async def test_D43_D52_a_state_is_good_once(browser: Browser) -> None:
    callback = await way_back(browser, await browser.authorize(), "xbox")
    assert "code" in (await browser.open(callback)).query
    before = counts(browser.server)
    for _ in range(3):
        page(await browser.open(callback))
    assert counts(browser.server) == before


async def test_D43_what_names_something_else_of_ours_is_no_state(browser: Browser) -> None:
    landed = await browser.sign_in()
    code = landed.query["code"]
    tokens = await browser.exchanged(landed)
    shown = await browser.authorize(prompt="select_account")
    own = shown.forms[0].fields
    good = state_of(await way_back(browser, await browser.press(shown, "switch")))
    claims = browser.server.claims(tokens["access_token"])
    others = [browser.cookies[COOKIE], code, tokens["refresh_token"], own["request"], own["session"], own["csrf"]]
    mutated = [good[:-1], good + "A", good.upper(), good[:30] + "A" * 39, good.replace("ast_", "asb_"), ""]
    before = counts(browser.server)
    for state in [*others, *mutated, claims["gid"], tokens["access_token"], "\u00e9", "A" * 4000]:
        page(await browser.open("/login/steam/callback", **{"state": state, "openid.mode": "cancel"}))
    assert counts(browser.server) == before


@pytest.mark.parametrize("begun_at", PLATFORMS)
@pytest.mark.parametrize("ended_at", PLATFORMS)
async def test_D44_the_state_of_one_platform_is_no_state_of_another(
    browser: Browser, begun_at: str, ended_at: str
) -> None:
    begun = await browser.authorize()
    callback = await way_back(browser, begun, begun_at)
    other = await way_back(browser, begun, ended_at, "birch")
    if begun_at != ended_at:
        for confused in (
            callback.replace(f"/login/{begun_at}/", f"/login/{ended_at}/"),
            altered(other, with_value("state", state_of(callback))),
        ):
            page(await browser.open(confused))
        assert nobody(browser.server)
    assert "code" in (await browser.open(callback)).query


@pytest.mark.parametrize("provider", ["nowhere", "epic", "STEAM", "steam%20", "steam%00", "..", "%2e%2e", "callback"])
async def test_D44_D51_an_unknown_platform_is_nowhere(browser: Browser, provider: str) -> None:
    begun = await browser.authorize()
    callback = await way_back(browser, begun)
    before = counts(browser.server)
    departed = await browser.post(f"/login/{provider}", begun.forms[0].fields)
    assert departed.status_code in {400, 404, 405}
    assert (await browser.open(callback.replace("/steam/", f"/{provider}/"))).status in {400, 404}
    assert counts(browser.server) == before
