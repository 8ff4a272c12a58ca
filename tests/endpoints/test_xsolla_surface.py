"""The Xsolla-compatible paths as game SDKs use them: parameters they send, bodies they parse, codes they act on."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any
from unittest.mock import AsyncMock, patch
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import httpx
import jwt
import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.redirects import registration_problem
from authsrv.storage.base import StorageUnavailable
from tests.support.server import CHALLENGE, ISSUER, VERIFIER, Server, running
from tests.support.xsolla import BLANK, refusal

SILENT = "/api/oauth2/social/{}/cross_auth"
TOKEN = "/api/oauth2/token"
UNITY_DEFAULT = "https://login.xsolla.com/api/blank"
UNITY_LOOPBACK = "http://localhost:65421"
DEEP_LINK = "app://xlogin.com.example.game"
WITH_QUERY = "https://game.example/cb?x=1"
ERROR_PAGE = "https://game.example/sorry"
ANALYTICS = {
    "engine": "unity",
    "engine_v": "2021.3",
    "sdk": "store",
    "sdk_v": "1.0",
    "build_platform": "win",
    "ref": "x",
}


def more_clients(block: dict[str, Any]) -> None:
    """Game clients of every kind, beside the demo's own `40`."""
    common = {"compat": "xsolla", "native": True}
    block["projects"]["demo"]["clients"] |= {
        "41": common | {"secret": "forty-one-secret", "redirect_uris": [BLANK]},
        "42": {"compat": "xsolla", "type": "server", "secret": "forty-two-secret"},
        "43": common
        | {
            "type": "public",
            "redirect_uris": [UNITY_DEFAULT, UNITY_LOOPBACK, DEEP_LINK, WITH_QUERY],
            "extra_scopes": "*",
            "audiences": ["https://api.game.test", "https://shop.game.test"],
        },
        "44": common | {"type": "public", "redirect_uris": [BLANK], "error_redirect_uri": ERROR_PAGE},
    }
    block["projects"]["bare"] = {"clients": {"45": common | {"type": "public", "redirect_uris": [BLANK]}}}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=more_clients) as started:
        yield started


def unity(minted: MintedCredential, **changes: str | None) -> dict[str, str]:
    """What Unity's SDK sends, in its order; a parameter changed to None is left out."""
    sent: dict[str, str | None] = {
        "client_id": "40",
        "response_type": "code",
        "state": "xsollatest",
        "redirect_uri": BLANK,
        "scope": "offline",
        **minted.parameters,
        "is_redirect": "false",
        **ANALYTICS,
        **changes,
    }
    return {name: value for name, value in sent.items() if value is not None}


async def silent(
    server: Server, provider: str = "steam", minted: MintedCredential | None = None, /, **changes: str | None
) -> httpx.Response:
    sent = unity(minted or server.mint(provider), **changes)
    return await server.http.get(SILENT.format(provider), params=sent)


async def code_for(server: Server, provider: str = "steam", /, **changes: str | None) -> str:
    answer = await silent(server, provider, None, **changes)
    assert answer.status_code == 200, answer.text
    return httpx.URL(answer.json()["login_url"]).params["code"]


async def token(server: Server, **sent: str | None) -> httpx.Response:
    return await server.http.post(TOKEN, data={name: value for name, value in sent.items() if value is not None})


async def redeem(server: Server, code: str, /, **changes: str | None) -> httpx.Response:
    request: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "client_id": "40",
        "code": code,
        "redirect_uri": BLANK,
    }
    return await token(server, **(request | changes))


async def refresh(server: Server, refresh_token: str, /, **changes: str | None) -> httpx.Response:
    request: dict[str, str | None] = {
        "grant_type": "refresh_token",
        "client_id": "40",
        "refresh_token": refresh_token,
        "redirect_uri": BLANK,
    }
    return await token(server, **(request | changes))


def invalid(parameter: str) -> tuple[int, str, Mapping[str, str]]:
    return 400, "0", {"reason": "invalid_parameter", "parameter": parameter}


def ticket(reason: str) -> tuple[int, str, Mapping[str, str]]:
    return 422, "010-015", {"reason": reason}


# Refusals of cross_auth that come before client and redirect URI are known to be good


NEVER_REDIRECTED = [
    pytest.param({"client_id": None}, invalid("client_id"), id="no client"),
    pytest.param({"client_id": "99"}, (404, "003-061", {"reason": "unknown_client"}), id="unknown client"),
    pytest.param({"client_id": "launcher"}, (404, "003-061", {"reason": "unknown_client"}), id="standard client"),
    pytest.param({"client_id": "43", "redirect_uri": None}, (422, "010-011", {}), id="several redirect URIs"),
    pytest.param({"redirect_uri": "https://evil.test/"}, (422, "010-012", {}), id="unregistered redirect URI"),
    pytest.param({"redirect_uri": BLANK + "/"}, (422, "010-012", {}), id="redirect URI almost right"),
    pytest.param({"redirect_uri": UNITY_DEFAULT}, (422, "010-012", {}), id="redirect URI of another client"),
    pytest.param({"is_redirect": "maybe"}, invalid("is_redirect"), id="is_redirect"),
    pytest.param({"is_redirect": "no"}, invalid("is_redirect"), id="is_redirect no"),
]


