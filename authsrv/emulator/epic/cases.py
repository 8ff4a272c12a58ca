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
    """One of Epic's refusals: `code` without its prefix, the HTTP status and Epic's ambiguous number.

    `ends` is what a login ends in that meets it.
    """

    code: str
    status: int = 400
    number: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)
    ends: str = "credential_rejected"

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


def _row(code: str, number: int = 0, status: int = 400, ends: str = "credential_rejected") -> tuple[str, Refusal]:
    return code.rpartition(".")[2].replace("_", "-"), Refusal(code, status, number, ends=ends)


REFUSALS: Mapping[str, Refusal] = MappingProxyType(
    dict(
        [
            _row("account.oauth.exchange_code_not_found", 18057),
            _row("oauth.single_use_code_not_found", 18001),
            _row("account.oauth.authorization_code_not_found", 18059),
            _row(
                "account.oauth.authorization_code_not_for_your_client",
                18058,
                ends="misconfiguration (in a browser credential_rejected)",
            ),
            _row(
                "account.oauth.exchange_code_client_mismatch",
                18180,
                ends="misconfiguration (in a browser credential_rejected)",
            ),
            _row("account.oauth.expired_exchange_code_session", 18128),
            _row("account.oauth.single_use_code_verifier_required", 1012),
            _row("account.oauth.single_use_code_verifier_invalid", 1012),
            _row("account.auth_token.invalid_refresh_token", 18033),
            _row("oauth.scope_consent_required", 58005, ends="account_action_required"),
            _row("oauth.invalid_deployment", 1012, ends="credential_wrong_deployment (in a browser misconfiguration)"),
            _row("oauth.account_forbidden", 1012, 403, ends="account_not_entitled"),
            _row("oauth.account_feature_restricted", 58006, 403, ends="account_restricted"),
            _row("account.account_not_found", 18007, 404),
            _row("account.no_account_found_for_external_auth", 18008, 404),
            _row("account.external_auth_validate_failed", 18063),
            _row("account.ext_auth.invalid_external_auth_token", 18035),
            _row("account.account_locked", 18004, ends="account_action_required"),
            _row("account.account_not_active", 18006, ends="account_action_required"),
            _row("oauth.password_reset_required", 18100, ends="account_action_required"),
            _row("oauth.parental_control.playing_forbidden", 18110, 403, ends="account_restricted"),
            _row("oauth.missing_real_id_association", 18109, ends="account_action_required"),
            _row("account.oauth.too_many_sessions", 18048, ends="unavailable"),
            _row("common.throttled", 1041, 429, ends="unavailable"),
            _row("account.invalid_client_credentials", 18036, 401, ends="misconfiguration"),
            _row("common.oauth.invalid_client", 1011, 401, ends="misconfiguration"),
            _row("account.client_disabled", 18014, 401, ends="misconfiguration"),
            _row("client.unknown_client", 18049, 401, ends="misconfiguration"),
            _row("common.oauth.unauthorized_client", 1015, 401, ends="misconfiguration"),
            _row("common.oauth.unsupported_grant_type", 1016, ends="misconfiguration"),
            _row("common.oauth.invalid_request", 1013, ends="misconfiguration"),
            _row("account.continuation_token_not_found", 18169, ends="account_action_required"),
            _row("eos.auth.user_not_found", 0, 404),
            _row("eos.auth.deployment_user_access_forbidden", 110010, 403, ends="account_not_entitled"),
            _row("eos.auth.external.invalid_token", 110013, 401),
            _row("eos.auth.deployment_not_found", 0, 404, ends="misconfiguration"),
            _row("eos.auth.external.oidc.invalid_metadata", 364525, ends="misconfiguration"),
            _row("account.unknown_error_code", 1012),
        ]
    )
)
"""Case name -> refusal: the ending of the `errorCode`, with dashes."""

GOOD: Mapping[str, str] = MappingProxyType({"good": "accepted: a credential that Epic accepts"})
REFUSED: Mapping[str, str] = MappingProxyType(
    {case: f"{refusal.ends}: Epic refuses with {refusal.code}" for case, refusal in REFUSALS.items()}
)

CORRECTIVE_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "corrective-action-required": "account_action_required: something to accept at Epic; the answer names its page",
        "corrective-action-without-url": "account_action_required: a corrective action with a continuation token alone",
        "corrective-action-foreign-url": "account_action_required: a corrective action whose URL leads elsewhere",
        "corrective-action-unknown": "account_action_required: a corrective action that nobody knows yet",
    }
)

