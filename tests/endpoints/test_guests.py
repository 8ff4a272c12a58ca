"""Guests over HTTP: where a device gets its secret, and that a guest is a player like any other from then on."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from authsrv.models import IdentityKey
from tests.support.ending import introspect
from tests.support.exchange import exchange_of
from tests.support.outcomes import written
from tests.support.refusals import clients
from tests.support.server import Server, client, launcher_request, running

GUESTS = "/v1/guests"
SILENT = "/oauth2/social/guest/cross_auth"
XSOLLA = "/api/oauth2/social/guest/cross_auth"
BLANK = "http://127.0.0.1/blank"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def new_guest(server: Server, client_id: str = "launcher") -> str:
    """A secret, as a device gets it."""
    answer = await server.http.post(GUESTS, json={"client_id": client_id})
    assert answer.status_code == 200, answer.text
    secret: str = answer.json()["credential"]["value"]
    return secret


async def login(server: Server, secret: str, **changes: str | None) -> dict[str, Any]:
    """The tokens of a silent login and its exchange."""
    answer = await server.silent("guest", None, session_ticket=secret, **changes)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = (await server.redeem(httpx.URL(answer.json()["login_url"]).params["code"])).json()
    return tokens


def subject_of(secret: str) -> str:
    return urlsafe_b64encode(sha256(secret.encode()).digest()).rstrip(b"=").decode()


# --- a secret for a device ---


async def test_a_device_gets_a_secret_of_256_bits_and_nothing_is_kept(server: Server) -> None:
    answer = await server.http.post(GUESTS, json={"client_id": "launcher"})
    assert answer.status_code == 200
    assert answer.json().keys() == {"credential"}
    assert answer.json()["credential"].keys() == {"type", "value"}
    assert answer.json()["credential"]["type"] == "device_secret"
    prefix, random = answer.json()["credential"]["value"][:14], answer.json()["credential"]["value"][14:]
    assert (prefix, len(random)) == ("authsrv_guest_", 43)
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert written(server) == (0, 0, 0)


async def test_no_two_devices_get_the_same_secret(server: Server) -> None:
    assert len({await new_guest(server) for _ in range(50)}) == 50


async def test_a_game_on_an_xsolla_sdk_gets_one_too(server: Server) -> None:
    assert await new_guest(server, "40")


MALFORMED = (400, "invalid_request", "client_id", "")
REFUSED = [
    pytest.param({}, MALFORMED, id="nobody"),
    pytest.param({"client_id": ""}, MALFORMED, id="empty"),
    pytest.param({"client_id": 40}, MALFORMED, id="a number"),
    pytest.param({"client_id": ["launcher"]}, MALFORMED, id="a list"),
    pytest.param({"client_id": None}, MALFORMED, id="null"),
    pytest.param({"client_id": "launcher\0"}, MALFORMED, id="NUL"),
    pytest.param({"client_id": "a" * 256}, MALFORMED, id="too long"),
    pytest.param({"client_id": "\ud800"}, (400, "invalid_request", "", ""), id="lone surrogate"),
    pytest.param({"client_id": "nobody"}, (400, "invalid_request", "client_id", "unknown_client"), id="unknown"),
    pytest.param({"client_id": "third"}, (400, "unauthorized_client", "", ""), id="not the studio's own"),
    pytest.param({"client_id": "lonely"}, (404, "unsupported_provider", "", "provider_not_configured"), id="no guests"),
]


def with_others(block: dict[str, Any]) -> None:
    """A client that is not the studio's own, and a project that has no guests."""
    launcher = clients(block)["launcher"]
    clients(block)["third"] = {**launcher, "first_party": False}
    steam = block["projects"]["demo"]["platforms"]["steam"]
    block["projects"]["bare"] = {"platforms": {"steam": steam}, "clients": {"lonely": dict(launcher)}}


@pytest.mark.parametrize(("body", "outcome"), REFUSED)
async def test_who_gets_no_secret(body: dict[str, Any], outcome: tuple[int, str, str, str]) -> None:
    async with running(edit=with_others) as server:
        answer = await server.http.post(GUESTS, content=json.dumps(body), headers={"content-type": "application/json"})
        told = answer.json()
        assert (answer.status_code, told["error"], told.get("parameter", ""), told.get("reason", "")) == outcome
        assert "credential" not in told