@pytest.mark.parametrize(("changes", "outcome"), NEVER_REDIRECTED)
async def test_before_client_and_redirect_uri_are_good_the_answer_is_json(
    server: Server, changes: dict[str, str | None], outcome: tuple[int, str, Mapping[str, str]]
) -> None:
    answer = await silent(server, "steam", None, **({"is_redirect": "true"} | changes))
    assert "location" not in answer.headers
    status, code, details = refusal(answer)
    expected_status, expected_code, expected = outcome
    assert (status, code) == (expected_status, expected_code)
    assert details.items() >= expected.items()
    assert server.platforms["steam"].calls.total() == 0


async def test_an_unknown_provider_is_404(server: Server) -> None:
    answer = await server.http.get(SILENT.format("abyss"), params=unity(server.mint("steam"), is_redirect=None))
    assert refusal(answer) == (404, "003-061", {"reason": "unknown_provider"})


# All other refusals of cross_auth


PARAMETERS = [
    pytest.param({"response_type": None}, invalid("response_type"), id="no response_type"),
    pytest.param({"response_type": "token"}, invalid("response_type"), id="response_type token"),
    pytest.param({"session_ticket": None}, invalid("session_ticket"), id="no ticket"),
    pytest.param({"session_ticket": ""}, invalid("session_ticket"), id="empty ticket"),
    pytest.param({"no_user_creation": "maybe"}, invalid("no_user_creation"), id="no_user_creation"),
    pytest.param({"scope": 'offline "'}, (400, "0", {"reason": "invalid_parameter"}), id="scope"),
    pytest.param({"audience": "https://x.test"}, (400, "0", {"reason": "invalid_parameter"}), id="audience"),
    pytest.param({"code_challenge": "short"}, invalid("code_challenge_method"), id="challenge without method"),
    pytest.param(
        {"code_challenge": "short", "code_challenge_method": "S256"}, invalid("code_challenge"), id="short challenge"
    ),
    *(
        pytest.param({"state": f"abc{char}defgh"}, invalid("state"), id=f"state with {ord(char):#x}")
        for char in "&?#%\n\x7f"
    ),
    pytest.param({"state": None}, (400, "010-022", {}), id="no state"),
    pytest.param({"state": "1234567"}, (400, "010-022", {}), id="state of 7"),
    pytest.param({"client_id": "45"}, (422, "003-022", {"reason": "provider_not_configured"}), id="not configured"),
    pytest.param({"app_id": "4800002"}, ticket("ticket_wrong_app"), id="app_id of another app"),
    pytest.param({"no_user_creation": "1"}, (404, "003-002", {"reason": "user_not_found"}), id="unknown user"),
]
TICKETS = [
    pytest.param("steam", "malformed", ticket("ticket_malformed")),
    pytest.param("steam", "session-ticket-type", ticket("ticket_malformed")),
    pytest.param("steam", "cancelled", ticket("ticket_invalid")),
    pytest.param("steam", "forged", ticket("ticket_invalid")),
    pytest.param("steam", "other-app", ticket("ticket_wrong_app")),
    pytest.param("steam", "encrypted-expired", ticket("ticket_expired")),
    pytest.param("steam", "encrypted-not-yet-valid", ticket("ticket_invalid")),
    pytest.param("steam", "not-owned", ticket("not_owned")),
    pytest.param("steam", "banned", ticket("platform_banned")),
    pytest.param("steam", "publisher-banned", ticket("platform_banned")),
    pytest.param("steam", "http-503", (503, "004-001", {"reason": "provider_unavailable"})),
    pytest.param("steam", "bad-key-403", (503, "004-001", {"reason": "provider_misconfigured"})),
    pytest.param("xbox", "malformed", ticket("ticket_malformed")),
    pytest.param("xbox", "legacy-enc", ticket("ticket_malformed")),
    pytest.param("xbox", "expired", ticket("ticket_expired")),
    pytest.param("xbox", "wrong-audience", ticket("ticket_wrong_app")),
    pytest.param("xbox", "wrong-title", ticket("ticket_wrong_app")),
    pytest.param("xbox", "wrong-sandbox", ticket("ticket_wrong_environment")),
    pytest.param("xbox", "child", (422, "002-060", {"reason": "age_restricted"})),
    pytest.param("epicgames", "used-code", ticket("ticket_invalid")),
    pytest.param("epicgames", "unlisted-deployment", ticket("ticket_wrong_environment")),
    pytest.param("epicgames", "wrong-audience", ticket("ticket_wrong_app")),
    pytest.param("epicgames", "account-forbidden", ticket("not_owned")),
]


