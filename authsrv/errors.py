"""The error tree: what a refused request is answered with, and what only the log may know.

    AuthsrvError
    ├── InvalidRequest              400 invalid_request
    │   ├── PayloadTooLarge         413
    │   ├── UriTooLong              414
    │   ├── UnsupportedMediaType    415
    │   └── MethodNotAllowed        405
    ├── InvalidClient               401 invalid_client
    ├── InvalidGrant                400 invalid_grant
    ├── UnauthorizedClient          400 unauthorized_client
    ├── UnsupportedGrantType        400 unsupported_grant_type
    ├── UnsupportedResponseType     400 unsupported_response_type
    ├── InvalidScope                400 invalid_scope
    ├── InvalidTarget               400 invalid_target
    ├── InvalidToken                401 invalid_token
    ├── InsufficientScope           403 insufficient_scope
    ├── AccessDenied                403 access_denied
    ├── InteractionRequired         403 interaction_required
    ├── ReauthenticationRequired    403 reauthentication_required
    ├── SignInRequired              400 login_required
    ├── AccountSelectionRequired    400 account_selection_required
    ├── ConsentRequired             400 consent_required
    ├── UnmetRequirements           400 unmet_authentication_requirements
    ├── RequestNotSupported         400 request_not_supported
    ├── RequestUriNotSupported      400 request_uri_not_supported
    ├── RegistrationNotSupported    400 registration_not_supported
    ├── InvalidRedirectUri          400 invalid_redirect_uri
    ├── InvalidClientMetadata       400 invalid_client_metadata
    ├── InvalidSoftwareStatement    400 invalid_software_statement
    ├── UnapprovedSoftwareStatement 400 unapproved_software_statement
    ├── NotFound                    404 not_found
    │   ├── UserNotFound            404 user_not_found
    │   ├── UnsupportedProvider     404 unsupported_provider
    │   └── NotLinked               404 not_linked
    ├── AccountConflict             409 account_conflict
    ├── LastIdentity                409 last_identity
    ├── LinkLimit                   409 link_limit
    ├── RelinkCooldown              409 relink_cooldown
    ├── StateChanged                409 state_changed
    ├── LaterChanges                409 later_changes
    ├── RateLimited                 429 rate_limited
    ├── TemporarilyUnavailable      503 temporarily_unavailable
    └── ServerError                 503 server_error

It knows neither HTTP frameworks nor surfaces: `endpoints/dialects.py` alone turns an error into a body.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

ErrorCode = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "insufficient_scope",
    "access_denied",
    "interaction_required",
    "reauthentication_required",
    "login_required",
    "account_selection_required",
    "consent_required",
    "unmet_authentication_requirements",
    "request_not_supported",
    "request_uri_not_supported",
    "registration_not_supported",
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "invalid_software_statement",
    "unapproved_software_statement",
    "not_found",
    "user_not_found",
    "unsupported_provider",
    "not_linked",
    "account_conflict",
    "last_identity",
    "link_limit",
    "relink_cooldown",
    "state_changed",
    "later_changes",
    "rate_limited",
    "temporarily_unavailable",
    "server_error",
]


class AuthsrvError(Exception):
    r"""One refusal.

    `description` is public: fixed printable ASCII without `"` and `\` (RFC 6749 section 5.2), and says what to do.
    `reason` is our stable machine code behind a wider OAuth code; `parameter` names the request parameter at fault.
    `detail` goes to the log only. `retry_after` is in seconds. `interaction_url` is a page for the player. `facts` are
    further members of a JSON answer.
    """

    error: ClassVar[ErrorCode]
    status: ClassVar[int] = 400
    text: ClassVar[str]

    def __init__(
        self,
        description: str = "",
        *,
        reason: str = "",
        parameter: str = "",
        detail: str = "",
        retry_after: int | None = None,
        interaction_url: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.description = description or self.text
        self.reason = reason
        self.parameter = parameter
        self.detail = detail
        self.retry_after = retry_after
        self.interaction_url = interaction_url
        self.facts = facts or {}
        super().__init__(f"{self.error}: {self.description}")


class InvalidRequest(AuthsrvError):
    error = "invalid_request"
    text = "The request is missing a parameter, repeats one, or has one that cannot be read."


class PayloadTooLarge(InvalidRequest):
    status = 413
    text = "The request body is larger than this endpoint accepts."


class UriTooLong(InvalidRequest):
    status = 414
    text = "The request address is longer than this endpoint accepts; send the parameters in a POST body."


class UnsupportedMediaType(InvalidRequest):
    status = 415
    text = "Send the parameters as application/x-www-form-urlencoded."


class MethodNotAllowed(InvalidRequest):
    status = 405
    text = "This address does not take that method; the Allow header names those it takes."


class InvalidClient(AuthsrvError):
    error = "invalid_client"
    status = 401
    text = "The client is unknown or its authentication failed."


class InvalidGrant(AuthsrvError):
    error = "invalid_grant"
    text = (
        "The code, token or credential is wrong, expired, used or meant for another client, "
        "or redirect_uri or code_verifier does not fit it."
    )


class UnauthorizedClient(AuthsrvError):
    error = "unauthorized_client"
    text = "This client may not do that; the grants of its entry in the configuration decide."


class UnsupportedGrantType(AuthsrvError):
    error = "unsupported_grant_type"
    text = "This grant_type is not offered; the discovery document lists those that are."


class UnsupportedResponseType(AuthsrvError):
    error = "unsupported_response_type"
    text = "Only response_type=code is offered."


class InvalidScope(AuthsrvError):
    error = "invalid_scope"
    text = "None of the requested scopes may be granted to this client."


class InvalidTarget(AuthsrvError):
    error = "invalid_target"
    text = "The client may not ask for this audience or resource."


class InvalidToken(AuthsrvError):
    error = "invalid_token"
    status = 401
    text = "The token is expired, revoked or not one of ours."


class InsufficientScope(AuthsrvError):
    error = "insufficient_scope"
    status = 403
    text = "The access token lacks the scope that this needs."


class AccessDenied(AuthsrvError):
    error = "access_denied"
    status = 403
    text = "The platform account is genuine, but a policy of this game refuses it."


class InteractionRequired(AuthsrvError):
    error = "interaction_required"
    status = 403
    text = "The player must first do something at the platform; interaction_url leads there."


class ReauthenticationRequired(AuthsrvError):
    error = "reauthentication_required"
    status = 403
    text = "The sign-in is too old to change the account; sign in again and repeat the request."


class SignInRequired(AuthsrvError):
    error = "login_required"
    text = "The player must sign in, and prompt=none forbids to ask."


class AccountSelectionRequired(AuthsrvError):
    error = "account_selection_required"
    text = "The player must choose an account, and prompt=none forbids to ask."


class ConsentRequired(AuthsrvError):
    error = "consent_required"
    text = "The player must allow the client what it asks for, and prompt=none forbids to ask."


class UnmetRequirements(AuthsrvError):
    error = "unmet_authentication_requirements"
    text = "No sign-in of this server satisfies the essential acr claim."


class RequestNotSupported(AuthsrvError):
    error = "request_not_supported"
    text = "Request objects are not offered; send the parameters by themselves."


class RequestUriNotSupported(AuthsrvError):
    error = "request_uri_not_supported"
    text = "Request objects by reference are not offered; send the parameters by themselves."


class RegistrationNotSupported(AuthsrvError):
    error = "registration_not_supported"
    text = "The registration parameter is not offered; register the client first."


class InvalidRedirectUri(AuthsrvError):
    error = "invalid_redirect_uri"
    text = "A redirect URI may not be registered."


class InvalidClientMetadata(AuthsrvError):
    error = "invalid_client_metadata"
    text = "The client metadata has a value that this server does not take."


class InvalidSoftwareStatement(AuthsrvError):
    error = "invalid_software_statement"
    text = "The software statement is no signed JWT."


class UnapprovedSoftwareStatement(AuthsrvError):
    error = "unapproved_software_statement"
    text = "This server trusts nobody's software statements; register without one."


class NotFound(AuthsrvError):
    error: ClassVar[ErrorCode] = "not_found"
    status = 404
    text = "There is nothing at this address."


class UserNotFound(NotFound):
    error = "user_not_found"
    text = "No player is linked to this platform account, and the request asked not to create one."


class UnsupportedProvider(NotFound):
    error = "unsupported_provider"
    text = "This platform is unknown or not configured for the project."


class NotLinked(NotFound):
    error = "not_linked"
    text = "This platform account is not linked to the player."


class AccountConflict(AuthsrvError):
    error = "account_conflict"
    status = 409
    text = "The platform account belongs to another player, or the player has another one of that platform."


class LastIdentity(AuthsrvError):
    error = "last_identity"
    status = 409
    text = "This is the player's only way to sign in; link another platform first."


class LinkLimit(AuthsrvError):
    error = "link_limit"
    status = 409
    text = "The player has as many accounts of this platform as the game allows."


class RelinkCooldown(AuthsrvError):
    error = "relink_cooldown"
    status = 409
    text = "This platform account was unlinked lately and can be linked again at retry_at."


class StateChanged(AuthsrvError):
    error = "state_changed"
    status = 409
    text = "An account changed meanwhile; look again and choose again."


class LaterChanges(AuthsrvError):
    error = "later_changes"
    status = 409
    text = "What this touched was changed later; undo those changes first."


class RateLimited(AuthsrvError):
    """`policy` holds the header fields that tell which quota was used up, by name."""

    error = "rate_limited"
    status = 429
    text = "Too many requests; wait as long as Retry-After says."

    def __init__(self, *, retry_after: int, policy: Mapping[str, str], detail: str = "") -> None:
        super().__init__(retry_after=retry_after, detail=detail)
        self.policy = policy


class TemporarilyUnavailable(AuthsrvError):
    error = "temporarily_unavailable"
    status = 503
    text = "A service needed for this is not answering; try again later."


class ServerError(AuthsrvError):
    error = "server_error"
    status = 503
    text = "The server is not set up for this; its operator can find the cause by the reference id."
