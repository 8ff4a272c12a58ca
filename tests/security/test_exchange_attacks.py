"""Token exchange under attack: by services that were sent a token, by clients that anybody can name, by thieves of
credentials and tokens, and by a configuration that changes between two steps.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from authsrv.limits import Rule
from authsrv.models import TOKEN_EXCHANGE
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, LinkIdentity, SetNotBefore, WithdrawConsent
from tests.support.browser import SHOP_CALLBACK, Browser
from tests.support.ending import down, refused_offline, revoke
from tests.support.exchange import (
    ID_TOKEN,
    MATCH,
    MOD_IO,
    SECRET,
    exchange,
    exchange_of,
    exchanging,
    match_server,
    narrow,
    ticket,
)
from tests.support.refusals import clients, tables, token_error
from tests.support.registration import registered, registering
from tests.support.server import CHALLENGE, EMULATOR_NAMES, ISSUER, Server, running

Failure = Callable[[Server, str, str], Awaitable[object]]

MARKET = "https://market.example"
AS_LAUNCHER: dict[str, str | None] = {"client_id": "launcher", "client_secret": None, "audience": None}
AS_MARKET: dict[str, str | None] = {"client_id": "market", "audience": MARKET}
WANTS_ID_TOKEN: dict[str, str | None] = {"requested_token_type": ID_TOKEN, "audience": MOD_IO}


def attacked(block: dict[str, Any]) -> None:
    """The launcher and the game server, a market that takes the game server's tokens, and a launcher whose access
    tokens are given up one by one.
    """
    exchanging(block)
    found = clients(block)
    found["lone"] = {**found["launcher"], "revoke_grant_with_access_token": False}
    found["match"]["exchange_from"] = ["launcher", "lone"]
    found["market"] = match_server("match") | {"audiences": [MARKET]}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=attacked) as started:
        yield started


async def is_active(server: Server, token: str) -> bool:
    asked = {"client_id": "match", "client_secret": SECRET, "token": token}
    answer = await server.http.post("/oauth2/introspect", data=asked)
    found: bool = answer.json()["active"]
    return found


async def narrowed(server: Server, token: str, **changes: str | None) -> str:
    """An exchange that must be good; the access token."""
    answer = await narrow(server, token, **changes)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found


# --- a service that was sent a token ---


async def test_a_service_whose_token_is_for_it_alone_does_not_make_it_one_for_everybody(server: Server) -> None:
    token = (await server.login("steam", audience=MATCH))["access_token"]
    assert token_error(await narrow(server, token, audience=ISSUER)) == "invalid_target"
    kept = await narrowed(server, token, audience=None)
    assert server.claims(kept)["aud"] == MATCH


async def test_a_token_that_was_narrowed_to_be_sent_gives_whoever_got_it_no_id_token(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    sent = await narrowed(server, token, **AS_LAUNCHER, scope="openid")
    assert token_error(await narrow(server, sent, **AS_LAUNCHER | WANTS_ID_TOKEN)) == "invalid_grant"
    assert (await narrow(server, token, **AS_LAUNCHER | WANTS_ID_TOKEN)).status_code == 200


async def test_a_client_without_a_secret_exchanges_no_token_twice(server: Server) -> None:
    """Whoever was sent the first could keep copies of it that nobody knows of and nobody can revoke."""
    token = (await server.login("steam"))["access_token"]
    sent = await narrowed(server, token, **AS_LAUNCHER, scope="openid")
    assert token_error(await narrow(server, sent, **AS_LAUNCHER)) == "invalid_grant"


async def test_whoever_was_sent_a_narrowed_token_cannot_log_the_player_out_with_it(server: Server) -> None:
    tokens = await server.login("steam")
    sent = await narrowed(server, tokens["access_token"], **AS_LAUNCHER, scope="openid")
    assert (await revoke(server, sent)).status_code == 200
    assert not await is_active(server, sent)
    assert await is_active(server, tokens["access_token"])
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


# --- what was made of a token ends with it ---


@pytest.mark.parametrize("thief", ["launcher", "match"])
async def test_what_was_made_of_a_token_ends_when_that_token_alone_is_revoked(server: Server, thief: str) -> None:
    tokens = await server.redeem(await server.code("steam", client_id="lone"), client_id="lone")
    token = tokens.json()["access_token"]
    by: dict[str, str | None] = AS_LAUNCHER | {"client_id": "lone"} if thief == "launcher" else {}
    made = await narrowed(server, token, **by)
    made_of_it = await narrowed(server, made, **AS_MARKET) if thief == "match" else made
    assert (await revoke(server, token, client_id="lone")).status_code == 200
    for each in (made, made_of_it):
        assert not await is_active(server, each)
        assert await refused_offline(server, each)
        assert (await server.userinfo(each)).status_code == 401
    assert token_error(await narrow(server, made, **by)) == "invalid_grant"
    again = await server.refresh(tokens.json()["refresh_token"], client_id="lone")
    assert await is_active(server, again.json()["access_token"])


@pytest.mark.parametrize("kind", ["client", "project", "player"])
async def test_B35_a_not_before_of_where_a_token_came_from_reaches_game_servers_that_never_ask(
    server: Server, kind: Any
) -> None:
    token = (await server.login("steam"))["access_token"]
    made = await narrowed(server, await narrowed(server, token), **AS_MARKET)
    subject = {"client": "launcher", "project": "demo", "player": server.claims(token)["sub"]}[kind]
    await server.app.storage.apply([SetNotBefore(kind, subject, int(server.clock.now) + 1)])
    server.clock.now += 1
    assert not await is_active(server, made)
    assert await refused_offline(server, made)
    assert token_error(await narrow(server, token)) == "invalid_grant"


# --- times ---


@pytest.mark.parametrize("left", [1, 2, 60])
async def test_at_the_end_of_a_token_nothing_made_of_it_is_good_for_longer(server: Server, left: int) -> None:
    token = (await server.login("steam"))["access_token"]
    end = server.claims(token)["exp"]
    server.clock.now = end - left
    for wish in ({}, AS_LAUNCHER | WANTS_ID_TOKEN):
        got = (await narrow(server, token, **wish)).json()
        assert (got["expires_in"], server.claims(got["access_token"])["exp"]) == (left, end)
    server.clock.now = end
    for wish in ({}, AS_LAUNCHER | WANTS_ID_TOKEN):
        assert token_error(await narrow(server, token, **wish)) == "invalid_grant"


# --- who may repeat an exchange ---


@pytest.mark.parametrize("nonce", ["1", "n1", "1234567"])
async def test_a_nonce_that_can_be_guessed_repeats_nothing(server: Server, nonce: str) -> None:
    credential = ticket(server)
    kept = await exchange(server, credential, nonce=nonce)
    stolen = await exchange(server, credential, nonce=nonce)
    assert (token_error(stolen), stolen.json()["reason"]) == ("invalid_grant", "credential_replayed")
    assert server.claims(kept.json()["id_token"])["nonce"] == nonce
    assert (await server.refresh(kept.json()["refresh_token"])).status_code == 200


# Texts that would be the same requester's, were the parts of one just joined.
LOOK_ALIKES = ("exchange\0nonce\0", "exchange nonce ", "nonce=", "launcher")


@pytest.mark.parametrize("state", [CHALLENGE, "af0ifjsldkj"])
async def test_no_nonce_repeats_what_came_by_the_other_door(server: Server, state: str) -> None:
    minted = server.mint("steam")
    code = await server.code("steam", minted, state=state)
    for nonce in (state, CHALLENGE, *LOOK_ALIKES[1:]):
        answer = await exchange(server, dict(minted.parameters)["session_ticket"], nonce=nonce)
        assert answer.json()["reason"] == "credential_replayed"
    assert (await server.redeem(code)).status_code == 200


async def test_no_state_repeats_what_came_by_this_door(server: Server) -> None:
    minted = server.mint("steam")
    nonce = "nonce-of-the-launcher"
    tokens = (await exchange(server, dict(minted.parameters)["session_ticket"], nonce=nonce)).json()
    for state in (nonce, "exchange nonce", "nonce-of-the-launcher "):
        stolen = await server.silent("steam", minted, state=state, nonce=nonce)
        assert (stolen.status_code, stolen.json()["reason"]) == (400, "credential_replayed")
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_client_with_a_secret_repeats_its_own_request_alone(server: Server) -> None:
    as_match: dict[str, str | None] = {"client_id": "match", "client_secret": SECRET, "scope": "openid"}
    credential = ticket(server)
    assert (await exchange(server, credential, **as_match, nonce="1")).status_code == 200
    others: list[dict[str, str | None]] = [
        as_match | {"client_id": "market", "nonce": "1"},
        as_match | {"nonce": "2"},
        {"nonce": "1"},
        {},
    ]
    for other in others:
        assert (await exchange(server, credential, **other)).json()["reason"] == "credential_replayed"
    assert (await exchange(server, credential, **as_match, nonce="1")).status_code == 200


# --- what becomes of a credential whose request fails after the platform said yes ---


NONCE = "nonce-of-the-launcher"


async def fails_by_limit(server: Server, provider: str, credential: str) -> None:
    """The player has asked for too much already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.app.desk.server.limits, "_quotas", dict.fromkeys(Rule, 10**6) | {Rule.TOKEN_REQUESTS: 0})
        answer = await exchange_of(server, provider, credential, nonce=NONCE)
    assert answer.status_code == 429, answer.text


