"""What else an attacker with a week would try at the browser sign-in, beyond the rows of the checklist."""

import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import httpx
import pytest

from authsrv.oauth.browser import browsers
from tests.support.browser import COOKIE, SHOP_CALLBACK, Browser, shop_request
from tests.support.callbacks import state_of, way_back
from tests.support.refusals import counts, page, tables, told_at
from tests.support.server import Server, running

SILENT = {"prompt": "none"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def is_signed_in(browser: Browser) -> bool:
    return "code" in (await browser.authorize(**SILENT)).query


# Cookies


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/oauth2/authorize", 303),
        ("/oauth2/logout", 303),
        ("/oauth2/logout/confirm", 403),
        ("/login", 403),
        ("/login/steam", 403),
        ("/account", 403),
        ("/account/delete", 403),
    ],
)
async def test_a_form_of_another_site_puts_no_other_cookie_in_place_of_the_players(
    browser: Browser, path: str, status: int
) -> None:
    await browser.sign_in()
    before = browser.cookies[COOKIE]
    answer = await browser.post_from_elsewhere(path, **shop_request())
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)
    assert browser.cookies[COOKIE] == before
    assert await is_signed_in(browser)


async def test_a_parked_request_that_somebody_is_lured_to_is_theirs_and_never_again_the_one_who_parked_it(
    server: Server,
) -> None:
    attacker, victim = Browser(server), Browser(server)
    parked = await attacker.post_from_elsewhere("/oauth2/authorize", **attacker.request)
    handle = told_at(parked.headers["location"])[1]["request"]
    shown = await victim.open("/login", request=handle)
    page(await attacker.open("/login", request=handle))
    assert attacker.cookies == {}
    page(await attacker.follow(await attacker.post("/login", {**shown.forms[0].fields, "decision": "cancel"})))
    assert "code" in (await victim.prove(shown)).query
    page(await attacker.open("/login", request=handle))


async def test_a_parked_request_is_nobodys_form_before_a_browser_came_for_it(server: Server) -> None:
    browser = Browser(server)
    await browser.sign_in()
    parked = await browser.post_from_elsewhere("/oauth2/authorize", **browser.request)
    handle = told_at(parked.headers["location"])[1]["request"]
    request_id = max(tables(server).requests)
    unbound = hmac.digest(b"", f"0\0{request_id}".encode(), "sha256").hex()[:32]
    for csrf in ("", unbound):
        for path in ("/login", "/login/steam"):
            answer = await browser.post(path, {"request": handle, "csrf": csrf, "decision": "allow"})
            assert answer.status_code in {400, 403}
            assert "location" not in answer.headers


async def test_a_parked_request_is_gone_after_its_hour(server: Server) -> None:
    browser = Browser(server)
    parked = await browser.post_from_elsewhere("/oauth2/authorize", **browser.request)
    server.clock.now += 3600
    page(await browser.follow(parked))
    assert browser.cookies == {}


async def test_a_browser_that_keeps_no_cookie_is_told_so_and_goes_in_no_circle(server: Server) -> None:
    browser = Browser(server)
    begun = await browser.get("/oauth2/authorize", **browser.request)
    browser.cookies.clear()
    html = page(await browser.follow(begun))
    assert "ookie" in html
    assert browser.cookies == {}


# Comparisons


def recorded(patch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that is compared in constant time from now on."""
    seen: list[bytes] = []
    genuine: Callable[[Any, Any], bool] = hmac.compare_digest

    def compare(left: bytes, right: bytes) -> bool:
        seen.extend((left, right))
        return genuine(left, right)

    patch.setattr(browsers, "compare_digest", compare)
    patch.setattr(hmac, "compare_digest", compare)  # as `upstream` names it
    return seen


async def test_cookies_forms_and_states_are_compared_in_constant_time(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await browser.authorize()
    callback = await way_back(browser, begun)
    with monkeypatch.context() as patch:
        seen = recorded(patch)
        cookie = browser.cookies[COOKIE]
        await browser.open("/login", request=begun.forms[0].fields["request"])
        assert sha256(cookie.encode()).digest() in seen
        await browser.post("/login", {**begun.forms[0].fields, "csrf": "forged", "decision": "allow"})
        assert b"forged" in seen
        await browser.open(callback)
        assert sha256(state_of(callback).encode()).digest() in seen


async def test_a_cookie_or_state_with_the_right_row_and_the_wrong_secret_is_nobodys(server: Server) -> None:
    mine, other = Browser(server), Browser(server)
    await other.sign_in()
    callback = await way_back(mine, await mine.authorize())
    stranger = await way_back(other, await other.authorize(prompt="login"))
    spliced = other.cookies[COOKIE][:26] + mine.cookies[COOKIE][26:]
    thief = Browser(server)
    thief.cookies[COOKIE] = spliced
    assert not await is_signed_in(thief)
    crossed = state_of(callback)[:26] + state_of(stranger)[26:]
    page(await mine.open(callback.replace(state_of(callback), crossed)))
    assert "code" in (await mine.open(callback)).query


# Issuers


async def test_an_issuer_with_a_path_has_every_address_below_it_and_one_cookie_for_the_host() -> None:
    issuer = "https://studio.example/players/login"

    async with running(edit=lambda block: block.update(issuer=issuer, dev=False)) as server:
        transport = httpx.ASGITransport(server.app)
        behind_proxy = httpx.AsyncClient(transport=transport, base_url="https://studio.example")  # it strips the path
        browser = Browser(replace(server, http=behind_proxy))
        begun = await browser.get("/oauth2/authorize", **browser.request)
        assert begun.headers["location"].startswith(f"{issuer}/login?request=")
        (cookie,) = begun.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-authsrv_sid=")
        assert "; Path=/;" in cookie
        shown = await browser.follow(begun)
        assert {form.action for form in shown.forms} == {f"{issuer}/login"}
        landed = await browser.prove(shown)
        assert told_at(landed.url)[0] == SHOP_CALLBACK
        assert landed.query["iss"] == issuer
        page(await browser.follow(await browser.post("/login", {}, origin="https://evil.test")), 403)
        own = {"origin": "https://studio.example"}
        home = await browser.open("/login")
        assert (await browser.post("/oauth2/logout/confirm", home.find("sign-out")[0].fields, **own)).status_code == 200
        assert not await is_signed_in(browser)


# What a client can learn


@pytest.mark.parametrize("prompt", ["none", None])
async def test_a_hint_tells_a_stranger_nothing_about_who_is_signed_in(browser: Browser, prompt: str | None) -> None:
    """Any of our tokens but this client's own id_token is the same mistake, whoever is signed in."""
    tokens = await browser.tokens()
    spa = Browser(browser.server).sent_by("spa", "http://127.0.0.1:8080/demo/spa")
    spa.cookies = browser.cookies
    heard = []
    for hint in (tokens["id_token"], tokens["access_token"], tokens["id_token"][:-1]):
        for who in (spa, Browser(browser.server).sent_by("spa", "http://127.0.0.1:8080/demo/spa")):
            landed = await who.authorize(id_token_hint=hint, prompt=prompt)
            heard.append((landed.query["error"], landed.query["error_description"]))
    assert len(set(heard)) == 1


async def test_no_secret_of_the_sign_in_reaches_the_client_or_its_address(browser: Browser) -> None:
    begun = await browser.authorize()
    callback = await way_back(browser, begun, "epicgames")
    landed = await browser.open(callback)
    own = begun.forms[0].fields
    for secret in (state_of(callback), own["csrf"], own["request"], browser.cookies[COOKIE]):
        assert secret not in landed.url
    assert counts(browser.server)["sessions"] == 1
