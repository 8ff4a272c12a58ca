"""Rows A30 to A35, A39, A41, A42, E11 and E13 to E15: every page of the browser surface, its headers and its words."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from markupsafe import escape

from authsrv.platforms.base import OutboundResponse
from tests.support.browser import SHOP_CALLBACK, Browser, Page
from tests.support.refusals import clients, counts, demo, told_at
from tests.support.server import Server, running
from tests.support.wire import ask

COOKIE = "__Host-authsrv_sid"
HTTPS = "https://login.studio.example"
BYE = "https://shop.example/bye?from=login"
FRAME = "https://shop.example:8443/signed-out"
SILENT = {"prompt": "none"}
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def edit(block: dict[str, Any]) -> None:
    """An https server, not for development, with a client of every kind that shows other pages."""
    block |= {"issuer": HTTPS, "dev": False}
    demo(block)["look"] = {}
    shop = {**clients(block)["shop"], "redirect_uris": [SHOP_CALLBACK, "https://shop.example/cb"]}
    shop |= {"name": MARKUP, "post_logout_redirect_uris": [BYE]}
    clients(block)["shop"] = shop
    clients(block)["framed"] = {**shop, "frontchannel_logout_uri": FRAME}
    clients(block)["partner"] = {**shop, "first_party": False}
    clients(block)["launcher"]["redirect_uris"] += ["com.example.game:/callback"]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server).sent_by("shop", "https://shop.example/cb", "shop-secret")


async def login(browser: Browser) -> Page:
    return await browser.authorize()


async def choose(browser: Browser) -> Page:
    await browser.sign_in()
    return await browser.authorize(prompt="select_account")


async def consent(browser: Browser) -> Page:
    return await browser.sign_in(client_id="partner")


async def native_consent(browser: Browser) -> Page:
    return await browser.sent_by("launcher", "com.example.game:/callback").sign_in()


async def loopback_login(browser: Browser) -> Page:
    return await browser.sent_by("launcher", "http://127.0.0.1:51004/callback").authorize()


async def form_post(browser: Browser) -> Page:
    return await browser.authorize(response_mode="form_post", prompt="none")


async def stranger_home(browser: Browser) -> Page:
    return await browser.open("/login")


async def home(browser: Browser) -> Page:
    await browser.sign_in()
    return await browser.open("/login")


async def account_login(browser: Browser) -> Page:
    return await browser.open("/account")


async def account_login_over(browser: Browser) -> Page:
    begun = await browser.open("/account")
    await browser.prove(begun)
    return await browser.press(begun, "sign-in-steam")


async def account_deletion(browser: Browser) -> Page:
    await browser.sign_in()
    return await browser.open("/account/delete")


async def account_of_another(browser: Browser) -> Page:
    other = Browser(browser.server).sent_by("shop", "https://shop.example/cb")
    await other.sign_in("epicgames", "birch")
    await browser.sign_in()
    away = await browser.press(await browser.open("/account"), "link-epicgames")
    return await browser.press(away, "birch", case="good")


async def account_fault(browser: Browser) -> Page:
    await browser.sign_in()
    form, _ = (await browser.open("/account")).find("link-epicgames")
    return await browser.follow(await browser.post("/account", {**form.fields, "item": MARKUP}))


async def logout(browser: Browser) -> Page:
    await browser.sign_in()
    return await browser.open("/oauth2/logout", client_id="shop")


async def logged_out(browser: Browser) -> Page:
    return await browser.press(await logout(browser), "yes")


async def logged_out_with_frames(browser: Browser) -> Page:
    tokens = await browser.sent_by("framed", "https://shop.example/cb", "shop-secret").tokens()
    return await browser.open("/oauth2/logout", id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE)


async def done(browser: Browser) -> Page:
    begun = await browser.authorize()
    await browser.prove(begun)
    return await browser.press(begun, "sign-in-steam")


async def bad_redirect(browser: Browser) -> Page:
    return await browser.authorize(redirect_uri="https://evil.test/")


async def refused_by_platform(browser: Browser) -> Page:
    return await browser.prove(await browser.authorize(), case="openid-forged")


async def platform_down(browser: Browser) -> Page:
    return await browser.prove(await browser.authorize(), case="openid-check-503")


async def not_found(browser: Browser) -> Page:
    return await browser.open("/login/nowhere/at/all")


async def wrong_method(browser: Browser) -> Page:
    return await browser.open("/oauth2/logout/confirm")


async def cross_site(browser: Browser) -> Page:
    return await browser.follow(await browser.post_from_elsewhere("/login", decision="allow"))


async def too_large(browser: Browser) -> Page:
    return await browser.follow(await browser.post("/login", {"csrf": "x" * 10_000}))


async def too_long(browser: Browser) -> Page:
    return await browser.open("/oauth2/authorize", state="x" * 30_000)


Visit = Callable[[Browser], Awaitable[Page]]
ANYWHERE = "'self' https:"
PAGES: Mapping[Visit, tuple[int, str]] = {
    login: (200, ANYWHERE),
    choose: (200, ANYWHERE),
    consent: (200, ANYWHERE),
    native_consent: (200, f"{ANYWHERE} com.example.game:"),
    loopback_login: (200, f"{ANYWHERE} http://127.0.0.1:*"),
    form_post: (200, "https:"),
    stranger_home: (200, "'none'"),
    home: (200, ANYWHERE),
    account_login: (200, ANYWHERE),
    account_login_over: (400, "'none'"),
    account_deletion: (200, "'self'"),
    account_of_another: (200, "'self'"),
    account_fault: (404, "'none'"),
    logout: (200, ANYWHERE),
    logged_out: (200, "'none'"),
    logged_out_with_frames: (200, "'none'"),
    done: (400, "'none'"),
    bad_redirect: (400, "'none'"),
    refused_by_platform: (400, "'none'"),
    platform_down: (503, "'none'"),
    not_found: (404, "'none'"),
    wrong_method: (405, "'none'"),
    cross_site: (403, "'none'"),
    too_large: (413, "'none'"),
    too_long: (414, "'none'"),
}
"""Every page there is: its status, and where its form may end (`form-action`)."""


@pytest.mark.parametrize("visit", PAGES, ids=lambda visit: visit.__name__)
async def test_A30_A34_A35_E13_E14_E15_every_page_has_exactly_these_headers(browser: Browser, visit: Visit) -> None:
    status, form_action = PAGES[visit]
    shown = await visit(browser)
    assert shown.status == status, shown.html
    wanted = {
        "cache-control": "no-store",
        "content-type": "text/html; charset=utf-8",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "strict-transport-security": "max-age=63072000; includeSubDomains",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    assert {name: shown.headers.get_list(name) for name in wanted} == {name: [text] for name, text in wanted.items()}
    (policy,) = shown.headers.get_list("content-security-policy")
    (nonce,) = re.findall(r"style-src 'nonce-([\w-]{22})'", policy)
    script = f"script-src 'nonce-{nonce}'; " if visit is form_post else ""
    frames = "frame-src https://shop.example:8443; " if visit is logged_out_with_frames else ""
    assert policy == (
        f"default-src 'none'; style-src 'nonce-{nonce}'; {script}{frames}"
        f"base-uri 'none'; frame-ancestors 'none'; form-action {form_action}"
    )


@pytest.mark.parametrize("visit", PAGES, ids=lambda visit: visit.__name__)
async def test_A35_E11_no_page_takes_a_hostile_name_for_markup(browser: Browser, visit: Visit) -> None:
    shown = await visit(browser)
    assert MARKUP not in shown.html
    assert "alert(1)" not in re.sub(r"<[^<>]*>", "", shown.html.replace(str(escape(MARKUP)), ""))
    assert not re.search(r"<[^<>]*\son\w+=", shown.html)
    assert len(re.findall(r"<script", shown.html)) == (visit is form_post)


async def test_A35_a_hostile_name_from_the_platform_is_text_on_every_page(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbound = browser.server.outbounds["steam"]
    genuine = outbound._send

    async def send(request: httpx.Request, max_body: int) -> OutboundResponse:
        answer = await genuine(request, max_body)
        body = answer.body.replace(b'"Amber"', b'"<b>\\"\'&{{7*7}}</b>"')
        return OutboundResponse(answer.status, answer.headers, body)

    monkeypatch.setattr(outbound, "_send", send)
    await browser.sign_in()
    for shown in (
        await browser.open("/login"),
        await browser.authorize(prompt="select_account"),
        await browser.authorize(prompt="consent"),
        await browser.open("/oauth2/logout"),
    ):
        assert "&lt;b&gt;&#34;&#39;&amp;{{7*7}}&lt;/b&gt;" in shown.html
        assert "<b>" not in shown.html


@pytest.mark.parametrize(
    "name", ["error_hint", "error", "error_description", "login_hint", "ui_locales", "notice", "done"]
)
async def test_A35_no_page_repeats_what_an_address_says(browser: Browser, name: str) -> None:
    for path in CLOSED:
        shown = await browser.open(path, **{name: MARKUP, "request": "x"})
        assert "alert(1)" not in shown.html
    shown = await browser.authorize(**{name: MARKUP})
    assert "alert(1)" not in shown.html.replace(str(escape(MARKUP)), "")


@pytest.mark.parametrize("locale", ["xx", "../../etc", "<script>", "de\r\nX: y", "\u00e9", "en," * 600, "*;q=9", "-"])
async def test_A35_the_language_is_one_of_ours_whatever_is_asked_for(browser: Browser, locale: str) -> None:
    shown = await browser.authorize(ui_locales=locale)
    assert shown.headers["content-language"] == ("de" if locale.startswith("de") else "en")
    query = f"/login?request={shown.forms[0].fields['request']}".encode()
    cookie = f"{COOKIE}={browser.cookies[COOKIE]}".encode()
    accepted = locale.encode().replace(b"\r\n", b"")
    headers = [(b"host", b"login.studio.example"), (b"cookie", cookie), (b"accept-language", accepted)]
    answer = await ask(browser.server.app, "GET", query, headers)
    assert answer.one(b"content-language") in {"en", "de"}


async def test_A34_pages_load_nothing_from_elsewhere_and_redirects_tell_no_referrer(browser: Browser) -> None:
    for visit in (login, consent, home):
        shown = await visit(Browser(browser.server).sent_by("shop", "https://shop.example/cb"))
        assert re.findall(r'(?:src|srcset|data|poster|background)="', shown.html) == []
        assert "<link" not in shown.html
        assert "@import" not in shown.html
        assert "url(" not in shown.html
    begun = await browser.get("/oauth2/authorize", **browser.request)
    gone = await browser.post("/login/steam", (await browser.authorize(prompt="login")).forms[0].fields)
    for answer in (begun, gone):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_A31_after_a_form_the_browser_goes_on_by_GET(browser: Browser) -> None:
    own = (await browser.authorize()).forms[0].fields
    sent = {name: text for name, text in browser.request.items() if text}
    answers = [await browser.post("/oauth2/authorize", sent), await browser.post("/login/steam", own)]
    answers += [await browser.post("/login", {**own, "decision": "cancel"})]
    shown = await browser.sign_in(client_id="partner")
    answers += [await browser.post("/login", {**shown.forms[0].fields, "decision": "allow"})]
    answers += [await browser.post("/oauth2/logout/confirm", {"decision": "no"})]
    own = (await browser.open("/account")).find("withdraw")[0].fields
    answers += [await browser.post("/account", {**own, "decision": "withdraw"})]
    answers += [await browser.post_from_elsewhere("/oauth2/logout", client_id="shop")]
    assert [answer.status_code for answer in answers] == [303] * 7


CLOSED = ["/oauth2/authorize", "/login", "/login/steam", "/login/steam/callback", "/oauth2/logout", "/login/nowhere"]
CLOSED += ["/account", "/account/delete"]


@pytest.mark.parametrize("path", [*CLOSED, "/oauth2/logout/confirm"])
async def test_A32_no_page_may_be_read_or_asked_for_by_another_origin(server: Server, path: str) -> None:
    for origin in ("https://evil.test", "null", HTTPS, "http://127.0.0.1:8080"):
        asked = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "a"}
        for answer in (
            await server.http.options(path, headers=asked),
            await server.http.get(path, headers={"origin": origin}),
            await server.http.post(path, headers={"origin": origin}),
        ):
            assert [name for name in answer.headers if name.startswith("access-control-")] == []
            assert answer.request.method != "OPTIONS" or answer.status_code == 405


@pytest.mark.parametrize("mode", ["query", "form_post"])
async def test_A33_the_issuer_is_named_in_every_answer_to_a_client(browser: Browser, mode: str) -> None:
    metadata = (await browser.server.http.get("/.well-known/openid-configuration")).json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    answers = [await browser.authorize(response_mode=mode, **SILENT)]
    answers += [await browser.authorize(response_mode=mode, scope="nothing")]
    answers += [await browser.press(await browser.authorize(response_mode=mode), "cancel")]
    answers += [await browser.prove(await browser.authorize(response_mode=mode), case="openid-cancelled")]
    answers += [await browser.sign_in(response_mode=mode), await browser.authorize(response_mode=mode, **SILENT)]
    assert [each.answer["iss"] for each in answers] == [HTTPS] * 6
    assert ["code" in each.answer for each in answers] == [False] * 4 + [True] * 2


# Where requests come from


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"evil.test", 421),
        (b"login.studio.example.evil.test", 421),
        (b"login.studio.example:444", 421),
        (b"login.studio.example@evil.test", 400),
        (b"a/b?", 400),
        (b"login.studio.example/../", 400),
        (b"", 400),
        (b"login.studio.example evil.test", 400),
        (b"\xff", 400),
    ],
)
@pytest.mark.parametrize("path", ["/login", "/oauth2/authorize", "/oauth2/logout", "/login/steam/callback", "/account"])
async def test_A39_a_request_for_another_host_gets_a_page_that_does_not_repeat_it(
    server: Server, path: str, host: bytes, status: int
) -> None:
    answer = await ask(server.app, "GET", path.encode(), [(b"host", host)])
    assert (answer.status, answer.location) == (status, "")
    assert b"evil" not in answer.body
    assert "frame-ancestors 'none'" in answer.one(b"content-security-policy")


async def test_A39_two_hosts_or_none_are_refused(server: Server) -> None:
    for hosts in ([b"login.studio.example", b"evil.test"], [b"login.studio.example"] * 2):
        answer = await ask(server.app, "GET", b"/login", [(b"host", host) for host in hosts])
        assert answer.status == 400


POISON = {
    "x-forwarded-host": "evil.test",
    "x-forwarded-proto": "http",
    "x-forwarded-port": "81",
    "x-forwarded-prefix": "/evil.test",
    "x-forwarded-for": "198.51.100.9",
    "forwarded": "host=evil.test;proto=http;for=198.51.100.9",
    "x-original-url": "/evil.test",
    "x-rewrite-url": "/evil.test",
    "x-http-method-override": "POST",
}


async def test_A39_links_forms_cookies_and_redirects_come_from_the_configuration_only(server: Server) -> None:
    browser = Browser(server, **POISON).sent_by("partner", "https://shop.example/cb", "shop-secret")
    begun = await browser.get("/oauth2/authorize", **browser.request)
    assert begun.headers["location"].startswith(f"{HTTPS}/login?request=")
    assert list(browser.cookies) == [COOKIE]
    shown = await browser.follow(begun)
    assert {button.action for button in shown.forms[0].buttons} - {""} == {
        f"{HTTPS}/login/{name}" for name in ("steam", "xbox", "epicgames")
    }
    gone = await browser.post("/login/steam", shown.forms[0].fields)
    assert "return_to=https%3A%2F%2Flogin.studio.example%2Flogin%2Fsteam%2Fcallback" in gone.headers["location"]
    landed = await browser.press(await browser.press(await browser.follow(gone), "amber", case="good"), "allow")
    assert told_at(landed.url)[0] == "https://shop.example/cb"
    assert "evil" not in begun.text + shown.html + gone.text + landed.url


# What a method does

METHODS = {
    "/oauth2/authorize": "GET, POST",
    "/login": "GET, POST",
    "/account": "GET, POST",
    "/account/delete": "GET, POST",
    "/login/steam": "POST",
    "/login/steam/callback": "GET",
    "/oauth2/logout": "GET, POST",
    "/oauth2/logout/confirm": "POST",
}


@pytest.mark.parametrize(
    "method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "GET", "POST", "get", "QUERY"]
)
@pytest.mark.parametrize("path", METHODS)
async def test_A42_another_method_does_nothing_and_is_told_which_ones_do(
    browser: Browser, path: str, method: str
) -> None:
    if method in METHODS[path].split(", "):
        return
    away = await browser.post("/login/steam", (await browser.authorize()).forms[0].fields)
    before = counts(browser.server)
    query = httpx.QueryParams({**browser.request, "decision": "yes"}).__str__().encode()
    cookie = f"{COOKIE}={browser.cookies[COOKIE]}".encode()
    headers = [(b"host", b"login.studio.example"), (b"cookie", cookie), (b"x-http-method-override", b"POST")]
    answer = await ask(browser.server.app, method, path.encode() + b"?" + query, headers)
    assert (answer.status, answer.one(b"allow")) == (405, METHODS[path])
    assert answer.all(b"set-cookie") == []
    assert counts(browser.server) == before
    assert (await browser.follow(away)).status == 200


async def test_A42_HEAD_on_a_parked_request_or_a_callback_takes_nothing(browser: Browser) -> None:
    parked = await browser.post_from_elsewhere("/oauth2/authorize", **browser.request)
    target = parked.headers["location"].removeprefix(HTTPS).encode()
    host = [(b"host", b"login.studio.example")]
    assert (await ask(browser.server.app, "HEAD", target, host)).status == 405
    assert (await browser.open(target.decode())).status == 200


# Consent


async def test_A41_consent_names_the_client_its_pages_and_every_scope_and_no_other(browser: Browser) -> None:
    shown = await browser.sign_in(client_id="partner", scope="openid profile admin")
    items = re.findall(r"<li>(.*?)</li>", shown.html.partition('<ul class="scopes">')[2].partition("</ul>")[0])
    assert items == [
        "Recognise you by a player ID that stays the same",
        "See your profile, such as your player name",
    ]
    assert f"<bdi>{escape(MARKUP)}</bdi> asks for access" in shown.html
    assert "shop.example" in shown.html
