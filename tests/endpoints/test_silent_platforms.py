"""Every case the emulated platforms can mint, through `cross_auth`: the answer that the error tables ask for.

The tables are the project's promise to game developers. A case that an emulator gains and no table has fails a test.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential
from tests.conformance.platform import minted_cases
from tests.support.outbound import BASE_URL
from tests.support.server import Server, launcher_request, running

Outcome = tuple[int, str, str]
"""Status, `error` and `reason`; the two texts are empty for a login."""

LOGIN: Outcome = (200, "", "")
MALFORMED: Outcome = (400, "invalid_request", "credential_malformed")
UNSUPPORTED: Outcome = (400, "invalid_request", "credential_unsupported")
REJECTED: Outcome = (400, "invalid_grant", "credential_rejected")
EXPIRED: Outcome = (400, "invalid_grant", "credential_expired")
NOT_YET_VALID: Outcome = (400, "invalid_grant", "credential_not_yet_valid")
WRONG_APP: Outcome = (400, "invalid_grant", "credential_wrong_app")
WRONG_AUDIENCE: Outcome = (400, "invalid_grant", "credential_wrong_audience")
WRONG_DEPLOYMENT: Outcome = (400, "invalid_grant", "credential_wrong_deployment")
WRONG_SANDBOX: Outcome = (400, "invalid_grant", "credential_wrong_sandbox")
WRONG_TITLE: Outcome = (400, "invalid_grant", "credential_wrong_title")
BAD_SIGNATURE: Outcome = (401, "invalid_token", "signature_invalid")
CLOCK_SKEW: Outcome = (401, "invalid_token", "signature_clock_skew")
BANNED: Outcome = (403, "access_denied", "account_banned")
NOT_ENTITLED: Outcome = (403, "access_denied", "account_not_entitled")
RESTRICTED: Outcome = (403, "access_denied", "account_restricted")
MUST_ACT: Outcome = (403, "interaction_required", "account_action_required")
UNAVAILABLE: Outcome = (503, "temporarily_unavailable", "provider_unavailable")
MISCONFIGURED: Outcome = (503, "server_error", "provider_misconfigured")

STEAM_SESSION: Mapping[str, Outcome] = {
    "good": LOGIN,
    "replayed": LOGIN,  # the first time
    "padded": LOGIN,
    "upper-case-hex": LOGIN,
    "base64": LOGIN,
    "content-rich": LOGIN,
    "too-early": LOGIN,
    "numeric-steamid": LOGIN,
    "wrong-content-type": LOGIN,
    "profile-down": LOGIN,
    "slow": LOGIN,
    "malformed": MALFORMED,
    "truncated": MALFORMED,
    "too-long": MALFORMED,
    "ownership-only": MALFORMED,
    "not-a-player": MALFORMED,
    "errorcode-3": MALFORMED,
    "session-ticket-type": UNSUPPORTED,
    "other-app": WRONG_APP,
    "errorcode-102": WRONG_APP,
    "forged": REJECTED,
    "unknown": REJECTED,
    "two-accounts": REJECTED,
    "expired-ownership": REJECTED,
    "cut-tail": REJECTED,
    "identity-mismatch": REJECTED,
    "cancelled": REJECTED,
    "errorcode-101": REJECTED,
    "unknown-errorcode": REJECTED,
    "errorcode-in-400": REJECTED,
    "steamid-mismatch": REJECTED,
    "banned": BANNED,
    "publisher-banned": BANNED,
    "family-shared": NOT_ENTITLED,
    "not-owned": NOT_ENTITLED,
    "bad-key-401": MISCONFIGURED,
    "bad-key-403": MISCONFIGURED,
    "http-400": MISCONFIGURED,
    "http-404": MISCONFIGURED,
    "http-405": MISCONFIGURED,
    "throttled-429": UNAVAILABLE,
    "throttled-429-bare": UNAVAILABLE,
    "http-500": UNAVAILABLE,
    "http-502": UNAVAILABLE,
    "http-503": UNAVAILABLE,
    "http-504": UNAVAILABLE,
    "redirect": UNAVAILABLE,
    "hang": UNAVAILABLE,
    "html-200": UNAVAILABLE,
    "empty-object": UNAVAILABLE,
    "cut-off-body": UNAVAILABLE,
    "oversized-body": UNAVAILABLE,
    "both-params-and-error": UNAVAILABLE,
    "neither-params-nor-error": UNAVAILABLE,
    "repeated-name": UNAVAILABLE,
    "result-not-ok": UNAVAILABLE,
    "missing-flags": UNAVAILABLE,
    "string-flags": UNAVAILABLE,
    "short-steamid": UNAVAILABLE,
    "zero-steamid": UNAVAILABLE,
    "float-steamid": UNAVAILABLE,
    "ownership-down": UNAVAILABLE,
}
STEAM_ENCRYPTED: Mapping[str, Outcome] = {
    "encrypted-good": LOGIN,
    "encrypted-malformed": MALFORMED,
    "encrypted-truncated": MALFORMED,
    "encrypted-version-1": UNSUPPORTED,
    "encrypted-forged-version-1": UNSUPPORTED,
    "encrypted-other-app": WRONG_APP,
    "encrypted-wrong-key": REJECTED,
    "encrypted-tampered": REJECTED,
    "encrypted-forged": REJECTED,
    "encrypted-forged-relabelled": REJECTED,
    "encrypted-not-a-player": REJECTED,
    "encrypted-expired": EXPIRED,
    "encrypted-ownership-expired": EXPIRED,
    "encrypted-not-yet-valid": NOT_YET_VALID,
    "encrypted-not-owned": NOT_ENTITLED,
}
XBOX: Mapping[str, Outcome] = {
    "good": LOGIN,
    "jku-keys": LOGIN,
    "jku-rs256": LOGIN,
    "certificate-path": LOGIN,
    "base64": LOGIN,
    "bare": LOGIN,
    "with-xuid": LOGIN,
    "two-users": LOGIN,
    "unbound": LOGIN,
    "malformed": MALFORMED,
    "wrong-scheme": MALFORMED,
    "all-users": MALFORMED,
    "no-user": MALFORMED,
    "truncated": MALFORMED,
    "oversized": MALFORMED,
    "no-matching-user": MALFORMED,
    "twin-users": MALFORMED,
    "bare-two-users": MALFORMED,
    "legacy-enc": UNSUPPORTED,
    "symmetric": UNSUPPORTED,
    "unknown-x5t": WRONG_AUDIENCE,
    "wrong-audience": WRONG_AUDIENCE,
    "generic-audience": WRONG_AUDIENCE,
    "audience-without-slash": WRONG_AUDIENCE,
    "bad-tag": REJECTED,
    "bad-jku-host": REJECTED,
    "bad-x5u-host": REJECTED,
    "bad-inner-algorithm": REJECTED,
    "bad-inner-signature": REJECTED,
    "unknown-kid": REJECTED,
    "wrong-issuer": REJECTED,
    "expired": EXPIRED,
    "not-yet-valid": NOT_YET_VALID,
    "wrong-sandbox": WRONG_SANDBOX,
    "wrong-title": WRONG_TITLE,
    "user-only": WRONG_TITLE,
    "signature-malformed": BAD_SIGNATURE,
    "signature-wrong": BAD_SIGNATURE,
    "signature-skew": CLOCK_SKEW,
    "child": RESTRICTED,
    "missing-privileges": RESTRICTED,
    "keys-down": UNAVAILABLE,
    "keys-garbage": UNAVAILABLE,
    "no-ptx": MISCONFIGURED,
}
EPIC_CODE: Mapping[str, Outcome] = {
    "good": LOGIN,
    "without-id-token": LOGIN,
    "old-spelling": LOGIN,
    "exchange-code-not-found": REJECTED,
    "single-use-code-not-found": REJECTED,
    "authorization-code-not-found": REJECTED,
    "expired-exchange-code-session": REJECTED,
    "single-use-code-verifier-required": REJECTED,
    "single-use-code-verifier-invalid": REJECTED,
    "invalid-refresh-token": REJECTED,
    "account-not-found": REJECTED,
    "no-account-found-for-external-auth": REJECTED,
    "external-auth-validate-failed": REJECTED,
    "invalid-external-auth-token": REJECTED,
    "user-not-found": REJECTED,
    "invalid-token": REJECTED,
    "unknown-error-code": REJECTED,
    "unknown-code": REJECTED,
    "used-code": REJECTED,
    "expired-code": REJECTED,
    "invalid-deployment": WRONG_DEPLOYMENT,
    "unlisted-deployment": WRONG_DEPLOYMENT,
    "development-sandbox": WRONG_DEPLOYMENT,
    "other-client-answer": WRONG_AUDIENCE,
    "account-forbidden": NOT_ENTITLED,
    "deployment-user-access-forbidden": NOT_ENTITLED,
    "account-feature-restricted": RESTRICTED,
    "playing-forbidden": RESTRICTED,
    "scope-consent-required": MUST_ACT,
    "account-locked": MUST_ACT,
    "account-not-active": MUST_ACT,
    "password-reset-required": MUST_ACT,
    "missing-real-id-association": MUST_ACT,
    "continuation-token-not-found": MUST_ACT,
    "corrective-action-required": MUST_ACT,
    "corrective-action-without-url": MUST_ACT,
    "corrective-action-foreign-url": MUST_ACT,
    "corrective-action-unknown": MUST_ACT,
    "authorization-code-not-for-your-client": MISCONFIGURED,
    "exchange-code-client-mismatch": MISCONFIGURED,
    "other-client": MISCONFIGURED,
    "invalid-client-credentials": MISCONFIGURED,
    "invalid-client": MISCONFIGURED,
    "client-disabled": MISCONFIGURED,
    "unknown-client": MISCONFIGURED,
    "unauthorized-client": MISCONFIGURED,
    "unsupported-grant-type": MISCONFIGURED,
    "invalid-request": MISCONFIGURED,
    "deployment-not-found": MISCONFIGURED,
    "invalid-metadata": MISCONFIGURED,
    "unknown-shape": MISCONFIGURED,
    "other-application-answer": MISCONFIGURED,
    "too-many-sessions": UNAVAILABLE,
    "throttled": UNAVAILABLE,
    "html-refusal": UNAVAILABLE,
    "old-token": UNAVAILABLE,
    "other-subject": UNAVAILABLE,
    "no-account-answer": UNAVAILABLE,
    "server-error-before": UNAVAILABLE,
    "server-error-after": UNAVAILABLE,
    "html-200": UNAVAILABLE,
    "truncated": UNAVAILABLE,
    "hang": UNAVAILABLE,
}
# A silent login has no nonce for a code to name.
EPIC_BROWSER_CODE: Mapping[str, Outcome] = {
    "wrong-nonce": LOGIN,
    "without-nonce": LOGIN,
    "other-redirect-uri": REJECTED,
}
EPIC_TOKEN: Mapping[str, Outcome] = {
    "good": LOGIN,
    "replayed": LOGIN,  # the first time
    "not-a-jwt": MALFORMED,
    "truncated-token": MALFORMED,
    "too-large": MALFORMED,
    "duplicate-names": MALFORMED,
    "algorithm-none": UNSUPPORTED,
    "algorithm-hs256": UNSUPPORTED,
    "critical-header": UNSUPPORTED,
    "access-token": UNSUPPORTED,
    "bad-signature": REJECTED,
    "unknown-kid": REJECTED,
    "other-family-key": REJECTED,
    "wrong-issuer": REJECTED,
    "issuer-prefix": REJECTED,
    "expired": EXPIRED,
    "not-yet-valid": NOT_YET_VALID,
    "wrong-audience": WRONG_AUDIENCE,
    "wrong-product": WRONG_DEPLOYMENT,
    "wrong-sandbox": WRONG_DEPLOYMENT,
    "wrong-deployment": WRONG_DEPLOYMENT,
    "keys-unreachable": UNAVAILABLE,
}
EPIC_EAS: Mapping[str, Outcome] = {
    "refresh-token": UNSUPPORTED,
    "refresh-token-r": UNSUPPORTED,
    "wrong-token-type": UNSUPPORTED,
}
EPIC_CONNECT: Mapping[str, Outcome] = {"external-account": UNSUPPORTED, "device-account": UNSUPPORTED}

TABLES: Mapping[tuple[str, str], Mapping[str, Outcome]] = {
    ("steam", "session_ticket"): STEAM_SESSION,
    ("steam", "encrypted_app_ticket"): STEAM_ENCRYPTED,
    ("xbox", "xsts_token"): XBOX,
    ("epicgames", "exchange_code"): EPIC_CODE,
    ("epicgames", "authorization_code"): {**EPIC_CODE, **EPIC_BROWSER_CODE},
    ("epicgames", "id_token"): {**EPIC_TOKEN, **EPIC_EAS},
    ("epicgames", "connect_id_token"): {**EPIC_TOKEN, **EPIC_CONNECT},
}
_ASKED_ABOUT = {"encrypted-good", "encrypted-not-owned"}
ROWS = [
    pytest.param(provider, kind, case, outcome, id=f"{provider}-{kind}-{case}")
    for (provider, kind), table in TABLES.items()
    for case, outcome in table.items()
]


async def no_waiting(server: Server) -> None:
    """Let nobody really wait: pauses move the clock, and an answer that takes 5 s or more does not come."""

    async def pause(seconds: float) -> None:
        server.clock.now += seconds

    async def answer_late(seconds: float) -> None:
        if seconds >= 5:
            raise TimeoutError

    verifier: Any = server.app._platforms.find("demo", "steam")
    steam, epic = (server.platforms[name] for name in ("steam", "epic"))
    verifier._sleep = pause
    steam._sleep = answer_late  # type: ignore[attr-defined]  # the protocol does not say how an emulator waits
    epic.codes._sleep = answer_late  # type: ignore[attr-defined]  # as above


async def present(server: Server, provider: str, minted: MintedCredential) -> httpx.Response:
    form = {name: value for name, value in (launcher_request() | dict(minted.parameters)).items() if value}
    return await server.http.post(f"/oauth2/social/{provider}/cross_auth", data=form, headers=dict(minted.headers))


def written(server: Server) -> tuple[int, int, int]:
    """How many players, identities and grants there are."""
    tables = server.app.storage._tables  # type: ignore[attr-defined]  # the memory backend's
    return len(tables.players), len(tables.identities), len(tables.grants)


def secrets_of(server: Server, minted: MintedCredential) -> list[str]:
    steam, epic = (server.platforms[name].settings("") for name in ("steam", "epic"))
    keys = [steam["web_api_key"], steam["encrypted_ticket_key"], epic["client_secret"]]
    parts = [part for part in minted.text.replace(";", ".").split(".") if len(part) > 20]
    return [secret.lower() for secret in (*keys, minted.text, *parts, *minted.headers.values())]


def test_the_tables_have_every_case_of_every_emulator(server_cases: Mapping[str, set[str]]) -> None:
    for provider, cases in server_cases.items():
        tabled = {case for (owner, _), table in TABLES.items() if owner == provider for case in table}
        assert tabled == cases


@pytest.fixture
async def server_cases() -> Mapping[str, set[str]]:
    async with running() as server:
        known = {name: set(minted_cases(emulator, PLAYERS["amber"])) for name, emulator in server.platforms.items()}
    return {"steam": known["steam"], "xbox": known["xbox"], "epicgames": known["epic"]}


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
