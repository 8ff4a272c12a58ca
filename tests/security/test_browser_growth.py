"""What anybody can make this server write without signing in, and for how long it stays (F12)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.support.browser import COOKIE, Browser, shop_request
from tests.support.callbacks import altered, state_of, way_back
from tests.support.refusals import counts, page
from tests.support.server import Server, client, running
from tests.support.wire import FORM, ask

SIGN_INS, FAILURES = 20, 5
DAY = 86400


def edit(block: dict[str, Any]) -> None:
    block["limits"] = {"sign_ins_per_minute_per_address": SIGN_INS, "failures_per_minute_per_address": FAILURES}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@asynccontextmanager
async def from_address(server: Server, address: str) -> AsyncIterator[Browser]:
    async with client(server.app, address) as http:
        yield Browser(replace(server, http=http))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_F12_sign_ins_that_nobody_finishes_are_limited_at_each_address_and_forgotten(
    server: Server, method: str
) -> None:
    query = "&".join(f"{name}={value}" for name, value in shop_request().items()).replace(" ", "+").encode()
    target = b"/oauth2/authorize" + (b"?" + query if method == "GET" else b"")
    answers = [
        await ask(server.app, method, target, FORM, query if method == "POST" else b"") for _ in range(10 * SIGN_INS)
    ]
    assert [answer.status for answer in answers].count(429) == 9 * SIGN_INS
    assert all(int(answer.one(b"retry-after")) > 0 for answer in answers[SIGN_INS:])
    found = counts(server)
    assert found["requests"] == SIGN_INS
    assert found["browsers"] == (SIGN_INS if method == "GET" else 0)
    async with from_address(server, "127.0.0.2") as elsewhere:
        assert (await elsewhere.authorize()).status == 200

    server.clock.now += 3601
    await server.app.storage.sweep(int(server.clock.now), 1000)
    assert counts(server)["requests"] == 0
    server.clock.now += DAY
    await server.app.storage.sweep(int(server.clock.now), 1000)
    assert counts(server)["browsers"] == 0


async def test_F12_a_browser_is_kept_for_long_only_once_somebody_signed_in_there(server: Server) -> None:
    browser = Browser(server)
    (begun,) = (await browser.get("/oauth2/authorize", **shop_request())).headers.get_list("set-cookie")
    assert f"; Max-Age={DAY + 3600};" in begun
    server.clock.now += DAY - 1  # a sign-in begun on the first day has its whole time
    waiting = await browser.authorize()
    server.clock.now += 3599
    callback = await way_back(browser, waiting)
    (signed_in,) = (await browser.get(callback)).headers.get_list("set-cookie")
    assert f"; Max-Age={30 * DAY};" in signed_in
    for _ in range(29):
        server.clock.now += 12 * 3600 - 1
        await server.app.storage.sweep(int(server.clock.now), 1000)
        assert "code" in (await browser.authorize(prompt="none")).query


async def test_F12_requests_that_are_refused_leave_nothing(server: Server) -> None:
    before = counts(server)
    browser = Browser(server)
    for changes in (
        {"client_id": "nobody"},
        {"redirect_uri": "https://evil.test/"},
        {"scope": "x"},
        {"prompt": "none"},
    ):
        for _ in range(2 * SIGN_INS):
            await browser.get("/oauth2/authorize", **(shop_request() | changes))
    assert counts(server) == before
    assert (await browser.authorize()).status == 200


async def test_F12_visits_to_platforms_stay_few_however_often_a_browser_leaves_or_comes_back(server: Server) -> None:
    browser = Browser(server)
    begun = await browser.authorize()
    for _ in range(10 * FAILURES):
        callback = await way_back(browser, begun)
        page_shown = await browser.open(altered(callback, lambda pairs: [*pairs, ("openid.extra", "x")]))
        assert page_shown.status in {400, 429}
    assert counts(server)["trips"] <= FAILURES + 8
    for _ in range(20):
        await browser.press(begun, "sign-in-xbox")
    assert counts(server)["trips"] <= FAILURES + 8


async def test_F20_a_limit_that_others_at_the_address_reached_uses_up_no_visit(server: Server) -> None:
    noisy, player = Browser(server), Browser(server)
    callback = await way_back(player, await player.authorize())
    begun = await noisy.authorize()
    for _ in range(FAILURES):
        page(await noisy.open(f"/login/steam/callback?state={state_of(await way_back(noisy, begun))}"))
    throttled = await player.open(callback)
    page(throttled, 429)
    assert int(throttled.headers["retry-after"]) > 0
    async with from_address(server, "127.0.0.2") as later:
        later.cookies = {COOKIE: player.cookies[COOKIE]}
        assert "code" in (await later.open(callback)).query


async def test_E07_what_waits_in_one_browser_stays_eight_also_for_parked_requests(server: Server) -> None:
    browser = Browser(server)
    for number in range(SIGN_INS):
        async with from_address(server, f"127.0.1.{number}") as there:
            parked = await there.post_from_elsewhere("/oauth2/authorize", **there.request)
            there.cookies = browser.cookies
            await there.follow(parked)
    assert counts(server)["requests"] == 8
    assert counts(server)["browsers"] == 1


async def test_F13_the_codes_of_one_player_and_client_are_as_limited_as_their_tokens() -> None:
    def few(block: dict[str, Any]) -> None:
        block["limits"] = {"token_requests_per_minute": 5}

    async with running(edit=few) as server:
        browser = Browser(server)
        landed = [await browser.sign_in(), *[await browser.authorize(prompt="none") for _ in range(9)]]
        assert ["code" in each.query for each in landed] == [True] * 5 + [False] * 5
        page(landed[-1], 429)
        assert int(landed[-1].headers["retry-after"]) > 0
        assert counts(server)["grants"] == 5
