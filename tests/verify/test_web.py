"""The dependency for Starlette and FastAPI: what a game's backend answers to requests (RFC 6750 section 3)."""

import inspect
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from authsrv.verify import AccessToken, Verifier
from authsrv.verify.web import Bearer
from tests.support.processes import free_port
from tests.support.token_source import NOW, PLAYER, TokenSource, serving
from tests.support.verifying_page import program


def application(verifier: Verifier) -> Starlette:
    """A backend in a few lines."""
    bearer, ends = Bearer(verifier), Bearer(verifier, scope="match:end")

    async def join(request: Request) -> Response:
        return JSONResponse({"player": (await bearer(request)).sub})

    async def end(request: Request) -> Response:
        return JSONResponse({"player": (await ends(request)).sub})

    async def live(socket: WebSocket) -> None:
        token = await bearer(socket)
        await socket.accept()
        await socket.send_json({"player": token.sub})

    return Starlette(routes=[Route("/join", join), Route("/end", end), WebSocketRoute("/live", live)])


@asynccontextmanager
async def backend(source: TokenSource) -> AsyncIterator[httpx.AsyncClient]:
    async with source.verifier() as verifier, served(application(verifier)) as http:
        yield http


def served(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://match.studio.example")


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_request_with_a_good_token_is_served() -> None:
    source = TokenSource()
    async with backend(source) as http:
        for scheme in ("Bearer", "bearer", "BEARER", "Bearer "):
            answer = await http.get("/join", headers={"Authorization": f"{scheme} {source.token()}"})
            assert (answer.status_code, answer.json()) == (200, {"player": PLAYER})


async def test_a_request_without_a_token_is_told_how_and_no_error() -> None:
    async with backend(TokenSource()) as http:
        answer = await http.get("/join")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_token_that_is_not_good_is_401() -> None:
    source = TokenSource()
    async with backend(source) as http:
        for text, why in ((source.token(exp=NOW - 60), "expired"), ("rubbish", "not a compact JWS, or too long")):
            answer = await http.get("/join", headers=bearing(text))
            assert answer.status_code == 401
            expected = f'Bearer error="invalid_token", error_description="{why}"'
            assert answer.headers["www-authenticate"] == expected
            assert text not in answer.text


async def test_a_token_without_the_scope_is_403() -> None:
    source = TokenSource()
    async with backend(source) as http:
        answer = await http.get("/end", headers=bearing(source.token()))
        assert answer.status_code == 403
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="match:end"'
        answer = await http.get("/end", headers=bearing(source.token(scope="match:end")))
        assert answer.status_code == 200


async def test_while_nobody_can_say_the_answer_is_503() -> None:
    source = TokenSource(down=True)
    async with backend(source) as http:
        answer = await http.get("/join", headers=bearing(source.token()))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer a b",
        "Bearer a, Bearer b",
        "Bearer \t",
        "BearerX abc",
    ],
)
async def test_a_header_that_is_not_one_bearer_token_is_400(value: str) -> None:
    async with backend(TokenSource()) as http:
        answer = await http.get("/join", headers={"Authorization": value})
        assert answer.status_code == 400
        assert 'error="invalid_request"' in answer.headers["www-authenticate"]


async def test_two_headers_are_400_even_if_both_are_good() -> None:
    source = TokenSource()
    async with backend(source) as http:
        headers = [("Authorization", f"Bearer {source.token()}")] * 2
        assert (await http.get("/join", headers=headers)).status_code == 400


async def test_a_token_in_the_address_or_in_a_cookie_is_not_looked_at() -> None:
    source = TokenSource()
    async with backend(source) as http:
        answer = await http.get("/join", params={"access_token": source.token()}, headers={"Cookie": source.token()})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_websocket_is_accepted_with_a_token_and_denied_without() -> None:
    source = TokenSource()
    async with source.verifier() as verifier:
        accepted = await conversation(application(verifier), bearing(source.token()))
        assert [message["type"] for message in accepted] == ["websocket.accept", "websocket.send"]
        denied = await conversation(application(verifier), {})
        assert denied[0]["type"] == "websocket.http.response.start"
        assert denied[0]["status"] == 401


async def conversation(app: Starlette, headers: dict[str, str]) -> list[dict[str, Any]]:
    """What a WebSocket client is sent."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "websocket",
        "path": "/live",
        "headers": raw,
        "query_string": b"",
        "extensions": {"websocket.http.response": {}},
    }
    await app(scope, receive, send)
    return sent


async def test_the_application_of_the_page_serves_players_and_nobody_else() -> None:
    with serving(TokenSource(now=int(time.time())), free_port()) as source:
        page: dict[str, Any] = {}
        exec(program("starlette", source.issuer), page)  # noqa: S102 - our own page
        app = page["app"]
        async with app.router.lifespan_context(app), served(app) as http:
            answer = await http.post("/join", headers=bearing(source.token()))
            assert (answer.status_code, answer.json()) == (200, {"player": PLAYER})
            assert (await http.post("/join", headers=bearing(source.token(scope="openid")))).status_code == 403
            assert (await http.post("/join")).status_code == 401


async def call_as_fastapi_does(dependency: Callable[..., Any], connection: HTTPConnection) -> Any:
    """FastAPI hands a dependency what its parameters are annotated with, by their names."""
    parameters = inspect.signature(dependency).parameters.values()
    wanted = {each.name: connection for each in parameters if issubclass(each.annotation, HTTPConnection)}
    assert len(wanted) == len(parameters)
    return await dependency(**wanted)


async def test_the_dependency_can_be_called_by_fastapi() -> None:
    source = TokenSource()
    headers = [(b"authorization", f"Bearer {source.token()}".encode())]
    async with source.verifier() as verifier:
        for kind in ("http", "websocket"):
            token = await call_as_fastapi_does(Bearer(verifier), HTTPConnection({"type": kind, "headers": headers}))
            assert isinstance(token, AccessToken)
    assert inspect.signature(Bearer.__call__).return_annotation is AccessToken
