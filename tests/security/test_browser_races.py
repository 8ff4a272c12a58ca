"""Two tabs, two clicks, two sign-ins at the same moment: everybody has read before the first one writes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.browser import COOKIE, SHOP_CALLBACK, Browser
from tests.support.callbacks import way_back
from tests.support.gates import Gate
from tests.support.refusals import clients
from tests.support.server import Server, running
from tests.support.storage import rows

SILENT = {"prompt": "none"}
RACERS = 8


def edit(block: dict[str, object]) -> None:
    clients(block)["partner"] = {**clients(block)["shop"], "name": "Partner", "first_party": False}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, edit=edit) as started:
        yield started


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "authsrv.db"


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


@contextmanager
def gate(server: Server, step: str, parties: int) -> Iterator[Gate]:
    """Let nobody go on from this read of the storage until all have read."""
    found = Gate(parties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.app.storage, step, found.after(getattr(server.app.storage, step)))
        yield found


async def all_at_once(calls: Iterable[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    return await asyncio.gather(*calls)


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def codes(answers: list[httpx.Response]) -> list[str]:
    locations = [httpx.URL(answer.headers.get("location", "/")) for answer in answers]
    return [location.params["code"] for location in locations if "code" in location.params]


def open_sessions(database: Path) -> int:
    ((count,),) = rows(database, "SELECT count(*) FROM sessions WHERE ended_at IS NULL")
    assert isinstance(count, int)
    return count


def same_browser(browser: Browser, number: int) -> list[Browser]:
    """Tabs of one browser: they send the same cookie, and each sees only its own answer."""
    tabs = [Browser(browser.server) for _ in range(number)]
    for tab in tabs:
        tab.cookies = dict(browser.cookies)
    return tabs


@pytest.mark.parametrize("platform", ["steam", "xbox", "epicgames"])
async def test_D52_one_callback_many_times_at_once_signs_in_once(
    browser: Browser, database: Path, platform: str
) -> None:
    callback = await way_back(browser, await browser.authorize(), platform)
    tabs = same_browser(browser, RACERS)
    with gate(browser.server, "load_trip", RACERS):
        answers = await all_at_once(tab.get(callback) for tab in tabs)
    assert statuses(answers) == {302: 1, 400: RACERS - 1}
    assert open_sessions(database) == 1
    assert len({tab.cookies[COOKIE] for tab in tabs}) == 2  # the winner's is new
    (winner,) = [tab for tab in tabs if tab.cookies != browser.cookies]
    assert "code" in (await winner.authorize(**SILENT)).query
    assert (await browser.authorize(**SILENT)).query["error"] == "login_required"


@pytest.mark.parametrize("players", [("amber", "birch"), ("amber", "amber")], ids=["two players", "one player"])
@pytest.mark.parametrize("signed_in", [False, True], ids=["nobody before", "somebody before"])
async def test_two_sign_ins_that_end_at_once_in_one_browser_leave_one_session(
    browser: Browser, database: Path, players: tuple[str, str], signed_in: bool
) -> None:
    if signed_in:
        await browser.sign_in(player="cedar")
    begun = [await browser.authorize(prompt="login") for _ in players]
    callbacks = [
        await way_back(browser, page, platform, player)
        for page, platform, player in zip(begun, ("steam", "xbox"), players, strict=True)
    ]
    tabs = same_browser(browser, 2)
    with gate(browser.server, "load_trip", 2):
        answers = await all_at_once(tab.get(callback) for tab, callback in zip(tabs, callbacks, strict=True))
    assert statuses(answers) == {302: 1, 400: 1}
    assert open_sessions(database) == 1
    assert len({tab.cookies[COOKIE] for tab in tabs}) == 2


async def test_D49_first_sign_ins_of_one_player_in_many_browsers_are_one_player(server: Server, database: Path) -> None:
    browsers = [Browser(server) for _ in range(RACERS)]
    callbacks = [await way_back(each, await each.authorize()) for each in browsers]
    with gate(server, "load_ownership", RACERS):
        answers = await all_at_once(each.get(callback) for each, callback in zip(browsers, callbacks, strict=True))
    assert statuses(answers) == {302: RACERS}
    assert rows(database, "SELECT count(*) FROM players") == [(1,)]
    assert open_sessions(database) == RACERS
    for each in browsers:
        assert "code" in (await each.authorize(**SILENT)).query


@pytest.mark.parametrize("decision", ["allow", "deny", "both"])
async def test_A19_a_decision_made_many_times_at_once_is_made_once(
    browser: Browser, database: Path, decision: str
) -> None:
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    own = (await browser.sign_in()).forms[0].fields
    tabs = same_browser(browser, RACERS)
    decisions = ["allow", "deny"] * (RACERS // 2) if decision == "both" else [decision] * RACERS
    with gate(browser.server, "load_request", RACERS):
        answers = await all_at_once(
            tab.post("/login", {**own, "decision": each}) for tab, each in zip(tabs, decisions, strict=True)
        )
    assert statuses(answers) == {303: 1, 400: RACERS - 1}
    assert len(codes(answers)) == (decision == "allow") or decision == "both"
    assert rows(database, "SELECT count(*) FROM grants") == [(len(codes(answers)),)]
    assert rows(database, "SELECT count(*) FROM consents") == [(len(codes(answers)),)]


async def test_A19_a_request_that_is_opened_many_times_at_once_gives_one_code(browser: Browser, database: Path) -> None:
    begun = await browser.authorize()
    await browser.prove(await browser.authorize())
    handle = begun.forms[0].fields["request"]
    tabs = same_browser(browser, RACERS)
    with gate(browser.server, "load_request", RACERS):
        answers = await all_at_once(tab.get("/login", request=handle) for tab in tabs)
    assert statuses(answers) == {302: 1, 400: RACERS - 1}
    assert len(codes(answers)) == 1
    assert rows(database, "SELECT count(*) FROM grants") == [(2,)]


async def test_a_parked_request_is_taken_by_one_browser(server: Server) -> None:
    first = Browser(server)
    parked = await first.post_from_elsewhere("/oauth2/authorize", **first.request)
    handle = httpx.URL(parked.headers["location"]).params["request"]
    takers = [Browser(server) for _ in range(RACERS)]
    with gate(server, "load_request", RACERS):
        answers = await all_at_once(each.get("/login", request=handle) for each in takers)
    assert statuses(answers) == {302: 1, 400: RACERS - 1}
    (owner,) = [each for each in takers if each.cookies]
    assert (await owner.open("/login", request=handle)).status == 200
    for each in takers:
        assert each is owner or (await each.open("/login", request=handle)).status == 400


@pytest.mark.parametrize("player", ["amber", "birch"], ids=["the same player", "another player"])
async def test_a_sign_in_that_ends_while_the_player_signs_out_leaves_no_old_session(
    browser: Browser, database: Path, player: str
) -> None:
    await browser.sign_in()
    callback = await way_back(browser, await browser.authorize(prompt="login"), player=player)
    home = await browser.open("/login")
    tabs = same_browser(browser, 2)
    held = Gate(2)

    async def sign_out() -> httpx.Response:
        answer = await tabs[1].post("/oauth2/logout/confirm", home.find("sign-out")[0].fields)
        await held.wait()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(browser.server.app.storage, "load_trip", held.after(browser.server.app.storage.load_trip))
        answers = await all_at_once([tabs[0].get(callback), sign_out()])
    assert {answer.status_code for answer in answers} <= {200, 302, 400}
    assert open_sessions(database) <= 1
    ((old,),) = rows(database, "SELECT count(*) FROM sessions WHERE ended_at IS NULL AND auth_time < created_at")
    assert old == 0
    assert rows(database, "SELECT count(*) FROM sessions WHERE ended_reason = 'signed_out'") == [(1,)]


async def test_a_code_that_is_asked_for_while_the_player_signs_out_is_not_issued(
    browser: Browser, database: Path
) -> None:
    await browser.sign_in()
    home = await browser.open("/login")
    tabs = same_browser(browser, 2)
    storage = browser.server.app.storage
    genuine = storage.load_visit
    signed_out: list[httpx.Response] = []

    async def load_visit(browser_id: int, project: str, client_id: str) -> object:
        visit = await genuine(browser_id, project, client_id)
        if client_id and not signed_out:
            signed_out.append(await tabs[1].post("/oauth2/logout/confirm", home.find("sign-out")[0].fields))
        return visit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "load_visit", load_visit)
        landed = await tabs[0].authorize(**SILENT)
    assert [answer.status_code for answer in signed_out] == [200]
    assert landed.query["error"] == "login_required"
    assert rows(database, "SELECT count(*) FROM grants WHERE revoked_at IS NULL") == [(0,)]


async def test_E05_consent_is_not_taken_for_a_session_that_another_tab_replaces_at_that_moment(
    browser: Browser, database: Path
) -> None:
    browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
    consent = await browser.sign_in()
    replacing = await way_back(browser, await browser.authorize(prompt="login"), player="birch")
    storage = browser.server.app.storage
    genuine = storage.load_request
    replaced: list[int] = []

    async def load_request(request_id: int, browser_id: int) -> object:
        kept = await genuine(request_id, browser_id)
        if not replaced:
            replaced.append(0)
            replaced.append((await browser.get(replacing)).status_code)
        return kept

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "load_request", load_request)
        landed = await browser.press(consent, "allow")
    assert replaced == [0, 302]
    assert "code" not in landed.query
    assert rows(database, "SELECT count(*) FROM consents") == [(0,)]


async def test_a_choice_of_account_is_not_taken_for_another_that_comes_between_it_and_the_code(
    browser: Browser, database: Path
) -> None:
    await browser.sign_in()
    chosen = await browser.authorize(prompt="select_account")
    replacing = await way_back(browser, await browser.authorize(prompt="login"), player="birch")
    storage = browser.server.app.storage
    genuine = storage.load_request
    looks: list[int] = []

    async def load_request(request_id: int, browser_id: int) -> object:
        looks.append(0)
        if len(looks) == 2:  # the choice is noted, and what follows is looked up
            looks.append((await browser.get(replacing)).status_code)
        return await genuine(request_id, browser_id)

    before = rows(database, "SELECT count(*) FROM grants")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "load_request", load_request)
        landed = await browser.press(chosen, "continue")
    assert looks == [0, 0, 302]
    assert (landed.status, "code" in landed.query) == (400, False)
    assert rows(database, "SELECT count(*) FROM grants") == before
