"""Every case of a credential that can be minted, through `cross_auth`: the answer that the error tables ask for.

The tables stand in `tests/support/outcomes.py`.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential
from tests.conformance.platform import minted_cases
from tests.support.outbound import BASE_URL
from tests.support.outcomes import (
    LOGIN,
    MALFORMED,
    ROWS,
    STEAM_ENCRYPTED,
    TABLES,
    Outcome,
    no_waiting,
    secrets_of,
    written,
)
from tests.support.server import Server, launcher_request, running

_ASKED_ABOUT = {"encrypted-good", "encrypted-not-owned"}


async def present(server: Server, provider: str, minted: MintedCredential) -> httpx.Response:
    form = {name: value for name, value in (launcher_request() | dict(minted.parameters)).items() if value}
    return await server.http.post(f"/oauth2/social/{provider}/cross_auth", data=form, headers=dict(minted.headers))


def test_the_tables_have_every_case_of_every_source(server_cases: Mapping[str, set[str]]) -> None:
    for provider, cases in server_cases.items():
        tabled = {case for (owner, _), table in TABLES.items() if owner == provider for case in table}
        assert tabled == cases


@pytest.fixture
async def server_cases() -> Mapping[str, set[str]]:
    async with running() as server:
        return {name: set(minted_cases(source, PLAYERS["amber"])) for name, source in server.sources.items()}


@pytest.mark.parametrize(("provider", "kind", "case", "outcome"), ROWS)
async def test_a_case_gets_the_answer_of_the_error_table_and_only_a_good_one_logs_in(
    provider: str, kind: str, case: str, outcome: Outcome
) -> None:
    async with running() as server:
        await no_waiting(server)
        minted = server.mint(provider, kind=kind, case=case)
        answer = await present(server, provider, minted)
        body = answer.json()
        assert (answer.status_code, body.get("error", ""), body.get("reason", "")) == outcome
        assert ("login_url" in body) == (outcome is LOGIN)
        assert written(server) == ((1, 1, 1) if outcome is LOGIN else (0, 0, 0))
        assert ("retry-after" in answer.headers) == (answer.status_code == 503)
        told = f"{answer.headers}{answer.text}".lower()
        assert not [secret for secret in secrets_of(server, minted) if secret in told]


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        *(("session_ticket", case) for case in ("malformed", "truncated", "too-long", "ownership-only")),
        *(("session_ticket", case) for case in ("not-a-player", "session-ticket-type")),
        *(("encrypted_app_ticket", case) for case in STEAM_ENCRYPTED if case not in _ASKED_ABOUT),
    ],
)
async def test_D06_steam_is_not_asked_about_what_cannot_log_in(kind: str, case: str) -> None:
    async with running() as server:
        await present(server, "steam", server.mint("steam", kind=kind, case=case))
        assert server.platforms["steam"].calls.total() == 0


LOADED_AT_START = {"xbox": ("keys", "psskeys", "signingkeys")}


@pytest.mark.parametrize(
    "ticket",
    [
        pytest.param("14000000&appid=1&key=stolen", id="D07 parameters inside"),
        pytest.param("0x14000000", id="D06 no hex digit"),
        pytest.param("1", id="D06 one digit"),
        pytest.param("FAAAA%", id="D06 bad Base64"),
        pytest.param("14" * 32768, id="D06 64 KiB"),
        pytest.param("\uff11" * 200, id="D06 digits of another script"),
        pytest.param("{}", id="JSON"),
    ],
)
@pytest.mark.parametrize("provider", ["steam", "xbox"])
async def test_D06_garbage_is_refused_before_any_call(provider: str, ticket: str) -> None:
    async with running() as server:
        answer = await server.silent(provider, session_ticket=ticket, credential_type=None)
        body = answer.json()
        assert (answer.status_code, body["error"], body["reason"]) == MALFORMED
        assert server.platforms[provider].calls <= Counter(LOADED_AT_START.get(provider, ()))


@pytest.mark.parametrize(
    ("provider", "case", "seconds"),
    [("steam", "throttled-429", "30"), ("steam", "throttled-429-bare", "5"), ("epicgames", "throttled", "7")],
)
async def test_the_platforms_own_wait_is_passed_on(provider: str, case: str, seconds: str) -> None:
    async with running() as server:
        answer = await present(server, provider, server.mint(provider, case=case))
        assert answer.headers["retry-after"] == seconds


CONTINUATION = "id/login?continuation=c0ffee00c0ffee00c0ffee00c0ffee00&prompt=skip_merge%20skip_upgrade"


@pytest.mark.parametrize(
    ("case", "url"),
    [
        ("corrective-action-required", CONTINUATION),
        ("corrective-action-without-url", CONTINUATION),
        ("corrective-action-foreign-url", CONTINUATION),
        ("corrective-action-unknown", CONTINUATION),
        ("scope-consent-required", "id/authorize?client_id="),
    ],
)
async def test_D36_the_player_is_led_to_epics_own_page_and_no_other(case: str, url: str) -> None:
    async with running() as server:
        minted = server.mint("epicgames", case=case)
        answer = await server.silent("epicgames", minted)
        assert answer.json()["interaction_url"].startswith(f"{BASE_URL}/epic/www/{url}")
        redirected = await server.silent("epicgames", server.mint("epicgames", case=case), is_redirect="true")
        told = httpx.URL(redirected.headers["location"]).params
        assert (told["error"], told["reason"]) == ("access_denied", "account_action_required")
        assert told["interaction_url"].startswith(f"{BASE_URL}/epic/www/{url}")


@pytest.mark.parametrize(
    ("provider", "case", "error", "reason"),
    [
        ("steam", "malformed", "invalid_request", "credential_malformed"),
        ("xbox", "legacy-enc", "invalid_request", "credential_unsupported"),
        ("steam", "cancelled", "access_denied", "credential_rejected"),
        ("xbox", "expired", "access_denied", "credential_expired"),
        ("steam", "banned", "access_denied", "account_banned"),
        ("steam", "http-503", "temporarily_unavailable", "provider_unavailable"),
        ("steam", "bad-key-403", "server_error", "provider_misconfigured"),
        ("epicgames", "other-client", "server_error", "provider_misconfigured"),
    ],
)
async def test_a_refusal_by_redirect_tells_the_reason_and_no_secret(
    provider: str, case: str, error: str, reason: str
) -> None:
    async with running() as server:
        minted = server.mint(provider, case=case)
        answer = await server.silent(provider, minted, is_redirect="true")
        told = httpx.URL(answer.headers["location"]).params
        assert (answer.status_code, told["error"], told["reason"], "code" in told) == (303, error, reason, False)
        assert not [secret for secret in secrets_of(server, minted) if secret in str(answer.headers).lower()]
        assert written(server) == (0, 0, 0)


async def test_D04_the_player_of_a_borrowed_game_is_who_plays_not_who_owns() -> None:
    def lenient(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["platforms"]["steam"]["allow_family_sharing"] = True

    async with running(edit=lenient) as server:
        tokens = await server.login("steam", server.mint("steam", case="family-shared"))
        assert server.claims(tokens["access_token"])["idp_sub"] == "76561202255232001"


async def test_D23_a_sandbox_in_the_request_narrows_and_never_widens() -> None:
    async with running() as server:
        developing = server.mint("xbox", case="wrong-sandbox")
        assert (await server.silent("xbox", developing, sandbox="XDKS.1")).json()[
            "reason"
        ] == "credential_wrong_sandbox"
        good = server.mint("xbox")
        assert (await server.silent("xbox", good, sandbox="CERT")).json()["reason"] == "credential_wrong_sandbox"
        assert (await server.silent("xbox", good, sandbox="RETAIL")).status_code == 200


async def test_D30_a_deployment_in_the_request_narrows_and_never_widens() -> None:
    async with running() as server:
        epic: Any = server.platforms["epic"]
        good = server.mint("epicgames", kind="id_token")
        listed = await server.silent("epicgames", good, deployment_id=epic.product.deployment_id)
        assert listed.status_code == 200
        other = server.mint("epicgames", kind="id_token", case="wrong-deployment")
        named = await server.silent("epicgames", other, deployment_id="another-deployment")
        assert named.json()["reason"] == "credential_wrong_deployment"


async def test_D32_an_epic_account_and_a_product_user_are_two_players() -> None:
    async with running() as server:
        await server.code("epicgames", server.mint("epicgames", kind="id_token"))
        await server.code("epicgames", server.mint("epicgames", kind="exchange_code"))
        assert written(server)[:2] == (1, 1)
        await server.code("epicgames", server.mint("epicgames", kind="connect_id_token"))
        assert written(server)[:2] == (2, 2)


async def test_the_kind_of_a_credential_is_never_guessed() -> None:
    async with running() as server:
        token = server.mint("epicgames", kind="id_token")
        answer = await server.silent("epicgames", token, credential_type=None)
        assert answer.json()["reason"] == "credential_malformed"
        ticket = server.mint("steam")
        answer = await server.silent("steam", ticket, credential_type="encrypted_app_ticket")
        assert answer.json()["reason"] == "credential_malformed"
