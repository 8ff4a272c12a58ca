"""`/oauth2/social/{provider}/cross_auth` over HTTP: parameters, answers, and what a wrong one costs (nothing)."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.models import IdentityKey
from tests.support.server import CALLBACK, CHALLENGE, ISSUER, Server, launcher_request, running

PROVIDERS = ("steam", "xbox", "epicgames", "guest")
IN_ADDRESSES = ("steam", "xbox", "epicgames")
"""Whose credentials may come by GET, since they are soon worth nothing."""
DEMO_AMBER = IdentityKey("demo", "steam", "", "76561202255232001")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


def location(answer: httpx.Response) -> httpx.URL:
    return httpx.URL(answer.headers["location"])


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_json_answer_has_exactly_one_member(server: Server, provider: str) -> None:
    answer = await server.silent(provider)
    assert answer.status_code == 200
    assert answer.json().keys() == {"login_url"}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_redirect_carries_code_then_state_then_iss(server: Server, provider: str) -> None:
    answer = await server.silent(provider, is_redirect=None)
    assert answer.status_code == 303
    assert [name for name, _ in location(answer).params.multi_items()] == ["code", "state", "iss"]
    assert location(answer).params["iss"] == ISSUER
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("provider", IN_ADDRESSES)
async def test_get_takes_the_same_parameters_and_answers_302(server: Server, provider: str) -> None:
    parameters = launcher_request() | dict(server.mint(provider).parameters) | {"is_redirect": "true"}
    answer = await server.http.get(f"/oauth2/social/{provider}/cross_auth", params=parameters)
    assert answer.status_code == 302


@pytest.mark.parametrize("state", ["12345678", "a" * 512, "æøå-ß-日本語", "with space+plus%25&#?/=", "\r\n\tcontrol"])
async def test_A22_the_state_comes_back_byte_exact(server: Server, state: str) -> None:
    answer = await server.silent("steam", state=state, is_redirect="true")
    assert location(answer).params["state"] == state
    assert answer.headers["location"].isprintable()


async def test_a_code_uses_characters_that_sdk_parsers_know(server: Server) -> None:
    code = await server.code("steam")
    assert all(char.isascii() and (char.isalnum() or char in "._-") for char in code)


async def test_the_only_redirect_uri_may_be_left_out_at_both_ends(server: Server) -> None:
    code = await server.code("steam", redirect_uri=None)
    assert (await server.redeem(code, redirect_uri=None)).status_code == 200


async def test_a_native_client_may_use_any_loopback_port_and_repeats_it(server: Server) -> None:
    code = await server.code("steam", redirect_uri="http://127.0.0.1:51004/callback")
    assert (await server.redeem(code)).json()["error"] == "invalid_grant"
    assert (await server.redeem(code, redirect_uri="http://127.0.0.1:51004/callback")).status_code == 200


async def test_unknown_parameters_are_ignored_however_broken(server: Server) -> None:
    body = httpx.QueryParams(
        {k: v for k, v in (launcher_request() | dict(server.mint("steam").parameters)).items() if v}
    )
    answer = await server.http.post(
        "/oauth2/social/steam/cross_auth",
        content=f"{body}&engine=unreal&engine=unity&ref=%ff&sdk=%00&%zz=1",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200


NEVER_REDIRECTED = [
    pytest.param({"client_id": None}, "client_id", id="no client"),
    pytest.param({"client_id": "nobody"}, "client_id", id="A14 unknown client"),
    pytest.param({"client_id": "40"}, "client_id", id="client of the other surface"),
    pytest.param({"redirect_uri": "https://evil.test/cb"}, "redirect_uri", id="A01 unregistered"),
    pytest.param({"redirect_uri": CALLBACK + "/"}, "redirect_uri", id="A02 trailing slash"),
    pytest.param({"redirect_uri": CALLBACK + "?x=1"}, "redirect_uri", id="A02 added query"),
    pytest.param({"redirect_uri": "http://127.0.0.1/Callback"}, "redirect_uri", id="A02 case"),
    pytest.param({"redirect_uri": "http://localhost:80@evil.test/callback"}, "redirect_uri", id="A03 userinfo"),
    pytest.param({"redirect_uri": "//evil.test"}, "redirect_uri", id="A04 no scheme"),
    pytest.param({"redirect_uri": CALLBACK + "#x"}, "redirect_uri", id="A08 fragment"),
    pytest.param({"redirect_uri": "javascript:alert(1)"}, "redirect_uri", id="A09 script"),
    pytest.param(
        {"redirect_uri": "http://127.0.0.1.evil.test:9/callback"}, "redirect_uri", id="A11 loopback look-alike"
    ),
    pytest.param({"redirect_uri": "http://localhost/callback"}, "redirect_uri", id="A11 localhost"),
    pytest.param(
        {"client_id": "shop", "redirect_uri": "https://evil.test/cb"}, "redirect_uri", id="A01 another client"
    ),
    pytest.param({"is_redirect": "maybe"}, "is_redirect", id="is_redirect is no boolean"),
]


@pytest.mark.parametrize(("changes", "parameter"), NEVER_REDIRECTED)
async def test_without_a_good_client_and_redirect_uri_nothing_is_redirected(
    server: Server, changes: dict[str, str | None], parameter: str
) -> None:
    answer = await server.silent("steam", **({"is_redirect": "true"} | changes))
    assert "location" not in answer.headers
    assert (answer.status_code, answer.json()["error"], answer.json()["parameter"]) == (
        400,
        "invalid_request",
        parameter,
    )


async def test_A07_with_several_redirect_uris_one_must_be_sent() -> None:
    def two(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["launcher"]["redirect_uris"] = [CALLBACK, "http://127.0.0.1/other"]

    async with running(edit=two) as several:
        answer = await several.silent("steam", redirect_uri=None, is_redirect="true")
        assert (answer.status_code, answer.json()["reason"]) == (400, "redirect_uri_missing")


COSTS_NOTHING = [
    pytest.param({"response_type": None}, 400, "invalid_request", id="A18 response_type missing"),
    pytest.param({"response_type": "token"}, 400, "unsupported_response_type", id="A18 response_type token"),
    pytest.param({"state": None}, 400, "invalid_request", id="A21 state missing"),
    pytest.param({"state": "1234567"}, 400, "invalid_request", id="A21 state of 7"),
    pytest.param({"state": "x" * 513}, 400, "invalid_request", id="A22 state of 513"),
    pytest.param({"code_challenge": None}, 400, "invalid_request", id="A15 no PKCE"),
    pytest.param({"code_challenge": None, "code_challenge_method": None}, 400, "invalid_request", id="A15 none of it"),
    pytest.param({"code_challenge_method": None}, 400, "invalid_request", id="A16 no method"),
    pytest.param({"code_challenge_method": "plain"}, 400, "invalid_request", id="A16 plain"),
    pytest.param({"code_challenge": "x" * 42}, 400, "invalid_request", id="A17 challenge of 42"),
    pytest.param({"code_challenge": "x" * 129}, 400, "invalid_request", id="A17 challenge of 129"),
    pytest.param({"code_challenge": CHALLENGE + "\n"}, 400, "invalid_request", id="A17 challenge with newline"),
    pytest.param({"code_challenge": "+" * 43}, 400, "invalid_request", id="A17 challenge with plus"),
    pytest.param({"scope": 'openid "'}, 400, "invalid_scope", id="A24 quote in the scope"),
    pytest.param({"scope": "admin"}, 400, "invalid_scope", id="A24 nothing allowed"),
    pytest.param({"audience": "https://elsewhere.test"}, 400, "invalid_target", id="audience not allowed"),
    pytest.param({"nonce": "n" * 513}, 400, "invalid_request", id="nonce of 513"),
    pytest.param({"no_user_creation": "perhaps"}, 400, "invalid_request", id="no_user_creation no boolean"),
    pytest.param({"credential_type": "password"}, 400, "invalid_request", id="unknown credential_type"),
    pytest.param({"app_id": "4800002"}, 400, "invalid_grant", id="D02 app that is not configured"),
    pytest.param({"app_id": "x"}, 400, "invalid_request", id="app_id no number"),
    pytest.param({"code": "abc"}, 400, "invalid_request", id="two credentials"),
    pytest.param({"encrypted_ticket_nonce": "A" * 48}, 400, "invalid_grant", id="nonce never issued"),
]


@pytest.mark.parametrize(("changes", "status", "error"), COSTS_NOTHING)
async def test_a_wrong_parameter_never_costs_a_credential(
    server: Server, changes: dict[str, str | None], status: int, error: str
) -> None:
    minted = server.mint("steam")
    refused = await server.silent("steam", minted, **changes)
    assert (refused.status_code, refused.json()["error"]) == (status, error)
    assert server.platforms["steam"].calls.total() == 0
    assert (await server.silent("steam", minted)).status_code == 200


@pytest.mark.parametrize(("changes", "status", "error"), COSTS_NOTHING)
async def test_with_redirect_the_refusal_goes_to_the_client_by_one_of_four_codes(
    server: Server, changes: dict[str, str | None], status: int, error: str
) -> None:
    answer = await server.silent("steam", **({"is_redirect": "true"} | changes))
    assert answer.status_code == 303
    sent = location(answer).params
    assert sent["error"] in {"invalid_request", "access_denied"}
    as_json = (await server.silent("steam", **changes)).json()
    assert sent["reason"] == as_json.get("reason", error)
    assert "code" not in sent
    assert sent["iss"] == ISSUER
    assert ("state" in sent) == ("state" not in changes)


async def test_A13_repeated_parameters_are_refused_without_choosing_one(server: Server) -> None:
    minted = server.mint("steam")
    body = httpx.QueryParams({k: v for k, v in (launcher_request() | dict(minted.parameters)).items() if v})
    for name in ("client_id", "redirect_uri", "state", "code_challenge", "scope", "session_ticket", "nonce"):
        answer = await server.http.post(
            "/oauth2/social/steam/cross_auth",
            content=f"{body}&{name}=a&{name}=b",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert (answer.status_code, answer.json()) == (
            400,
            {
                "error": "invalid_request",
                "error_description": "A parameter is repeated; send each one once.",
                "parameter": name,
            },
        )
    assert (await server.silent("steam", minted)).status_code == 200


@pytest.mark.parametrize("value", ["%ff", "%c0%af", "%ed%a0%80", "a%00b", "%"])
@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "session_ticket"])
async def test_A23_parameters_that_are_not_text_are_refused(server: Server, name: str, value: str) -> None:
    parameters = {k: v for k, v in launcher_request().items() if v and k != name}
    answer = await server.http.post(
        "/oauth2/social/steam/cross_auth",
        content=f"{httpx.QueryParams(parameters)}&{name}={value}",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status_code, answer.json()["error"], answer.json()["parameter"]) == (400, "invalid_request", name)


@pytest.mark.parametrize("provider", ["psn", "steam%2f..", "STEAM", "abyss"])
async def test_an_unknown_platform_is_not_found(server: Server, provider: str) -> None:
    answer = await server.http.post(f"/oauth2/social/{provider}/cross_auth", data={"client_id": "launcher"})
    assert answer.status_code == 404


async def test_D51_a_platform_that_is_not_configured_is_refused() -> None:
    def without_xbox(block: dict[str, Any]) -> None:
        del block["projects"]["demo"]["platforms"]["xbox"]

    async with running(edit=without_xbox) as server:
        answer = await server.silent("xbox")
        assert (answer.status_code, answer.json()["error"]) == (404, "unsupported_provider")
        assert answer.json()["reason"] == "provider_not_configured"


async def test_only_first_party_clients_log_in_silently() -> None:
    def third_party(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["launcher"]["first_party"] = False

    async with running(edit=third_party) as server:
        answer = await server.silent("steam")
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
        assert server.platforms["steam"].calls.total() == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH"])
async def test_A42_other_methods_do_nothing(server: Server, method: str) -> None:
    parameters = launcher_request() | dict(server.mint("steam").parameters)
    answer = await server.http.request(method, "/oauth2/social/steam/cross_auth", params=parameters)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert server.platforms["steam"].calls.total() == 0


async def test_D55_a_json_body_is_refused(server: Server) -> None:
    answer = await server.http.post("/oauth2/social/steam/cross_auth", json=launcher_request())
    assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")


async def test_D55_no_web_page_may_read_the_answer(server: Server) -> None:
    preflight = await server.http.options(
        "/oauth2/social/steam/cross_auth",
        headers={"origin": "https://evil.test", "access-control-request-method": "POST"},
    )
    assert "access-control-allow-origin" not in preflight.headers
    answer = await server.http.post(
        "/oauth2/social/steam/cross_auth", data=launcher_request(), headers={"origin": "https://evil.test"}
    )
    assert "access-control-allow-origin" not in answer.headers
    assert "set-cookie" not in answer.headers


async def test_D53_an_unknown_player_is_not_created_when_asked_not_to(server: Server) -> None:
    minted = server.mint("steam")
    answer = await server.silent("steam", minted, no_user_creation="true")
    assert (answer.status_code, answer.json()["error"]) == (404, "user_not_found")
    assert await server.app.storage.load_player(DEMO_AMBER) is None
    # The same request may change its mind, with the ticket it has.
    assert (await server.silent("steam", minted)).status_code == 200
    assert (await server.silent("steam", no_user_creation="true")).status_code == 200


async def test_audience_goes_into_the_token_if_the_client_may_ask_for_it() -> None:
    def with_audience(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["clients"]["launcher"]["audiences"] = ["https://api.game.test"]

    async with running(edit=with_audience) as server:
        tokens = await server.login("steam", audience="https://api.game.test")
        assert server.claims(tokens["access_token"])["aud"] == "https://api.game.test"


async def test_the_same_player_comes_back_by_every_later_login(server: Server) -> None:
    first = server.claims((await server.login("steam"))["access_token"])["sub"]
    second = server.claims((await server.login("steam"))["access_token"])["sub"]
    other = server.claims((await server.login("steam", server.mint("steam", "birch")))["access_token"])["sub"]
    assert first == second != other


async def test_D40_the_same_person_is_another_player_on_every_platform(server: Server) -> None:
    subs = {server.claims((await server.login(provider))["access_token"])["sub"] for provider in PROVIDERS}
    assert len(subs) == len(PROVIDERS)


async def test_D54_the_platforms_display_name_is_stored_cleaned(server: Server) -> None:
    await server.code("steam")
    player = await server.app.storage.load_player(DEMO_AMBER)
    assert player is not None
    assert player.display_name == "Amber"


async def test_D57_without_a_good_ticket_known_and_unknown_players_look_alike(server: Server) -> None:
    await server.code("steam")
    answers = [
        await server.silent("steam", server.mint("steam", player, case="cancelled"), no_user_creation="true")
        for player in ("amber", "birch")
    ]
    assert answers[0].status_code == answers[1].status_code == 400
    assert answers[0].json() == answers[1].json()