@pytest.mark.parametrize(("changes", "outcome"), PARAMETERS)
async def test_a_wrong_parameter_has_its_code(
    server: Server, changes: dict[str, str | None], outcome: tuple[int, str, Mapping[str, str]]
) -> None:
    status, code, details = refusal(await silent(server, "steam", None, **changes))
    assert (status, code) == outcome[:2]
    assert details.items() >= outcome[2].items()


@pytest.mark.parametrize(("provider", "case", "outcome"), TICKETS)
async def test_a_bad_ticket_has_its_code_and_reason(
    server: Server, provider: str, case: str, outcome: tuple[int, str, Mapping[str, str]]
) -> None:
    answer = await silent(server, provider, server.mint(provider, case=case))
    assert refusal(answer) == outcome
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)
    assert ("reference" in answer.json()["error"]["details"]) == (answer.status_code == 503)


async def test_a_ticket_used_before_is_told_so(server: Server) -> None:
    minted = server.mint("steam")
    assert (await silent(server, "steam", minted)).status_code == 200
    assert (await silent(server, "steam", minted)).status_code == 200
    assert refusal(await silent(server, "steam", minted, state="another-state")) == ticket("ticket_used")
    assert refusal(await silent(server, "steam", minted, client_id="44")) == ticket("ticket_used")


async def test_what_the_player_must_do_at_epic_is_told_with_the_page(server: Server) -> None:
    answer = await silent(server, "epicgames", server.mint("epicgames", case="corrective-action-required"))
    status, code, details = refusal(answer)
    assert (status, code, details["reason"]) == (422, "010-015", "account_action_required")
    assert "/id/login?continuation=" in details["interaction_url"]


REDIRECTED = [
    pytest.param({"response_type": "token"}, "good", ("invalid_request", "0"), id="parameter"),
    pytest.param({"state": "1234567"}, "good", ("invalid_request", "010-022"), id="state of 7"),
    pytest.param({"state": "a&bcdefgh"}, "good", ("invalid_request", "0"), id="state with &"),
    pytest.param({"session_ticket": "junk"}, "good", ("invalid_request", "010-015"), id="malformed ticket"),
    pytest.param({}, "cancelled", ("access_denied", "010-015"), id="refused ticket"),
    pytest.param({}, "banned", ("access_denied", "010-015"), id="banned"),
    pytest.param({"no_user_creation": "true"}, "good", ("access_denied", "003-002"), id="unknown user"),
    pytest.param({}, "http-503", ("temporarily_unavailable", "004-001"), id="outage"),
    pytest.param({}, "bad-key-403", ("server_error", "004-001"), id="our fault"),
]


@pytest.mark.parametrize(("changes", "case", "told_as"), REDIRECTED)
@pytest.mark.parametrize("client_id", ["40", "44"])
async def test_a_refusal_by_redirect_has_what_every_sdk_reads(
    server: Server, changes: dict[str, str], case: str, told_as: tuple[str, str], client_id: str
) -> None:
    sent = {"client_id": client_id, "is_redirect": None} | changes
    answer = await silent(server, "steam", server.mint("steam", case=case), **sent)
    assert answer.status_code == 302
    address, _, _ = answer.headers["location"].partition("?")
    told = dict(httpx.URL(answer.headers["location"]).params)
    assert address == {"40": BLANK, "44": ERROR_PAGE}[client_id]
    assert (told["error"], told["error_code"]) == told_as
    assert told["error_description"]
    assert told.get("state") == (None if "state" in changes else "xsollatest")
    assert not {"code", "token"} & told.keys()


# Success of cross_auth


async def test_the_json_answer_is_what_unity_and_unreal_parse(server: Server) -> None:
    answer = await silent(server)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"login_url"}
    url = answer.json()["login_url"]
    found = re.fullmatch(
        r"http://127\.0\.0\.1/blank\?code=([A-Za-z0-9._-]+)&state=xsollatest&iss=[A-Za-z0-9.%_-]+", url
    )
    assert found is not None
    assert (await redeem(server, found[1])).status_code == 200


async def test_the_answer_is_appended_to_a_query_that_the_redirect_uri_has(server: Server) -> None:
    answer = await silent(server, "steam", None, client_id="43", redirect_uri=WITH_QUERY)
    assert answer.json()["login_url"].startswith(WITH_QUERY + "&code=")


@pytest.mark.parametrize("spelling", ["false", "False", "0"])
async def test_is_redirect_false_is_spelt_in_three_ways(server: Server, spelling: str) -> None:
    assert (await silent(server, "steam", None, is_redirect=spelling)).status_code == 200


