"""Token exchange below /api: both spellings of the grant type, the members that every SDK reads, and the code of every
refusal.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from authsrv.models import TOKEN_EXCHANGE
from tests.support.exchange import ACCESS_TOKEN, ID_TOKEN, KINDS, PLATFORM, exchanging, own_token, submitted, ticket
from tests.support.refusals import clients, tables
from tests.support.server import ISSUER, Server, running
from tests.support.verification import verified

UNDERSCORE = "urn:ietf:params:oauth:grant-type:token_exchange"
SECRET = "secret-of-the-game-server-in-a-test"
AUDIENCE = "https://api.game.example"

Refusal = tuple[int, str, Mapping[str, str]]
"""Status, code, and what the details say at least."""


def with_games(block: dict[str, Any]) -> None:
    """`40` and `43` may exchange, `41` may not, and `42` is a server that takes the game server's tokens."""
    exchanging(block)
    found = clients(block)
    found["41"] = dict(found["40"])
    found["40"] |= {"grants": ["authorization_code", "refresh_token", TOKEN_EXCHANGE], "audiences": [AUDIENCE]}
    found["42"] = {
        "compat": "xsolla",
        "type": "server",
        "secret": SECRET,
        "grants": ["client_credentials", TOKEN_EXCHANGE],
        "scopes": ["openid"],
        "exchange_from": ["match"],
    }
    found["43"] = found["40"] | {"first_party": False}
    block["projects"]["bare"] = {"clients": {"44": dict(found["40"])}}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_games) as started:
        yield started


async def exchange(
    server: Server, provider: str = "steam", credential: str = "", **changes: str | None
) -> httpx.Response:
    sent: dict[str, str | None] = {
        "grant_type": UNDERSCORE,
        "client_id": "40",
        "subject_token": credential or ticket(server, provider),
        "subject_token_type": f"{PLATFORM}{provider}:{KINDS[provider]}",
        **changes,
    }
    form = {name: value for name, value in sent.items() if value is not None}
    return await server.http.post("/api/oauth2/token?engine=unity&sdk=login", data=form)


@pytest.mark.parametrize("spelling", [UNDERSCORE, TOKEN_EXCHANGE])
@pytest.mark.parametrize("scope", [None, "offline", "openid offline"])
async def test_every_member_that_an_sdk_reads_is_there(server: Server, spelling: str, scope: str | None) -> None:
    answer = await exchange(server, grant_type=spelling, scope=scope)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    got = answer.json()
    assert got.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope", "issued_token_type"}
    assert (got["token_type"], got["expires_in"], got["issued_token_type"]) == ("bearer", 3600, ACCESS_TOKEN)
    assert bool(got["refresh_token"]) == (scope is not None)
    claims = server.claims(got["access_token"])
    assert (claims["aud"], claims["scp"], claims["provider"]) == ([], (scope or "").split(), "steam")
    if scope:
        form = {"grant_type": "refresh_token", "client_id": "40", "refresh_token": got["refresh_token"]}
        assert (await server.http.post("/api/oauth2/token", data=form)).status_code == 200


@pytest.mark.parametrize("spelling", [UNDERSCORE.upper(), f"{UNDERSCORE} ", "urn:ietf:params:oauth:grant-type:token"])
async def test_no_third_spelling_is_known(server: Server, spelling: str) -> None:
    assert refusal(await exchange(server, grant_type=spelling)) == (400, "0", {})


def refusal(answer: httpx.Response) -> Refusal:
    (member,) = answer.json().items()
    name, error = member
    assert (name, error.keys()) == ("error", {"code", "description", "details"})
    assert error["description"]
    return answer.status_code, error["code"], {k: v for k, v in error["details"].items() if k != "reference"}


def invalid(parameter: str = "") -> Refusal:
    return 400, "0", {"reason": "invalid_parameter"} | ({"parameter": parameter} if parameter else {})


def proof(reason: str) -> Refusal:
    return 422, "010-015", {"reason": reason}


