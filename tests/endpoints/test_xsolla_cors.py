"""What pages of other origins may do below /api: games in a browser, at the origins that their client lists."""

import re
from collections.abc import AsyncIterator
from typing import Any, cast
from unittest.mock import MagicMock

import httpx
import pytest
from starlette.routing import Route

from authsrv.endpoints.routes import Served, routes
from tests.support.refusals import clients
from tests.support.server import Server, running
from tests.support.xsolla import Game

ORIGIN, OTHER = "https://play.example", "https://evil.example"
SENT_BY_SDKS = {
    *("authorization", "content-type", "x-server-authorization", "x-engine", "x-engine-v", "x-sdk", "x-sdk-v"),
    *("x-build-platform", "x-ref", "x-ref-v"),
}
TABLE = [route.path for route in routes(cast("Served", MagicMock())) if isinstance(route, Route)]
BELOW_API = sorted({re.sub(r"\{\w+\}", "steam", path) for path in TABLE if path.startswith("/api/")})
FOR_NAVIGATION = [path for path in BELOW_API if path.endswith("/login_redirect")]
FOR_EVERYBODY = [path for path in BELOW_API if path.endswith("/keys")]
FOR_GAMES = [path for path in BELOW_API if path not in FOR_NAVIGATION + FOR_EVERYBODY]


def edit(block: dict[str, Any]) -> None:
    clients(block)["40"]["cors_origins"] = [ORIGIN]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


async def preflight(server: Server, path: str, origin: str, method: str = "GET") -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": "x-engine"}
    return await server.http.options(path, headers=asked)


def permissions(answer: httpx.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("path", FOR_GAMES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_every_path_lets_the_clients_origin_send_what_sdks_send(server: Server, path: str, method: str) -> None:
    answer = await preflight(server, path, ORIGIN, method)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert set(answer.headers["access-control-allow-headers"].lower().split(", ")) == SENT_BY_SDKS
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", FOR_GAMES)
async def test_no_path_lets_another_origin_in(server: Server, path: str) -> None:
    assert permissions(await preflight(server, path, OTHER)) == set()
    assert permissions(await server.http.get(path, headers={"origin": OTHER})) == set()


@pytest.mark.parametrize("path", FOR_GAMES)
async def test_the_clients_origin_may_read_errors_too(server: Server, path: str) -> None:
    answer = await server.http.request("PATCH", path, headers={"origin": ORIGIN})
    assert answer.status_code == 405
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("path", FOR_EVERYBODY)
async def test_the_keys_are_for_every_origin(server: Server, path: str) -> None:
    answer = await preflight(server, path, OTHER)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")


@pytest.mark.parametrize("path", FOR_NAVIGATION)
async def test_what_browsers_are_sent_to_is_for_no_script(server: Server, path: str) -> None:
    answer = await preflight(server, path, ORIGIN)
    assert (answer.status_code, permissions(answer)) == (405, set())


async def test_a_game_in_a_browser_reads_its_player(server: Server) -> None:
    token = await Game(server).access_token()
    headers = {"authorization": f"Bearer {token}", "origin": ORIGIN, "x-engine": "unity"}
    answer = await server.http.get("/api/users/me", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "Origin"
