"""What Epic's refusals mean: its `errorCode` table, its two error bodies and its corrective actions.

Owns the mapping by the text of `errorCode`; Epic's numbers have several meanings each and are not looked at.
"""

import logging
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from authsrv.platforms.base import (
    CredentialRejected,
    OutboundResponse,
    PlatformError,
    PlatformMisconfigured,
    PlatformUnavailable,
    RejectionReason,
    UserActionReason,
    UserActionRequired,
)
from authsrv.records import dataclass
from authsrv.strict_json import strict_json

_LOG = logging.getLogger(__name__)
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_CORRELATION_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_ACTION = re.compile(r"[A-Z0-9_]{1,64}")
_CONTINUATION = re.compile(r"[0-9a-fA-F]{32}")
_URL_REST = re.compile(r"[A-Za-z0-9/?&=%._~+:-]{0,2000}")
_RETRY_AFTER = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What of our own request decides how a refusal is to be read."""

    www: str
    client_id: str
    scopes: tuple[str, ...]
    deployment_from_request: bool
    in_browser: bool = False
    """Whether it was we who sent the browser to Epic, for our own client."""


@dataclass(frozen=True, slots=True)
class EpicError:
    """A refusal in one of Epic's two shapes. `detail` is made of harmless characters only."""

    code: str
    detail: str
    body: Mapping[str, Any]
    retry_after: int | None
    asked: Asked

    def text(self, name: str) -> str:
        """A text at the top level, or below `metadata` as browser-side bodies have it; empty if there is none."""
        metadata = self.body.get("metadata")
        below = metadata.get(name) if isinstance(metadata, dict) else None
        value = self.body.get(name, below)
        return value if isinstance(value, str) else ""


Meaning = Callable[[EpicError], PlatformError]


def refusal(response: OutboundResponse, asked: Asked) -> PlatformError:
    """The error to raise for any answer but 200. Nothing of it is believed to mean a login."""
    retry_after = _retry_after(response.headers)
    if response.status == 429 or not 400 <= response.status < 500:
        return _undecided(response, retry_after)
    try:
        body = strict_json(response.body)
    except ValueError:
        return _undecided(response, retry_after)
    code = body.get("errorCode") if isinstance(body, dict) else None
    if not isinstance(code, str) or not _ERROR_CODE.fullmatch(code):
        return PlatformMisconfigured(f"status {response.status} without an errorCode")
    detail = f"errorCode {code}, correlation id {_correlation_id(response, body.get('correlationId'))}"
    return meaning(code)(EpicError(code, detail, body, retry_after, asked))


def named_refusal(code: str, asked: Asked) -> PlatformError:
    """The error to raise for an `errorCode` that came alone, through the browser, and so may be anybody's text."""
    named = code if _ERROR_CODE.fullmatch(code) else "unreadable"
    return meaning(named)(EpicError(named, f"errorCode {named}, through the browser", {}, None, asked))


def meaning(code: str) -> Meaning:
    """The row for an `errorCode`: whole dot-separated segments, compared from the right, the longest match first."""
    segments = code.split(".")
    endings = (".".join(segments[start:]) for start in range(len(segments)))
    return next((MEANINGS[ending] for ending in endings if ending in MEANINGS), _unknown)


def _undecided(response: OutboundResponse, retry_after: int | None) -> PlatformError:
    detail = f"status {response.status}, correlation id {_correlation_id(response, None)}"
    return PlatformUnavailable(detail, retry_after=retry_after, maybe_consumed=True)


def _correlation_id(response: OutboundResponse, from_body: Any) -> str:
    value = from_body or response.headers.get("x-epic-correlation-id")
    return value if isinstance(value, str) and _CORRELATION_ID.fullmatch(value) else "unknown"


def _retry_after(headers: Mapping[str, str]) -> int | None:
    value = headers.get("retry-after", "")
    return int(value) if _RETRY_AFTER.fullmatch(value) else None


def _rejected(hint: str, reason: RejectionReason = "credential_rejected") -> Meaning:
    return lambda error: CredentialRejected(reason, hint, detail=error.detail)


def _misconfigured(remedy: str) -> Meaning:
    return lambda error: PlatformMisconfigured(f"{remedy} ({error.detail})")


def _barred(reason: UserActionReason, remedy: str = "the player must see to it at Epic") -> Meaning:
    return lambda error: UserActionRequired(reason, detail=f"{remedy} ({error.detail})")


def _busy(error: EpicError) -> PlatformError:
    return PlatformUnavailable(error.detail, retry_after=error.retry_after, maybe_consumed=True)


def _unknown(error: EpicError) -> PlatformError:
    _LOG.warning("Epic refused a login for an unknown reason: %s", error.detail)
    hint = _START_AGAIN if error.asked.in_browser else _NEW_CODE
    return CredentialRejected("credential_rejected", hint, detail=error.detail)


def _other_client(error: EpicError) -> PlatformError:
    # Epic's page was opened for the client that redeems; only a stranger brings back a code of another one.
    if error.asked.in_browser:
        return CredentialRejected("credential_rejected", _START_AGAIN, detail=error.detail)
    return PlatformMisconfigured(f"{_OTHER_CLIENT} ({error.detail})")


