"""What every case that the sources of credentials can mint leads to: the project's promise to game developers.

A case that a source gains and no table has fails a test.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from authsrv.emulator.base import MintedCredential
from tests.support.server import Server

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
TOO_YOUNG: Outcome = (403, "access_denied", "age_restricted")
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
    "child": TOO_YOUNG,
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
GUEST: Mapping[str, Outcome] = {
    "good": LOGIN,
    "truncated": MALFORMED,
    "too-long": MALFORMED,
    "padded": MALFORMED,
    "other-alphabet": MALFORMED,
    "without-prefix": MALFORMED,
    "other-prefix": MALFORMED,
    "spaced": MALFORMED,
}

TABLES: Mapping[tuple[str, str], Mapping[str, Outcome]] = {
    ("steam", "session_ticket"): STEAM_SESSION,
    ("steam", "encrypted_app_ticket"): STEAM_ENCRYPTED,
    ("xbox", "xsts_token"): XBOX,
    ("epicgames", "exchange_code"): EPIC_CODE,
    ("epicgames", "authorization_code"): {**EPIC_CODE, **EPIC_BROWSER_CODE},
    ("epicgames", "id_token"): {**EPIC_TOKEN, **EPIC_EAS},
    ("epicgames", "connect_id_token"): {**EPIC_TOKEN, **EPIC_CONNECT},
    ("guest", "device_secret"): GUEST,
}
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


def written(server: Server) -> tuple[int, int, int]:
    """How many players, identities and grants there are."""
    tables = server.app.storage._tables  # type: ignore[attr-defined]  # the memory backend's
    return len(tables.players), len(tables.identities), len(tables.grants)


def secrets_of(server: Server, minted: MintedCredential) -> list[str]:
    steam, epic = (server.platforms[name].settings("") for name in ("steam", "epic"))
    keys = [steam["web_api_key"], steam["encrypted_ticket_key"], epic["client_secret"]]
    parts = [part for part in minted.text.replace(";", ".").split(".") if len(part) > 20]
    return [secret.lower() for secret in (*keys, minted.text, *parts, *minted.headers.values())]