@pytest.mark.parametrize("spelling", ["true", "True", "1", "", None])
async def test_is_redirect_true_is_spelt_in_three_ways_and_is_the_default(server: Server, spelling: str | None) -> None:
    answer = await silent(server, "steam", None, is_redirect=spelling)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(BLANK + "?code=")
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("state", ["12345678", "xsollatest", "0b0c2e9e-7f1b-4a0b-8f0e-2f0e6c8b4d22", "a" * 512])
async def test_a_state_of_8_characters_and_more_comes_back_unchanged(server: Server, state: str) -> None:
    answer = await silent(server, "steam", None, state=state)
    assert httpx.URL(answer.json()["login_url"]).params["state"] == state


async def test_unity_before_2022_calls_the_redirect_uri_redirect_url(server: Server) -> None:
    answer = await silent(server, "steam", None, client_id="43", redirect_uri=None, redirectUrl=UNITY_DEFAULT)
    assert answer.json()["login_url"].startswith(UNITY_DEFAULT + "?code=")
    refused = await silent(server, "steam", None, redirect_uri=None, redirectUrl="https://evil.test/")
    assert refusal(refused)[:2] == (422, "010-012")


async def test_the_old_name_is_unknown_on_the_standard_surface(server: Server) -> None:
    answer = await server.silent("steam", redirect_uri=None, redirectUrl="https://evil.test/")
    assert answer.json()["login_url"].startswith("http://127.0.0.1/callback?code=")


async def test_the_only_redirect_uri_may_be_left_out(server: Server) -> None:
    code = await code_for(server, redirect_uri=None)
    assert (await redeem(server, code)).status_code == 200


@pytest.mark.parametrize("uri", [UNITY_DEFAULT, UNITY_LOOPBACK, DEEP_LINK])
async def test_the_addresses_built_into_the_sdks_can_be_registered_and_used(server: Server, uri: str) -> None:
    assert registration_problem(uri, native=True, xsolla=True) is None
    for is_redirect in ("false", "true"):
        answer = await silent(server, "steam", None, client_id="43", redirect_uri=uri, is_redirect=is_redirect)
        url = answer.json()["login_url"] if is_redirect == "false" else answer.headers["location"]
        assert url.startswith(uri + "?code=")
        code = re.split("[=&]", url)[1]
        assert (await redeem(server, code, client_id="43", redirect_uri=uri)).status_code == 200


@pytest.mark.parametrize("port", ["", ":1", ":50123"])
async def test_the_loopback_address_matches_on_any_port(server: Server, port: str) -> None:
    uri = f"http://localhost{port}"
    code = await code_for(server, client_id="43", redirect_uri=uri)
    assert (await redeem(server, code, client_id="43", redirect_uri=uri)).status_code == 200


def spelt(minted: MintedCredential) -> dict[str, str]:
    """The same Steam ticket in every spelling that SDKs have."""
    raw = bytes.fromhex(minted.text)
    return {
        "hex": raw.hex(),
        "upper-case hex": raw.hex().upper(),
        "padded buffer": (raw + bytes(1024 - len(raw))).hex(),
        "Base64": b64encode(raw).decode(),
        "Base64 without padding": b64encode(raw).decode().rstrip("="),
        "URL-safe Base64": urlsafe_b64encode(raw).decode(),
        "URL-safe Base64 without padding": urlsafe_b64encode(raw).decode().rstrip("="),
    }


