"""Rows E01 to E10, A19, A26, A27 and A40: who a browser is, what it may go on with, and how long it stays signed in."""

import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.support.browser import COOKIE, SHOP_CALLBACK, Browser, Page, shop_request
from tests.support.refusals import clients, counts, page, refused, tables
from tests.support.server import Server, running
from tests.support.wire import FORM, Answer, ask

SECURE = "__Host-authsrv_sid"
SILENT = {"prompt": "none"}


def edit(block: dict[str, object]) -> None:
    clients(block)["partner"] = {**clients(block)["shop"], "name": "Partner", "first_party": False}


def https(block: dict[str, object]) -> None:
    block["issuer"] = "https://login.studio.example"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def is_signed_in(browser: Browser) -> bool:
    landed = await browser.authorize(**SILENT)
    return "code" in landed.query or landed.query["error"] == "consent_required"


def own_request(page: Page) -> str:
    """The handle of the request that a page's form is about."""
    return page.forms[0].fields["request"]


# The cookie


@pytest.mark.parametrize("secure", [True, False], ids=["https", "development"])
async def test_E01_the_cookie_is_bound_to_the_host_and_hidden_from_scripts_and_other_sites(secure: bool) -> None:
    async with running(edit=https if secure else None) as server:
        browser = Browser(server)
        begun = await browser.get("/oauth2/authorize", **shop_request())
        (first,) = begun.headers.get_list("set-cookie")
        (second,) = (await browser.sign_in()).headers.get_list("set-cookie") or [first]
    name, end = (SECURE, "; Secure") if secure else (COOKIE, "")
    attributes = f"Path=/; HttpOnly; SameSite=Lax{end}"
    for line in (first, second):
        assert re.fullmatch(rf"{name}=asb_[\w-]{{65}}; Max-Age=[1-9][0-9]*; {attributes}", line)
    assert list(browser.cookies) == [name]


async def test_E09_the_cookie_is_a_random_name_of_a_row_and_holds_nothing(browser: Browser) -> None:
    await browser.sign_in()
    (row,) = tables(browser.server).browsers.values()
    value = browser.cookies[COOKIE]
    assert re.fullmatch(r"asb_[\w-]{65}", value)
    other = Browser(browser.server)
    await other.authorize()
    assert other.cookies[COOKIE][4:26] != value[4:26]
    assert len(row.secret_hash) == 32


async def test_E02_a_cookie_that_the_server_did_not_make_is_not_taken_over(server: Server) -> None:
    browser = Browser(server)
    await browser.authorize()
    genuine = browser.cookies[COOKIE]
    for planted in ("", "x", genuine[:-1] + "_", genuine[:-1], genuine + "A", genuine.replace("asb_", "ast_")):
        victim = Browser(server)
        victim.cookies[COOKIE] = planted
        await victim.authorize()
        assert victim.cookies[COOKIE] not in {planted, genuine}


async def test_E02_a_planted_cookie_is_worth_nothing_once_somebody_signed_in_with_it(server: Server) -> None:
    attacker, victim = Browser(server), Browser(server)
    begun = await attacker.authorize()
    away = await attacker.press(begun, "sign-in-steam")
    planted = victim.cookies[COOKIE] = attacker.cookies[COOKIE]
    page_of_victim = await victim.authorize()
    assert victim.cookies[COOKIE] == planted
    await victim.prove(page_of_victim)
    assert victim.cookies[COOKIE] != planted
    assert await is_signed_in(victim)

    assert attacker.cookies[COOKIE] == planted
    assert refused(await attacker.get("/oauth2/authorize", **(shop_request() | SILENT))) == "login_required"
    assert 'id="player"' not in (await attacker.open("/login")).html
    page(await attacker.open("/login", request=own_request(begun)))
    page(await attacker.press(begun, "cancel"))
    page(await attacker.press(begun, "sign-in-steam"))
    page(await attacker.press(away, "birch"))
    page(await attacker.open("/login", request=own_request(page_of_victim)))
    assert await is_signed_in(victim)
    assert len(tables(server).players) == 1


