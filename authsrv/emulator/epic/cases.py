"""The error cases of the emulated Epic, as tables: what a code leads to, and what is wrong with a token.

Owns case names and the shape of Epic's error bodies. Knows no endpoint and no key.
"""

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Literal

from authsrv.records import dataclass

ErrorShape = Literal["api", "browser"]
_PREFIX = "errors.com.epicgames."
_SERVICE = "com.epicgames.account.public"
CORRELATION_ID = "5eed5eed-0000-4000-8000-5eed5eed5eed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of Epic's refusals: `code` without its prefix, the HTTP status and Epic's ambiguous number."""

    code: str
    status: int = 400
    number: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self, shape: ErrorShape) -> dict[str, Any]:
        """As the API and account services write it, or as the pages' own API does."""
        if shape == "browser":
            return {
                "errorCode": _PREFIX + self.code,
                "message": "Sorry, this did not work.",
                "metadata": dict(self.extra),
                "correlationId": CORRELATION_ID,
            }
        return {
            "errorCode": _PREFIX + self.code,
            "errorMessage": "Sorry, this did not work.",
            "messageVars": [],
            "numericErrorCode": self.number,
            "originatingService": _SERVICE,
            "intent": "prod",
            "error_description": "Sorry, this did not work.",
            "error": self.code.rpartition(".")[2],
            **self.extra,
        }


CONTINUATION = "c0ffee00c0ffee00c0ffee00c0ffee00"
_ACTION_CODE = "oauth.corrective_action_required"


def corrective_action(www: str, case: str) -> Refusal:
    """The corrective action of a case; `www` is where the emulated pages are."""
    own = f"{www}/id/login?continuation={CONTINUATION}&prompt=skip_merge%20skip_upgrade"
    action, url = {
        "corrective-action-required": ("PRIVACY_POLICY_ACCEPTANCE", own),
        "corrective-action-without-url": ("EULA_ACCEPTANCE", None),
        "corrective-action-foreign-url": ("SCOPE_CONSENT", "https://www.epicgames.com.evil.test/id/login"),
        "corrective-action-unknown": ("A_NEW_ACTION", own),
    }[case]
    extra = {"correctiveAction": action, "continuation": CONTINUATION}
    return Refusal(_ACTION_CODE, 400, 18206, extra if url is None else {**extra, "continuationUrl": url})


def _row(code: str, number: int = 0, status: int = 400) -> tuple[str, Refusal]:
    return code.rpartition(".")[2].replace("_", "-"), Refusal(code, status, number)


REFUSALS: Mapping[str, Refusal] = MappingProxyType(
    dict(
        [
            _row("account.oauth.exchange_code_not_found", 18057),
            _row("oauth.single_use_code_not_found", 18001),
            _row("account.oauth.authorization_code_not_found", 18059),
            _row("account.oauth.authorization_code_not_for_your_client", 18058),
            _row("account.oauth.exchange_code_client_mismatch", 18180),
            _row("account.oauth.expired_exchange_code_session", 18128),
            _row("account.oauth.single_use_code_verifier_required", 1012),
            _row("account.oauth.single_use_code_verifier_invalid", 1012),
            _row("account.auth_token.invalid_refresh_token", 18033),
            _row("oauth.scope_consent_required", 58005),
            _row("oauth.invalid_deployment", 1012),
            _row("oauth.account_forbidden", 1012, 403),
            _row("oauth.account_feature_restricted", 58006, 403),
            _row("account.account_not_found", 18007, 404),
            _row("account.no_account_found_for_external_auth", 18008, 404),
            _row("account.external_auth_validate_failed", 18063),
            _row("account.ext_auth.invalid_external_auth_token", 18035),
            _row("account.account_locked", 18004),
            _row("account.account_not_active", 18006),
            _row("oauth.password_reset_required", 18100),
            _row("oauth.parental_control.playing_forbidden", 18110, 403),
            _row("oauth.missing_real_id_association", 18109),
            _row("account.oauth.too_many_sessions", 18048),
            _row("common.throttled", 1041, 429),
            _row("account.invalid_client_credentials", 18036, 401),
            _row("common.oauth.invalid_client", 1011, 401),
            _row("account.client_disabled", 18014, 401),
            _row("client.unknown_client", 18049, 401),
            _row("common.oauth.unauthorized_client", 1015, 401),
            _row("common.oauth.unsupported_grant_type", 1016),
            _row("common.oauth.invalid_request", 1013),
            _row("account.continuation_token_not_found", 18169),
            _row("eos.auth.user_not_found", 0, 404),
            _row("eos.auth.deployment_user_access_forbidden", 110010, 403),
            _row("eos.auth.external.invalid_token", 110013, 401),
            _row("eos.auth.deployment_not_found", 0, 404),
            _row("eos.auth.external.oidc.invalid_metadata", 364525),
            _row("account.unknown_error_code", 1012),
        ]
    )
)
"""Case name -> refusal: the ending of the `errorCode`, with dashes."""