CLIENT: Refusal = (400, "010-019", {})
NO_TOKEN: Refusal = (400, "010-023", {"parameter": "subject_token"})
REFUSALS: Mapping[str, tuple[dict[str, str | None], Refusal]] = {
    "no grant type": ({"grant_type": None}, invalid("grant_type")),
    "no client": ({"client_id": None}, CLIENT),
    "unknown client": ({"client_id": "99"}, CLIENT),
    "client of the standard paths": ({"client_id": "launcher"}, CLIENT),
    "wrong secret": ({"client_id": "42", "client_secret": "wrong"}, CLIENT),
    "client without the grant": ({"client_id": "41"}, CLIENT),
    "client of somebody else": ({"client_id": "43"}, CLIENT),
    "no subject_token": ({"subject_token": None}, invalid("subject_token")),
    "no subject_token_type": ({"subject_token_type": None}, invalid("subject_token_type")),
    "unknown subject_token_type": ({"subject_token_type": "urn:x"}, invalid("subject_token_type")),
    "no kind": ({"subject_token_type": f"{PLATFORM}steam"}, invalid("subject_token_type")),
    "empty kind": ({"subject_token_type": f"{PLATFORM}steam:"}, invalid("subject_token_type")),
    "more than a kind": ({"subject_token_type": f"{PLATFORM}steam:session_ticket:x"}, invalid("subject_token_type")),
    "unknown kind": ({"subject_token_type": f"{PLATFORM}steam:x"}, proof("ticket_malformed")),
    "unknown platform": ({"subject_token_type": f"{PLATFORM}psn:x"}, (404, "003-061", {"reason": "unknown_provider"})),
    "platform that is not configured": ({"client_id": "44"}, (422, "003-022", {"reason": "provider_not_configured"})),
    "id_token": ({"requested_token_type": ID_TOKEN}, invalid("requested_token_type")),
    "unknown requested type": ({"requested_token_type": "urn:x"}, invalid("requested_token_type")),
    "scope": ({"scope": 'a"b'}, invalid()),
    "audience": ({"audience": "https://x.example"}, invalid()),
    "two audiences in one": ({"audience": f"{AUDIENCE} https://x.example"}, invalid()),
    "actor": ({"actor_token": "x"}, invalid("actor_token")),
    "nonce": ({"nonce": "a\x01"}, invalid("nonce")),
    "no_user_creation": ({"no_user_creation": "maybe"}, invalid("no_user_creation")),
    "unknown player": ({"no_user_creation": "1"}, (404, "003-002", {"reason": "user_not_found"})),
    "an access token that is none": ({"subject_token_type": ACCESS_TOKEN}, NO_TOKEN),
}


@pytest.mark.parametrize(("changes", "expected"), REFUSALS.values(), ids=REFUSALS)
async def test_every_refusal_has_its_code(server: Server, changes: dict[str, str | None], expected: Refusal) -> None:
    answer = await exchange(server, "steam", "", **changes)
    assert refusal(answer) == expected
    assert answer.headers["cache-control"] == "no-store"
    assert not tables(server).grants


PROOFS: Mapping[tuple[str, str], Refusal] = {
    ("steam", "malformed"): proof("ticket_malformed"),
    ("steam", "session-ticket-type"): proof("ticket_malformed"),
    ("steam", "forged"): proof("ticket_invalid"),
    ("steam", "other-app"): proof("ticket_wrong_app"),
    ("steam", "not-owned"): proof("not_owned"),
    ("steam", "banned"): proof("platform_banned"),
    ("steam", "http-503"): (503, "004-001", {"reason": "provider_unavailable"}),
    ("steam", "bad-key-403"): (503, "004-001", {"reason": "provider_misconfigured"}),
    ("xbox", "expired"): proof("ticket_expired"),
    ("xbox", "wrong-sandbox"): proof("ticket_wrong_environment"),
    ("xbox", "child"): (422, "002-060", {"reason": "age_restricted"}),
    ("epicgames", "used-code"): proof("ticket_invalid"),
    ("epicgames", "unlisted-deployment"): proof("ticket_wrong_environment"),
    ("epicgames", "account-forbidden"): proof("not_owned"),
}


@pytest.mark.parametrize(("provider", "case"), PROOFS)
async def test_a_bad_proof_has_the_code_and_reason_that_the_silent_login_has(
    server: Server, provider: str, case: str
) -> None:
    answer = await exchange(server, provider, "", **submitted(provider, server.mint(provider, case=case)))
    assert refusal(answer) == PROOFS[provider, case]
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)
    assert not tables(server).grants