@pytest.mark.parametrize("player", ["amber", "birch"])
async def test_E02_every_sign_in_changes_the_cookie_also_of_who_is_signed_in(browser: Browser, player: str) -> None:
    await browser.sign_in()
    before = browser.cookies[COOKIE]
    landed = await browser.sign_in(player=player, prompt="login")
    assert "code" in landed.query
    assert browser.cookies[COOKIE] != before
    thief = Browser(browser.server)
    thief.cookies[COOKIE] = before
    assert not await is_signed_in(thief)


async def test_E02_other_tabs_of_the_browser_go_on_after_a_sign_in(browser: Browser) -> None:
    first, second, third = [await browser.authorize(prompt="login") for _ in range(3)]
    away = await browser.press(second, "sign-in-steam")
    assert "code" in (await browser.prove(first)).query
    assert "code" in (await browser.press(away, "amber", case="good")).query
    assert (await browser.press(third, "cancel")).query["error"] == "access_denied"


async def test_E02_a_sign_in_that_failed_leaves_the_cookie_alone(browser: Browser) -> None:
    before = (await browser.authorize(), browser.cookies[COOKIE])
    page(await browser.prove(before[0], case="openid-forged"))
    assert browser.cookies[COOKIE] == before[1]


TRICKS: Mapping[str, tuple[bytes, ...]] = {
    "two of one name": (b"NAME=VALUE; NAME=other",),
    "two of one name, the true one last": (b"NAME=other; NAME=VALUE",),
    "two fields": (b"NAME=VALUE", b"NAME=other"),
    "twice the true one": (b"NAME=VALUE; NAME=VALUE",),
    "an empty one beside it": (b"NAME=; NAME=VALUE",),
    "without a value beside it": (b"NAME; NAME=VALUE",),
    "a no-break space before": (b"\xa0NAME=VALUE",),
    "a next-line before": (b"\x85NAME=VALUE",),
    "a separator before": (b"\x1fNAME=VALUE",),
    "a vertical tab before": (b"\x0bNAME=VALUE",),
    "a wide space before": ("\u2003NAME=VALUE".encode(),),
    "a space after the name": (b"NAME =VALUE",),
    "a no-break space after the name": (b"NAME\xa0=VALUE",),
    "a no-break space after the value": (b"NAME=VALUE\xa0",),
    "in quotes": (b'NAME="VALUE"',),
    "another case": (b"name=VALUE".replace(b"name", COOKIE.upper().encode()),),
    "as an attribute": (b"$Version=1; $NAME=VALUE",),
    "inside another": (b"x=y, NAME=VALUE",),
    "with the prefix of https": (b"__Host-NAME=VALUE",),
    "nameless": (b"=NAME=VALUE",),
}
PLAIN: Mapping[str, tuple[bytes, ...]] = {
    "alone": (b"NAME=VALUE",),
    "among others": (b"a=b; NAME=VALUE; c",),
    "without spaces": (b"a=b;NAME=VALUE;c=d",),
    "with tabs": (b"a=b;\tNAME=VALUE\t; c=d",),
    "in two fields": (b"a=b", b"NAME=VALUE"),
    "beside one of a longer name": (b"NAME2=other; NAME=VALUE; 2NAME=other",),
}


async def silently(browser: Browser, lines: tuple[bytes, ...]) -> Answer:
    value = browser.cookies[COOKIE].encode()
    sent = [(b"cookie", line.replace(b"NAME", COOKIE.encode()).replace(b"VALUE", value)) for line in lines]
    query = "&".join(f"{name}={value}" for name, value in (shop_request() | SILENT).items()).replace(" ", "+")
    return await ask(browser.server.app, "GET", f"/oauth2/authorize?{query}".encode(), sent)


