"""Whom access tokens are for: `audience` and `resource` (RFC 8707), by every way in which a client can ask."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from copy import deepcopy
from typing import Any

import httpx
import pytest

from authsrv.config import Config
from authsrv.models import TOKEN_EXCHANGE
from tests.support.browser import SHOP_CALLBACK, Browser, Page, shop_request
from tests.support.refusals import clients, demo
from tests.support.server import ISSUER, Server, launcher_request, running

API, MATCH = "https://api.studio.example", "https://match.studio.example/v1?region=eu"
URN, NAME, FRAGMENT = "urn:studio:chat", "leaderboards", "https://web.studio.example/#x"
LISTED = [API, MATCH, URN, NAME, FRAGMENT]
DEFAULT = ["https://default.studio.example", "https://other.studio.example"]

EXCHANGING = ["authorization_code", "refresh_token", TOKEN_EXCHANGE]

Names = Mapping[str, str | list[str]]
"""The parameters that name audiences; a list is sent as repetitions."""
Answer = list[str] | str
"""The audiences of the token that comes of a request in the end, or the error that it ends with."""


def with_audiences(block: dict[str, Any]) -> None:
    for name in ("shop", "launcher", "backend"):
        clients(block)[name]["audiences"] = LISTED
    clients(block)["launcher"]["grants"] = EXCHANGING
    demo(block)["default_audience"] = DEFAULT


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_audiences) as started:
        yield started


def answered(server: Server, answer: httpx.Response) -> Answer:
    body = answer.json()
    if answer.status_code != 200:
        assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store")
        return str(body["error"])
    aud = server.claims(body["access_token"])["aud"]
    assert isinstance(aud, str) or len(aud) > 1
    return [aud] if isinstance(aud, str) else list(aud)


async def post(server: Server, path: str, fields: Mapping[str, Any]) -> httpx.Response:
    return await server.http.post(path, data={name: value for name, value in fields.items() if value is not None})


async def at_landing(browser: Browser, page: Page) -> Answer:
    if "error" in page.answer:
        return page.answer["error"]
    return answered(browser.server, await browser.redeem(page.answer["code"]))


async def authorize(server: Server, names: Names) -> Answer:
    """A browser that is signed in already."""
    browser = Browser(server)
    await browser.sign_in(prompt="login")
    sent = {name: value for name, value in (shop_request() | dict(names)).items() if value is not None}
    answer = await server.http.get("/oauth2/authorize", params=sent, headers=browser._own())
    return await at_landing(browser, await browser.follow(answer))


async def authorize_by_post(server: Server, names: Names) -> Answer:
    """A browser whose request is kept until it has signed in."""
    browser = Browser(server)
    answer = await post(server, "/oauth2/authorize", shop_request() | dict(names))
    page = await browser.follow(answer)
    return await at_landing(browser, page if "error" in page.answer else await browser.prove(page))


async def silent(server: Server, names: Names) -> Answer:
    credential = server.mint("steam").parameters
    answer = await post(server, "/oauth2/social/steam/cross_auth", launcher_request() | dict(credential) | dict(names))
    if answer.status_code != 200:
        return answered(server, answer)
    return answered(server, await server.redeem(httpx.URL(answer.json()["login_url"]).params["code"]))


async def silent_by_redirect(server: Server, names: Names) -> Answer:
    sent = launcher_request() | dict(server.mint("steam").parameters) | dict(names) | {"is_redirect": "true"}
    answer = await server.http.get("/oauth2/social/steam/cross_auth", params=sent)
    told = httpx.URL(answer.headers["location"]).params
    return told["error"] if "error" in told else answered(server, await server.redeem(told["code"]))


async def own_token(server: Server, names: Names) -> Answer:
    fields = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": "backend-secret"}
    return answered(server, await post(server, "/oauth2/token", fields | dict(names)))


async def exchange(server: Server, names: Names) -> Answer:
    fields = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "launcher",
        "subject_token": server.mint("steam").parameters["session_ticket"],
        "subject_token_type": "urn:authsrv:params:oauth:token-type:steam:session_ticket",
    }
    return answered(server, await post(server, "/oauth2/token", fields | dict(names)))


async def code(server: Server, names: Names, granted: str | None = " ".join(LISTED)) -> Answer:
    return answered(server, await server.redeem(await server.code("steam", audience=granted), **named(names)))


async def refresh(server: Server, names: Names, granted: str | None = " ".join(LISTED)) -> Answer:
    tokens = await server.login("steam", audience=granted)
    return answered(server, await server.refresh(tokens["refresh_token"], **named(names)))


def named(names: Names) -> dict[str, Any]:
    """The same for helpers that take texts; httpx repeats a name whose value is a list."""
    return dict(names)


Door = Callable[[Server, Names], Awaitable[Answer]]
LOGINS: tuple[Door, ...] = (authorize, authorize_by_post, silent, silent_by_redirect, own_token, exchange)
REDEMPTIONS: tuple[Door, ...] = (code, refresh)
DOORS = (*LOGINS, *REDEMPTIONS)


def named_door(door: Door) -> str:
    return door.__name__


GIVEN: Mapping[str, tuple[Names, list[str]]] = {
    "a resource": ({"resource": API}, [API]),
    "an audience": ({"audience": API}, [API]),
    "a resource with a query": ({"resource": MATCH}, [MATCH]),
    "a resource that is no web address": ({"resource": URN}, [URN]),
    "an audience that is no address": ({"audience": NAME}, [NAME]),
    "an audience with a fragment": ({"audience": FRAGMENT}, [FRAGMENT]),
    "two resources": ({"resource": [MATCH, API]}, [MATCH, API]),
    "two audiences": ({"audience": [NAME, API]}, [NAME, API]),
    "audiences in one text": ({"audience": f"{API}  {NAME} "}, [API, NAME]),
    "both parameters": ({"resource": MATCH, "audience": [API, NAME]}, [API, NAME, MATCH]),
    "both parameters with the same": ({"resource": [API, API], "audience": API}, [API]),
    "one that is empty": ({"resource": ["", API]}, [API]),
    "sixteen times the same": ({"resource": [API] * 16}, [API]),
}
REFUSED: Mapping[str, tuple[Names, str]] = {
    "an unknown resource": ({"resource": "https://elsewhere.example"}, "invalid_target"),
    "an unknown audience": ({"audience": "elsewhere"}, "invalid_target"),
    "a good and an unknown resource": ({"resource": [API, "https://elsewhere.example"]}, "invalid_target"),
    "a good audience and an unknown resource": (
        {"audience": API, "resource": "https://elsewhere.example"},
        "invalid_target",
    ),
    "a slash more": ({"resource": API + "/"}, "invalid_target"),
    "other case": ({"resource": API.upper()}, "invalid_target"),
    "a part of one": ({"resource": MATCH.partition("?")[0]}, "invalid_target"),
    "a fragment": ({"resource": FRAGMENT}, "invalid_target"),
    "a listed audience that is no address": ({"resource": NAME}, "invalid_target"),
    "a relative address": ({"resource": "//api.studio.example"}, "invalid_target"),
    "another separator": ({"audience": f"{API}\t{NAME}"}, "invalid_target"),
    "a list in JSON": ({"resource": f'["{API}"]'}, "invalid_target"),
    "another script": ({"resource": "https://\u0430pi.studio.example"}, "invalid_target"),
    "this server": ({"resource": ISSUER}, "invalid_target"),
    "seventeen times the same": ({"resource": [API] * 17}, "invalid_request"),
    "one too long": ({"resource": API + "/" + "x" * 5000}, "invalid_request"),
    "all together too long": ({"audience": [API + "/" + "x" * 300] * 14}, "invalid_request"),
    "a NUL in the second": ({"resource": [API, "https://\0"]}, "invalid_request"),
}


@pytest.mark.parametrize("door", DOORS, ids=named_door)
@pytest.mark.parametrize("case", GIVEN)
async def test_a_token_is_for_the_audiences_that_were_named(server: Server, door: Door, case: str) -> None:
    names, audiences = GIVEN[case]
    assert await door(server, names) == audiences


@pytest.mark.parametrize("door", [door for door in DOORS if door is not silent_by_redirect], ids=named_door)
@pytest.mark.parametrize("case", REFUSED)
async def test_B36_an_audience_that_may_not_be_asked_for_is_refused(server: Server, door: Door, case: str) -> None:
    names, error = REFUSED[case]
    assert await door(server, names) == error


@pytest.mark.parametrize("case", REFUSED)
async def test_a_redirect_of_a_silent_login_calls_it_a_wrong_parameter(server: Server, case: str) -> None:
    assert await silent_by_redirect(server, REFUSED[case][0]) == "invalid_request"


@pytest.mark.parametrize("door", LOGINS, ids=named_door)
@pytest.mark.parametrize("names", [{}, {"resource": "", "audience": ["", ""]}], ids=["absent", "empty"])
async def test_without_one_a_token_is_for_the_default_audience(server: Server, door: Door, names: Names) -> None:
    assert await door(server, names) == DEFAULT


async def test_a_token_without_audience_of_a_project_without_default_is_for_the_issuer() -> None:
    def with_exchange(block: dict[str, Any]) -> None:
        clients(block)["launcher"]["grants"] = EXCHANGING

    async with running(edit=with_exchange) as server:
        for door in LOGINS:
            assert await door(server, {}) == [ISSUER]


NARROWING: Mapping[str, tuple[str | None, Names, Answer]] = {
    "all that was granted": (f"{API} {MATCH}", {}, [API, MATCH]),
    "a part of it": (f"{API} {MATCH}", {"resource": MATCH}, [MATCH]),
    "a listed one that was not granted": (API, {"resource": MATCH}, "invalid_target"),
    "a granted and another listed one": (API, {"resource": [API, MATCH]}, "invalid_target"),
    "the default one, granted another": (API, {"resource": DEFAULT[0]}, "invalid_target"),
    "a listed one, granted none": (None, {"resource": API}, "invalid_target"),
    "a part of the default, granted none": (None, {"resource": DEFAULT[1]}, [DEFAULT[1]]),
    "the whole default, granted none": (None, {"audience": " ".join(DEFAULT)}, DEFAULT),
    "more than the default, granted none": (None, {"resource": [DEFAULT[0], API]}, "invalid_target"),
}


@pytest.mark.parametrize("door", [code, refresh], ids=named_door)
@pytest.mark.parametrize("case", NARROWING)
async def test_B36_a_code_or_refresh_token_gives_no_more_than_was_granted(
    server: Server, door: Callable[[Server, Names, str | None], Awaitable[Answer]], case: str
) -> None:
    granted, names, answer = NARROWING[case]
    assert await door(server, names, granted) == answer


async def test_the_issuer_may_be_named_where_it_is_the_default() -> None:
    async with running() as server:
        for door in (code, refresh):
            assert await door(server, {"resource": ISSUER}, None) == [ISSUER]


async def test_a_narrowed_token_leaves_the_grant_as_it_was(server: Server) -> None:
    both = f"{API} {MATCH}"
    first = await server.redeem(await server.code("steam", audience=both), resource=API)
    assert answered(server, first) == [API]
    second = await server.refresh(first.json()["refresh_token"], resource=MATCH)
    assert answered(server, second) == [MATCH]
    third = await server.refresh(second.json()["refresh_token"])
    assert answered(server, third) == [API, MATCH]


async def test_a_refused_audience_costs_neither_code_nor_refresh_token(server: Server) -> None:
    code = await server.code("steam", audience=API)
    assert answered(server, await server.redeem(code, resource=MATCH)) == "invalid_target"
    tokens = await server.redeem(code)
    assert answered(server, tokens) == [API]
    refresh_token = tokens.json()["refresh_token"]
    assert answered(server, await server.refresh(refresh_token, resource=MATCH)) == "invalid_target"
    server.clock.now += 3600
    assert answered(server, await server.refresh(refresh_token)) == [API]


async def test_a_refused_audience_costs_no_credential_of_a_platform(server: Server) -> None:
    minted = server.mint("epicgames")
    assert (await server.silent("epicgames", minted, resource=ISSUER)).json()["error"] == "invalid_target"
    assert (await server.silent("epicgames", minted, resource=API)).status_code == 200


async def test_repeats_of_a_refresh_may_narrow_differently_and_get_one_successor(server: Server) -> None:
    tokens = await server.login("steam", audience=f"{API} {MATCH}")
    answers = [await server.refresh(tokens["refresh_token"], resource=one) for one in (API, MATCH)]
    assert [answered(server, answer) for answer in answers] == [[API], [MATCH]]
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_userinfo_takes_a_token_whatever_it_is_for(server: Server) -> None:
    tokens = await server.login("steam", resource=API)
    answer = await server.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert (answer.status_code, answer.json()["sub"]) == (200, server.claims(tokens["access_token"])["sub"])


async def test_an_id_token_is_for_the_client_whatever_the_access_token_is_for(server: Server) -> None:
    assert server.claims((await server.login("steam", resource=API))["id_token"])["aud"] == "launcher"


async def test_H08_an_audience_taken_away_during_a_sign_in_is_not_granted() -> None:
    kept: list[dict[str, Any]] = []

    def edit(block: dict[str, Any]) -> None:
        with_audiences(block)
        kept.append(deepcopy(block))

    async with running(edit=edit) as server:
        browser = Browser(server)
        page = await browser.authorize(resource=MATCH)
        clients(kept[0])["shop"]["audiences"] = [API]
        await server.app.reload(Config.model_validate(kept[0]))
        landed = await browser.prove(page)
        assert (landed.url.partition("?")[0], landed.answer["error"]) == (SHOP_CALLBACK, "invalid_target")


async def test_H08_an_audience_taken_away_cannot_be_narrowed_to() -> None:
    kept: list[dict[str, Any]] = []

    def edit(block: dict[str, Any]) -> None:
        with_audiences(block)
        kept.append(deepcopy(block))

    async with running(edit=edit) as server:
        tokens = await server.login("steam", audience=f"{API} {MATCH}")
        clients(kept[0])["launcher"]["audiences"] = [API]
        await server.app.reload(Config.model_validate(kept[0]))
        refused = await server.refresh(tokens["refresh_token"], resource=MATCH)
        assert answered(server, refused) == "invalid_target"
        assert answered(server, await server.refresh(tokens["refresh_token"])) == [API]
