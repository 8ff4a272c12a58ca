"""Steam's encrypted app tickets over HTTP: the nonce that binds one to a client and a moment, and forged tickets."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.emulator.steam.tickets import TicketFacts, encrypted_ticket, forged_encrypted_ticket, outer_message
from authsrv.platforms.steam.encrypted import _decrypt, _read_outer
from tests.support.server import Server, _signing_keys, running

NONCE = "/oauth2/social/steam/nonce"
SPA: dict[str, str | None] = {"client_id": "spa", "redirect_uri": "http://127.0.0.1:8080/demo/spa"}
OTHER_CHALLENGE = "x" * 43
VICTIM = 76561202255232999
REJECTED = (400, "invalid_grant", "credential_rejected")
EXPIRED = (400, "invalid_grant", "credential_expired")
REPLAYED = (400, "invalid_grant", "credential_replayed")
MALFORMED = (400, "invalid_request", "credential_malformed")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
async def strict() -> AsyncIterator[Server]:
    """A server whose project takes no encrypted ticket without a nonce."""

    def required(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["platforms"]["steam"]["encrypted_require_nonce"] = True

    async with running(edit=required) as started:
        yield started


async def nonce_for(server: Server, client_id: str = "launcher") -> str:
    answer = await server.http.post(NONCE, data={"client_id": client_id})
    assert answer.status_code == 200, answer.text
    nonce: str = answer.json()["nonce"]
    return nonce


def ticket_with(server: Server, user_data: str | bytes, player: str = "amber") -> MintedCredential:
    """A good ticket into which the game put this."""
    steam: Any = server.platforms["steam"]
    raw = user_data.encode() if isinstance(user_data, str) else user_data
    minted: MintedCredential = steam.mint_with_user_data(PLAYERS[player], raw)
    return minted


async def login(server: Server, minted: MintedCredential, nonce: str, **changes: str | None) -> httpx.Response:
    return await server.silent("steam", minted, encrypted_ticket_nonce=nonce, **changes)


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    told = answer.json()
    return answer.status_code, told["error"], told.get("reason", "")


# Asking for a nonce


async def test_a_nonce_has_random_bits_enough_and_lives_five_minutes(server: Server) -> None:
    answer = await server.http.post(NONCE, data={"client_id": "launcher"})
    assert answer.json().keys() == {"nonce", "expires_in"}
    assert answer.json()["expires_in"] == 300
    assert len(urlsafe_b64decode(answer.json()["nonce"])) == 36
    assert answer.headers["cache-control"] == "no-store"


async def test_no_two_nonces_are_alike(server: Server) -> None:
    assert len({await nonce_for(server) for _ in range(50)}) == 50


@pytest.mark.parametrize("client_id", [None, "nobody", "40"])
async def test_only_a_client_of_this_surface_gets_a_nonce(server: Server, client_id: str | None) -> None:
    answer = await server.http.post(NONCE, data={"client_id": client_id} if client_id else {})
    assert (answer.status_code, answer.json()["error"], answer.json()["parameter"]) == (
        400,
        "invalid_request",
        "client_id",
    )


async def test_the_nonce_is_asked_for_by_a_small_form_in_a_post(server: Server) -> None:
    assert (await server.http.get(NONCE)).status_code == 405
    assert (await server.http.post(NONCE, json={"client_id": "launcher"})).status_code == 415
    assert (await server.http.post(NONCE, data={"client_id": "launcher", "x": "y" * 1024})).status_code == 413
    assert (await server.http.post("/api" + NONCE, data={"client_id": "40"})).status_code == 404
    assert (await server.http.post(NONCE.replace("steam", "xbox"), data={"client_id": "launcher"})).status_code == 404


# Logging in


@pytest.mark.parametrize("required", [True, False])
async def test_a_ticket_that_holds_the_nonce_logs_in(required: bool) -> None:
    def edit(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["platforms"]["steam"]["encrypted_require_nonce"] = required

    async with running(edit=edit) as server:
        nonce = await nonce_for(server)
        answer = await login(server, ticket_with(server, nonce), nonce)
        code = httpx.URL(answer.json()["login_url"]).params["code"]
        tokens = (await server.redeem(code)).json()
        assert server.claims(tokens["access_token"])["idp_sub"] == PLAYERS["amber"].steam_id
        assert server.platforms["steam"].calls["AuthenticateUserTicket"] == 0


async def test_both_kinds_of_steam_ticket_lead_to_the_same_player(strict: Server) -> None:
    nonce = await nonce_for(strict)
    answer = await login(strict, ticket_with(strict, nonce), nonce)
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    access = [(await strict.redeem(code)).json(), await strict.login("steam")]
    assert len({strict.claims(tokens["access_token"])["sub"] for tokens in access}) == 1


async def test_a_nonce_is_good_until_its_last_second(strict: Server) -> None:
    nonce = await nonce_for(strict)
    strict.clock.now += 299
    assert (await login(strict, ticket_with(strict, nonce), nonce)).status_code == 200


async def test_an_expired_nonce_is_refused(strict: Server) -> None:
    nonce = await nonce_for(strict)
    strict.clock.now += 300
    assert refusal(await login(strict, ticket_with(strict, nonce), nonce)) == EXPIRED


async def test_a_nonce_of_another_client_is_refused(strict: Server) -> None:
    nonce = await nonce_for(strict, "spa")
    minted = ticket_with(strict, nonce)
    assert refusal(await login(strict, minted, nonce)) == REJECTED
    assert (await login(strict, minted, nonce, **SPA)).status_code == 200


async def test_a_nonce_of_another_server_is_refused(strict: Server) -> None:
    nonce = await nonce_for(strict)
    other_keys = tuple(replace(key, material=bytes(32)) if key.use == "seal" else key for key in _signing_keys(0))
    with patch("tests.support.server._signing_keys", lambda _: other_keys):
        async with running() as elsewhere:
            assert refusal(await login(elsewhere, ticket_with(elsewhere, nonce), nonce)) == REJECTED
            own = await nonce_for(elsewhere)
            assert (await login(elsewhere, ticket_with(elsewhere, own), own)).status_code == 200


@pytest.mark.parametrize(
    "nonce",
    [
        pytest.param("A" * 48, id="made up"),
        pytest.param("A" * 47, id="short"),
        pytest.param("00" * 24, id="hex"),
        pytest.param("A" * 48 + "\n", id="newline"),
        pytest.param("\uff21" * 48, id="letters of another script"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
async def test_a_nonce_nobody_issued_is_refused(nonce: str, required: bool) -> None:
    def edit(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["platforms"]["steam"]["encrypted_require_nonce"] = required

    async with running(edit=edit) as server:
        assert refusal(await login(server, ticket_with(server, nonce), nonce)) == REJECTED


@pytest.mark.parametrize("bit", [0, 13 * 8, 14 * 8, 19 * 8 + 7, 20 * 8, 35 * 8 + 7])
async def test_a_nonce_with_any_part_changed_is_refused(strict: Server, bit: int) -> None:
    raw = bytearray(urlsafe_b64decode(await nonce_for(strict)))
    raw[bit // 8] ^= 1 << bit % 8
    changed = urlsafe_b64encode(raw).decode()
    assert refusal(await login(strict, ticket_with(strict, changed), changed)) == REJECTED


async def test_the_nonce_of_the_request_must_be_the_one_in_the_ticket(strict: Server) -> None:
    one, other = await nonce_for(strict), await nonce_for(strict)
    assert refusal(await login(strict, ticket_with(strict, one), other)) == REJECTED
    assert refusal(await login(strict, ticket_with(strict, one + "x"), one)) == REJECTED
    assert refusal(await login(strict, ticket_with(strict, b""), one)) == REJECTED


async def test_where_a_nonce_is_demanded_a_ticket_without_one_is_refused(strict: Server) -> None:
    nonce = await nonce_for(strict)
    answer = await strict.silent("steam", ticket_with(strict, nonce))
    assert refusal(answer) == MALFORMED
    assert (await login(strict, ticket_with(strict, nonce), nonce)).status_code == 200


async def test_where_a_nonce_is_optional_one_that_is_sent_must_still_be_right(server: Server) -> None:
    nonce = await nonce_for(server)
    assert refusal(await login(server, server.mint("steam", kind="encrypted_app_ticket"), nonce)) == REJECTED
    assert (await server.silent("steam", server.mint("steam", kind="encrypted_app_ticket"))).status_code == 200


# Again


async def test_a_nonce_logs_in_once_whatever_ticket_holds_it(strict: Server) -> None:
    nonce = await nonce_for(strict)
    assert (await login(strict, ticket_with(strict, nonce), nonce)).status_code == 200
    again = ticket_with(strict, nonce, "birch")
    assert refusal(await login(strict, again, nonce, code_challenge=OTHER_CHALLENGE)) == REPLAYED


async def test_a_reused_nonce_never_signs_another_player_in_under_the_first_ones_name(strict: Server) -> None:
    """A repeat is for a lost answer; with another player's ticket it must not bring the first player's code."""
    nonce = await nonce_for(strict)
    assert (await login(strict, ticket_with(strict, nonce), nonce)).status_code == 200
    assert refusal(await login(strict, ticket_with(strict, nonce, "birch"), nonce)) == REPLAYED


async def test_a_lost_answer_may_be_asked_for_again(strict: Server) -> None:
    nonce = await nonce_for(strict)
    minted = ticket_with(strict, nonce)
    assert (await login(strict, minted, nonce)).status_code == 200
    strict.clock.now += 29
    assert (await login(strict, minted, nonce)).status_code == 200
    strict.clock.now += 1
    assert refusal(await login(strict, minted, nonce)) == REPLAYED


async def test_where_a_nonce_is_optional_leaving_it_out_does_not_make_a_ticket_new(server: Server) -> None:
    nonce = await nonce_for(server)
    minted = ticket_with(server, nonce)
    assert (await login(server, minted, nonce)).status_code == 200
    assert refusal(await server.silent("steam", minted, code_challenge=OTHER_CHALLENGE)) == REPLAYED


async def test_neither_spelling_nor_sealing_makes_a_ticket_new(server: Server) -> None:
    steam: Any = server.platforms["steam"]
    first = encrypted_ticket(facts(server), steam.keys.app)
    assert (await present(server, first)).status_code == 200
    plain, lengths = _opened(first, steam.keys.app)
    again = outer_message(plain, steam.keys.app, version=2, **lengths)
    assert again != first
    for text in (first.hex().upper(), again.hex()):
        answer = await server.silent(
            "steam",
            session_ticket=text,
            credential_type="encrypted_app_ticket",
            code_challenge=OTHER_CHALLENGE,
        )
        assert refusal(answer) == REPLAYED


# Forged boundaries


def facts(server: Server, **changes: Any) -> TicketFacts:
    made = int(server.clock.now) - 5
    own = TicketFacts(int(PLAYERS["amber"].steam_id), 4800001, issued=made, expires=made + 86400, token_time=made)
    return replace(own, **changes)


async def present(server: Server, raw: bytes) -> httpx.Response:
    return await server.silent(
        "steam", session_ticket=raw.hex(), credential_type="encrypted_app_ticket", app_id="4800001"
    )


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("claimed", [1, 2])
async def test_D18_a_forged_ticket_inside_the_user_data_never_logs_the_victim_in(
    server: Server, version: int, claimed: int
) -> None:
    steam: Any = server.platforms["steam"]
    forged = forged_encrypted_ticket(
        facts(server), facts(server, steam_id=VICTIM), steam.keys.app, version=version, claimed_version=claimed
    )
    reason = "credential_unsupported" if claimed == 1 else "credential_rejected"
    assert refusal(await present(server, forged))[2] == reason
    assert server.app.storage._tables.players == {}  # type: ignore[attr-defined]  # the memory backend's


@pytest.mark.parametrize("shift", [-1, 1, 28, 1000, 2**32 - 1])
@pytest.mark.parametrize("part", ["user_data", "hashed"])
async def test_D18_every_length_outside_the_encryption_must_agree_with_the_inside(
    server: Server, part: str, shift: int
) -> None:
    steam: Any = server.platforms["steam"]
    genuine = encrypted_ticket(facts(server), steam.keys.app, user_data=b"game data")
    plain, lengths = _opened(genuine, steam.keys.app)
    changed = lengths | {part: (lengths[part] + shift) % 2**32}
    assert refusal(await present(server, outer_message(plain, steam.keys.app, version=2, **changed))) == REJECTED
    assert (await present(server, outer_message(plain, steam.keys.app, version=2, **lengths))).status_code == 200


def _opened(ticket: bytes, key: bytes) -> tuple[bytes, dict[str, int]]:
    """The plaintext of a ticket of ours, and the two lengths of its outer message."""
    outer = _read_outer(ticket)
    padded = _decrypt(outer.sealed, key)
    return padded[: -padded[-1]], {"user_data": outer.user_data, "hashed": outer.hashed}


@pytest.mark.parametrize("age", [295, 300, 301, 3600, -60, -70])
async def test_D18_a_ticket_has_an_age_limit(server: Server, age: int) -> None:
    steam: Any = server.platforms["steam"]
    raw = encrypted_ticket(facts(server, issued=int(server.clock.now) - age), steam.keys.app)
    answer = await present(server, raw)
    assert (answer.status_code == 200) == (-60 <= age <= 300)


async def test_every_failure_under_the_encryption_has_one_text(server: Server) -> None:
    cases = ("wrong-key", "tampered", "forged", "forged-relabelled")
    answers = [
        await server.silent("steam", server.mint("steam", kind="encrypted_app_ticket", case=case)) for case in cases
    ]
    assert len({answer.text for answer in answers}) == 1


async def test_without_a_key_for_the_app_encrypted_tickets_are_not_taken() -> None:
    def without_key(block: dict[str, Any]) -> None:
        del block["projects"]["demo"]["platforms"]["steam"]["encrypted_ticket_key"]

    async with running(edit=without_key) as server:
        answer = await server.silent("steam", server.mint("steam", kind="encrypted_app_ticket"))
        assert refusal(answer) == (400, "invalid_request", "credential_unsupported")