@pytest.mark.parametrize("lines", TRICKS.values(), ids=TRICKS.keys())
async def test_E03_a_cookie_that_another_reader_could_take_for_ours_or_that_comes_twice_is_nobodys(
    browser: Browser, lines: tuple[bytes, ...]
) -> None:
    await browser.sign_in()
    assert "error=login_required" in (await silently(browser, lines)).location


@pytest.mark.parametrize("lines", PLAIN.values(), ids=PLAIN.keys())
async def test_E03_other_cookies_do_not_hide_ours(browser: Browser, lines: tuple[bytes, ...]) -> None:
    await browser.sign_in()
    assert "code=" in (await silently(browser, lines)).location


# Forms


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
    page(await browser.post("/oauth2/logout/confirm", {**home.forms[0].fields, "decision": "yes"}, **headers), 403)
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
    assert await is_signed_in(browser)


async def test_E04_E05_a_token_is_good_for_its_browser_and_its_request_only(server: Server) -> None:
    mine, other = Browser(server), Browser(server)
    for each in (mine, other):
        each.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    consents = [await mine.sign_in(), await mine.authorize()]
    foreign = await other.sign_in(player="birch")
    first, second, theirs = [each.forms[0].fields for each in (*consents, foreign)]
    home = (await mine.open("/login")).forms[0].fields["csrf"]
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
    for path in (b"/login", b"/login/steam", b"/oauth2/authorize", b"/oauth2/logout", b"/oauth2/logout/confirm"):
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


# Growth


async def test_E07_the_newest_eight_pending_sign_ins_of_a_browser_stay_and_the_cookie_stays_short(
    browser: Browser,
) -> None:
    begun = [await browser.authorize() for _ in range(200)]
    assert counts(browser.server)["requests"] == 8
    assert counts(browser.server)["browsers"] == 1
    assert len(browser.cookies[COOKIE]) < 100
    page(await browser.open("/login", request=own_request(begun[-9])))
    assert "code" in (await browser.prove(begun[-8])).query


# How long


async def test_E08_after_a_logout_the_old_cookie_is_signed_out(browser: Browser) -> None:
    tokens = await browser.tokens()
    await browser.press(await browser.open("/login"), "sign-out")
    assert refused(await browser.get("/oauth2/authorize", **(shop_request() | SILENT))) == "login_required"
    assert 'id="player"' not in (await browser.open("/login")).html
    silent = shop_request() | SILENT | {"id_token_hint": tokens["id_token"]}
    assert refused(await browser.get("/oauth2/authorize", **silent)) == "login_required"


async def test_E10_a_session_ends_when_it_is_not_used(browser: Browser) -> None:
    await browser.sign_in()
    for _ in range(3):
        browser.server.clock.now += 12 * 3600 - 1
        assert await is_signed_in(browser)
    browser.server.clock.now += 12 * 3600
    assert not await is_signed_in(browser)
    assert 'id="sign-in-steam"' in (await browser.authorize()).html


async def test_E10_a_session_ends_after_thirty_days_however_active(browser: Browser) -> None:
    await browser.sign_in()
    for seconds in [*(60 * [12 * 3600 - 1]), 59]:
        browser.server.clock.now += seconds
        assert await is_signed_in(browser)
    browser.server.clock.now += 1
    assert not await is_signed_in(browser)


# What a client says of the player


async def test_A26_a_hint_never_switches_the_session_and_never_signs_in(server: Server) -> None:
    amber, birch = Browser(server), Browser(server)
    own, foreign = await amber.tokens(), await birch.tokens(player="birch")
    assert (await amber.authorize(**SILENT, id_token_hint=own["id_token"])).query["code"]
    assert (await amber.authorize(**SILENT, id_token_hint=foreign["id_token"])).query["error"] == "login_required"
    shown = await amber.authorize(id_token_hint=foreign["id_token"])
    assert 'id="notice"' in shown.html
    again = await amber.prove(shown)  # the same player once more is not the one who was asked for
    assert 'id="sign-in-steam"' in again.html
    nobody = Browser(server)
    landed = await nobody.authorize(**SILENT, id_token_hint=own["id_token"])
    assert landed.query["error"] == "login_required"
    assert 'id="sign-in-steam"' in (await nobody.authorize(id_token_hint=own["id_token"])).html