CODE_CASES: Mapping[str, str] = MappingProxyType(
    {
        "unknown-code": "credential_rejected: a code that Epic never issued",
        "used-code": "credential_rejected: a code that somebody redeemed before, for instance the EOS SDK",
        "expired-code": "credential_rejected: a code older than five minutes",
        "other-client": "misconfiguration (in a browser credential_rejected): a code of another Epic client",
        "unlisted-deployment": "credential_wrong_deployment: a deployment that the project does not list",
        "without-id-token": "accepted: a login whose answer has no id_token",
        "old-spelling": "accepted: a login whose answer has refresh_expires, and expires_at as a number",
        "old-token": "unavailable: the answer's id_token expired long ago",
        "other-subject": "unavailable: account_id and id_token of the answer name two accounts",
        "other-client-answer": "credential_wrong_audience: the answer names another client",
        "other-application-answer": "misconfiguration: the answer names another application",
        "no-account-answer": "unavailable: the answer has no account_id",
        "development-sandbox": "credential_wrong_deployment: a code of a development sandbox",
        "unknown-shape": "misconfiguration: a refusal that has none of Epic's two shapes",
        "html-refusal": "unavailable: a refusal as a web page",
        "server-error-before": "unavailable: Epic fails, and the code is still good",
        "server-error-after": "unavailable: Epic fails after it used the code up",
        "html-200": "unavailable: a web page with status 200",
        "truncated": "unavailable: an answer that was cut off",
        "hang": "unavailable: no answer, although the code was used up",
    }
)

BROWSER_CASES: Mapping[str, str] = MappingProxyType(
    {
        "wrong-nonce": "accepted (in a browser credential_rejected): the answer's id_token names another nonce",
        "without-nonce": "accepted: a sign-in whose id_token names no nonce",
        "other-redirect-uri": "credential_rejected: a code that was issued for another callback",
    }
)

_PAGE_ENDS: Mapping[str, str] = MappingProxyType(
    {
        "temporarily_unavailable": "unavailable",
        "server_error": "unavailable",
        "invalid_request": "misconfiguration",
        "invalid_scope": "misconfiguration",
        "unauthorized_client": "misconfiguration",
        "unsupported_response_type": "misconfiguration",
        "corrective_action_required": "account_action_required",
        "an_unknown_error": "credential_rejected",
    }
)
PAGE_ERRORS: Mapping[str, str] = MappingProxyType({f"page-{error.replace('_', '-')}": error for error in _PAGE_ENDS})
"""Case name -> the `error` that the sign-in page goes back with."""

PAGE_CASES: Mapping[str, str] = MappingProxyType(
    {
        "page-restricted": "nothing: the sign-in page refuses all but the studio's organisation, and nobody comes back",
        **{
            case: f"{_PAGE_ENDS[error]}: the sign-in page goes back with error={error}"
            for case, error in PAGE_ERRORS.items()
        },
        "page-nothing": "credential_malformed: the browser comes back with neither code nor error",
        "page-odd-code": "credential_malformed: the browser comes back with a code that can be none",
        "page-long-code": "credential_malformed: the browser comes back with a code of 4 KiB",
        "page-two-codes": "credential_malformed: the browser comes back with two codes",
        "page-code-and-error": "credential_malformed: the browser comes back with a code and an error",
        "page-foreign-state": "foreign_state: the browser comes back with a state that nobody gave it",
    }
)
"""What happens on the page itself. As a minted code each of them is one that Epic never issued."""

TOKEN_CASES: Mapping[str, str] = MappingProxyType(
    {
        "not-a-jwt": "credential_malformed: a text that is not a token",
        "truncated-token": "credential_malformed: a token without its signature",
        "too-large": "credential_malformed: a token above 8 KiB",
        "duplicate-names": "credential_malformed: a payload that says sub twice",
        "algorithm-none": "credential_unsupported: a token that says it needs no signature",
        "algorithm-hs256": "credential_unsupported: a token signed by HMAC with the public key as the secret",
        "critical-header": "credential_unsupported: a token with a critical header parameter",
        "access-token": "credential_unsupported: a bearer token for Epic's services",
        "bad-signature": "credential_rejected: a payload that was changed after signing",
        "unknown-kid": "credential_rejected: a token signed by a key that Epic never published",
        "other-family-key": "credential_rejected: a token signed by the key of the other family",
        "wrong-issuer": "credential_rejected: a token of another issuer",
        "issuer-prefix": "credential_rejected: a token whose issuer only begins like Epic's",
        "keys-unreachable": "unavailable: a token signed by a fresh key, while the next fetch of the key set fails",
        "expired": "credential_expired: a token that expired 61 s ago",
        "not-yet-valid": "credential_not_yet_valid: a token issued 61 s in the future",
        "wrong-audience": "credential_wrong_audience: a token of another studio's client",
        "wrong-product": "credential_wrong_deployment: a token of another product",
        "wrong-sandbox": "credential_wrong_deployment: a token of a development sandbox",
        "wrong-deployment": "credential_wrong_deployment: a token of another deployment",
        "replayed": "accepted once: the same token every time, and the second login is refused (credential_replayed)",
    }
)

EAS_CASES: Mapping[str, str] = MappingProxyType(
    {
        "refresh-token": "credential_unsupported: a refresh token that looks like an access token",
        "refresh-token-r": "credential_unsupported: a refresh token of the newer type",
        "wrong-token-type": "credential_unsupported: a token of a type that nobody knows yet",
    }
)

CONNECT_CASES: Mapping[str, str] = MappingProxyType(
    {
        "external-account": "credential_unsupported: a product user behind whom a PlayStation account stands",
        "device-account": "credential_unsupported: a product user of a mere device",
    }
)
