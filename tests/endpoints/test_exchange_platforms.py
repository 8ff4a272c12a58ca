"""Every case of a credential that can be minted, by token exchange: the outcome that the silent login has, in the words
of the token endpoint.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.models import TOKEN_EXCHANGE
from tests.support.exchange import exchange_of, exchanging, submitted
from tests.support.outcomes import (
    BAD_SIGNATURE,
    BANNED,
    CLOCK_SKEW,
    EXPIRED,
    LOGIN,
    MUST_ACT,
    NOT_ENTITLED,
    REJECTED,
    RESTRICTED,
    ROWS,
    TOO_YOUNG,
    Outcome,
    no_waiting,
    secrets_of,
    written,
)
from tests.support.server import ISSUER, Server, running
from tests.support.verification import verified
from tests.support.wire import FORM, ask

AT_THE_TOKEN_ENDPOINT: Mapping[Outcome, Outcome] = {
    BANNED: (400, "invalid_grant", "account_banned"),
    NOT_ENTITLED: (400, "invalid_grant", "account_not_entitled"),
    TOO_YOUNG: (400, "invalid_grant", "age_restricted"),
    RESTRICTED: (400, "invalid_grant", "account_restricted"),
    MUST_ACT: (400, "invalid_grant", "account_action_required"),
    # The Signature is that of a request with the token in its header; here the token comes as a parameter, without.
    BAD_SIGNATURE: LOGIN,
    CLOCK_SKEW: LOGIN,
}
"""Where RFC 6749 has other words than the silent login; everything else is the same."""


async def present(server: Server, provider: str, minted: MintedCredential, **changes: str) -> httpx.Response:
    sent: dict[str, str | None] = {**submitted(provider, minted), **changes}
    return await exchange_of(server, provider, "none", **sent)


@pytest.mark.parametrize(("provider", "kind", "case", "at_the_login"), ROWS)
async def test_a_case_has_the_outcome_that_it_has_at_the_silent_login(
    provider: str, kind: str, case: str, at_the_login: Outcome
) -> None:
    outcome = AT_THE_TOKEN_ENDPOINT.get(at_the_login, at_the_login)
    async with running(edit=exchanging) as server:
        await no_waiting(server)
        minted = server.mint(provider, kind=kind, case=case)
        answer = await present(server, provider, minted)
        body = answer.json()
        assert (answer.status_code, body.get("error", ""), body.get("reason", "")) == outcome
        assert ("access_token" in body) == (outcome is LOGIN)
        assert written(server) == ((1, 1, 1) if outcome is LOGIN else (0, 0, 0))
        assert ("retry-after" in answer.headers) == (answer.status_code == 503)
        assert answer.headers["cache-control"] == "no-store"
        told = f"{answer.headers}{answer.text}".lower()
        assert not [secret for secret in secrets_of(server, minted) if secret in told]


async def test_an_xsts_token_in_the_header_is_no_client_authentication() -> None:
    async with running(edit=exchanging) as server:
        minted = server.mint("xbox", case="signature-wrong")
        sent = {"client_id": "launcher", "grant_type": TOKEN_EXCHANGE, **submitted("xbox", minted)}
        answer = await server.http.post("/oauth2/token", data=sent, headers=dict(minted.headers))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert written(server) == (0, 0, 0)


# --- long credentials ---


def form_of(credential: str, spelling: Callable[[str], str]) -> bytes:
    sent = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "launcher",
        "subject_token_type": "urn:authsrv:params:oauth:token-type:xbox:xsts_token",
        "scope": "openid",
    }
    return f"{httpx.QueryParams(sent)}&subject_token={spelling(credential)}".encode()


def all_encoded(text: str) -> str:
    return "".join(f"%{ord(char):02X}" for char in text)


@pytest.mark.parametrize("length", [60, 64])
async def test_an_xsts_token_of_60_kib_gets_through_percent_encoded(length: int) -> None:
    async with running(edit=exchanging) as server:
        good = dict(server.mint("xbox").parameters)["session_ticket"]
        user, _, token = good.partition(";")
        long = f"{user};{token}" + "A" * (length * 1024 - len(token))
        answer = await ask(server.app, "POST", b"/oauth2/token", FORM, form_of(long, quote))
        assert answer.status == 400
        assert b"credential_" in answer.body  # it was read to its end, and found to be spoilt
        answer = await ask(server.app, "POST", b"/oauth2/token", FORM, form_of(good, all_encoded))
        assert answer.status == 200


@pytest.mark.parametrize(
    ("spelling", "length", "status"),
    [(str, 128 * 1024, 413), (all_encoded, 64 * 1024, 413), (str, 80 * 1024 + 1, 400), (all_encoded, 30 * 1024, 400)],
)
async def test_what_is_too_long_is_refused_unread(spelling: Callable[[str], str], length: int, status: int) -> None:
    async with running(edit=exchanging) as server:
        answer = await ask(server.app, "POST", b"/oauth2/token", FORM, form_of("A" * length, spelling))
        assert answer.status == status
        assert b'"invalid_request"' in answer.body
        assert server.platforms["xbox"].calls.total() <= 3  # the keys, at the start


# --- encrypted app tickets and the nonce of the server ---


async def nonce_for(server: Server, client_id: str = "launcher") -> str:
    answer = await server.http.post("/oauth2/social/steam/nonce", data={"client_id": client_id})
    nonce: str = answer.json()["nonce"]
    return nonce


def ticket_with(server: Server, user_data: str) -> MintedCredential:
    steam: Any = server.platforms["steam"]
    minted: MintedCredential = steam.mint_with_user_data(PLAYERS["amber"], user_data.encode())
    return minted


async def outcome_of(server: Server, minted: MintedCredential, ticket_nonce: str, **changes: str) -> Outcome:
    answer = await present(server, "steam", minted, encrypted_ticket_nonce=ticket_nonce, **changes)
    body = answer.json()
    return answer.status_code, body.get("error", ""), body.get("reason", "")


async def test_an_encrypted_ticket_with_the_servers_nonce_is_good_once_and_for_its_client() -> None:
    async with running(edit=exchanging) as server:
        nonce = await nonce_for(server)
        minted = ticket_with(server, nonce)
        assert await outcome_of(server, minted, nonce, client_id="spa") != LOGIN
        assert await outcome_of(server, minted, nonce, nonce="nonce-of-the-launcher") == LOGIN
        assert await outcome_of(server, minted, nonce, nonce="nonce-of-the-launcher") == LOGIN
        stolen = await outcome_of(server, minted, nonce, nonce="nonce-of-a-thief")
        assert stolen == (400, "invalid_grant", "credential_replayed")
        by_the_other_door = await server.silent("steam", minted, encrypted_ticket_nonce=nonce)
        assert by_the_other_door.json()["reason"] == "credential_replayed"


async def test_an_encrypted_ticket_with_another_nonce_or_an_old_one_is_refused() -> None:
    async with running(edit=exchanging) as server:
        nonce = await nonce_for(server)
        minted = ticket_with(server, nonce)
        assert await outcome_of(server, minted, "A" * 48) == REJECTED
        assert await outcome_of(server, minted, await nonce_for(server, "spa")) == REJECTED
        assert await outcome_of(server, minted, await nonce_for(server)) == REJECTED
        server.clock.now += 300
        assert await outcome_of(server, minted, nonce) == EXPIRED
        assert written(server) == (0, 0, 0)


async def test_an_encrypted_ticket_without_a_nonce_goes_where_the_project_asks_for_none() -> None:
    def strict(block: dict[str, Any]) -> None:
        exchanging(block)
        block["projects"]["demo"]["platforms"]["steam"]["encrypted_require_nonce"] = True

    for edit, status in ((exchanging, 200), (strict, 400)):
        async with running(edit=edit) as server:
            answer = await present(server, "steam", server.mint("steam", kind="encrypted_app_ticket"))
            assert answer.status_code == status, answer.text


# --- codes that Epic may have used up ---


@pytest.mark.parametrize(("case", "later"), [("server-error-after", 400), ("server-error-before", 400), ("hang", 400)])
async def test_an_epic_code_that_may_be_used_up_is_never_tried_again(case: str, later: int) -> None:
    async with running(edit=exchanging) as server:
        await no_waiting(server)
        minted = server.mint("epicgames", case=case)
        first = await present(server, "epicgames", minted, nonce="nonce-of-the-launcher")
        assert first.status_code == 503
        calls = server.platforms["epic"].calls.total()
        server.clock.now += 16
        for nonce in ("nonce-of-the-launcher", "nonce-of-a-thief"):
            assert (await present(server, "epicgames", minted, nonce=nonce)).status_code == later
        assert server.platforms["epic"].calls.total() == calls


async def test_who_is_proved_and_for_whom_is_the_same_as_at_the_silent_login() -> None:
    async with running(edit=exchanging) as server:
        for provider, kind in dict.fromkeys((row.values[0], row.values[1]) for row in ROWS):
            assert isinstance(provider, str)
            assert isinstance(kind, str)
            answer = await present(server, provider, server.mint(provider, kind=kind, case=GOOD.get(kind, "good")))
            claims = await verified(server, answer.json()["access_token"], ISSUER, "at+jwt")
            server.clock.now += 1
            silent = await server.login(provider, server.mint(provider, kind=kind, case=GOOD.get(kind, "good")))
            before = server.claims(silent["access_token"])
            same = ("sub", "aud", "client_id", "scope", "idp", "idp_sub")
            assert {name: claims[name] for name in same} == {name: before[name] for name in same}


GOOD = {"encrypted_app_ticket": "encrypted-good"}


# --- what a request adds narrows and never widens ---


NARROWED: Mapping[str, tuple[str, dict[str, str], dict[str, str], str]] = {
    "D23 sandbox": ("xbox", {}, {"sandbox": "CERT"}, "credential_wrong_sandbox"),
    "D23 sandbox of a developer": (
        "xbox",
        {"case": "wrong-sandbox"},
        {"sandbox": "XDKS.1"},
        "credential_wrong_sandbox",
    ),
    "D30 deployment": (
        "epicgames",
        {"kind": "id_token"},
        {"deployment_id": "another-deployment"},
        "credential_wrong_deployment",
    ),
    "D30 deployment of another": (
        "epicgames",
        {"kind": "id_token", "case": "wrong-deployment"},
        {"deployment_id": "another-deployment"},
        "credential_wrong_deployment",
    ),
    "D02 app": ("steam", {}, {"app_id": "4800002"}, "credential_wrong_app"),
    "D02 app of another": ("steam", {"case": "other-app"}, {"app_id": "4800002"}, "credential_wrong_app"),
}


@pytest.mark.parametrize(("provider", "how", "changes", "reason"), NARROWED.values(), ids=NARROWED)
async def test_what_a_request_names_never_widens(
    provider: str, how: dict[str, str], changes: dict[str, str], reason: str
) -> None:
    async with running(edit=exchanging) as server:
        answer = await present(server, provider, server.mint(provider, **how), **changes)
        assert (answer.status_code, answer.json()["reason"]) == (400, reason)
        assert written(server) == (0, 0, 0)