def unsigned(token: str) -> str:
    """The same claims under a header with `alg: none`."""
    header = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def resigned(token: str, alg: str, key: object) -> str:
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, key, algorithm=alg, headers={"kid": header["kid"], "typ": header["typ"]})  # type: ignore[arg-type]


async def forged_hints(browser: Browser) -> Mapping[str, str]:
    tokens = await browser.tokens()
    good: str = tokens["id_token"]
    head, body, signature = good.split(".")
    spa = Browser(browser.server).sent_by("spa", "http://127.0.0.1:8080/demo/spa")
    return {
        "nothing": "x",
        "dots": "..",
        "alg none": unsigned(good),
        "no signature": f"{head}.{body}.",
        "another signature": f"{head}.{body}.{signature[::-1]}",
        "another key": resigned(good, "RS256", generate_private_key(65537, 2048)),
        "HS256 with a public text": resigned(good, "HS256", "k" * 64),
        "another body": f"{head}.{urlsafe_b64encode(b'{}').decode()}.{signature}",
        "an access token": tokens["access_token"],
        "a refresh token": tokens["refresh_token"],
        "of another client": (await spa.exchanged(await spa.press(await spa.sign_in(), "allow")))["id_token"],
        "nested": "[" * 12000,
        "nested header": urlsafe_b64encode(b"[" * 9000).decode() + ".e30.e30",
        "too long": "a" * 17000,
        "not ASCII": good[:-1] + "\u00e9",
    }


async def test_A26_a_forged_hint_is_refused_in_one_voice(server: Server) -> None:
    browser = Browser(server)
    heard: dict[str, set[str]] = {"none": set(), "": set()}
    for hint in (await forged_hints(Browser(server))).values():
        for prompt, errors in heard.items():
            sent = shop_request() | {"prompt": prompt or None, "id_token_hint": hint}
            answer = await browser.post("/oauth2/authorize", {key: text for key, text in sent.items() if text})
            errors.add(refused(answer))
    assert heard == {"none": {"login_required", "invalid_request"}, "": {"invalid_request"}}
    assert browser.cookies == {}


async def test_A27_max_age_and_prompt_login_need_a_new_sign_in_with_a_new_auth_time(browser: Browser) -> None:
    first = browser.server.claims((await browser.tokens())["id_token"])
    for demand in ({"max_age": "1"}, {"max_age": "0"}, {"prompt": "login"}, {"prompt": "login consent"}):
        browser.server.clock.now += 2
        asked = await browser.authorize(**demand)
        assert 'id="sign-in-steam"' in asked.html
        assert 'id="sign-in-steam"' in (await browser.open("/login", request=own_request(asked))).html
        landed = await browser.prove(asked)
        landed = await browser.press(landed, "allow") if landed.html else landed
        again = browser.server.claims((await browser.exchanged(landed))["id_token"])
        assert again["auth_time"] == int(browser.server.clock.now) > first["auth_time"]
        assert again["sub"] == first["sub"]


async def test_A27_the_sign_in_of_one_request_satisfies_no_other(browser: Browser) -> None:
    first, second = [await browser.authorize(prompt="login") for _ in range(2)]
    assert "code" in (await browser.prove(first)).query
    assert 'id="sign-in-steam"' in (await browser.open("/login", request=own_request(second))).html
    for decision in ("continue", "allow"):
        own = (await browser.open("/login", request=own_request(second))).forms[0].fields
        answer = await browser.post("/login", {**own, "decision": decision})
        assert 'id="sign-in-steam"' in answer.text
    assert (await browser.authorize(**SILENT, max_age="0")).query["error"] == "login_required"
    page_or_error = await browser.authorize(max_age="-1")
    assert page_or_error.query["error"] == "invalid_request"
