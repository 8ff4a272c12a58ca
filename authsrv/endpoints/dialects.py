"""The same outcome in the words of a surface: RFC 6749 JSON on the standard paths, Xsolla's envelope below /api.

Owns every status code and body that a client sees. Decides nothing: outcomes come from `oauth` or as errors.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from starlette.responses import JSONResponse, Response

from authsrv import errors
from authsrv.errors import AuthsrvError
from authsrv.oauth.request import Surface
from authsrv.oauth.xsolla.times import moment

Endpoint = Literal["token", "silent", "resource", "identity", "validation", "other"]
"""Which table of error codes applies."""


class Dialect(Protocol):
    """One surface's way to say things."""

    surface: Surface

    def error(self, error: AuthsrvError, endpoint: Endpoint, reference: str) -> Response:
        """A refusal. `reference` is the request id under which the log knows more."""

    def success(self, content: Mapping[str, Any] | Sequence[Any]) -> Response:
        """An answer in JSON with status 200."""

    def token(self, reply: Mapping[str, Any]) -> Response:
        """A token answer."""

    def redirect_error(self, error: AuthsrvError) -> Sequence[tuple[str, str]]:
        """The parameters that tell a refusal in a redirect, without `state` and `iss`."""


class Standard:
    """RFC 6749 section 5.2 with our `reason`, `parameter` and `interaction_url`."""

    surface: Surface = "standard"

    def error(self, error: AuthsrvError, endpoint: Endpoint, reference: str) -> Response:
        """JSON; the token endpoint answers everything but client authentication, limits and outages with 400."""
        body = {"error": error.error, "error_description": error.description, **_extras(error), **error.facts}
        if endpoint == "token" and isinstance(error, _BARRED):
            body |= {"error": "invalid_grant", "reason": error.reason or error.error}
        if error.status >= 500:
            body["reference"] = reference
        return JSONResponse(body, standard_status(error, endpoint), headers_of(error))

    def success(self, content: Mapping[str, Any] | Sequence[Any]) -> Response:
        """The content as it is."""
        return JSONResponse(content)

    def token(self, reply: Mapping[str, Any]) -> Response:
        """The answer as the grant made it."""
        return self.success(reply)

    def redirect_error(self, error: AuthsrvError) -> Sequence[tuple[str, str]]:
        """One of the four codes that a silent login puts into a redirect; `reason` tells them apart further."""
        parameters = [("error", _redirect_code(error)), ("error_description", error.description)]
        parameters += [("reason", error.reason or error.error)]
        parameters += [("until", str(error.facts["until"]))] if "until" in error.facts else []
        return parameters + ([("interaction_url", error.interaction_url)] if error.interaction_url else [])


class Xsolla:
    """Xsolla's error envelope and token answer, as its SDKs parse them."""

    surface: Surface = "xsolla"

    def error(self, error: AuthsrvError, endpoint: Endpoint, reference: str) -> Response:
        """`{"error": {"code", "description", "details"}}`; SDKs act on the code."""
        status, code = _xsolla_code(error, endpoint)
        details = _xsolla_details(error) | ({"reference": reference} if status >= 500 else {})
        body = {"error": {"code": code, "description": error.description, "details": details}}
        return JSONResponse(body, status, headers_of(error))

    def success(self, content: Mapping[str, Any] | Sequence[Any]) -> Response:
        """The content, in a spelling that Unity's SDK does not take for an error."""
        return _HarmlessJson(content)

    def token(self, reply: Mapping[str, Any]) -> Response:
        """All four members are always there and never null; the type is lower case."""
        return self.success({"refresh_token": "", **reply, "token_type": "bearer"})

    def redirect_error(self, error: AuthsrvError) -> Sequence[tuple[str, str]]:
        """`error`, `error_code` and `error_description`, all three read by SDKs."""
        _, code = _xsolla_code(error, "silent")
        return [("error", _redirect_code(error)), ("error_code", code), ("error_description", error.description)]


_INSIDE_ERROR = re.compile(rb"(?<=e)r(?=ror)", re.IGNORECASE)


class _HarmlessJson(JSONResponse):
    """JSON whose bytes never hold the word "error", which a player's name may.

    Unity's SDK looks for certain words anywhere in a body, whatever its status, and each of its sets has this one. One
    letter of it is written as an escape (RFC 8259 section 7), so that parsers read what was meant.
    """

    def render(self, content: Any) -> bytes:
        return _INSIDE_ERROR.sub(lambda letter: b"\\u%04x" % ord(letter[0]), super().render(content))


STANDARD, XSOLLA = Standard(), Xsolla()


def dialect_of(path: str) -> Dialect:
    """The dialect of a path; the path alone decides."""
    return XSOLLA if path == "/api" or path.startswith("/api/") else STANDARD


def code_parameters(code: str, state: str, issuer: str) -> Sequence[tuple[str, str]]:
    """`code`, `state` if there is one, and `iss` (RFC 9207), in this order: SDKs read them by position."""
    return [("code", code), *([("state", state)] if state else []), ("iss", issuer)]


def error_parameters(dialect: Dialect, error: AuthsrvError, state: str, issuer: str) -> Sequence[tuple[str, str]]:
    """A refusal in the words of a surface."""
    return identified(dialect.redirect_error(error), error, state, issuer)


def identified(
    told: Sequence[tuple[str, str]], error: AuthsrvError, state: str, issuer: str
) -> Sequence[tuple[str, str]]:
    """What is told of a refusal, with the `state`, unless that is what is wrong, and `iss` (RFC 9207)."""
    echoed = [("state", state)] if state and error.parameter != "state" else []
    return [*told, *echoed, ("iss", issuer)]


def _extras(error: AuthsrvError) -> dict[str, str]:
    named = {"reason": error.reason, "parameter": error.parameter, "interaction_url": error.interaction_url}
    return {name: value for name, value in named.items() if value}