async def test_where_the_configuration_has_no_guests_there_are_none() -> None:
    def without_guests(block: dict[str, Any]) -> None:
        del block["projects"]["demo"]["platforms"]["guest"]

    async with running(edit=without_guests) as server:
        refused = await server.http.post(GUESTS, json={"client_id": "launcher"})
        assert (refused.status_code, refused.json()["reason"]) == (404, "provider_not_configured")
        refused = await server.silent("guest")
        assert (refused.status_code, refused.json()["reason"]) == (404, "provider_not_configured")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param("client_id=launcher", "application/x-www-form-urlencoded", 415, id="D55 a form"),
        pytest.param('{"client_id": "launcher"}', "text/plain", 415, id="D55 JSON as a text"),
        pytest.param('{"client_id": "launcher"}', "", 415, id="D55 no type"),
        pytest.param("", "application/json", 400, id="nothing"),
        pytest.param('["launcher"]', "application/json", 400, id="a list"),
        pytest.param('{"client_id": "launcher", "client_id": "launcher"}', "application/json", 400, id="A13 twice"),
        pytest.param('{"client_id": "launcher"', "application/json", 400, id="cut"),
        pytest.param('{"client_id": "launcher", "x": "' + "a" * 4096 + '"}', "application/json", 413, id="too large"),
    ],
)
async def test_D55_only_a_strict_json_object_is_read(server: Server, body: str, content_type: str, status: int) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await server.http.post(GUESTS, content=body.encode(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


async def test_D55_no_web_page_may_have_one_made(server: Server) -> None:
    asked = {"origin": "https://evil.test", "access-control-request-method": "POST"}
    preflight = await server.http.options(GUESTS, headers=asked)
    assert (preflight.status_code, "access-control-allow-origin" in preflight.headers) == (405, False)
    answer = await server.http.post(GUESTS, json={"client_id": "launcher"}, headers={"origin": "https://evil.test"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_A42_other_methods_do_nothing(server: Server, method: str) -> None:
    answer = await server.http.request(method, GUESTS, params={"client_id": "launcher"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_F12_an_address_has_only_so_many_made(server: Server) -> None:
    def few(block: dict[str, Any]) -> None:
        block["limits"] = {"guests_per_minute_per_address": 2}

    async with running(edit=few) as strict:
        for _ in range(2):
            await new_guest(strict)
        for client_id in ("launcher", "nobody"):
            answer = await strict.http.post(GUESTS, json={"client_id": client_id})
            assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
            assert answer.headers["ratelimit-policy"] == '"address-guests";q=2;w=60'
        async with client(strict.app, "192.0.2.7") as elsewhere:
            assert (await elsewhere.post(GUESTS, json={"client_id": "launcher"})).status_code == 200


async def test_F12_an_address_becomes_only_so_many_guests_whoever_made_their_secrets() -> None:
    def few(block: dict[str, Any]) -> None:
        block["limits"] = {"guests_per_minute_per_address": 2}

    async with running(edit=few) as strict:
        made_up = ["authsrv_guest_" + letter * 43 for letter in "ABCD"]
        for secret in made_up[:2]:
            await login(strict, secret)
        for answer in (
            await strict.silent("guest", None, session_ticket=made_up[2]),
            await exchange_of(strict, "guest", made_up[3]),
        ):
            assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
            assert answer.headers["ratelimit-policy"] == '"address-new-guests";q=2;w=60'
        assert written(strict)[:2] == (2, 2)
        await login(strict, made_up[0])  # who is there already comes in
        assert (await strict.silent("steam")).status_code == 200  # and who comes from a platform
        async with client(strict.app, "192.0.2.7") as elsewhere:
            sent = {name: value for name, value in launcher_request().items() if value}
            answer = await elsewhere.post(SILENT, data={**sent, "session_ticket": made_up[2]})
            assert answer.status_code == 200


# --- a guest at the doors of everybody ---


async def test_a_guest_comes_back_as_the_same_player_by_every_later_login(server: Server) -> None:
    secret = await new_guest(server)
    tokens = await login(server, secret)
    server.clock.now += 365 * 86_400
    again, other = await login(server, secret), await login(server, await new_guest(server))
    first, later, stranger = (server.claims(one["access_token"])["sub"] for one in (tokens, again, other))
    assert first == later != stranger
    assert written(server)[:2] == (2, 2)


async def test_what_the_tokens_of_a_guest_say(server: Server) -> None:
    secret = await new_guest(server)
    tokens = await login(server, secret, scope="openid profile offline", nonce="a-nonce")
    access, id_token = server.claims(tokens["access_token"]), server.claims(tokens["id_token"])
    assert (access["idp"], access["idp_sub"]) == ("guest", subject_of(secret))
    assert (id_token["amr"], id_token["nonce"]) == (["guest"], "a-nonce")
    assert not {"name", "preferred_username"} & id_token.keys()
    told = (await server.userinfo(tokens["access_token"])).json()
    assert (told["sub"], told.keys() & {"name", "preferred_username"}) == (access["sub"], set())


async def test_a_guest_exchanges_refreshes_and_is_introspected() -> None:
    def asking(block: dict[str, Any]) -> None:
        clients(block)["backend"]["introspect"] = True

    async with running(edit=asking) as server:
        secret = await new_guest(server)
        answer = await exchange_of(server, "guest", secret)
        assert answer.status_code == 200, answer.text
        refreshed = (await server.refresh(answer.json()["refresh_token"])).json()
        told = (await introspect(server, refreshed["access_token"])).json()
        sub = server.claims(answer.json()["access_token"])["sub"]
        assert (told["active"], told["sub"]) == (True, sub)
        assert server.claims((await login(server, secret))["access_token"])["sub"] == sub


async def test_D53_a_guest_who_is_nobody_yet_is_not_created_when_asked_not_to(server: Server) -> None:
    secret = await new_guest(server)
    answer = await server.silent("guest", None, session_ticket=secret, no_user_creation="true")
    assert (answer.status_code, answer.json()["error"]) == (404, "user_not_found")
    assert written(server) == (0, 0, 0)


async def test_only_the_digest_of_the_secret_is_the_identity(server: Server) -> None:
    secret = await new_guest(server)
    await login(server, secret)
    key = IdentityKey("demo", "guest", "", subject_of(secret))
    assert await server.app.storage.load_player(key) is not None


async def test_D56_a_guests_secret_never_comes_by_an_address(server: Server) -> None:
    secret = await new_guest(server)
    sent = {name: value for name, value in launcher_request().items() if value} | {"session_ticket": secret}
    answer = await server.http.get(SILENT, params=sent)
    assert (answer.status_code, answer.json()["reason"]) == (400, "credential_unsupported")
    redirected = await server.http.get(SILENT, params={**sent, "is_redirect": "true"})
    told = httpx.URL(redirected.headers["location"]).params
    assert (redirected.status_code, told["reason"], "code" in told) == (302, "credential_unsupported", False)
    in_both = await server.http.post(SILENT, params=sent, data={k: v for k, v in sent.items() if k != "session_ticket"})
    assert (in_both.status_code, in_both.json()["parameter"]) == (400, "session_ticket")
    assert written(server) == (0, 0, 0)
    assert secret not in json.dumps(server.events)
    assert not [name for name, value in redirected.headers.items() if secret in value]


async def test_a_guest_has_no_page_to_sign_in_at(server: Server) -> None:
    answer = await server.http.get("/login/guest/callback", params={"state": "x", "session_ticket": "y"})
    assert answer.status_code == 400
    assert "guest" not in server.app._platforms.for_browsers("demo")


async def test_one_device_that_logs_in_without_end_is_stopped_and_nobody_else() -> None:
    def few(block: dict[str, Any]) -> None:
        block["limits"] = {"logins_per_minute_per_player": 3}

    async with running(edit=few) as server:
        busy, other = await new_guest(server), await new_guest(server)
        for _ in range(3):
            await login(server, busy)
        answer = await server.silent("guest", None, session_ticket=busy)
        assert (answer.status_code, '"claimed-player-logins"' in answer.headers["ratelimit"]) == (429, True)
        assert (await server.silent("guest", None, session_ticket=other)).status_code == 200


# --- the Xsolla surface ---


async def xsolla_token(server: Server, secret: str) -> str:
    sent = {
        "client_id": "40",
        "response_type": "code",
        "state": "xsollatest",
        "redirect_uri": BLANK,
        "is_redirect": "false",
        "session_ticket": secret,
    }
    answer = await server.http.post(XSOLLA, data=sent)
    assert answer.status_code == 200, answer.text
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    asked = {"grant_type": "authorization_code", "client_id": "40", "code": code, "redirect_uri": BLANK}
    token: str = (await server.http.post("/api/oauth2/token", data=asked)).json()["access_token"]
    return token


async def test_on_the_xsolla_surface_a_guest_is_a_device_of_no_provider(server: Server) -> None:
    token = await xsolla_token(server, await new_guest(server, "40"))
    claims = server.claims(token)
    assert claims["type"] == "device"
    assert not {"provider", "id", "is_cross_auth", "name"} & claims.keys()
    told = (await server.http.get("/api/users/me", headers={"authorization": f"Bearer {token}"})).json()
    assert (told["id"], told["is_anonymous"], told["name"]) == (claims["sub"], True, None)


async def test_on_the_xsolla_surface_it_is_the_same_player(server: Server) -> None:
    secret = await new_guest(server)
    sub = server.claims((await login(server, secret))["access_token"])["sub"]
    assert server.claims(await xsolla_token(server, secret))["sub"] == sub


async def test_D56_the_gets_of_xsollas_sdks_bring_no_guest_in(server: Server) -> None:
    asked = {"client_id": "40", "response_type": "code", "state": "xsollatest", "is_redirect": "false"}
    secret = await new_guest(server)
    answer = await server.http.get(XSOLLA, params={**asked, "redirect_uri": BLANK, "session_ticket": secret})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "010-015"
    assert written(server) == (0, 0, 0)
