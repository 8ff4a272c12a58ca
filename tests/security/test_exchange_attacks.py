"""Token exchange under attack: by services that were sent a token, by clients that anybody can name, by thieves of
credentials and tokens, and by a configuration that changes between two steps.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from copy import deepcopy
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import MintedCredential
from authsrv.limits import Rule
from authsrv.models import TOKEN_EXCHANGE
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, LinkIdentity, SetNotBefore, WithdrawConsent
from tests.support.browser import SHOP_CALLBACK, Browser
from tests.support.ending import down, refused_offline, reload, revoke
from tests.support.exchange import (
    ACCESS_TOKEN,
    ID_TOKEN,
    MATCH,
    MOD_IO,
    SECRET,
    exchange,
    exchange_of,
    exchanging,
    match_server,
    narrow,
    own_token,
    submitted,
    ticket,
)
from tests.support.refusals import clients, demo, tables, token_error
from tests.support.registration import registered, registering
from tests.support.server import CHALLENGE, ISSUER, Server, running

Failure = Callable[[Server, str, str], Awaitable[object]]

MARKET = "https://market.example"
NONCE = "nonce-of-the-launcher"
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


@pytest.mark.parametrize("state", [CHALLENGE, "af0ifjsldkj"])
async def test_no_nonce_repeats_what_came_by_the_other_door(server: Server, state: str) -> None:
    minted = server.mint("steam")
    code = await server.code("steam", minted, state=state)
    for nonce in (state, CHALLENGE, "exchange nonce", "launcher"):
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
    assert (await exchange(server, credential, **as_match, nonce=NONCE)).status_code == 200
    others: list[dict[str, str | None]] = [
        as_match | {"client_id": "market", "nonce": NONCE},
        as_match | {"nonce": "nonce-of-another-player"},
        as_match,
        {"nonce": NONCE},
        {},
    ]
    for other in others:
        assert (await exchange(server, credential, **other)).json()["reason"] == "credential_replayed"
    assert (await exchange(server, credential, **as_match, nonce=NONCE)).status_code == 200


async def test_a_backend_that_serves_many_gives_a_stolen_proof_to_nobody_else(server: Server) -> None:
    """A thief brings a player's ticket to the backend, which exchanges whatever ticket somebody brings."""
    as_match: dict[str, str | None] = {"client_id": "match", "client_secret": SECRET, "scope": "openid"}
    credential = ticket(server)
    players = (await exchange(server, credential, **as_match)).json()["access_token"]
    thiefs = await exchange(server, credential, **as_match)
    assert (token_error(thiefs), thiefs.json()["reason"]) == ("invalid_grant", "credential_replayed")
    assert await is_active(server, players)


# --- what becomes of a credential whose request fails after the platform said yes ---


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
    calls = server.calls(provider).total()
    again = await exchange_of(server, provider, credential, nonce=NONCE)
    assert again.status_code == 200, again.text
    assert server.calls(provider).total() == calls


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


# --- a configuration that changes between two steps ---


Block = dict[str, Any]
Edit = Callable[[Block], object]


def match_is_not_named(block: Block) -> None:
    clients(block)["match"]["exchange_from"] = []


def match_may_not_exchange(block: Block) -> None:
    clients(block)["match"]["grants"] = ["client_credentials"]


def match_is_elsewhere(block: Block) -> None:
    platforms = demo(block)["platforms"]
    block["projects"]["other"] = {"platforms": platforms, "clients": {"match": clients(block).pop("match")}}


def launcher_is_elsewhere(block: Block) -> None:
    platforms = demo(block)["platforms"]
    block["projects"]["other"] = {"platforms": platforms, "clients": {"launcher": clients(block).pop("launcher")}}


def launcher_is_gone(block: Block) -> None:
    del clients(block)["launcher"]


def steam_is_gone(block: Block) -> None:
    del demo(block)["platforms"]["steam"]


def match_lost_its_audience(block: Block) -> None:
    clients(block)["match"]["audiences"] = []


RELOADS: dict[str, tuple[Edit, str, bool]] = {
    "match is not named": (match_is_not_named, "invalid_grant", True),
    "match may not exchange": (match_may_not_exchange, "unauthorized_client", True),
    "match is elsewhere": (match_is_elsewhere, "invalid_grant", False),
    "launcher is elsewhere": (launcher_is_elsewhere, "invalid_grant", False),
    "launcher is gone": (launcher_is_gone, "invalid_grant", False),
    "steam is gone": (steam_is_gone, "invalid_grant", False),
    "match lost its audience": (match_lost_its_audience, "invalid_target", True),
}


