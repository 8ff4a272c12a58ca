"""Rows E04, E05, E06, A19 and A40: which forms are ours, what they can change, and how often."""

import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import pytest

from tests.support.browser import COOKIE, SHOP_CALLBACK, Browser, Page
from tests.support.refusals import clients, counts, page, tables
from tests.support.server import Server, running
from tests.support.wire import FORM, ask


def edit(block: dict[str, object]) -> None:
    clients(block)["partner"] = {**clients(block)["shop"], "name": "Partner", "first_party": False}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def is_signed_in(browser: Browser) -> bool:
    landed = await browser.authorize(prompt="none")
    return "code" in landed.query or landed.query["error"] == "consent_required"


def own_request(page: Page) -> str:
    """The handle of the request that a page's form is about."""
    return page.forms[0].fields["request"]


FOREIGN: Mapping[str, Mapping[str, str]] = {
    "another site": {"origin": "https://evil.test", "sec-fetch-site": "cross-site"},
    "another site's sandbox": {"origin": "null", "sec-fetch-site": "cross-site"},
    "a neighbour": {"origin": "https://www.studio.example", "sec-fetch-site": "same-site"},
    "a neighbour that hides its origin": {"origin": "null", "sec-fetch-site": "same-site"},
    "the other port of the host": {"origin": "http://127.0.0.1:8090", "sec-fetch-site": "same-site"},
    "nowhere": {"origin": "null", "sec-fetch-site": "none"},
    "an empty word": {"origin": "null", "sec-fetch-site": ""},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
async def test_E04_a_form_of_another_site_changes_nothing_even_with_our_token(
    browser: Browser, headers: Mapping[str, str]
) -> None:
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    asked_first = await browser.authorize()
    own = asked_first.forms[0].fields
    before = counts(browser.server)
    page(await browser.post("/login/steam", own, **headers), 403)
    page(await browser.post("/login", {**own, "decision": "cancel"}, **headers), 403)
    assert counts(browser.server) == before
    consent = await browser.prove(asked_first)
    before = counts(browser.server)
    for decision in ("allow", "deny", "switch", "continue"):
        page(await browser.post("/login", {**consent.forms[0].fields, "decision": decision}, **headers), 403)
    home = await browser.open("/login")
    leaving = {**home.find("sign-out")[0].fields, "decision": "yes"}
    page(await browser.post("/oauth2/logout/confirm", leaving, **headers), 403)
    page(await browser.post("/account", {**home.forms[0].fields, "decision": "end"}, **headers), 403)
    assert counts(browser.server) == before
    assert await is_signed_in(browser)
    assert "code" in (await browser.press(consent, "allow")).query


OLD_BROWSERS: Mapping[bytes | None, int] = {
    None: 303,
    b"null": 303,
    b"http://127.0.0.1:8080": 303,
    b"https://127.0.0.1:8080": 403,
    b"http://127.0.0.1:8090": 403,
    b"http://127.0.0.1": 403,
    b"https://evil.test": 403,
    b"NULL": 403,
    b"": 403,
}


@pytest.mark.parametrize("origin", OLD_BROWSERS)
async def test_E04_a_browser_that_knows_no_fetch_metadata_is_judged_by_its_origin_and_our_token(
    browser: Browser, origin: bytes | None
) -> None:
    own = {**(await browser.authorize()).forms[0].fields, "decision": "cancel"}
    headers = [*FORM, (b"cookie", f"{COOKIE}={browser.cookies[COOKIE]}".encode())]
    headers += [] if origin is None else [(b"origin", origin)]
    answer = await ask(browser.server.app, "POST", b"/login", headers, urlencode(own).encode())
    assert (answer.status, "error=access_denied" in answer.location) == (OLD_BROWSERS[origin], answer.status == 303)


@pytest.mark.parametrize("csrf", [None, "", "x", "0" * 32, "\u00e9" * 32, "A" * 2000])
async def test_E04_a_form_without_its_token_changes_nothing(browser: Browser, csrf: str | None) -> None:
    asked_first = await browser.authorize()
    own = {name: value for name, value in asked_first.forms[0].fields.items() if name != "csrf"}
    own |= {} if csrf is None else {"csrf": csrf}
    before = counts(browser.server)
    page(await browser.post("/login/steam", own), 403)
    page(await browser.post("/login", {**own, "decision": "cancel"}), 403)
    assert counts(browser.server) == before
    await browser.prove(asked_first)
    page(await browser.post("/oauth2/logout/confirm", {**own, "decision": "yes"}), 403)
    page(await browser.post("/account", {**own, "decision": "end"}), 403)
    assert await is_signed_in(browser)


async def test_E04_E05_a_token_is_good_for_its_browser_and_its_request_only(server: Server) -> None:
    mine, other = Browser(server), Browser(server)
    for each in (mine, other):
        each.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    consents = [await mine.sign_in(), await mine.authorize()]
    foreign = await other.sign_in(player="birch")
    first, second, theirs = [each.forms[0].fields for each in (*consents, foreign)]
    home = (await mine.open("/login")).find("sign-out")[0].fields["csrf"]
    before = counts(server)
    for wrong in (second["csrf"], theirs["csrf"], home, first["session"], first["request"]):
        page(await mine.post("/login", {**first, "csrf": wrong, "decision": "allow"}), 403)
    page(await mine.post("/login", {**theirs, "decision": "allow"}))
    page(await mine.post("/login", {**theirs, "csrf": first["csrf"], "decision": "allow"}))
    page(await mine.post("/login/steam", theirs))
    page(await mine.post("/login", {**first, "request": first["session"], "decision": "allow"}))
    page(await mine.post("/login", {**first, "request": "A" * 22, "decision": "allow"}))
    page(await mine.post("/login", {"decision": "allow"}))
    page(await mine.post("/oauth2/logout/confirm", {"csrf": first["csrf"], "decision": "yes"}), 403)
    page(await mine.post("/account", {"csrf": first["csrf"], "decision": "end"}), 403)
    page(await mine.post("/account", {"csrf": home, "decision": "end"}), 403)
    assert counts(server) == before
    assert "code" in (await mine.press(consents[0], "allow")).query


async def test_E05_consent_is_given_by_the_session_that_was_shown(browser: Browser) -> None:
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    consent = await browser.sign_in(player="amber")
    await browser.sign_in(player="birch", client_id="shop", prompt="login")
    for session in (consent.forms[0].fields["session"], "", "A" * 22):
        shown = await browser.press(consent, "allow", session=session)
        assert 'id="allow"' in shown.html
        assert tables(browser.server).consents == {}
    tokens = await browser.exchanged(await browser.press(shown, "allow"))
    (player,) = {player_id for player_id, _ in tables(browser.server).consents}
    assert tables(browser.server).players[player].sub == browser.server.claims(tokens["id_token"])["sub"]
    assert tables(browser.server).players[player].display_name == "Birch"


async def test_E05_a_form_that_repeats_a_field_is_refused(browser: Browser) -> None:
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    own = (await browser.sign_in()).forms[0].fields
    body = "&".join(f"{name}={value}" for name, value in own.items()) + "&decision=deny&decision=allow"
    cookie = (b"cookie", f"{COOKIE}={browser.cookies[COOKIE]}".encode())
    answer = await ask(browser.server.app, "POST", b"/login", (*FORM, cookie), body.encode())
    assert answer.status == 400
    assert tables(browser.server).consents == {}


@pytest.mark.parametrize("decision", ["", "Allow", "allow ", "yes", "login", "none"])
async def test_E05_what_is_no_decision_is_none(browser: Browser, decision: str) -> None:
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    own = (await browser.sign_in()).forms[0].fields
    page(await browser.post("/login", {**own, "decision": decision}))
    assert tables(browser.server).consents == {}


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", "text/html", ""])
async def test_E06_a_body_of_another_type_is_refused(browser: Browser, kind: str) -> None:
    own = (await browser.authorize()).forms[0].fields
    body = "&".join(f"{name}={value}" for name, value in own.items()).encode()
    headers = [(b"content-type", kind.encode()), (b"cookie", f"{COOKIE}={browser.cookies[COOKIE]}".encode())]
    before = counts(browser.server)
    for path in (
        b"/login",
        b"/login/steam",
        b"/oauth2/authorize",
        b"/oauth2/logout",
        b"/oauth2/logout/confirm",
        b"/account",
        b"/account/delete",
    ):
        assert (await ask(browser.server.app, "POST", path, headers, body + b"&decision=cancel")).status == 415
    assert counts(browser.server) == before


FORGED_FIELDS = {
    "client_id": "shop",
    "redirect_uri": "https://evil.test/cb",
    "response_type": "token",
    "response_mode": "fragment",
    "scope": "openid profile offline email admin",
    "state": "forged",
    "nonce": "forged",
    "code_challenge": "a" * 43,
    "prompt": "none",
    "progress": "login consent",
    "player": "1",
}


async def test_A19_nothing_of_the_request_can_be_changed_on_the_way(browser: Browser) -> None:
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    begun = await browser.authorize(scope="openid")
    landed = await browser.press(await browser.press(begun, "sign-in-steam", **FORGED_FIELDS), "amber", case="good")
    again = await browser.open("/login", request=own_request(landed), **FORGED_FIELDS)
    done = await browser.press(again, "allow", **FORGED_FIELDS)
    assert done.url.startswith("http://127.0.0.1:8080/demo/callback?code=")
    assert done.query["state"] == "af0ifjsldkj"
    tokens = await browser.exchanged(done)
    assert tokens["scope"] == "openid"
    assert browser.server.claims(tokens["id_token"])["nonce"] == "n-0S6_WzA2Mj"


async def test_A19_an_unknown_an_expired_and_a_foreign_request_are_shown(server: Server) -> None:
    browser, other = Browser(server), Browser(server)
    begun = await browser.authorize()
    handle = own_request(begun)
    other_end = handle[:-1] + ("Q" if handle.endswith("A") else "A")
    for unknown in (handle[:-1], other_end, "A" * 22, handle.swapcase(), "x" * 3000, "\u00e9" * 22):
        page(await browser.open("/login", request=unknown))
    page(await other.open("/login", request=handle))
    answer = await ask(server.app, "GET", f"/login?request={handle}&request={handle}".encode())
    assert (answer.status, answer.location) == (400, "")
    server.clock.now += 3599
    assert (await browser.open("/login", request=handle)).status == 200
    server.clock.now += 1
    for late in (await browser.open("/login", request=handle), await browser.press(begun, "sign-in-steam")):
        page(late)


async def test_A19_a_request_is_answered_once_and_never_opens_again(browser: Browser) -> None:
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    consent = await browser.sign_in()
    away = await browser.press(await browser.press(consent, "switch"), "sign-in-steam")
    assert "code" in (await browser.press(consent, "allow")).query
    before = counts(browser.server)
    late = [await browser.press(consent, button) for button in ("allow", "deny", "switch")]
    late += [
        await browser.open("/login", request=own_request(consent)),
        await browser.press(away, "birch", case="good"),
    ]
    late += [await browser.follow(await browser.post("/login/steam", consent.forms[0].fields))]
    assert [(each.status, "code" in each.query) for each in late] == [(400, False)] * 6
    assert counts(browser.server) == before


async def test_A40_the_name_of_a_request_its_state_at_the_platform_and_the_cookie_are_three_secrets(
    server: Server,
) -> None:
    attacker, victim = Browser(server), Browser(server)
    begun = await victim.authorize()
    sent = await victim.post("/login/steam", begun.forms[0].fields)
    (away,) = re.findall(r"state%3D([\w-]+)", sent.headers["location"])
    assert len({own_request(begun), away, victim.cookies[COOKIE]}) == 3
    assert own_request(begun) not in sent.headers["location"]
    assert victim.cookies[COOKIE] not in sent.headers["location"]
    await attacker.authorize()
    for stolen in (own_request(begun), away):
        page(await attacker.open("/login", request=stolen))
        page(await attacker.open("/login/steam/callback", state=stolen))
    await victim.follow(sent)
    page(await attacker.open("/login", request=own_request(begun)))