SPELLINGS = (
    "hex",
    "upper-case hex",
    "padded buffer",
    "Base64",
    "Base64 without padding",
    "URL-safe Base64",
    "URL-safe Base64 without padding",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("encoded", [True, False], ids=["percent-encoded", "as it is"])
async def test_steam_tickets_come_in_every_spelling_and_unencoded(server: Server, spelling: str, encoded: bool) -> None:
    minted = server.mint("steam")
    while "+" not in b64encode(bytes.fromhex(minted.text)).decode():
        minted = server.mint("steam")
    text = spelt(minted)[spelling]
    others = httpx.QueryParams(unity(minted, session_ticket=None))
    query = f"{others}&session_ticket={quote(text, safe='') if encoded else text}"
    assert (await server.http.get(f"{SILENT.format('steam')}?{query}")).status_code == 200


@pytest.mark.parametrize("case", ["good", "with-xuid", "bare", "base64"])
async def test_xbox_tokens_come_in_every_form(server: Server, case: str) -> None:
    assert (await silent(server, "xbox", server.mint("xbox", case=case))).status_code == 200


@pytest.mark.parametrize("form", ["session_ticket", "code", "Base64", "both"])
async def test_epic_codes_come_in_either_parameter(server: Server, form: str) -> None:
    minted = server.mint("epicgames")
    sent: dict[str, dict[str, str | None]] = {
        "session_ticket": {},
        "code": {"session_ticket": None, "code": minted.text},
        "Base64": {"session_ticket": b64encode(minted.text.encode()).decode()},
        "both": {"code": minted.text},
    }
    assert (await silent(server, "epicgames", minted, **sent[form])).status_code == 200


async def test_a_request_line_of_20_kilobytes_is_read(server: Server) -> None:
    assert (await silent(server, "steam", None, ref_v="x" * 20_000)).status_code == 200


async def test_unknown_parameters_are_ignored_however_often_they_come(server: Server) -> None:
    query = httpx.QueryParams(unity(server.mint("steam")))
    answer = await server.http.get(f"{SILENT.format('steam')}?{query}&engine=x&sdk=%ff&sdk=%00&projectId=1")
    assert answer.status_code == 200


async def test_a_fresh_steam_ticket_is_waited_for(server: Server) -> None:
    async def pause(seconds: float) -> None:
        server.clock.now += seconds

    verifier: Any = server.app._platforms.find("demo", "steam")
    verifier._sleep = pause
    assert (await silent(server, "steam", server.mint("steam", case="too-early"))).status_code == 200


async def test_pkce_is_honoured_where_a_client_knows_it(server: Server) -> None:
    challenge = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    code = await code_for(server, **challenge)
    assert refusal(await redeem(server, code))[:2] == (400, "0")
    assert refusal(await redeem(server, code, code_verifier="x" * 43))[:2] == (400, "010-023")
    assert (await redeem(server, code, code_verifier=VERIFIER)).status_code == 200
    assert refusal(await redeem(server, await code_for(server), code_verifier=VERIFIER))[:2] == (400, "0")


# The token endpoint


def assert_token_answer(answer: httpx.Response) -> dict[str, Any]:
    """All four members that Android, Unreal and Unity need, of the types they need."""
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (told["token_type"], told["expires_in"]) == ("bearer", 3600)
    assert type(told["expires_in"]) is int
    for name in ("access_token", "refresh_token"):
        assert re.fullmatch(r"[A-Za-z0-9._~-]*", told[name])
    assert answer.headers["cache-control"] == "no-store"
    return told


async def test_a_code_brings_all_four_members_with_offline(server: Server) -> None:
    told = assert_token_answer(await redeem(server, await code_for(server)))
    assert told["refresh_token"] != ""
    assert told["scope"] == "offline"


async def test_without_offline_the_refresh_token_is_an_empty_text(server: Server) -> None:
    told = assert_token_answer(await redeem(server, await code_for(server, scope=None)))
    assert (told["refresh_token"], told["scope"]) == ("", "")


async def test_a_refresh_brings_all_four_members_and_a_new_refresh_token(server: Server) -> None:
    first = assert_token_answer(await redeem(server, await code_for(server)))
    second = assert_token_answer(await refresh(server, first["refresh_token"]))
    assert second["refresh_token"] not in {"", first["refresh_token"]}


async def test_a_repeated_refresh_gets_the_same_successor_and_late_reuse_ends_the_family(server: Server) -> None:
    first = (await redeem(server, await code_for(server))).json()["refresh_token"]
    second = (await refresh(server, first)).json()["refresh_token"]
    assert (await refresh(server, first)).json()["refresh_token"] == second
    server.clock.now += 31
    assert refusal(await refresh(server, first))[:2] == (400, "010-023")
    assert refusal(await refresh(server, second))[:2] == (400, "010-023")


@pytest.mark.parametrize("uri", [BLANK, UNITY_DEFAULT, "https://evil.test/", "", None])
async def test_a_refresh_never_compares_the_redirect_uri(server: Server, uri: str | None) -> None:
    tokens = (await redeem(server, await code_for(server))).json()
    assert (await refresh(server, tokens["refresh_token"], redirect_uri=uri)).status_code == 200


@pytest.mark.parametrize("uri", [UNITY_DEFAULT, UNITY_LOOPBACK, "http://localhost:9", DEEP_LINK, None])
async def test_a_code_that_came_as_json_goes_with_any_registered_redirect_uri(server: Server, uri: str | None) -> None:
    code = await code_for(server, client_id="43", redirect_uri=UNITY_LOOPBACK)
    assert (await redeem(server, code, client_id="43", redirect_uri=uri)).status_code == 200


@pytest.mark.parametrize("uri", ["https://evil.test/", BLANK, UNITY_DEFAULT + "/"])
async def test_a_code_that_came_as_json_goes_with_no_foreign_redirect_uri(server: Server, uri: str) -> None:
    code = await code_for(server, client_id="43", redirect_uri=UNITY_LOOPBACK)
    assert refusal(await redeem(server, code, client_id="43", redirect_uri=uri)) == (400, "010-023", {})


@pytest.mark.parametrize("uri", [UNITY_DEFAULT, "http://localhost:9", None])
async def test_a_code_that_came_by_redirect_goes_with_its_own_redirect_uri_only(
    server: Server, uri: str | None
) -> None:
    sent = {"client_id": "43", "redirect_uri": UNITY_LOOPBACK, "is_redirect": "true"}
    code = httpx.URL((await silent(server, "steam", None, **sent)).headers["location"]).params["code"]
    assert refusal(await redeem(server, code, client_id="43", redirect_uri=uri)) == (400, "010-023", {})
    assert (await redeem(server, code, client_id="43", redirect_uri=UNITY_LOOPBACK)).status_code == 200


async def test_on_the_standard_surface_a_code_that_came_as_json_keeps_its_redirect_uri(server: Server) -> None:
    code = await server.code("steam", redirect_uri="http://127.0.0.1:5000/callback")
    assert (await server.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_server_client_gets_a_token_of_its_own(server: Server) -> None:
    sent = {"grant_type": "client_credentials", "client_id": "42", "client_secret": "forty-two-secret"}
    told = assert_token_answer(await token(server, **sent))
    assert told["refresh_token"] == ""
    claims = server.claims(told["access_token"])
    assert (claims["client_id"], claims["exp"] - claims["iat"]) == ("42", 3600)
    assert not {"provider", "id", "is_cross_auth", "type"} & claims.keys()


async def test_a_confidential_client_sends_its_secret(server: Server) -> None:
    code = await code_for(server, client_id="41")
    assert refusal(await redeem(server, code, client_id="41"))[:2] == (400, "010-019")
    assert (await redeem(server, code, client_id="41", client_secret="forty-one-secret")).status_code == 200


TOKEN_REFUSALS = [
    pytest.param({"client_id": "99"}, (400, "010-019", {}), id="unknown client"),
    pytest.param({"client_id": None}, (400, "010-019", {}), id="no client"),
    pytest.param({"client_id": "launcher"}, (400, "010-019", {}), id="standard client"),
    pytest.param({"client_id": "41", "client_secret": "wrong"}, (400, "010-019", {}), id="wrong secret"),
    pytest.param({"client_secret": "anything"}, (400, "010-019", {}), id="secret of a public client"),
    pytest.param({"grant_type": "client_credentials"}, (400, "010-019", {}), id="grant of another kind of client"),
    pytest.param(
        {"client_id": "42", "client_secret": "forty-two-secret"}, (400, "010-019", {}), id="code for a server client"
    ),
    pytest.param({"code": "junk"}, (400, "010-023", {}), id="junk code"),
    pytest.param({"code": "asc_" + "A" * 65}, (400, "010-023", {}), id="made-up code"),
    pytest.param({"client_id": "44"}, (400, "010-023", {}), id="code of another client"),
    pytest.param({"redirect_uri": "https://evil.test/"}, (400, "010-023", {}), id="redirect URI"),
    pytest.param({"grant_type": "refresh_token", "refresh_token": "junk"}, (400, "010-023", {}), id="junk refresh"),
    pytest.param({"code": None}, invalid("code"), id="no code"),
    pytest.param({"grant_type": None}, invalid("grant_type"), id="no grant_type"),
    pytest.param({"grant_type": "password"}, (400, "0", {}), id="unknown grant_type"),
    pytest.param({"grant_type": "refresh_token"}, invalid("refresh_token"), id="no refresh token"),
]


@pytest.mark.parametrize(("changes", "outcome"), TOKEN_REFUSALS)
async def test_a_refused_token_request_has_its_code_and_uses_nothing_up(
    server: Server, changes: dict[str, str | None], outcome: tuple[int, str, Mapping[str, str]]
) -> None:
    code = await code_for(server)
    assert refusal(await redeem(server, code, **changes)) == outcome
    assert (await redeem(server, code)).status_code == 200


async def test_a_code_that_was_used_or_is_too_old_is_010_023(server: Server) -> None:
    used, old = await code_for(server), await code_for(server, "xbox")
    assert (await redeem(server, used)).status_code == 200
    assert refusal(await redeem(server, used)) == (400, "010-023", {})
    server.clock.now += 60
    assert refusal(await redeem(server, old)) == (400, "010-023", {})


async def test_a_refresh_token_that_is_anothers_or_too_old_is_010_023(server: Server) -> None:
    mine = (await redeem(server, await code_for(server))).json()["refresh_token"]
    assert refusal(await refresh(server, mine, client_id="44")) == (400, "010-023", {})
    server.clock.now += 30 * 86400
    assert refusal(await refresh(server, mine)) == (400, "010-023", {})


async def test_the_query_of_the_token_address_is_never_read(server: Server) -> None:
    code = await code_for(server)
    query = {"grant_type": "password", "client_id": "99", "code": "x", "client_secret": "y", **ANALYTICS}
    sent = {"grant_type": "authorization_code", "client_id": "40", "code": code, "redirect_uri": BLANK}
    assert (await server.http.post(TOKEN, params=query, data=sent)).status_code == 200
    answer = await server.http.post(TOKEN, params=sent)
    assert refusal(answer) == (400, "010-019", {})


async def test_an_outage_of_the_database_is_never_010_023(server: Server) -> None:
    code = await code_for(server)
    with patch.object(server.app.storage, "load_grant", AsyncMock(side_effect=StorageUnavailable("busy"))):
        answer = await redeem(server, code)
    assert refusal(answer) == (503, "004-001", {})
    assert answer.headers["retry-after"] == "1"
    assert (await redeem(server, code)).status_code == 200


# Claims


async def access_claims(server: Server, provider: str, **changes: str | None) -> dict[str, Any]:
    """The claims of a user token, verified by the published keys."""
    client_id = changes.get("client_id") or "40"
    code = await code_for(server, provider, **changes)
    answer = await redeem(server, code, client_id=client_id, redirect_uri=changes.get("redirect_uri") or BLANK)
    access = answer.json()["access_token"]
    header = jwt.get_unverified_header(access)
    assert (header["alg"], header["typ"], set(header)) == ("RS256", "JWT", {"alg", "typ", "kid"})
    keys = jwt.PyJWKSet.from_dict((await server.http.get("/.well-known/jwks.json")).json())
    claims: dict[str, Any] = jwt.decode(
        access,
        keys[header["kid"]],
        algorithms=["RS256"],
        options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
    )
    return claims


@pytest.mark.parametrize(
    ("provider", "named", "id_", "name"),
    [
        ("steam", "steam", "https://steamcommunity.com/openid/id/76561202255232001", "Amber"),
        ("xbox", "xbox", PLAYERS["amber"].partner_xuid, "Amber"),
        ("epicgames", "epicgames", PLAYERS["amber"].epic_account_id, "Amber"),
    ],
)
async def test_a_user_token_has_the_claims_that_the_sdks_read(
    server: Server, provider: str, named: str, id_: str, name: str
) -> None:
    claims = await access_claims(server, provider)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", claims.pop("sub"))
    assert isinstance(claims.pop("jti"), str)
    assert isinstance(claims.pop("gid"), str)
    now = int(server.clock.now)
    assert claims == {
        "iss": ISSUER,
        "aud": [],
        "exp": now + 3600,
        "iat": now,
        "client_id": "40",
        "token_use": "access",
        "xsolla_login_project_id": str(uuid5(NAMESPACE_URL, f"{ISSUER}/projects/demo")),
        "groups": [],
        "scp": ["offline"],
        "type": "social",
        "provider": named,
        "id": id_,
        "is_cross_auth": True,
        "name": name,
    }


@pytest.mark.parametrize(
    ("audience", "claim"),
    [
        (None, []),
        ("https://api.game.test", ["https://api.game.test"]),
        ("https://api.game.test https://shop.game.test", ["https://api.game.test", "https://shop.game.test"]),
    ],
)
async def test_the_audience_is_always_a_list(server: Server, audience: str | None, claim: list[str]) -> None:
    claims = await access_claims(server, "steam", client_id="43", redirect_uri=UNITY_DEFAULT, audience=audience)
    assert claims["aud"] == claim


async def test_a_resource_means_nothing_here_however_it_is_sent(server: Server) -> None:
    sent = unity(server.mint("steam"), client_id="43", redirect_uri=UNITY_DEFAULT)
    again = [("resource", "https://elsewhere.test"), ("resource", "%")]
    answer = await server.http.get(SILENT.format("steam"), params=[*sent.items(), *again])
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    fields = {"client_id": "43", "redirect_uri": UNITY_DEFAULT, "resource": "https://elsewhere.test"}
    assert server.claims((await redeem(server, code, **fields)).json()["access_token"])["aud"] == []


async def test_an_audience_counts_at_the_login_alone(server: Server) -> None:
    login = {"client_id": "43", "redirect_uri": UNITY_DEFAULT}
    code = await code_for(server, audience="https://api.game.test", **login)
    first = (await redeem(server, code, audience="https://shop.game.test", **login)).json()
    second = (await refresh(server, first["refresh_token"], audience="elsewhere", client_id="43")).json()
    for tokens in (first, second):
        assert server.claims(tokens["access_token"])["aud"] == ["https://api.game.test"]


async def test_A13_an_audience_may_not_be_repeated_here(server: Server) -> None:
    sent = unity(server.mint("steam"), client_id="43", redirect_uri=UNITY_DEFAULT)
    again = [("audience", "https://api.game.test"), ("audience", "https://shop.game.test")]
    answer = await server.http.get(SILENT.format("steam"), params=[*sent.items(), *again])
    assert refusal(answer) == invalid("audience")
    fields = {"grant_type": "client_credentials", "client_id": "42", "client_secret": "forty-two-secret"}
    answer = await server.http.post(TOKEN, data=fields | {"audience": ["a", "a"]})
    assert refusal(answer) == invalid("audience")


@pytest.mark.parametrize(
    ("scope", "claim"),
    [(None, []), ("offline", ["offline"]), ("offline unknown email", ["offline", "unknown", "email"])],
)
async def test_the_scope_is_always_a_list_with_unknown_values_where_the_client_may(
    server: Server, scope: str | None, claim: list[str]
) -> None:
    claims = await access_claims(server, "steam", client_id="43", redirect_uri=UNITY_DEFAULT, scope=scope)
    assert claims["scp"] == claim


async def test_the_player_of_a_compatible_and_of_a_standard_client_is_the_same(server: Server) -> None:
    here = (await access_claims(server, "steam"))["sub"]
    there = server.claims((await server.login("steam"))["access_token"])["sub"]
    assert here == there


# What holds for the whole surface


UNITY_ERRORS = (("statusCode", "errorCode", "errorMessage"), ("error", "code", "description"))


async def test_no_success_body_looks_like_an_error_to_unity(server: Server) -> None:
    tokens = await redeem(server, await code_for(server))
    bodies = [
        await silent(server),
        tokens,
        await refresh(server, tokens.json()["refresh_token"]),
        await token(server, grant_type="client_credentials", client_id="42", client_secret="forty-two-secret"),
        await server.http.get("/api/blank"),
    ]
    assert [answer.status_code for answer in bodies] == [200] * 5
    for answer in bodies:
        assert not [words for words in UNITY_ERRORS if all(word in answer.text for word in words)]


async def test_every_refusal_looks_like_an_error_to_unity(server: Server) -> None:
    for answer in (await silent(server, "steam", None, state="x"), await redeem(server, "x")):
        assert all(word in answer.text for word in UNITY_ERRORS[1])


ENVELOPED = [
    pytest.param("GET", "/api", {}, (404, "003-061"), id="404 root"),
    pytest.param("GET", "/api/nothing", {}, (404, "003-061"), id="404"),
    pytest.param("POST", "/api/oauth2/introspect", {}, (404, "003-061"), id="404 standard path"),
    pytest.param("GET", TOKEN, {}, (405, "0"), id="405 token"),
    pytest.param("PUT", SILENT.format("steam"), {}, (405, "0"), id="405 cross_auth"),
    pytest.param("POST", "/api/blank", {}, (405, "0"), id="405 blank"),
    pytest.param("POST", TOKEN, {"data": {"code": "x" * 140_000}}, (413, "0"), id="413"),
    pytest.param("GET", SILENT.format("steam") + "?x=" + "y" * 25_000, {}, (414, "0"), id="414"),
    pytest.param("POST", TOKEN, {"json": {}}, (415, "0"), id="415 token"),
    pytest.param("POST", SILENT.format("steam"), {"json": {}}, (415, "0"), id="415 cross_auth"),
]


@pytest.mark.parametrize(("method", "path", "sent", "outcome"), ENVELOPED)
async def test_errors_of_the_framework_have_the_envelope_too(
    server: Server, method: str, path: str, sent: dict[str, Any], outcome: tuple[int, str]
) -> None:
    answer = await server.http.request(method, path, **sent)
    assert ("allow" in answer.headers) == (outcome[0] == 405)
    assert refusal(answer)[:2] == outcome


async def test_head_is_no_login(server: Server) -> None:
    answer = await server.http.head(SILENT.format("steam"), params=unity(server.mint("steam")))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert server.platforms["steam"].calls.total() == 0


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/social/steam/cross_auth", "/apix/oauth2/token", "/nothing"])
async def test_the_standard_paths_never_have_the_envelope(server: Server, path: str) -> None:
    answer = await server.http.post(path, data={})
    assert isinstance(answer.json()["error"], str)


async def test_a_client_of_one_surface_does_not_exist_on_the_other(server: Server) -> None:
    there = await server.silent("steam", client_id="40", redirect_uri=BLANK)
    assert (there.status_code, there.json()["error"]) == (400, "invalid_request")
    code = await code_for(server)
    assert (await server.redeem(code, client_id="40", redirect_uri=BLANK)).json()["error"] == "invalid_client"
    other = await server.code("steam")
    assert refusal(await redeem(server, other, client_id="launcher"))[:2] == (400, "010-019")
    assert (await redeem(server, code)).status_code == 200
    assert (await server.redeem(other)).status_code == 200


async def test_the_blank_page_is_empty(server: Server) -> None:
    answer = await server.http.get("/api/blank?code=x&state=y")
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_preflight_names_the_headers_that_the_sdks_send(server: Server) -> None:
    headers = {"origin": ISSUER, "access-control-request-method": "POST"}
    answer = await server.http.options(TOKEN, headers=headers)
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed == {
        "authorization", "content-type", "x-server-authorization", "x-engine", "x-engine-v", "x-sdk", "x-sdk-v",
        "x-build-platform", "x-ref", "x-ref-v",
    }  # fmt: skip
    assert "access-control-allow-credentials" not in answer.headers


async def test_no_refusal_repeats_the_ticket(server: Server) -> None:
    for provider, case in (("steam", "cancelled"), ("xbox", "expired"), ("epicgames", "used-code")):
        minted = server.mint(provider, case=case)
        for is_redirect in ("true", "false"):
            answer = await silent(server, provider, minted, is_redirect=is_redirect)
            assert minted.text not in f"{answer.headers}{answer.text}"
