"""Rows E07, E08, E10, A26 and A27: how long a player stays signed in, and what a client may say about who it is."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.support.browser import COOKIE, Browser, Page, shop_request
from tests.support.refusals import counts, page, refused
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
    landed = await browser.authorize(prompt="none")
    return "code" in landed.query or landed.query["error"] == "consent_required"


def own_request(page: Page) -> str:
    """The handle of the request that a page's form is about."""
    return page.forms[0].fields["request"]


async def test_E07_the_newest_eight_pending_sign_ins_of_a_browser_stay_and_the_cookie_stays_short(
    browser: Browser,
) -> None:
    begun = [await browser.authorize() for _ in range(200)]
    assert counts(browser.server)["requests"] == 8
    assert counts(browser.server)["browsers"] == 1
    assert len(browser.cookies[COOKIE]) < 100
    page(await browser.open("/login", request=own_request(begun[-9])))
    assert "code" in (await browser.prove(begun[-8])).query


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
