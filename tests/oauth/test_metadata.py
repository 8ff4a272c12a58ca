"""The discovery documents over HTTP: the same at both addresses, cacheable, and true."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from tests.support.server import ISSUER, Server, running

DOCUMENTS = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
KEYS = ["/oauth2/jwks", "/.well-known/jwks.json"]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def metadata(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = (await server.http.get(DOCUMENTS[0])).json()
    return found


@pytest.mark.parametrize("pair", [DOCUMENTS, KEYS], ids=["metadata", "keys"])
async def test_C1_both_addresses_serve_the_same_document(server: Server, pair: list[str]) -> None:
    first, second = [await server.http.get(path) for path in pair]
    assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]


@pytest.mark.parametrize("path", [*DOCUMENTS, *KEYS])
async def test_the_documents_may_be_cached_for_an_hour_at_most_and_by_anybody(server: Server, path: str) -> None:
    answer = await server.http.get(path)
    directives = answer.headers["cache-control"].split(", ")
    (age,) = [int(found[1]) for each in directives if (found := re.fullmatch(r"max-age=([0-9]+)", each))]
    assert "public" in directives
    assert 0 < age <= 3600
    assert answer.headers.get_list("cache-control") == [answer.headers["cache-control"]]


@pytest.mark.parametrize("path", [*DOCUMENTS, *KEYS])
async def test_a_client_that_has_the_document_gets_304_without_it(server: Server, path: str) -> None:
    whole = await server.http.get(path)
    again = await server.http.get(path, headers={"if-none-match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["cache-control"]) == (
        whole.headers["etag"],
        whole.headers["cache-control"],
    )
    for form in ("W/{}", '"other", {}', "*"):
        sent = {"if-none-match": form.format(whole.headers["etag"])}
        assert (await server.http.get(path, headers=sent)).status_code == 304
    other = await server.http.get(path, headers={"if-none-match": '"something-else"'})
    assert (other.status_code, other.content) == (200, whole.content)


@pytest.mark.parametrize("path", [*DOCUMENTS, *KEYS])
async def test_any_web_page_may_read_the_documents(server: Server, path: str) -> None:
    for headers in ({}, {"origin": "https://anybody.example"}):
        answer = await server.http.get(path, headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    preflight = await server.http.options(
        path, headers={"origin": "https://anybody.example", "access-control-request-method": "GET"}
    )
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")


@pytest.mark.parametrize("path", [*DOCUMENTS, *KEYS])
async def test_head_is_answered_like_get(server: Server, path: str) -> None:
    got, headed = await server.http.get(path), await server.http.head(path)
    assert headed.status_code == 200
    for name in ("etag", "cache-control", "content-type", "content-length"):
        assert headed.headers[name] == got.headers[name]


@pytest.mark.parametrize("path", [*DOCUMENTS, *KEYS])
async def test_the_documents_cannot_be_written(server: Server, path: str) -> None:
    answer = await server.http.post(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_C2_the_issuer_is_the_configured_one_whatever_the_request_says(server: Server) -> None:
    asked = [
        await server.http.get(DOCUMENTS[0], headers=headers)
        for headers in ({"host": "localhost:8080"}, {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"})
    ]
    assert [answer.json()["issuer"] for answer in asked] == [ISSUER, ISSUER]


async def test_C3_C5_what_must_be_there_is_there(server: Server) -> None:
    found = await metadata(server)
    assert found.keys() >= {
        "issuer",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "response_modes_supported",
        "grant_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
        "token_endpoint_auth_methods_supported",
        "scopes_supported",
        "claims_supported",
        "claim_types_supported",
        "claims_parameter_supported",
        "code_challenge_methods_supported",
        "authorization_response_iss_parameter_supported",
        "request_parameter_supported",
        "request_uri_parameter_supported",
    }
    assert "openid" in found["scopes_supported"]
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    assert "none" in found["token_endpoint_auth_methods_supported"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True


async def test_C7_the_members_have_the_types_of_rfc_8414(server: Server) -> None:
    found = await metadata(server)
    for name, value in found.items():
        if name == "issuer" or name.endswith(("_endpoint", "_uri")):
            assert isinstance(value, str), name
        elif name.endswith("_parameter_supported"):
            assert isinstance(value, bool), name
        elif name.endswith("_supported") and not isinstance(value, bool):
            assert value
            assert all(isinstance(item, str) for item in value), name
            assert len(set(value)) == len(value), name


async def test_B4_nothing_unsigned_is_advertised(server: Server) -> None:
    algorithms = [
        value for name, values in (await metadata(server)).items() if "_alg_values_" in name for value in values
    ]
    assert algorithms
    assert not {"none", "HS256", "HS384", "HS512"} & set(algorithms)


async def test_every_advertised_address_is_below_the_issuer_and_exists(server: Server) -> None:
    for name, url in (await metadata(server)).items():
        if not name.endswith(("_endpoint", "_uri")):
            continue
        assert url.startswith(f"{ISSUER}/"), name
        answer = await server.http.get(urlsplit(url).path)
        assert answer.status_code != 404, name


async def test_every_advertised_grant_type_is_taken_by_the_token_endpoint(server: Server) -> None:
    offered = (await metadata(server))["grant_types_supported"]
    assert offered
    for grant_type in offered:
        answer = await server.token(grant_type=grant_type, client_id="launcher")
        assert answer.json()["error"] in {"invalid_request", "unauthorized_client"}, grant_type
    unknown = await server.token(grant_type="password", client_id="launcher")
    assert unknown.json()["error"] == "unsupported_grant_type"


async def test_every_advertised_way_to_authenticate_works(server: Server) -> None:
    basic = "Basic " + b64encode(b"backend:backend-secret").decode()
    grant = {"grant_type": "client_credentials"}
    ways: dict[str, httpx.Response] = {
        "client_secret_basic": await server.http.post("/oauth2/token", data=grant, headers={"authorization": basic}),
        "client_secret_post": await server.token(**grant, client_id="backend", client_secret="backend-secret"),
        "none": await server.redeem(await server.code("steam")),
    }
    assert sorted(ways) == sorted((await metadata(server))["token_endpoint_auth_methods_supported"])
    assert {answer.status_code for answer in ways.values()} == {200}


async def test_every_advertised_claim_of_an_id_token_is_there_and_no_other(server: Server) -> None:
    tokens = await server.login("steam", nonce="n-0S6_WzA2Mj")
    assert server.claims(tokens["id_token"]).keys() == set((await metadata(server))["claims_supported"])


async def test_every_advertised_scope_is_granted_to_some_client(server: Server) -> None:
    for scope in (await metadata(server))["scopes_supported"]:
        answer = await server.silent("steam", None, scope=scope)
        assert answer.status_code == 200, scope


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
async def test_every_advertised_algorithm_signs_for_a_client_that_wants_it(alg: str) -> None:
    def wanting(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["launcher"]["id_token_alg"] = alg

    async with running(edit=wanting) as server:
        tokens = await server.login("steam")
        assert alg in (await metadata(server))["id_token_signing_alg_values_supported"]
        assert jwt.get_unverified_header(tokens["id_token"])["alg"] == alg


async def test_C23_C4_the_key_set_over_http_is_public(server: Server) -> None:
    keys = (await server.http.get("/oauth2/jwks")).json()["keys"]
    assert {key["alg"] for key in keys} == {"ES256", "RS256"}
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & set().union(*keys)
