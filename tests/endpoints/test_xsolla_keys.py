"""`GET /api/projects/{id}/keys` as Xsolla's Go SDK reads it: a bare array whose first key is the one that signs."""

from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from tests.support.server import Server, running
from tests.support.xsolla import Game, refusal

PROJECT = "7f1b7d0a-1f53-4a0b-8f0e-2f0e6c8b4d22"


def edit(block: dict[str, Any]) -> None:
    block["projects"]["demo"]["id"] = PROJECT
    block["keys"] = {"algorithms": ["PS256", "ES256", "EdDSA", "RS256"]}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


async def keys(server: Server, project: str = PROJECT) -> httpx.Response:
    return await server.http.get(f"/api/projects/{project}/keys")


async def listed(server: Server) -> list[dict[str, str]]:
    answer = await keys(server)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: list[dict[str, str]] = answer.json()
    return found


def verified(token: str, key: dict[str, str]) -> dict[str, Any]:
    """What the Go SDK does: numbers read as hexadecimal, the first key, RS256."""
    public = RSAPublicNumbers(int(key["e"], 16), int(key["n"], 16)).public_key()
    claims: dict[str, Any] = jwt.decode(token, public, ["RS256"], options={"verify_exp": False, "verify_aud": False})
    return claims


async def next_rotation(server: Server) -> int:
    """When the key that signs this surface's tokens is followed by another, which is announced by then."""
    await server.app.desk.keys.rotate()
    (later,) = [
        key for key in server.app.desk.keys.ring.stored if key.alg == "RS256" and key.signs_from > server.clock()
    ]
    return later.signs_from


async def test_the_answer_is_a_bare_array_with_numbers_in_hexadecimal(server: Server) -> None:
    (key,) = await listed(server)
    assert key.keys() == {"alg", "kty", "use", "kid", "n", "e"}
    assert (key["alg"], key["kty"], key["use"], key["e"]) == ("RS256", "RSA", "sig", "10001")
    assert set(key["n"]) <= set("0123456789abcdef")
    assert len(key["n"]) == 512


async def test_only_the_keys_that_sign_this_surfaces_tokens_are_listed(server: Server) -> None:
    standard = (await server.http.get("/.well-known/jwks.json")).json()["keys"]
    assert {key["kty"] for key in standard} == {"RSA", "EC", "OKP"}
    assert [key["alg"] for key in await listed(server)] == ["RS256"]


async def test_the_numbers_are_those_of_the_standard_key_set(server: Server) -> None:
    (key,) = await listed(server)
    standard = (await server.http.get("/.well-known/jwks.json")).json()["keys"]
    (same,) = [jwk for jwk in standard if jwk["kid"] == key["kid"]]
    assert bytes.fromhex(key["n"]) == urlsafe_b64decode(same["n"] + "==")


async def test_the_first_key_verifies_a_players_token(server: Server) -> None:
    token = await Game(server).access_token()
    first = (await listed(server))[0]
    assert jwt.get_unverified_header(token)["kid"] == first["kid"]
    assert verified(token, first)["xsolla_login_project_id"] == PROJECT


async def test_a_key_that_is_announced_is_second_and_the_one_that_signs_is_always_first(server: Server) -> None:
    (before,) = await listed(server)
    begins = await next_rotation(server)
    present, announced = await listed(server)
    assert present == before
    server.clock.now = begins
    assert [key["kid"] for key in await listed(server)] == [announced["kid"], before["kid"]]
    verified(await Game(server).access_token(), announced)


async def test_no_cache_keeps_the_order_for_long(server: Server) -> None:
    assert (await keys(server)).headers["cache-control"] == "public, max-age=60"


async def test_a_server_that_has_the_list_is_told_so(server: Server) -> None:
    tag = (await keys(server)).headers["etag"]
    answer = await server.http.get(f"/api/projects/{PROJECT}/keys", headers={"if-none-match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("project", ["7f1b7d0a-1f53-4a0b-8f0e-2f0e6c8b4d23", "demo", PROJECT.upper()])
async def test_an_unknown_project_is_003_019(server: Server, project: str) -> None:
    assert refusal(await keys(server, project)) == (404, "003-019", {"reason": "unknown_project"})


async def test_keys_are_not_made_by_a_post(server: Server) -> None:
    answer = await server.http.post(f"/api/projects/{PROJECT}/keys")
    assert refusal(answer) == (405, "0", {"reason": "invalid_parameter"})


@pytest.mark.parametrize("origin", ["https://anybody.example", "https://game.example"])
async def test_any_page_may_read_the_keys(server: Server, origin: str) -> None:
    answer = await server.http.get(f"/api/projects/{PROJECT}/keys", headers={"origin": origin})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