GOOD: Mapping[str, str] = MappingProxyType({"good": "a credential that Epic accepts"})
REFUSED: Mapping[str, str] = MappingProxyType(
    {case: f"Epic refuses with {refusal.code}" for case, refusal in REFUSALS.items()}
)

CORRECTIVE_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "corrective-action-required": "the player must accept something at Epic; the answer has the page's URL",
        "corrective-action-without-url": "a corrective action with nothing but a continuation token",
        "corrective-action-foreign-url": "a corrective action whose URL leads to a foreign host",
        "corrective-action-unknown": "a corrective action that nobody knows yet",
    }
)

CODE_CASES: Mapping[str, str] = MappingProxyType(
    {
        "unknown-code": "a code that Epic never issued",
        "used-code": "a code that somebody redeemed before, for instance the EOS SDK",
        "expired-code": "a code older than five minutes",
        "other-client": "a code that was issued to another Epic client",
        "unlisted-deployment": "the request names a deployment that the project does not list",
        "without-id-token": "a good login whose answer has no id_token",
        "old-spelling": "a good login whose answer has refresh_expires, and expires_at as a number",
        "old-token": "the answer's id_token expired long ago",
        "other-subject": "account_id and id_token of the answer name two accounts",
        "other-client-answer": "the answer names another client",
        "other-application-answer": "the answer names another application",
        "no-account-answer": "the answer has no account_id",
        "development-sandbox": "a code of a development sandbox",
        "unknown-shape": "a refusal that has none of Epic's two shapes",
        "html-refusal": "a refusal as a web page",
        "server-error-before": "Epic fails, and the code is still good",
        "server-error-after": "Epic fails after it used the code up",
        "html-200": "a web page with status 200",
        "truncated": "an answer that was cut off",
        "hang": "no answer, although the code was used up",
    }
)

BROWSER_CASES: Mapping[str, str] = MappingProxyType(
    {
        "wrong-nonce": "the answer's id_token names the nonce of another sign-in in the browser",
        "without-nonce": "a good sign-in whose id_token names no nonce",
        "other-redirect-uri": "a code that was issued for another callback",
    }
)

PAGE_ERRORS: Mapping[str, str] = MappingProxyType(
    {
        f"page-{error.replace('_', '-')}": error
        for error in (
            "temporarily_unavailable",
            "server_error",
            "invalid_request",
            "invalid_scope",
            "unauthorized_client",
            "unsupported_response_type",
            "corrective_action_required",
            "an_unknown_error",
        )
    }
)
"""Case name -> the `error` that the sign-in page goes back with."""

PAGE_CASES: Mapping[str, str] = MappingProxyType(
    {
        "page-restricted": "the sign-in page refuses all but the studio's organisation, and nobody comes back",
        **{case: f"the sign-in page goes back with error={error}" for case, error in PAGE_ERRORS.items()},
        "page-nothing": "the browser comes back with neither code nor error",
        "page-odd-code": "the browser comes back with a code that can be none",
        "page-long-code": "the browser comes back with a code of 4 KiB",
        "page-two-codes": "the browser comes back with two codes",
        "page-code-and-error": "the browser comes back with a code and an error",
        "page-foreign-state": "the browser comes back with a state that nobody gave it",
    }
)
"""What happens on the page itself. As a minted code each of them is one that Epic never issued."""

TOKEN_CASES: Mapping[str, str] = MappingProxyType(
    {
        "not-a-jwt": "a text that is not a token",
        "truncated-token": "a token without its signature",
        "too-large": "a token above 8 KiB",
        "duplicate-names": "a payload that says sub twice",
        "algorithm-none": "a token that says it needs no signature",
        "algorithm-hs256": "a token signed by HMAC with the public key as the secret",
        "critical-header": "a token with a critical header parameter",
        "access-token": "a bearer token for Epic's services",
        "bad-signature": "a payload that was changed after signing",
        "unknown-kid": "a token signed by a key that Epic never published",
        "other-family-key": "a token signed by the key of the other family",
        "wrong-issuer": "a token of another issuer",
        "issuer-prefix": "a token whose issuer only begins like Epic's",
        "keys-unreachable": "a token signed by a fresh key, while the next fetch of the key set fails",
        "expired": "a token that expired 61 s ago",
        "not-yet-valid": "a token issued 61 s in the future",
        "wrong-audience": "a token of another studio's client",
        "wrong-product": "a token of another product",
        "wrong-sandbox": "a token of a development sandbox",
        "wrong-deployment": "a token of another deployment",
        "replayed": "the same token as the last time this case was asked for",
    }
)

EAS_CASES: Mapping[str, str] = MappingProxyType(
    {
        "refresh-token": "a refresh token that looks like an access token",
        "refresh-token-r": "a refresh token of the newer type",
        "wrong-token-type": "a token of a type that nobody knows yet",
    }
)

CONNECT_CASES: Mapping[str, str] = MappingProxyType(
    {
        "external-account": "a product user behind whom a PlayStation account stands",
        "device-account": "a product user of a mere device",
    }
)