async def fails_by_races(server: Server, provider: str, credential: str) -> None:
    """Other first logins of the identity are faster, three times."""
    storage, apply = server.app.storage, server.app.storage.apply

    async def losing(changes: Sequence[Change]) -> None:
        lost = next((change for change in changes if isinstance(change, LinkIdentity)), None)
        if lost:
            raise Conflict(lost)
        await apply(changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "apply", losing)
        answer = await exchange_of(server, provider, credential, nonce=NONCE)
    assert answer.status_code == 503, answer.text


@pytest.mark.parametrize("provider", ["steam", "epicgames"])
@pytest.mark.parametrize("failure", [fails_by_limit, fails_by_races])
async def test_a_proof_is_neither_lost_for_the_player_nor_good_for_a_thief(
    server: Server, provider: str, failure: Failure
) -> None:
    credential = ticket(server, provider)
    await failure(server, provider, credential)
    assert not tables(server).grants
    server.clock.now += 20  # longer than a request may hold a credential
    stolen = await exchange_of(server, provider, credential, nonce="nonce-of-a-thief")
    assert stolen.json()["reason"] == "credential_replayed"
    calls = server.platforms[EMULATOR_NAMES[provider]].calls.total()
    again = await exchange_of(server, provider, credential, nonce=NONCE)
    assert again.status_code == 200, again.text
    assert server.platforms[EMULATOR_NAMES[provider]].calls.total() == calls


