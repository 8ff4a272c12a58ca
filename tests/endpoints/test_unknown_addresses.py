"""An address that does not exist: a page for whoever opens it in a browser, JSON for every program."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from authsrv.pages.localization import LOCALES
from tests.support.server import Server, running

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
MISTYPED = (
    "/acount",
    "/logn",
    "/account.html",
    "/apis",
    "/v1x/me",
    "/a/b/c",
    "/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "/wp-login.php?x=<b>",
)
STANDARD = {"error": "not_found", "error_description": "There is nothing at this address."}
XSOLLA = {"error": {"code": "003-061", "description": "There is nothing at this address.", "details": {}}}
OF_PROGRAMS: Mapping[str, Mapping[str, Any]] = {
    "/oauth2": STANDARD,
    "/oauth2/tokens": STANDARD,
    "/oauth2/token/": STANDARD,
    "/oauth2/register": STANDARD,
    "/oauth2/social/steam/nothing": STANDARD,
    "/v1": STANDARD,
    "/v1/nothing": STANDARD,
    "/health": STANDARD,
    "/.well-known/nothing": STANDARD,
    "/assets/nothing/logo": STANDARD,
    "/api": XSOLLA,
    "/api/nothing": XSOLLA,
}
PROGRAMS = {"nothing said": {}, "anything": {"accept": "*/*"}, "JSON": {"accept": "application/json"}}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def opened(server: Server, path: str, language: str = "en") -> httpx.Response:
    return await server.http.get(path, headers={"accept": CHROMIUM, "accept-language": language})


def stable(answer: httpx.Response) -> dict[str, str]:
    """The headers that do not differ from one answer to the next."""
    policy = re.sub("nonce-[^']+", "nonce", answer.headers["content-security-policy"])
    return {**answer.headers, "content-security-policy": policy, "x-request-id": "", "content-length": ""}


@pytest.mark.parametrize("path", MISTYPED)
async def test_a_browser_is_shown_the_error_page_of_the_project(server: Server, path: str) -> None:
    answer, known = await opened(server, path), await opened(server, "/login/nothing/at/all")
    assert answer.status_code == known.status_code == 404
    assert "<h1>This page does not exist</h1>" in answer.text
    assert "Demo Studio" in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert not any(word in answer.text for word in ("script>", "wp-login", "alert("))
    assert stable(answer) == stable(known)
    assert (answer.headers["cache-control"], answer.headers["x-frame-options"]) == ("no-store", "DENY")


@pytest.mark.parametrize("locale", LOCALES)
async def test_the_page_speaks_the_language_of_the_browser(server: Server, locale: str) -> None:
    answer = await opened(server, "/acount", locale)
    assert answer.headers["content-language"] == locale
    assert ("This page does not exist" in answer.text) == (locale == "en")


@pytest.mark.parametrize("headers", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("path", MISTYPED)
async def test_a_program_is_told_in_json(server: Server, path: str, headers: dict[str, str]) -> None:
    del server.http.headers["accept"]
    answer = await server.http.get(path, headers=headers)
    assert (answer.status_code, answer.json()) == (404, STANDARD)


@pytest.mark.parametrize(("path", "body"), OF_PROGRAMS.items(), ids=OF_PROGRAMS)
async def test_what_programs_call_answers_json_whatever_is_accepted(
    server: Server, path: str, body: Mapping[str, Any]
) -> None:
    answer = await opened(server, path)
    assert (answer.status_code, answer.json()) == (404, body)


async def test_a_game_of_gamesparks_is_told_in_its_own_words(server: Server) -> None:
    answer = await opened(server, "/gamesparks/Nothing")
    plain = await server.http.get("/gamesparks/Nothing")
    assert (answer.status_code, answer.content) == (plain.status_code, plain.content)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/v1/me", "/oauth2/token", "/health/live", "/oauth2/jwks"])
async def test_a_wrong_method_is_told_in_json_as_ever(server: Server, path: str) -> None:
    answer = await server.http.patch(path, headers={"accept": CHROMIUM})
    assert (answer.status_code, answer.json()["error"]) == (405, "invalid_request")
