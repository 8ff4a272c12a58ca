"""The profile Config OP: discovery, as a relying party finds it at an https issuer."""

import re
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from tests.oidc.clients import provider
from tests.support.server import Server, running

ISSUER = "https://login.studio.example"
WELL_KNOWN = "/.well-known/openid-configuration"
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_TAG = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")  # RFC 5646: language, script, region


def at_https(block: dict[str, Any]) -> None:
    provider(block)
    block["issuer"] = ISSUER


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=at_https) as started:
        yield started


async def discovered(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = (await server.http.get(ISSUER + WELL_KNOWN)).json()
    return found


async def test_C1_the_document_is_json_at_its_address_and_no_redirect(server: Server) -> None:
    answer = await server.http.get(ISSUER + WELL_KNOWN)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert type(answer.json()) is dict


async def test_C2_the_issuer_is_the_address_it_was_fetched_from(server: Server) -> None:
    assert (await discovered(server))["issuer"] + WELL_KNOWN == ISSUER + WELL_KNOWN


async def test_C3_response_types_subject_types_and_algorithms_are_there(server: Server) -> None:
    found = await discovered(server)
    assert found["response_types_supported"] == ["code"]
    assert found["subject_types_supported"] == ["public"]
    assert "RS256" in found["id_token_signing_alg_values_supported"]


async def test_C4_every_endpoint_is_https_and_the_key_set_holds_public_halves_only(server: Server) -> None:
    found = await discovered(server)
    addresses = [value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(addresses) == 8
    assert all(address.startswith(f"{ISSUER}/") for address in addresses)
    answer = await server.http.get(found["jwks_uri"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    keys = answer.json()["keys"]
    assert not PRIVATE & set().union(*keys)
    assert {key.key_type for key in jwt.PyJWKSet.from_dict(answer.json()).keys} == {"RSA", "EC"}


async def test_C5_scopes_with_openid_claims_and_grant_types_are_there(server: Server) -> None:
    found = await discovered(server)
    assert "openid" in found["scopes_supported"]
    assert {"sub", "iss", "auth_time", "name", "email"} <= set(found["claims_supported"])
    assert found["grant_types_supported"] == [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]


async def test_C6_languages_are_tags_and_challenge_methods_a_list(server: Server) -> None:
    found = await discovered(server)
    assert len(found["ui_locales_supported"]) == 8
    assert all(_TAG.fullmatch(tag) for tag in found["ui_locales_supported"])
    assert found["code_challenge_methods_supported"] == ["S256"]


async def test_C7_every_member_has_its_type(server: Server) -> None:
    """RFC 8414 section 2 and OpenID Connect Discovery section 3, by the endings of their names."""
    switches = {
        "claims_parameter_supported",
        "request_parameter_supported",
        "request_uri_parameter_supported",
        "authorization_response_iss_parameter_supported",
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
        "frontchannel_logout_supported",
        "frontchannel_logout_session_supported",
    }
    for name, value in (await discovered(server)).items():
        if name == "issuer" or name.endswith(("_endpoint", "_uri")):
            assert type(value) is str, name
        elif name in switches:
            assert type(value) is bool, name
        else:
            assert type(value) is list, name
            assert value, name
            assert {type(item) for item in value} == {str}, name
            assert len(set(value)) == len(value), name
