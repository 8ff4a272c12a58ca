"""Token exchange (RFC 8693) over HTTP: a platform's credential in, tokens out; access tokens for less or for others."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from authsrv.storage.changes import RevokeGrant
from tests.support.exchange import (
    ACCESS_TOKEN,
    ID_TOKEN,
    KINDS,
    MATCH,
    MOD_IO,
    PLATFORM,
    SECRET,
    exchange,
    exchange_of,
    exchanging,
    narrow,
    own_token,
    ticket,
)
from tests.support.refusals import clients, tables
from tests.support.server import ISSUER, Server, running
from tests.support.verification import verified


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=exchanging) as started:
        yield started


# --- a platform's credential ---


@pytest.mark.parametrize("provider", KINDS)
async def test_a_credential_gives_all_three_tokens_in_one_round_trip(server: Server, provider: str) -> None:
    answer = await exchange_of(server, provider, nonce="n-0S6_WzA2Mj")
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert got["issued_token_type"] == ACCESS_TOKEN
    assert (got["token_type"], got["expires_in"], got["scope"]) == ("Bearer", 900, "openid offline")
    access = await verified(server, got["access_token"], ISSUER, "at+jwt")
    id_token = await verified(server, got["id_token"], "launcher", "JWT")
    assert access["sub"] == id_token["sub"]
    assert (id_token["nonce"], id_token["amr"]) == ("n-0S6_WzA2Mj", [provider])
    assert (await server.refresh(got["refresh_token"])).status_code == 200


async def test_an_exchange_and_a_silent_login_find_the_same_player(server: Server) -> None:
    exchanged = server.claims((await exchange(server)).json()["access_token"])
    assert exchanged["sub"] == server.claims((await server.login("steam"))["access_token"])["sub"]


async def test_an_access_token_of_an_exchange_opens_userinfo(server: Server) -> None:
    token = (await exchange(server)).json()["access_token"]
    answer = await server.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text


async def test_an_id_token_for_another_service_needs_no_access_token(server: Server) -> None:
    answer = await exchange(server, requested_token_type=ID_TOKEN, audience=MOD_IO, scope="openid")
    got = answer.json()
    assert (got["token_type"], got["issued_token_type"]) == ("N_A", ID_TOKEN)
    assert (await verified(server, got["access_token"], MOD_IO, "JWT"))["aud"] == MOD_IO
    assert "id_token" not in got


# --- an access token of ours ---


async def test_a_game_server_gets_a_token_for_itself_that_shares_its_end(server: Server) -> None:
    tokens = await server.login("steam")
    answer = await narrow(server, tokens["access_token"], scope="openid")
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert "refresh_token" not in got
    before = server.claims(tokens["access_token"])
    claims = await verified(server, got["access_token"], MATCH, "at+jwt")
    assert {name: claims[name] for name in ("sub", "gid", "exp", "auth_time")} == {
        name: before[name] for name in ("sub", "gid", "exp", "auth_time")
    }
    assert (claims["client_id"], claims["scope"]) == ("match", "openid")


async def test_a_token_that_was_made_of_another_never_lives_longer(server: Server) -> None:
    tokens = await server.login("steam")
    server.clock.now += 600
    got = (await narrow(server, tokens["access_token"])).json()
    assert got["expires_in"] == 300
    assert server.claims(got["access_token"])["exp"] == server.claims(tokens["access_token"])["exp"]


async def test_who_acts_for_the_player_is_told(server: Server) -> None:
    tokens = await server.login("steam")
    actor = {"actor_token": await own_token(server), "actor_token_type": ACCESS_TOKEN}
    got = (await narrow(server, tokens["access_token"], **actor)).json()
    assert server.claims(got["access_token"])["act"] == {"sub": "match"}


async def test_an_exchange_of_an_access_token_writes_nothing(server: Server) -> None:
    tokens = await server.login("steam")
    before = dict(tables(server).grants)
    assert (await narrow(server, tokens["access_token"])).status_code == 200
    assert tables(server).grants == before


# --- what is wrong with a platform's credential, or with the request ---


@pytest.mark.parametrize(
    ("case", "error", "reason"),
    [
        ("cancelled", "invalid_grant", "credential_rejected"),
        ("forged", "invalid_grant", "credential_rejected"),
        ("other-app", "invalid_grant", "credential_wrong_app"),
        ("banned", "invalid_grant", "account_banned"),
    ],
)
async def test_what_the_platform_refuses_is_no_grant(server: Server, case: str, error: str, reason: str) -> None:
    answer = await exchange(server, ticket(server, case=case))
    assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (400, error, reason)
    assert not tables(server).grants


async def test_a_platform_that_is_down_is_an_outage(server: Server) -> None:
    answer = await exchange(server, ticket(server, case="http-503"))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_an_unknown_player_is_not_made_against_the_games_will(server: Server) -> None:
    answer = await exchange(server, no_user_creation="true")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["reason"] == "user_not_found"
    assert not tables(server).players


WRONG: dict[str, tuple[dict[str, str | None], str]] = {
    "no subject_token": ({"subject_token": None}, "invalid_request"),
    "no subject_token_type": ({"subject_token_type": None}, "invalid_request"),
    "unknown subject_token_type": ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    "unknown platform": ({"subject_token_type": f"{PLATFORM}psn:ticket"}, "unsupported_provider"),
    "unknown kind": ({"subject_token_type": f"{PLATFORM}steam:ticket"}, "invalid_request"),
    "unknown requested type": ({"requested_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
    "scope of nobody": ({"scope": "admin"}, "invalid_scope"),
    "broken scope": ({"scope": 'open"id'}, "invalid_scope"),
    "wrong audience": ({"audience": "https://evil.example"}, "invalid_target"),
    "wrong resource": ({"resource": "https://evil.example"}, "invalid_target"),
    "audience of id_tokens for an access token": ({"audience": MOD_IO}, "invalid_target"),
    "id_token for a wrong audience": ({"requested_token_type": ID_TOKEN, "audience": MATCH}, "invalid_target"),
    "id_token without openid": ({"requested_token_type": ID_TOKEN, "scope": "offline"}, "invalid_scope"),
    "actor": ({"actor_token": "x", "actor_token_type": ACCESS_TOKEN}, "invalid_request"),
    "no_user_creation": ({"no_user_creation": "maybe"}, "invalid_request"),
    "nonce": ({"nonce": "a\x01"}, "invalid_request"),
    "client without the grant": ({"client_id": "spa"}, "unauthorized_client"),
    "unknown client": ({"client_id": "nobody"}, "invalid_client"),
    "the other surface's spelling": (
        {"grant_type": "urn:ietf:params:oauth:grant-type:token_exchange"},
        "unsupported_grant_type",
    ),
}


@pytest.mark.parametrize(("changes", "error"), WRONG.values(), ids=WRONG)
async def test_a_wrong_parameter_never_costs_the_player_a_credential(
    server: Server, changes: dict[str, str | None], error: str
) -> None:
    credential = ticket(server)
    answer = await exchange(server, credential, **changes)
    assert answer.json()["error"] == error, answer.text
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert not tables(server).reservations
    assert (await exchange(server, credential)).status_code == 200


# --- repeats ---


async def test_a_repeat_with_the_same_nonce_gets_fresh_tokens_for_the_same_player(server: Server) -> None:
    credential = ticket(server)
    lost = (await exchange(server, credential, nonce="a nonce, n1")).json()
    server.clock.now += 29
    calls = server.platforms["steam"].calls
    again = await exchange(server, credential, nonce="a nonce, n1")
    assert again.status_code == 200, again.text
    assert server.platforms["steam"].calls == calls
    assert server.claims(again.json()["access_token"])["sub"] == server.claims(lost["access_token"])["sub"]
    assert (await server.refresh(again.json()["refresh_token"])).status_code == 200


async def test_what_a_lost_answer_carried_ends_with_its_repeat(server: Server) -> None:
    credential = ticket(server)
    lost = (await exchange(server, credential, nonce="a nonce, n1")).json()
    await exchange(server, credential, nonce="a nonce, n1")
    assert (await server.refresh(lost["refresh_token"])).json()["error"] == "invalid_grant"
    userinfo = await server.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {lost['access_token']}"})
    assert userinfo.status_code == 401


REPLAYS: dict[str, tuple[dict[str, str | None], dict[str, str | None], float]] = {
    "another nonce": ({"nonce": "a nonce, n1"}, {"nonce": "a nonce, n2"}, 0),
    "no nonce any more": ({"nonce": "a nonce, n1"}, {}, 0),
    "a public client without a nonce": ({}, {}, 0),
    "a nonce that copies none": ({}, {"nonce": ""}, 0),
    "too late": ({"nonce": "a nonce, n1"}, {"nonce": "a nonce, n1"}, 30),
    "another client": (
        {"nonce": "a nonce, n1"},
        {"nonce": "a nonce, n1", "client_id": "match", "client_secret": SECRET, "scope": "openid"},
        0,
    ),
}


@pytest.mark.parametrize(("first", "second", "later"), REPLAYS.values(), ids=REPLAYS)
async def test_from_anywhere_else_a_repeat_is_a_replay(
    server: Server, first: dict[str, str | None], second: dict[str, str | None], later: float
) -> None:
    credential = ticket(server)
    assert (await exchange(server, credential, **first)).status_code == 200
    server.clock.now += later
    answer = await exchange(server, credential, **second)
    assert (answer.json()["error"], answer.json()["reason"]) == ("invalid_grant", "credential_replayed")


async def test_a_client_with_a_secret_repeats_its_request_by_the_nonce_too(server: Server) -> None:
    as_match: dict[str, str | None] = {"client_id": "match", "client_secret": SECRET, "scope": "openid"}
    credential = ticket(server)
    answers = [await exchange(server, credential, **as_match, nonce="a nonce, n1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_an_exchange_does_not_repeat_a_silent_login(server: Server) -> None:
    minted = server.mint("steam")
    await server.login("steam", minted, state="af0ifjsldkj")
    answer = await exchange(server, dict(minted.parameters)["session_ticket"], nonce="af0ifjsldkj")
    assert answer.json()["reason"] == "credential_replayed"


# --- B36: access tokens that must not be exchanged ---


async def revoked(server: Server, token: str) -> str:
    await server.http.post("/oauth2/revoke", data={"client_id": "launcher", "token": token})
    return token


async def of_ended_grant(server: Server, token: str) -> str:
    (grant,) = tables(server).grants
    await server.app.storage.apply([RevokeGrant(grant, int(server.clock.now), "test")])
    return token


async def expired(server: Server, token: str) -> str:
    server.clock.now += 900
    return token


async def an_id_token(server: Server, _: str) -> str:
    token: str = (await server.login("steam"))["id_token"]
    return token


async def a_refresh_token(server: Server, _: str) -> str:
    token: str = (await server.login("steam"))["refresh_token"]
    return token


async def the_servers_own(server: Server, _: str) -> str:
    return await own_token(server)


async def made_up(_: Server, token: str) -> str:
    return token[:-8] + "AAAAAAAA"


@pytest.mark.parametrize(
    "spoil", [revoked, of_ended_grant, expired, an_id_token, a_refresh_token, the_servers_own, made_up]
)
async def test_B36_a_subject_token_that_is_no_players_access_token_in_force(server: Server, spoil: Any) -> None:
    token = await spoil(server, (await server.login("steam"))["access_token"])
    answer = await narrow(server, token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["parameter"] == "subject_token"


async def test_B36_a_subject_token_of_a_client_that_is_not_named(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    answer = await narrow(server, token, client_id="stranger")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_B36_a_subject_token_of_another_project() -> None:
    def elsewhere(block: dict[str, Any]) -> None:
        exchanging(block)
        demo = block["projects"]["demo"]
        block["projects"]["other"] = {
            "platforms": demo["platforms"],
            "clients": {"match": demo["clients"].pop("match")},
        }

    async with running(edit=elsewhere) as server:
        answer = await narrow(server, (await server.login("steam"))["access_token"])
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


TARGETS: dict[str, dict[str, str | None]] = {
    "audience": {"audience": "https://evil.example"},
    "one of two": {"audience": f"{MATCH} https://evil.example"},
    "resource": {"resource": "https://evil.example"},
    "resource that is none": {"resource": "match"},
    "id_token": {"requested_token_type": ID_TOKEN, "audience": MATCH},
}


@pytest.mark.parametrize("changes", TARGETS.values(), ids=TARGETS)
async def test_B36_an_audience_that_the_client_must_not_have(server: Server, changes: dict[str, str | None]) -> None:
    answer = await narrow(server, (await server.login("steam"))["access_token"], **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


@pytest.mark.parametrize("scope", ["match:join", "offline", "profile", "openid profile"])
async def test_an_exchange_never_widens_the_scope(server: Server, scope: str) -> None:
    tokens = await server.login("steam", scope="openid offline")
    answer = await narrow(server, tokens["access_token"], scope=scope)
    assert answer.json()["error"] == "invalid_scope"


@pytest.mark.parametrize("scopes", [[], ["players.read"]], ids=["none", "none of the player's"])
async def test_a_backend_that_shares_no_scope_with_the_token_gets_one_for_itself_without_any(scopes: list[str]) -> None:
    def sharing_none(block: dict[str, Any]) -> None:
        exchanging(block)
        clients(block)["match"]["scopes"] = scopes

    async with running(edit=sharing_none) as server:
        tokens = await server.login("steam")
        answer = await narrow(server, tokens["access_token"])
        assert (answer.status_code, answer.json()["scope"]) == (200, "")
        claims = await verified(server, answer.json()["access_token"], MATCH, "at+jwt")
        assert (claims["sub"], claims["scope"]) == (server.claims(tokens["access_token"])["sub"], "")


async def test_an_id_token_is_made_of_nothing_less_than_openid(server: Server) -> None:
    tokens = await server.login("steam", scope="offline")
    answer = await narrow(server, tokens["access_token"], requested_token_type=ID_TOKEN, audience=None)
    assert answer.json()["error"] == "invalid_scope"


AS_LAUNCHER: dict[str, str | None] = {"client_id": "launcher", "client_secret": None}


async def test_a_public_client_gets_no_other_audience_for_a_token_it_may_have_been_sent(
    server: Server,
) -> None:
    tokens = await server.login("steam")
    answer = await narrow(server, tokens["access_token"], **AS_LAUNCHER)
    assert answer.json()["error"] == "invalid_target"
    kept = await narrow(server, tokens["access_token"], **AS_LAUNCHER | {"audience": None, "scope": "openid"})
    assert server.claims(kept.json()["access_token"])["aud"] == ISSUER


async def test_a_token_for_one_service_gives_it_nothing_else(server: Server) -> None:
    """A service that was sent a token names the launcher, which has no secret."""
    token = (await server.login("steam", audience=MATCH))["access_token"]
    wishes: list[dict[str, str | None]] = [
        {"audience": ISSUER},
        {"audience": "https://shop.example"},
        {"requested_token_type": ID_TOKEN, "audience": MOD_IO},
        {"requested_token_type": ID_TOKEN, "audience": None},
    ]
    for wish in wishes:
        answer = await narrow(server, token, **AS_LAUNCHER | wish)
        assert answer.json()["error"] == "invalid_target", wish


async def test_the_launcher_gets_an_id_token_for_another_service(server: Server) -> None:
    tokens = await server.login("steam")
    wish: dict[str, str | None] = {"requested_token_type": ID_TOKEN, "audience": MOD_IO}
    got = (await narrow(server, tokens["access_token"], **AS_LAUNCHER | wish)).json()
    claims = await verified(server, got["access_token"], MOD_IO, "JWT")
    assert claims["sub"] == server.claims(tokens["access_token"])["sub"]
    assert "at_hash" not in claims


# --- actors ---


ACTORS: dict[str, tuple[dict[str, str | None], str]] = {
    "no type": ({"actor_token_type": None}, "invalid_request"),
    "no token": ({"actor_token": None}, "invalid_request"),
    "type of another kind": ({"actor_token_type": ID_TOKEN}, "invalid_request"),
    "made up": ({"actor_token": "x.y.z"}, "invalid_grant"),
}


@pytest.mark.parametrize(("changes", "error"), ACTORS.values(), ids=ACTORS)
async def test_a_wrong_actor_is_refused(server: Server, changes: dict[str, str | None], error: str) -> None:
    tokens = await server.login("steam")
    actor: dict[str, str | None] = {"actor_token": await own_token(server), "actor_token_type": ACCESS_TOKEN}
    answer = await narrow(server, tokens["access_token"], **actor | changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize("whose", ["another client", "a player"])
async def test_nobody_acts_by_a_token_that_is_not_their_own(server: Server, whose: str) -> None:
    tokens = await server.login("steam")
    token = tokens["access_token"] if whose == "a player" else await own_token(server, "stranger")
    answer = await narrow(server, tokens["access_token"], actor_token=token, actor_token_type=ACCESS_TOKEN)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["parameter"] == "actor_token"


async def test_those_who_acted_before_stay_named_and_cannot_become_many(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    actor: dict[str, str | None] = {"actor_token": await own_token(server), "actor_token_type": ACCESS_TOKEN}
    for _ in range(4):
        token = (await narrow(server, token, **actor)).json()["access_token"]
    assert server.claims(token)["act"] == {
        "sub": "match",
        "act": {"sub": "match", "act": {"sub": "match", "act": {"sub": "match"}}},
    }
    assert (await narrow(server, token, **actor)).json()["error"] == "invalid_request"
    assert server.claims((await narrow(server, token)).json()["access_token"])["act"] == server.claims(token)["act"]


# --- the end of what was exchanged ---


async def test_a_token_ends_with_the_grant_it_came_from(server: Server) -> None:
    tokens = await server.login("steam")
    token = (await narrow(server, tokens["access_token"])).json()["access_token"]
    assert await active(server, token)
    await revoked(server, tokens["refresh_token"])
    assert not await active(server, token)


async def test_a_game_server_gives_up_its_own_token_and_no_more(server: Server) -> None:
    tokens = await server.login("steam")
    token = (await narrow(server, tokens["access_token"])).json()["access_token"]
    given_up = {"client_id": "match", "client_secret": SECRET, "token": token}
    assert (await server.http.post("/oauth2/revoke", data=given_up)).status_code == 200
    assert not await active(server, token)
    assert await active(server, tokens["access_token"])
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def active(server: Server, token: str) -> bool:
    asked = {"client_id": "match", "client_secret": SECRET, "token": token}
    answer = await server.http.post("/oauth2/introspect", data=asked)
    found: bool = answer.json()["active"]
    return found


async def test_the_audit_trail_tells_the_login_and_its_platform(server: Server) -> None:
    await exchange(server)
    told = [
        (event["event"], event.get("platform")) for event in server.events if event.get("logger") == "authsrv.audit"
    ]
    kinds = ["token.exchanged", "player.created", "login.succeeded"]
    assert told[-3:] == [(kind, "steam") for kind in kinds]


# --- a session at PlayFab, which is asked for by a scope ---


def playfab_calls(server: Server) -> int:
    return server.playfab.calls["LoginWithServerCustomId"]


async def test_a_credential_brings_a_playfab_session_with_the_tokens_if_it_is_asked_for(server: Server) -> None:
    without, with_it = (await exchange(server)).json(), (await exchange(server, scope="openid playfab")).json()
    assert "session_ticket" not in server.claims(without["access_token"])
    assert "session_ticket" in server.claims(with_it["access_token"])
    assert "session_ticket" not in server.claims(with_it["id_token"])
    assert playfab_calls(server) == 1


async def test_D33_what_is_made_of_a_token_for_others_has_no_playfab_session(server: Server) -> None:
    token = (await exchange(server, scope="openid playfab")).json()["access_token"]
    narrowed = (await narrow(server, token)).json()
    assert (narrowed["scope"], playfab_calls(server)) == ("openid", 1)
    assert "session_ticket" not in server.claims(narrowed["access_token"])


async def test_an_exchange_for_an_id_token_alone_asks_nobody_for_a_session(server: Server) -> None:
    answer = await exchange(server, scope="openid playfab", requested_token_type=ID_TOKEN)
    assert "session_ticket" not in server.claims(answer.json()["access_token"])
    assert playfab_calls(server) == 0


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"scope": "openid playfab", "subject_token": "00"}, 400),
        ({"scope": "openid playfab", "audience": "https://elsewhere.example"}, 400),
        ({"scope": "playfab admin "}, 200),
    ],
)
async def test_only_a_credential_that_proved_good_asks_for_a_session(
    server: Server, changes: dict[str, str | None], status: int
) -> None:
    assert (await exchange(server, **changes)).status_code == status
    assert playfab_calls(server) == (1 if status == 200 else 0)


async def test_a_playfab_that_is_down_fails_no_exchange(server: Server) -> None:
    server.playfab.meet("http-500")
    answer = await exchange(server, scope="openid offline playfab")
    assert (answer.status_code, answer.json()["scope"]) == (200, "openid offline playfab")
    assert "session_ticket" not in server.claims(answer.json()["access_token"])