def headers_of(error: AuthsrvError) -> dict[str, str]:
    """The header fields of a refusal that says when to come back."""
    found = dict(error.policy) if isinstance(error, errors.RateLimited) else {}
    return found if error.retry_after is None else found | {"retry-after": str(error.retry_after)}


def standard_status(error: AuthsrvError, endpoint: Endpoint) -> int:
    """The status of a refusal wherever Xsolla's SDKs do not ask."""
    if endpoint == "token" and isinstance(error, _BARRED):
        return 400
    if endpoint in {"token", "identity"} and isinstance(error, errors.UnsupportedProvider):
        return 400  # a parameter there, not an address
    if endpoint == "silent" and isinstance(error, errors.InvalidClient):
        return 400
    return error.status


def _redirect_code(error: AuthsrvError) -> str:
    if error.status >= 500:
        return error.error
    return "invalid_request" if isinstance(error, _MALFORMED) else "access_denied"


_BARRED = (errors.AccessDenied, errors.InteractionRequired, errors.UserNotFound)
"""What the token endpoint, where RFC 6749 knows no such thing, tells as a grant that is not good for tokens."""

_TOLD_BY_NAME = (
    errors.RateLimited,
    errors.UserNotFound,
    errors.NotLinked,
    errors.ReauthenticationRequired,
    errors.AccountConflict,
    errors.LastIdentity,
    errors.LinkLimit,
    errors.RelinkCooldown,
    errors.StateChanged,
)
"""Errors whose name stands in Xsolla's details, where several share a code."""

_MALFORMED = (errors.InvalidRequest, errors.InvalidScope, errors.InvalidTarget, errors.UnsupportedResponseType)

_BY_REASON: Mapping[str, tuple[int, str]] = {
    "unknown_client": (404, "003-061"),
    "redirect_uri_missing": (422, "010-011"),
    "redirect_uri_unregistered": (422, "010-012"),
    "state_length": (400, "010-022"),
    "unknown_provider": (404, "003-061"),
    "unknown_project": (404, "003-019"),
    "banned": (401, "002-040"),
    "provider_not_configured": (422, "003-022"),
    "account_restricted": (422, "002-060"),
    "age_restricted": (422, "002-060"),
    "credential_malformed": (422, "010-015"),
    "credential_unsupported": (422, "010-015"),
}
_BY_KIND: Sequence[tuple[tuple[type[AuthsrvError], ...], int, str]] = (
    ((errors.InvalidClient, errors.UnauthorizedClient), 400, "010-019"),
    ((errors.InvalidGrant, errors.AccessDenied, errors.InteractionRequired), 422, "010-015"),
    ((errors.InvalidToken,), 401, "010-017"),
    ((errors.InsufficientScope, errors.ReauthenticationRequired), 403, "010-026"),
    ((errors.AccountConflict, errors.LinkLimit, errors.RelinkCooldown, errors.StateChanged), 422, "010-016"),
    ((errors.LastIdentity,), 422, "003-020"),
    ((errors.UserNotFound,), 404, "003-002"),
    ((errors.NotFound,), 404, "003-061"),
    ((errors.RateLimited,), 429, "002-057"),
    ((errors.TemporarilyUnavailable, errors.ServerError), 0, "004-001"),
)
"""Kinds of error with their status (0: the error's own) and Xsolla's code; everything else is code 0."""
_TICKET_REASONS: Mapping[str, str] = {  # what a platform's credential is refused for, silently or by token exchange
    "credential_malformed": "ticket_malformed",
    "credential_unsupported": "ticket_malformed",
    "credential_rejected": "ticket_invalid",
    "credential_expired": "ticket_expired",
    "credential_not_yet_valid": "ticket_invalid",
    "credential_replayed": "ticket_used",
    "credential_wrong_app": "ticket_wrong_app",
    "credential_wrong_audience": "ticket_wrong_app",
    "credential_wrong_title": "ticket_wrong_app",
    "credential_wrong_deployment": "ticket_wrong_environment",
    "credential_wrong_sandbox": "ticket_wrong_environment",
    "account_banned": "platform_banned",
    "account_not_entitled": "not_owned",
    "account_restricted": "age_restricted",
}


def _xsolla_code(error: AuthsrvError, endpoint: Endpoint) -> tuple[int, str]:
    if endpoint == "validation" and error.status in {401, 403}:
        # Who asks shows no token of its own there, so nothing is wrong with its authorization.
        return 422, "002-040" if error.reason == "banned" else "002-016"
    if error.reason in _BY_REASON:
        return _BY_REASON[error.reason]
    if endpoint == "token" and isinstance(error, errors.InvalidGrant) and error.reason not in _TICKET_REASONS:
        return 400, "010-023"
    for kinds, status, code in _BY_KIND:
        if isinstance(error, kinds):
            return status or error.status, code
    return error.status, "0"


def _xsolla_details(error: AuthsrvError) -> dict[str, str]:
    reason = _TICKET_REASONS.get(error.reason, error.reason) or _reason_of_kind(error)
    details = {"reason": reason, "parameter": error.parameter, "interaction_url": error.interaction_url}
    details |= {theirs: moment(error.facts[ours]) for ours, theirs in _TIMES.items() if ours in error.facts}
    return {name: value for name, value in details.items() if value}


_TIMES: Mapping[str, str] = {"until": "date_to", "retry_at": "retry_at"}
"""Facts that Xsolla's details tell too, by the names that they have there. Others may be about another player."""


def _reason_of_kind(error: AuthsrvError) -> str:
    if isinstance(error, _TOLD_BY_NAME):
        return error.error
    return "invalid_parameter" if isinstance(error, _MALFORMED) else ""