@pytest.mark.parametrize(("change", "error", "stays"), RELOADS.values(), ids=RELOADS)
async def test_H08_what_a_reload_took_away_no_exchange_brings_back(change: Edit, error: str, stays: bool) -> None:
    blocks: list[Block] = []

    def kept(block: Block) -> None:
        attacked(block)
        clients(block)["shop"]["introspect"] = True
        blocks.append(deepcopy(block))

    async with running(edit=kept) as server:
        token = (await server.login("steam"))["access_token"]
        made = await narrowed(server, token)
        server.clock.now += 1
        change(blocks[0])
        await reload(server, blocks[0])
        assert token_error(await narrow(server, token)) == error
        asked = {"client_id": "shop", "client_secret": "shop-secret", "token": made}
        assert (await server.http.post("/oauth2/introspect", data=asked)).json()["active"] is stays
        ended_by_client = change in {match_is_elsewhere, launcher_is_elsewhere, launcher_is_gone}
        assert await refused_offline(server, made) is ended_by_client


async def test_H08_a_scope_that_a_reload_took_from_a_client_is_in_no_token_that_it_makes() -> None:
    blocks: list[Block] = []

    def kept(block: Block) -> None:
        attacked(block)
        blocks.append(deepcopy(block))

    async with running(edit=kept) as server:
        token = (await server.login("steam", scope="openid profile"))["access_token"]
        made = await narrowed(server, token)
        clients(blocks[0])["match"]["scopes"] = ["profile", "match:join"]
        await reload(server, blocks[0])
        for shown in (token, made):
            assert server.claims(await narrowed(server, shown))["scope"] == "profile"
            assert token_error(await narrow(server, shown, scope="openid")) == "invalid_scope"
            assert (
                token_error(await narrow(server, shown, requested_token_type=ID_TOKEN, audience=None))
                == "invalid_scope"
            )


async def test_H08_what_a_reload_gave_a_client_is_in_no_token_that_was_made_before() -> None:
    blocks: list[Block] = []

    def kept(block: Block) -> None:
        attacked(block)
        blocks.append(deepcopy(block))

    async with running(edit=kept) as server:
        token = (await server.login("steam", scope="openid"))["access_token"]
        sent = (await server.login("steam", scope="openid", audience=MATCH))["access_token"]
        for name in ("match", "launcher"):
            clients(blocks[0])[name]["scopes"] = ["openid", "profile", "email", "match:join", "admin", "offline"]
        demo(blocks[0])["default_audience"] = [ISSUER, "https://new.example"]
        await reload(server, blocks[0])
        for wish in ({"scope": "admin"}, {"scope": "openid email"}, {"scope": "offline"}):
            assert token_error(await narrow(server, token, **wish)) == "invalid_scope"
            assert token_error(await narrow(server, token, **AS_LAUNCHER | wish)) == "invalid_scope"
        for audience in ("https://new.example", f"{MATCH} https://new.example"):
            assert token_error(await narrow(server, token, audience=audience)) == "invalid_target"
            assert token_error(await narrow(server, sent, audience=audience)) == "invalid_target"
        assert server.claims(await narrowed(server, token))["scope"] == "openid"


async def test_round_and_round_gives_no_more_of_anything() -> None:
    """Two services that may exchange each other's tokens, and each of them its own."""

    def mutual(block: Block) -> None:
        attacked(block)
        clients(block)["match"]["exchange_from"] = ["launcher", "market"]
        clients(block)["match"]["scopes"] = ["openid", "profile", "email", "match:join", "offline"]
        clients(block)["market"] |= {"access_token_lifetime": 86400, "scopes": ["openid", "profile", "offline"]}

    async with running(edit=mutual) as server:
        token = (await server.login("steam", scope="openid profile offline"))["access_token"]
        before = server.claims(token)
        for round_ in range(6):
            server.clock.now += 100
            by = AS_MARKET if round_ % 2 else {}
            answer = await narrow(server, token, **by)
            assert "refresh_token" not in answer.json()
            token = answer.json()["access_token"]
            claims = server.claims(token)
            assert claims["exp"] == before["exp"]
            assert set(claims["scope"].split()) <= {"openid", "profile"}
            assert claims["aud"] == (MARKET if round_ % 2 else MATCH)
            assert (claims["origin_jti"], claims["gid"]) == (before["jti"], before["gid"])
            assert token_error(await narrow(server, token, audience=ISSUER)) == "invalid_target"
        server.clock.now = before["exp"]
        assert token_error(await narrow(server, token)) == "invalid_grant"


# --- sessions in the browser ---


async def test_a_logout_ends_what_was_exchanged_of_a_client_that_is_bound_to_the_session() -> None:
    def bound(block: Block) -> None:
        attacked(block)
        clients(block)["shop"]["refresh_ends_with_session"] = True
        clients(block)["match"]["exchange_from"] = ["shop"]

    async with running(edit=bound) as server:
        browser = Browser(server)
        tokens = await browser.tokens()
        made = await narrowed(server, tokens["access_token"])
        page = await browser.open("/oauth2/logout", id_token_hint=tokens["id_token"])
        assert page.status == 200
        assert not await is_active(server, made)
        assert await refused_offline(server, made)
        assert token_error(await narrow(server, tokens["access_token"])) == "invalid_grant"