def _invalid_deployment(error: EpicError) -> PlatformError:
    if error.asked.deployment_from_request:
        hint = "Epic does not know this deployment_id for the product; send the deployment the game runs in."
        return CredentialRejected("credential_wrong_deployment", hint, detail=error.detail)
    return PlatformMisconfigured(f"default_deployment_id is none that Epic accepts ({error.detail})")


def _corrective_action(error: EpicError) -> PlatformError:
    action = error.text("correctiveAction")
    return UserActionRequired(
        "account_action_required",
        action=action if _ACTION.fullmatch(action) else "",
        url=_continuation_url(error),
        detail=error.detail,
    )


def _continuation_url(error: EpicError) -> str:
    """Epic's own page, only on Epic's own host; built from the continuation token where Epic's URL leads elsewhere."""
    origin = error.asked.www + "/"
    url = error.text("continuationUrl")
    # The whole origin with its slash is compared as text, so user names, ports and backslashes cannot hide a host.
    if url.startswith(origin) and _URL_REST.fullmatch(url.removeprefix(origin)):
        return url
    continuation = error.text("continuation")
    if not _CONTINUATION.fullmatch(continuation):
        return ""
    return f"{origin}id/login?continuation={continuation}&prompt=skip_merge%20skip_upgrade"


def _consent_required(error: EpicError) -> PlatformError:
    asked = error.asked
    query = urlencode({"client_id": asked.client_id, "response_type": "code", "scope": " ".join(asked.scopes)})
    return UserActionRequired(
        "account_action_required",
        action="SCOPE_CONSENT",
        url=_continuation_url(error) or f"{asked.www}/id/authorize?{query}",
        detail=error.detail,
    )


_NEW_CODE = (
    "Epic does not know the code: it is wrong, older than a few minutes, or was used before, for instance by the EOS "
    "SDK; get a new one, or log the SDK in and send its id_token."
)
_START_AGAIN = "Epic did not let the sign-in go on; start it again."
_NEW_TICKET = "Epic refused the platform ticket behind the code; get a new one."
_OTHER_CLIENT = "the game's codes belong to another Epic client; set client_id to the one the game uses"
_CREDENTIALS = "Epic refuses client_id or client_secret; copy both from the Developer Portal"
_POLICY = "the policy of the Epic client lacks the grant; change it in the Developer Portal"
_NOT_PUBLIC = (
    "the deployment is not public for this player: before Epic's brand review only members of the studio's "
    "organisation can log in, and to a private deployment only players who were let in"
)

MEANINGS: Mapping[str, Meaning] = MappingProxyType(
    {
        "exchange_code_not_found": _rejected(_NEW_CODE),
        "single_use_code_not_found": _rejected(_NEW_CODE),
        "authorization_code_not_found": _rejected("Epic does not know the code; start the sign-in again."),
        "authorization_code_not_for_your_client": _other_client,
        "exchange_code_client_mismatch": _other_client,
        "expired_exchange_code_session": _rejected("The launcher session behind the code has ended; get a new code."),
        "single_use_code_verifier_required": _rejected("The code is bound to a PKCE verifier; get one without."),
        "single_use_code_verifier_invalid": _rejected("The code is bound to a PKCE verifier; get one without."),
        "invalid_refresh_token": _rejected("Epic's session has ended; log in to Epic again and send a new code."),
        "corrective_action_required": _corrective_action,
        "scope_consent_required": _consent_required,
        "invalid_deployment": _invalid_deployment,
        "account_forbidden": _barred("account_not_entitled", _NOT_PUBLIC),
        "account_feature_restricted": _barred("account_restricted"),
        "account_not_found": _rejected("There is no Epic account behind the code; link one at Epic first."),
        "no_account_found_for_external_auth": _rejected("No Epic account is linked; link one at Epic first."),
        "external_auth_validate_failed": _rejected(_NEW_TICKET),
        "invalid_external_auth_token": _rejected(_NEW_TICKET),
        "account_locked": _barred("account_action_required"),
        "account_not_active": _barred("account_action_required"),
        "password_reset_required": _barred("account_action_required"),
        "parental_control.playing_forbidden": _barred("account_restricted"),
        "missing_real_id_association": _barred("account_action_required"),
        "too_many_sessions": _busy,
        "throttled": _busy,
        "invalid_client_credentials": _misconfigured(_CREDENTIALS),
        "invalid_client": _misconfigured(_CREDENTIALS),
        "client_disabled": _misconfigured("the Epic client is disabled; enable it in the Developer Portal"),
        "unknown_client": _misconfigured(_CREDENTIALS),
        "unauthorized_client": _misconfigured(_POLICY),
        "unsupported_grant_type": _misconfigured(_POLICY),
        "invalid_request": _misconfigured(_POLICY),
        "continuation_token_not_found": _barred("account_action_required"),
        "auth.user_not_found": _rejected("The player has no product user id in this product yet."),
        "deployment_user_access_forbidden": _barred("account_not_entitled", _NOT_PUBLIC),
        "external.invalid_token": _rejected(_NEW_TICKET),
        "auth.deployment_not_found": _misconfigured("Epic does not know the deployment"),
        "oidc.invalid_metadata": _misconfigured("Epic cannot use the product's identity provider"),
    }
)
"""Ending of `errorCode` -> what it means. Epic documents no codes; these were collected from its answers."""
