"""The discovery documents over HTTP: the same at both addresses, cacheable, and true."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from authsrv.models import TOKEN_EXCHANGE, SigningAlgorithm
from authsrv.oauth.claims import ACR, SCOPE_OF
from tests.oidc.clients import SCOPES as EVERY_SCOPE
from tests.oidc.clients import Edit, changed, clients_of, provider, tell_everything_of
from tests.support.browser import Browser
from tests.support.server import ISSUER, Server, running
from tests.support.verification import verified

DOCUMENTS = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
KEYS = ["/oauth2/jwks", "/.well-known/jwks.json"]


EXPECTED = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/oauth2/authorize",
    "token_endpoint": f"{ISSUER}/oauth2/token",
    "userinfo_endpoint": f"{ISSUER}/oauth2/userinfo",
    "end_session_endpoint": f"{ISSUER}/oauth2/logout",
    "jwks_uri": f"{ISSUER}/oauth2/jwks",
    "revocation_endpoint": f"{ISSUER}/oauth2/revoke",
    "introspection_endpoint": f"{ISSUER}/oauth2/introspect",
    "revocation_feed_uri": f"{ISSUER}/oauth2/revocations",
    "scopes_supported": [
        "account",
        "address",
        "email",
        "offline",
        "offline_access",
        "openid",
        "phone",
        "playfab",
        "profile",
    ],
    "response_types_supported": ["code"],
    "response_modes_supported": ["query", "fragment", "form_post"],
    "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    "userinfo_signing_alg_values_supported": ["RS256", "ES256"],
    "acr_values_supported": ["urn:authsrv:acr:platform"],
    "display_values_supported": ["page", "popup", "touch", "wap"],
    "prompt_values_supported": ["none", "login", "consent", "select_account"],
    "ui_locales_supported": ["en", "de", "fr", "es", "pt-BR", "ja", "ko", "zh-Hans"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    "claims_supported": [
        "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash", "sid", "acr", "idp", "idp_sub",
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
        "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified", "address",
        "phone_number", "phone_number_verified",
    ],
    "claim_types_supported": ["normal"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
    "claims_parameter_supported": True,
    "request_parameter_supported": False,
    "request_uri_parameter_supported": False,
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
    "frontchannel_logout_supported": True,
    "frontchannel_logout_session_supported": True,
}  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=provider) as started:
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


async def test_exactly_this_is_advertised(server: Server) -> None:
    assert await metadata(server) == EXPECTED


async def test_no_scope_is_advertised_that_no_client_may_ask_for_and_no_claim_of_one() -> None:
    def without(block: dict[str, Any]) -> None:
        provider(block)
        for client in clients_of(block).values():
            client["scopes"] = [] if client.get("type") == "server" else ["openid", "email"]

    async with running(edit=without) as server:
        found = await metadata(server)
        assert found["scopes_supported"] == ["email", "openid"]
        assert [claim for claim in found["claims_supported"] if claim in SCOPE_OF] == ["email", "email_verified"]


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


async def test_every_advertised_claim_is_told_of_a_player_who_has_it_and_no_other(server: Server) -> None:
    browser = Browser(server)
    await browser.sign_in()
    await tell_everything_of(server)
    tokens = await browser.tokens_at_once(scope=" ".join(EVERY_SCOPE), acr_values=ACR)
    told = (await browser.userinfo(tokens["access_token"])).json()
    id_token = await verified(server, tokens["id_token"], "shop")
    assert told.keys() | id_token.keys() == set((await metadata(server))["claims_supported"])


async def test_every_advertised_scope_is_granted_to_some_client(server: Server) -> None:
    browser = Browser(server)
    await browser.sign_in()
    for scope in (await metadata(server))["scopes_supported"]:
        of_game = scope in {"account", "playfab"}
        tokens = await (server.login("steam", scope=scope) if of_game else browser.tokens_at_once(scope=scope))
        assert tokens["scope"] == scope


async def test_every_advertised_answer_of_a_sign_in_is_given(server: Server) -> None:
    found, browser = await metadata(server), Browser(server)
    await browser.sign_in()
    for mode in found["response_modes_supported"]:
        assert "code" in (await browser.authorize(response_mode=mode)).answer, mode
    for display in found["display_values_supported"]:
        assert "code" in (await browser.authorize(display=display)).answer, display
    for acr in found["acr_values_supported"]:
        tokens = await browser.tokens_at_once(acr_values=acr)
        assert (await verified(server, tokens["id_token"], "shop"))["acr"] == acr


async def test_every_advertised_prompt_asks_what_it_names(server: Server) -> None:
    browser, asked = Browser(server), {}
    await browser.sign_in()
    for prompt in (await metadata(server))["prompt_values_supported"]:
        page = await browser.authorize(prompt=prompt)
        asked[prompt] = [button.value or button.id for form in page.forms for button in form.buttons]
    assert asked == {
        "none": [],
        "login": ["sign-in-steam", "sign-in-xbox", "sign-in-epicgames", "cancel"],
        "consent": ["allow", "deny", "switch"],
        "select_account": ["continue", "switch", "cancel"],
    }


async def test_every_advertised_language_is_spoken(server: Server) -> None:
    for locale in (await metadata(server))["ui_locales_supported"]:
        page = await Browser(server).authorize(ui_locales=locale)
        assert page.headers["content-language"] == locale


def wanting(alg: str, client_id: str, setting: str) -> Edit:
    """A client with this algorithm, on a server with keys for every one."""

    def edit(block: dict[str, Any]) -> None:
        changed(client_id, **{setting: alg})(block)
        block["keys"] = {"algorithms": list(get_args(SigningAlgorithm))}

    return edit


@pytest.mark.parametrize("alg", get_args(SigningAlgorithm))
async def test_every_advertised_algorithm_signs_for_a_client_that_wants_it(alg: str) -> None:
    async with running(edit=wanting(alg, "launcher", "id_token_alg")) as server:
        tokens = await server.login("steam")
        assert alg in (await metadata(server))["id_token_signing_alg_values_supported"]
        assert jwt.get_unverified_header(tokens["id_token"])["alg"] == alg


@pytest.mark.parametrize("alg", get_args(SigningAlgorithm))
async def test_every_advertised_algorithm_signs_userinfo_for_a_client_that_wants_it(alg: str) -> None:
    async with running(edit=wanting(alg, "shop", "userinfo_alg")) as server:
        browser = Browser(server)
        tokens = await browser.tokens()
        answer = await browser.userinfo(tokens["access_token"])
        assert alg in (await metadata(server))["userinfo_signing_alg_values_supported"]
        assert jwt.get_unverified_header(answer.text)["alg"] == alg
        assert (await verified(server, answer.text, "shop"))["name"] == "Amber"


async def test_C23_C4_the_key_set_over_http_is_public(server: Server) -> None:
    keys = (await server.http.get("/oauth2/jwks")).json()["keys"]
    assert {key["alg"] for key in keys} == {"ES256", "RS256"}
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & set().union(*keys)