async def test_an_id_token_of_an_exchange_is_no_hint_that_signs_a_player_out(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    own: dict[str, str | None] = {"requested_token_type": ID_TOKEN, "audience": None}
    for wish in (own, AS_LAUNCHER | WANTS_ID_TOKEN):
        hint = (await narrow(server, token, **wish)).json()["access_token"]
        answer = await server.http.get("/oauth2/logout", params={"id_token_hint": hint})
        assert answer.status_code == 400
        assert (await server.userinfo(hint)).status_code == 401


# --- actors ---


async def test_nobody_acts_but_by_a_good_token_of_its_own(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    own = await own_token(server)
    actor: dict[str, str | None] = {"actor_token": own, "actor_token_type": ACCESS_TOKEN}
    made = await narrowed(server, token, **actor)
    assert server.claims(made)["act"] == {"sub": "match"}
    for text in (made, token, await own_token(server, "market"), own[:-4] + "AAAA"):
        answer = await narrow(server, token, **actor | {"actor_token": text})
        assert (token_error(answer), answer.json()["parameter"]) == ("invalid_grant", "actor_token")
    await server.http.post("/oauth2/revoke", data={"client_id": "match", "client_secret": SECRET, "token": own})
    assert token_error(await narrow(server, token, **actor)) == "invalid_grant"
    assert token_error(await narrow(server, token, **AS_LAUNCHER | actor)) == "invalid_grant"


async def test_those_who_acted_are_not_forgotten_by_whoever_comes_after(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    actor: dict[str, str | None] = {"actor_token": await own_token(server), "actor_token_type": ACCESS_TOKEN}
    made = await narrowed(server, token, **actor)
    without = await narrowed(server, made, **AS_MARKET)
    own = {"actor_token": await own_token(server, "market")}
    with_it = await narrowed(server, made, **AS_MARKET | actor | own)
    assert server.claims(without)["act"] == {"sub": "match"}
    assert server.claims(with_it)["act"] == {"sub": "market", "act": {"sub": "match"}}
    told = await server.http.post("/oauth2/introspect", data={"client_id": "match", "client_secret": SECRET,
                                                              "token": with_it})  # fmt: skip
    assert told.json()["act"] == server.claims(with_it)["act"]


# --- limits ---


def limited(**own: int) -> Callable[[Block], None]:
    def edit(block: Block) -> None:
        attacked(block)
        block["limits"] = own

    return edit


async def test_F20_whoever_was_sent_a_token_does_not_use_up_the_players_refreshes() -> None:
    async with running(edit=limited(token_requests_per_minute=3)) as server:
        tokens = await server.login("steam")
        statuses = [(await narrow(server, tokens["access_token"], **AS_LAUNCHER)).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def silently(server: Server, minted: MintedCredential, number: int) -> httpx.Response:
    return await server.silent("steam", minted, state=f"state number {number}")


async def by_exchange(server: Server, minted: MintedCredential, number: int) -> httpx.Response:
    sent: dict[str, str | None] = {**submitted("steam", minted), "nonce": f"nonce number {number}"}
    return await exchange(server, "none", **sent)


QUOTAS: dict[str, tuple[dict[str, int], str, str]] = {
    "players": ({"logins_per_minute_per_player": 2}, "good", "claimed-player-logins"),
    "addresses": ({"failures_per_minute_per_address": 2}, "malformed", "address-failures"),
    "addresses that were refused": ({"failures_per_minute_per_address": 2}, "banned", "address-failures"),
    "clients": ({"logins_per_minute_per_client": 2}, "good", "client-logins"),
}


@pytest.mark.parametrize(("quota", "case", "rule"), QUOTAS.values(), ids=QUOTAS)
async def test_both_doors_share_one_count(quota: dict[str, int], case: str, rule: str) -> None:
    for doors in ((silently, by_exchange), (by_exchange, silently)):
        async with running(edit=limited(**quota)) as server:
            for number in range(2):
                answer = await doors[number % 2](server, server.mint("steam", case=case), number)
                assert answer.status_code == (200 if case == "good" else answer.status_code)
                assert answer.status_code != 429
            calls = server.platforms["steam"].calls.total()
            for door in doors:
                answer = await door(server, server.mint("steam"), 3)
                assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
                assert answer.headers["ratelimit-policy"].startswith(f'"{rule}"')
            assert server.platforms["steam"].calls.total() == calls


# --- what is told of an exchange ---


def told_of(server: Server) -> list[dict[str, Any]]:
    """The audit trail of the project, without what is the same or another in every line."""
    lines = [line for line in server.events if line["logger"] == "authsrv.audit" and line.get("project") == "demo"]
    assert all(line["address"] == "127.0.0.0/24" and line["request_id"] for line in lines)
    noise = {"time", "logger", "level", "project", "address", "request_id"}
    return [{name: value for name, value in line.items() if name not in noise} for line in lines]


async def test_I07_the_audit_trail_says_who_exchanged_what_of_whom(server: Server) -> None:
    made = (await exchange(server)).json()["access_token"]
    sub = server.claims(made)["sub"]
    by_launcher = {"client_id": "launcher", "platform": "steam", "sub": sub}
    assert told_of(server) == [
        {"event": kind, **by_launcher} for kind in ("token.exchanged", "player.created", "login.succeeded")
    ]
    server.events.clear()
    await narrowed(server, await narrowed(server, made), **AS_MARKET)
    await narrowed(server, made, **AS_LAUNCHER)
    assert told_of(server) == [
        {"event": "token.exchanged", "client_id": "match", "sub": sub, "exchanged_from": "launcher"},
        {"event": "token.exchanged", "client_id": "market", "sub": sub, "exchanged_from": "match"},
        {"event": "token.exchanged", "client_id": "launcher", "sub": sub, "exchanged_from": "launcher"},
    ]


async def test_I07_the_audit_trail_has_the_same_refusals_by_both_doors(server: Server) -> None:
    used = server.mint("steam")
    for number, minted in enumerate((server.mint("steam", case="banned"), used, used)):
        await by_exchange(server, minted, number)
    by_exchange_told = told_of(server)
    server.events.clear()
    used = server.mint("steam")
    for number, minted in enumerate((server.mint("steam", case="banned"), used, used)):
        await server.silent("steam", minted, code_challenge="x" * 42 + str(number))
    silently_told = told_of(server)
    refusals = {"login.refused": "account_banned", "credential.replayed": "credential_replayed"}
    for told in (by_exchange_told, silently_told):
        assert [(line["event"], line["reason"]) for line in told if "reason" in line] == [*refusals.items()]
        assert [line["event"] for line in told if "reason" not in line][-1] == "login.succeeded"


@pytest.mark.parametrize("whose", ["another client", "nobody", "revoked", "the server's own"])
async def test_I10_the_answer_tells_nothing_of_a_token_that_is_not_the_clients_to_use(
    server: Server, whose: str
) -> None:
    token = (await server.login("steam"))["access_token"]
    shown = {"another client": token, "nobody": token[:-8] + "AAAAAAAA", "revoked": token,
             "the server's own": await own_token(server, "stranger")}[whose]  # fmt: skip
    if whose == "revoked":
        await revoke(server, token)
    answer = await narrow(server, shown, client_id="stranger")
    assert answer.json() == {
        "error": "invalid_grant",
        "error_description": "The subject_token is no access token in force that this client may use here.",
        "parameter": "subject_token",
    }


# --- requests that say something twice ---


REPEATABLE = {"audience", "resource"}
ONCE = ("grant_type", "client_id", "subject_token", "subject_token_type", "requested_token_type", "scope", "nonce",
        "actor_token", "actor_token_type", "no_user_creation", "app_id")  # fmt: skip


@pytest.mark.parametrize("name", ONCE)
async def test_a_parameter_that_is_sent_twice_is_refused_before_a_proof_is_used(server: Server, name: str) -> None:
    sent = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "launcher",
        "scope": "openid",
        "requested_token_type": ACCESS_TOKEN,
        "nonce": NONCE,
        "actor_token": "x",
        "actor_token_type": ACCESS_TOKEN,
        "no_user_creation": "false",
        **submitted("steam", server.mint("steam")),
    }
    form = f"{httpx.QueryParams(sent)}&{httpx.QueryParams({name: sent[name]})}"
    answer = await server.http.post("/oauth2/token", content=form, headers=FORM)
    assert (token_error(answer), answer.json()["parameter"]) == ("invalid_request", name)
    assert not tables(server).reservations
    assert server.platforms["steam"].calls.total() == 0


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_audiences_that_are_sent_twice_are_all_looked_at(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    sent = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "match",
        "client_secret": SECRET,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
    }
    for hidden in (f"audience={MATCH}&audience=https://evil.example", f"resource=https://evil.example&resource={MATCH}",
                   f"audience={MATCH}&resource=https://evil.example", f"audience={MATCH}+https://evil.example",
                   f"audience={MATCH}%20https://evil.example"):  # fmt: skip
        answer = await server.http.post("/oauth2/token", content=f"{httpx.QueryParams(sent)}&{hidden}", headers=FORM)
        assert token_error(answer) == "invalid_target", hidden
