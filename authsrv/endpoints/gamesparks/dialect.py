"""Refusals as GameSparks told them: an object `error` of one key and one value.

Owns which of its keys stands for which refusal. Statuses are those of our own API: its own clients talked by WebSocket.
"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from authsrv import errors
from authsrv.endpoints.dialects import Endpoint, Standard, headers_of, standard_status
from authsrv.endpoints.gamesparks.requests import ANSWER, PARAMETERS, ConnectRequest, request_of
from authsrv.errors import AuthsrvError

_TOLD = ("until", "retry_at")
"""Facts that our own API tells beside the error, and its did not know."""


class GameSparks(Standard):
    """The dialect below `/gamesparks/`. `request` is None where there is no such request."""

    def __init__(self, request: ConnectRequest | None) -> None:
        self._request = request

    def error(self, error: AuthsrvError, endpoint: Endpoint, reference: str) -> Response:
        """`{"error": {key: value}}`, with the summary of the other player where a switch was reported.

        `detail` names the error as our own API does, for what its keys cannot tell apart.
        """
        key, value = self._told(error)
        detail = {"error": error.error, "reason": error.reason, **{n: error.facts.get(n) for n in _TOLD}}
        body: dict[str, Any] = {
            "@class": ANSWER,
            "error": {key: value},
            "newPlayer": False,
            "scriptData": {},
            "detail": {name: fact for name, fact in detail.items() if fact},
        }
        if error.reason == "switch_required":
            body["switchSummary"] = switch_summary(error.facts["other"])
        if error.status >= 500:
            body["detail"]["reference"] = reference
        return JSONResponse(body, standard_status(error, endpoint), headers_of(error))

    def _told(self, error: AuthsrvError) -> tuple[str, str]:
        if self._request is None:
            return "request", "NOT_FOUND"
        known = _of_the_credential(error, self._request) or _of_the_platform(error, self._request)
        return known or _of_the_player(error) or _of_the_request(error)


def dialect_of(path: str) -> GameSparks | None:
    """The dialect of a path; None for one of another surface."""
    return GameSparks(request_of(path)) if path.startswith("/gamesparks/") else None


def switch_summary(other: Mapping[str, Any]) -> dict[str, Any]:
    """A player to whom there would be a switch. Achievements, goods and presence are no business of a login server."""
    return {
        "id": other["sub"],
        "displayName": other["display_name"],
        "externalIds": _external_ids(other),
        "scriptData": {},
    }


def _external_ids(other: Mapping[str, Any]) -> dict[str, str]:
    """By two letters for the platform. A guest's is nobody else's business."""
    linked = [one for one in other["identities"] if "subject" in one]
    return {one["provider"][:2].upper(): one["subject"] for one in linked}


def _of_the_credential(error: AuthsrvError, request: ConnectRequest) -> tuple[str, str] | None:
    match error:
        case errors.InvalidRequest(parameter="credential"):
            return request.credential, "REQUIRED"
        case errors.InvalidGrant() | errors.InteractionRequired():
            return request.credential, "NOTAUTHENTICATED"
        case AuthsrvError(reason=reason) if reason.startswith("credential_"):
            return request.credential, "NOTAUTHENTICATED"
        case _:
            return None


def _of_the_platform(error: AuthsrvError, request: ConnectRequest) -> tuple[str, str] | None:
    match error:
        case errors.UnsupportedProvider():
            return request.service, "NOT_CONFIGURED"
        case errors.AccountConflict(reason="switch_required"):
            return "errorOnSwitch", "SWITCH_REQUIRED"
        case errors.AccountConflict():
            return request.linked, "ACCOUNT_ALREADY_LINKED"
        case _:
            return None


def _of_the_player(error: AuthsrvError) -> tuple[str, str] | None:
    match error:
        case errors.AccessDenied(reason="account_restricted" | "age_restricted"):
            return "authentication", "COPPA restricted"
        case errors.AccessDenied():
            return "authentication", error.reason.upper() or "DENIED"
        case errors.InvalidToken() | errors.InsufficientScope():
            return "authentication", "NOTAUTHORIZED"
        case errors.UserNotFound():
            return "doNotCreateNewPlayer", "ACCOUNT_NOT_FOUND"
        case _:
            return None


def _of_the_request(error: AuthsrvError) -> tuple[str, str]:
    match error:
        case errors.InvalidClient() | errors.UnauthorizedClient():
            return "apiKey", "NOTAUTHORIZED"
        case AuthsrvError(parameter=parameter) if parameter:
            return PARAMETERS.get(parameter, parameter), "INVALID"
        case _:
            return "request", error.error.upper()
