"""`POST /oauth2/token` over HTTP: the three grants, client authentication, and every refusal with its literal body."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from tests.support.server import ISSUER, Server, running

BASIC = "Basic " + b64encode(b"backend:backend-secret").decode()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def claims(server: Server, token: str, audience: str, typ: str) -> dict[str, Any]:
    """The verified claims of a token, by the published keys alone."""
    keys = jwt.PyJWKSet.from_dict((await server.http.get("/oauth2/jwks")).json())
    header = jwt.get_unverified_header(token)
    assert header["typ"] == typ
    key = keys[header["kid"]]
    decoded: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[header["alg"]],
        audience=audience,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    return decoded


async def test_a_code_gives_an_rfc_9068_access_token(server: Server) -> None:
    tokens = await server.login("steam", scope="openid offline", state="12345678", nonce="n-0S6_WzA2Mj")
    access = await claims(server, tokens["access_token"], ISSUER, "at+jwt")
    assert access.keys() == {
        "iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "gid", "auth_time", "idp", "idp_sub",
    }  # fmt: skip
    assert (access["client_id"], access["scope"]) == ("launcher", "openid offline")
    assert (access["idp"], access["idp_sub"]) == ("steam", "76561202255232001")
    assert access["exp"] - access["iat"] == tokens["expires_in"] == 900


async def test_openid_gives_an_id_token_with_the_nonce(server: Server) -> None:
    tokens = await server.login("steam", nonce="n-0S6_WzA2Mj")
    identity = await claims(server, tokens["id_token"], "launcher", "JWT")
    access = await claims(server, tokens["access_token"], ISSUER, "at+jwt")
    assert identity["nonce"] == "n-0S6_WzA2Mj"
    assert identity["sub"] == access["sub"]
    assert identity["amr"] == ["steam"]
    assert identity["auth_time"] == int(server.clock.now)
    assert "sid" not in identity


async def test_without_openid_there_is_no_id_token_and_without_offline_no_refresh_token(server: Server) -> None:
    tokens = await server.login("steam", scope="profile")
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope"}


async def test_client_credentials_give_a_server_token_and_nothing_else(server: Server) -> None:
    answer = await server.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, headers={"authorization": BASIC}
    )
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    access = await claims(server, answer.json()["access_token"], ISSUER, "at+jwt")
    assert access["sub"] == access["client_id"] == "backend"
    assert "idp" not in access
    assert "gid" not in access


WRONG_CODE = [
    pytest.param({"code": "asc_" + "A" * 65}, 400, "invalid_grant", id="made up"),
    pytest.param({"code": "nonsense"}, 400, "invalid_grant", id="not a code"),
    pytest.param({"code": None}, 400, "invalid_request", id="missing code"),
    pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="unknown client"),
    pytest.param({"client_id": None}, 401, "invalid_client", id="no client"),
    pytest.param({"client_id": "shop"}, 401, "invalid_client", id="B17 confidential client as public"),
    pytest.param({"client_id": "40"}, 401, "invalid_client", id="client of the other surface"),
]


@pytest.mark.parametrize(("changes", "status", "error"), WRONG_CODE)
async def test_a_wrong_parameter_is_refused_and_the_code_stays_usable(
    server: Server, changes: dict[str, str | None], status: int, error: str
) -> None:
    code = await server.code("steam")
    refused = await server.redeem(code, **changes)
    assert (refused.status_code, refused.json()["error"]) == (status, error)
    assert refused.json().keys() <= {"error", "error_description", "parameter"}
    assert (await server.redeem(code)).status_code == 200


@pytest.mark.parametrize("name", ["code", "code_verifier"])
async def test_a_missing_parameter_is_named(server: Server, name: str) -> None:
    refused = await server.redeem(await server.code("steam"), **{name: None})
    assert refused.json() == {
        "error": "invalid_request",
        "error_description": refused.json()["error_description"],
        "parameter": name,
    }


@pytest.mark.parametrize("change", [{"redirect_uri": "http://127.0.0.1/other"}, {"code_verifier": "x" * 43}], ids=str)
async def test_a_code_whose_companion_does_not_fit_is_refused_with_words_that_name_it(
    server: Server, change: dict[str, str]
) -> None:
    refused = (await server.redeem(await server.code("steam"), **change)).json()
    assert refused["error"] == "invalid_grant"
    assert next(iter(change)) in refused["error_description"]


async def test_refresh_rotates_and_keeps_the_player(server: Server) -> None:
    tokens = await server.login("steam")
    answer = await server.refresh(tokens["refresh_token"])
    refreshed = answer.json()
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    before = await claims(server, tokens["access_token"], ISSUER, "at+jwt")
    after = await claims(server, refreshed["access_token"], ISSUER, "at+jwt")
    assert (before["sub"], before["gid"], before["auth_time"]) == (after["sub"], after["gid"], after["auth_time"])
    assert before["jti"] != after["jti"]
