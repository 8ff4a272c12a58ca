"""Rows E01, E02, E03 and E09: what the cookie is, whose it is, and when it changes."""

import re
from collections.abc import AsyncIterator, Mapping

import pytest

from tests.support.browser import COOKIE, Browser, Page, shop_request
from tests.support.refusals import page, refused, tables
from tests.support.server import Server, running
from tests.support.wire import Answer, ask

SECURE = "__Host-authsrv_sid"
SILENT = {"prompt": "none"}


def https(block: dict[str, object]) -> None:
    block["issuer"] = "https://login.studio.example"


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
