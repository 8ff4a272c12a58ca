"""nginx and Caddy with the files of docs/deploy, in front of the real server: what comes through, and what never."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn

from authsrv.config.schema import ServerSettings
from authsrv.serving.process import http_limits
from authsrv.serving.protocol import HttpLimits, guarded_protocol
from tests.support.processes import free_port
from tests.support.proxies import DEPLOY, HOST, PROXIES, FallingNode, Front, at_home, falling_node, in_front, place_for
from tests.support.server import Server, launcher_request, running
from tests.support.sockets import port, serving

ISSUER = f"https://{HOST}"
KIB = 1024
BOTH = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in PROXIES]
XBOX = "/oauth2/social/xbox/cross_auth"
SECRET_QUERY = "session_ticket=140000000000ticket"

on_both = pytest.mark.parametrize("proxy", BOTH)


@dataclass(frozen=True, slots=True)
class Studio:
    """The server as players reach it: its `http` goes through the proxy."""

    server: Server
    front: Front
    listeners: list[uvicorn.Server]

    def lose_a_node(self) -> None:
        """As if its process had ended: nobody listens there, and what was connected is not."""
        lost = self.listeners.pop()
        lost.servers[0].close()
        for connection in list(lost.server_state.connections):
            connection.transport.close()


@asynccontextmanager
async def studio(proxy: str, directory: Path) -> AsyncIterator[Studio]:
    """Two nodes that serve and one that is gone."""

    def edit(block: dict[str, Any]) -> None:
        block["issuer"] = ISSUER
        block["server"] = {**block["server"], "trusted_proxies": ["127.0.0.1"]}

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(edit=edit))
        node = guarded_protocol(http_limits(server.app.config))
        listeners = [await stack.enter_async_context(serving(server.app, node)) for _ in range(2)]
        nodes = (free_port(), *map(port, listeners))
        front = await stack.enter_async_context(in_front(PROXIES[proxy], directory, nodes))
        server.http = front.client
        for _ in listeners:  # Caddy learns in its first moments who is gone
            await front.client.get("/health/live")
        yield Studio(server, front, listeners)


@asynccontextmanager
async def falling(proxy: str, directory: Path) -> AsyncIterator[tuple[FallingNode, Front]]:
    """Three addresses of one node that takes requests and falls."""
    async with falling_node() as node, in_front(PROXIES[proxy], directory, [node.port] * 3) as front:
        yield node, front


@on_both
def test_the_proxy_takes_the_file_without_a_warning(proxy: str, tmp_path: Path) -> None:
    place, _ = place_for(tmp_path)
    PROXIES[proxy].prepare(place, [free_port() for _ in range(3)])
    command = PROXIES[proxy].check(place)
    checked = subprocess.run(
        command, cwd=place.directory, env=at_home(place), capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert not re.search(r"\[warn\]|\[emerg\]|Unnecessary|deprecated", checked.stderr), checked.stderr


@on_both
async def test_players_log_in_and_stay_signed_in_while_one_node_is_gone(proxy: str, tmp_path: Path) -> None:
    async with studio(proxy, tmp_path) as at:
        for provider in ("steam", "xbox", "epicgames"):
            tokens = await at.server.login(provider)
            assert at.server.claims(tokens["access_token"])["iss"] == ISSUER
            refreshed = await at.server.refresh(tokens["refresh_token"])
            assert refreshed.status_code == 200, refreshed.text


@on_both
async def test_every_address_is_the_issuer_s(proxy: str, tmp_path: Path) -> None:
    async with studio(proxy, tmp_path) as at:
        document = (await at.server.http.get("/.well-known/openid-configuration")).json()
    assert document["issuer"] == ISSUER
    assert all(value.startswith(f"{ISSUER}/") for name, value in document.items() if name.endswith("_endpoint"))


@on_both
async def test_a_token_of_70_KiB_in_one_header_reaches_the_server(proxy: str, tmp_path: Path) -> None:
    async with studio(proxy, tmp_path) as at:
        answer = await at.server.http.post(
            XBOX, data=launcher_request(), headers={"authorization": f"XBL3.0 x=1;{'e' * 70 * KIB}"}
        )
    assert answer.json()["error"] == "invalid_request"
    assert answer.headers["x-request-id"]


@pytest.mark.curl
@on_both
async def test_a_token_as_large_as_curl_can_send_passes_over_HTTP_2(proxy: str, tmp_path: Path) -> None:
    async with studio(proxy, tmp_path) as at:
        form = {name: value for name, value in launcher_request().items() if value}
        (tmp_path / "header").write_text(f"authorization: XBL3.0 x=1;{'e' * 56 * KIB}")
        command = (
            *("curl", "--silent", "--http2", "--cacert", str(at.front.ca.file), "--write-out", "%{http_version}"),
            *("--resolve", f"{HOST}:{at.front.port}:127.0.0.1", "--data", urlencode(form)),
            *("--header", f"@{tmp_path / 'header'}", "--header", f"host: {HOST}"),
            f"https://{HOST}:{at.front.port}{XBOX}",
        )
        said = await _run(*command)
    assert '"error":"invalid_request"' in said
    assert said.endswith("}2")


@on_both
async def test_a_body_as_large_as_the_server_takes_reaches_it(proxy: str, tmp_path: Path) -> None:
    async with studio(proxy, tmp_path) as at:
        form = launcher_request() | {"session_ticket": "e" * 120 * KIB}
        answer = await at.server.http.post(XBOX, data=form)
        assert answer.headers["x-request-id"]
        refused = await at.server.http.post(XBOX, content=b"e" * 200 * KIB)
        assert refused.status_code == 413


@on_both
async def test_the_address_that_counts_is_the_caller_s_and_never_what_they_say(proxy: str, tmp_path: Path) -> None:
    async with studio(proxy, tmp_path) as at:
        at.front.client.headers["x-forwarded-for"] = "203.0.113.9"
        at.front.client.headers["forwarded"] = "for=203.0.113.9"
        await at.server.login("steam")
        assert {event["address"] for event in at.server.audited("login.succeeded")} == {"127.0.0.0/24"}


@on_both
async def test_nothing_is_answered_for_another_host(proxy: str, tmp_path: Path) -> None:
    async with studio(proxy, tmp_path) as at:
        answer = await at.server.http.get("/oauth2/jwks", headers={"host": "login.other.example"})
    assert (answer.status_code, answer.text) == (200, "") or answer.status_code == 421


@on_both
async def test_a_token_request_is_never_sent_twice(proxy: str, tmp_path: Path) -> None:
    async with falling(proxy, tmp_path) as (node, front):
        answer = await front.client.post("/oauth2/token", data={"grant_type": "refresh_token"})
        assert node.taken == ["POST /oauth2/token HTTP/1.1"]
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("proxy", "unlucky"),
    [
        pytest.param("nginx", 0, marks=pytest.mark.nginx),
        pytest.param("caddy", 2, marks=pytest.mark.caddy, id="caddy, one for each node that is gone"),
    ],
)
async def test_when_nodes_are_gone_the_others_answer(proxy: str, unlucky: int, tmp_path: Path) -> None:
    async with studio(proxy, tmp_path) as at:
        await at.server.login("steam")
        at.lose_a_node()
        answers = [await at.server.token(grant_type="refresh_token", client_id="launcher") for _ in range(12)]
    put_off = [answer.headers["retry-after"] for answer in answers if answer.status_code == 503]
    assert len(put_off) <= unlucky
    assert sum(answer.status_code == 400 for answer in answers) == len(answers) - len(put_off)


@on_both
async def test_no_query_is_written_down_whatever_goes_wrong(proxy: str, tmp_path: Path) -> None:
    async with falling(proxy, tmp_path) as (_, front):
        await front.client.get(f"/oauth2/social/steam/cross_auth?{SECRET_QUERY}")
        await front.client.get(f"/?{SECRET_QUERY}", headers={"authorization": "e" * 100 * KIB})
    gone = tmp_path / "gone"
    gone.mkdir()
    async with in_front(PROXIES[proxy], gone, [free_port() for _ in range(3)]) as nobody:
        answer = await nobody.client.get(f"/oauth2/social/steam/cross_auth?{SECRET_QUERY}")
        assert answer.status_code == 503
    assert "ticket" not in front.said + nobody.said


@pytest.mark.nginx
async def test_nginx_tells_where_a_request_went(tmp_path: Path) -> None:
    async with studio("nginx", tmp_path) as at:
        answer: httpx.Response = await at.server.http.get(f"/health/live?{SECRET_QUERY}")
    assert re.search(rf"GET /health/live 200 .* {answer.headers['x-request-id']}$", at.front.said, re.MULTILINE)


def nginx_seconds(setting: str) -> list[int]:
    text = (DEPLOY / "nginx" / "authsrv.conf").read_text("utf-8")
    return [int(found) for found in re.findall(rf"(?m)^ +{setting} (\d+)s;", text)]


def caddy_seconds(setting: str) -> list[int]:
    text = (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8")
    return [int(found) for found in re.findall(rf"(?m)^\t+{setting} (\d+)s$", text)]


@pytest.mark.parametrize("idle", [nginx_seconds("keepalive_timeout"), caddy_seconds("keepalive")])
def test_the_proxy_lets_go_of_idle_connections_before_a_node_that_stops_closes_them(idle: list[int]) -> None:
    (seconds,) = idle
    assert seconds < ServerSettings().drain_seconds < HttpLimits().keep_alive_seconds


@pytest.mark.parametrize("wait", [nginx_seconds("proxy_read_timeout"), caddy_seconds("response_header_timeout")])
def test_the_proxy_waits_longer_than_a_request_may_take(wait: list[int]) -> None:
    (seconds,) = wait
    assert seconds > max(ServerSettings().graceful_seconds, HttpLimits().request_seconds)


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()