@pytest.mark.parametrize(("provider", "later"), [("steam", 200), ("epicgames", 400)])
async def test_after_an_outage_a_code_is_gone_and_a_ticket_is_asked_about_again(
    server: Server, provider: str, later: int
) -> None:
    credential = ticket(server, provider)
    apply = server.app.storage.apply
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.app.storage, "apply", down)
        failed = await exchange_of(server, provider, credential, nonce=NONCE)
    assert server.app.storage.apply == apply
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "1")
    assert not tables(server).grants
    assert not tables(server).players
    stolen = await exchange_of(server, provider, credential, nonce="nonce-of-a-thief")
    assert stolen.json()["reason"] == "credential_replayed"
    server.clock.now += 15
    assert (await exchange_of(server, provider, credential, nonce=NONCE)).status_code == later


# --- clients that are not the studio's own ---


PARTNER_SECRET = "secret-of-the-partner-in-a-test-0123"


def with_partner(block: dict[str, Any]) -> None:
    """A partner's client signs players in with their consent, and registered ones may come."""
    attacked(block)
    clients(block)["partner"] = {
        "secret": PARTNER_SECRET,
        "first_party": False,
        "redirect_uris": [SHOP_CALLBACK],
        "grants": ["authorization_code", "refresh_token", TOKEN_EXCHANGE],
        "scopes": ["openid", "profile"],
    }
    clients(block)["match"]["exchange_from"] = ["launcher", "partner"]
    registering()(block)


async def test_a_client_of_somebody_else_gets_no_tokens_for_a_credential() -> None:
    async with running(edit=with_partner) as server:
        credential = ticket(server)
        sent: dict[str, str | None] = {"client_id": "partner", "client_secret": PARTNER_SECRET, "scope": "openid"}
        assert token_error(await exchange(server, credential, **sent)) == "unauthorized_client"
        assert not tables(server).reservations
        assert (await exchange(server, credential)).status_code == 200


@pytest.mark.parametrize("method", ["none", "client_secret_post"])
async def test_a_client_that_registered_itself_exchanges_nothing(method: str) -> None:
    async with running(edit=with_partner) as server:
        grants = ["authorization_code", TOKEN_EXCHANGE]
        client = await registered(server, token_endpoint_auth_method=method, grant_types=grants)
        assert client.told["grant_types"] == ["authorization_code"]
        sent: dict[str, str | None] = {"client_id": client.client_id, "client_secret": client.secret}
        assert token_error(await exchange(server, **sent)) == "unauthorized_client"
        token = (await server.login("steam"))["access_token"]
        assert token_error(await narrow(server, token, **sent)) == "unauthorized_client"


async def partners_token(server: Server) -> str:
    """What a player allowed the partner to have: openid alone."""
    browser = Browser(server).sent_by("partner", SHOP_CALLBACK, PARTNER_SECRET)
    allowed = await browser.press(await browser.sign_in(scope="openid"), "allow")
    found: str = (await browser.exchanged(allowed))["access_token"]
    return found


async def test_an_exchange_gives_no_more_than_the_player_allowed() -> None:
    async with running(edit=with_partner) as server:
        token = await partners_token(server)
        assert token_error(await narrow(server, token, scope="openid profile")) == "invalid_scope"
        made = await narrowed(server, token)
        assert server.claims(made)["scope"] == "openid"
        own: dict[str, str | None] = {"client_id": "partner", "client_secret": PARTNER_SECRET, "audience": None}
        assert token_error(await narrow(server, token, **own, scope="profile")) == "invalid_scope"
        assert "idp_sub" not in server.claims(await narrowed(server, token, **own))


async def test_consent_that_is_withdrawn_ends_what_was_exchanged() -> None:
    async with running(edit=with_partner) as server:
        token = await partners_token(server)
        made = await narrowed(server, token)
        ((player_id, _),) = tables(server).consents
        await server.app.storage.apply([WithdrawConsent(player_id, "partner", int(server.clock.now))])
        assert not await is_active(server, made)
        assert await refused_offline(server, made)
        assert token_error(await narrow(server, token)) == "invalid_grant"