async def test_a_proof_that_was_used_is_told_so(server: Server) -> None:
    credential = ticket(server)
    assert (await exchange(server, "steam", credential, nonce="nonce-of-the-game")).status_code == 200
    assert (await exchange(server, "steam", credential, nonce="nonce-of-the-game")).status_code == 200
    assert refusal(await exchange(server, "steam", credential)) == proof("ticket_used")


async def test_who_must_act_at_epic_is_told_where(server: Server) -> None:
    answer = await exchange(server, "epicgames", ticket(server, "epicgames", case="corrective-action-required"))
    status, code, details = refusal(answer)
    assert (status, code, details["reason"]) == (422, "010-015", "account_action_required")
    assert details["interaction_url"].startswith("http")


async def test_too_many_are_429_with_the_code(server: Server) -> None:
    limits = server.app.desk.server.limits
    limits._quotas = dict.fromkeys(limits._quotas, 0)
    answer = await exchange(server)
    assert refusal(answer) == (429, "002-057", {"reason": "rate_limited"})
    assert "retry-after" in answer.headers


# --- access tokens of ours ---


async def narrow(server: Server, token: str, **changes: str | None) -> httpx.Response:
    by_server: dict[str, str | None] = {"client_id": "42", "client_secret": SECRET, "subject_token_type": ACCESS_TOKEN}
    return await exchange(server, "steam", token, **by_server | changes)


async def test_what_a_server_makes_of_a_launchers_token_says_where_it_comes_from(server: Server) -> None:
    token = (await narrowed_standard(server))["access_token"]
    before = server.claims(token)
    got = (await narrow(server, token, scope="openid")).json()
    claims = await verified(server, got["access_token"], ISSUER, "JWT")
    same = ("sub", "gid", "exp", "act", "origin_jti", "origin_client_id")
    assert {name: claims[name] for name in same} == {name: before[name] for name in same}
    assert (claims["act"], claims["origin_client_id"]) == ({"sub": "match"}, "launcher")
    assert (got["refresh_token"], claims["scp"], claims["aud"]) == ("", ["openid"], [ISSUER])


async def narrowed_standard(server: Server) -> dict[str, Any]:
    """A game server acts for a launcher's player; the server of the SDK may take its tokens."""
    tokens = await server.login("steam", scope="openid offline")
    form = {"grant_type": TOKEN_EXCHANGE, "client_id": "match", "client_secret": SECRET}
    form |= {"subject_token": tokens["access_token"], "subject_token_type": ACCESS_TOKEN}
    form |= {"actor_token": await own_token(server), "actor_token_type": ACCESS_TOKEN}
    found: dict[str, Any] = (await server.token(**form)).json()
    return found


@pytest.mark.parametrize("client_id", ["40", "42"])
async def test_access_tokens_of_the_profile_are_not_exchanged(server: Server, client_id: str) -> None:
    token = (await exchange(server, scope="offline")).json()["access_token"]
    secret = SECRET if client_id == "42" else None
    assert refusal(await narrow(server, token, client_id=client_id, client_secret=secret)) == NO_TOKEN


async def test_a_launchers_token_is_nothing_to_a_game_without_a_secret(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    assert refusal(await narrow(server, token, client_id="40", client_secret=None)) == NO_TOKEN


@pytest.mark.parametrize("nonce", ["xsollatest", "state", "state xsollatest"])
async def test_D01_no_nonce_repeats_a_silent_login_whose_state_everybody_knows(server: Server, nonce: str) -> None:
    minted = server.mint("steam")
    silent = {"client_id": "40", "response_type": "code", "state": "xsollatest", "is_redirect": "false"}
    path = "/api/oauth2/social/steam/cross_auth"
    login = await server.http.get(path, params=silent | dict(minted.parameters))
    assert login.status_code == 200, login.text
    stolen = await exchange(server, "steam", "", **submitted("steam", minted), nonce=nonce)
    assert refusal(stolen) == proof("ticket_used")


async def test_D01_no_state_repeats_an_exchange(server: Server) -> None:
    minted = server.mint("steam")
    nonce = "xsollatest"
    assert (await exchange(server, "steam", "", **submitted("steam", minted), nonce=nonce)).status_code == 200
    silent = {"client_id": "40", "response_type": "code", "state": nonce, "is_redirect": "false", "nonce": nonce}
    path = "/api/oauth2/social/steam/cross_auth"
    assert refusal(await server.http.get(path, params=silent | dict(minted.parameters))) == proof("ticket_used")
