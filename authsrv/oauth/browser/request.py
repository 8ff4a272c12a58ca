"""An authorization request as it is asked for: its parameters, and every check of them that needs no I/O.

Owns OpenID Connect Core section 3.1.2.1 but for what Authlib checks (scope and PKCE). Pure; knows no page.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from authsrv import errors
from authsrv.models import Client, ResponseMode
from authsrv.oauth import claims, scopes
from authsrv.oauth.claims import ACR, ClaimsRequest
from authsrv.oauth.parameters import check_nonce, check_state, registered, registered_or_only
from authsrv.records import dataclass
from authsrv.signin import Prompt

TARGET_PARAMETERS = frozenset({"client_id", "redirect_uri"})
"""What decides where the answer goes; a fault in these is never answered by a redirect."""
HOW_PARAMETERS = frozenset({"response_mode", "state"})
"""What decides how the answer is given."""
PARAMETERS = (
    TARGET_PARAMETERS
    | HOW_PARAMETERS
    | frozenset(
        {
            "response_type",
            "scope",
            "nonce",
            "prompt",
            "max_age",
            "id_token_hint",
            "login_hint",
            "acr_values",
            "ui_locales",
            "claims",
            "display",
            "code_challenge",
            "code_challenge_method",
            "audience",
            "resource",
        }
    )
)
PROVIDER = "provider"
"""Never sent: it stands beside the parameters of a request that names the platform by its address."""
PURPOSE = "purpose"
"""Never sent either: what a kept request is for, if not for signing in."""
Purpose = Literal["sign_in", "link", "link_code"]
UNSUPPORTED: Mapping[str, type[errors.AuthsrvError]] = {
    "request": errors.RequestNotSupported,
    "request_uri": errors.RequestUriNotSupported,
    "registration": errors.RegistrationNotSupported,
}
"""Parameters that change the meaning of the others, so that ignoring them would be wrong."""

_MODES: tuple[ResponseMode, ...] = ("query", "form_post", "fragment")
_PROMPTS: frozenset[Prompt] = frozenset(get_args(Prompt))
_MAX_AGE = re.compile(r"[0-9]{1,9}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where an answer goes, once client and URI are known to be good, and how."""

    client: Client
    redirect_uri: str
    mode: ResponseMode = "query"
    state: str = ""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a request asks of the sign-in, beyond what its code is bound to.

    `provider` is the platform that the player must come from, empty for any.
    """

    prompts: frozenset[Prompt]
    max_age: int | None
    claims: ClaimsRequest
    ui_locales: str
    wants_acr: bool
    provider: str = ""

    @property
    def silent(self) -> bool:
        """Whether no page may be shown."""
        return "none" in self.prompts


def target_of(client: Client, redirect_uri: str) -> Target:
    """Where the answer may go. Raises `InvalidRequest`, which must not be answered by a redirect."""
    if "authorization_code" not in client.grant_types:
        raise errors.UnauthorizedClient("This client signs no players in.", reason="no_code_grant")
    if client.profile == "xsolla":
        return Target(client, registered_or_only(client, redirect_uri))
    if not redirect_uri:
        raise errors.InvalidRequest("Send the redirect_uri.", parameter="redirect_uri", reason="redirect_uri_missing")
    return Target(client, registered(client, redirect_uri))


def mode_of(client: Client, redirect_uri: str, asked: str) -> ResponseMode:
    """How the answer is given. Raises `InvalidRequest` for a mode that the client may not use at this address."""
    if not asked:
        return default_mode(client, redirect_uri)
    for mode in _possible_modes(client, redirect_uri):
        if asked == mode:
            return mode
    raise errors.InvalidRequest("The client may not use this response_mode.", parameter="response_mode")


def default_mode(client: Client, redirect_uri: str) -> ResponseMode:
    """How an answer is given if the request does not say: by query, unless the entry keeps codes out of addresses."""
    return next(iter(_possible_modes(client, redirect_uri)), "query")


def _possible_modes(client: Client, redirect_uri: str) -> Sequence[ResponseMode]:
    """The client's modes, the usual ones first. No application can take a form at a scheme of its own."""
    is_web = redirect_uri.startswith(("https:", "http:"))
    return [mode for mode in _MODES if mode in client.response_modes and (is_web or mode != "form_post")]


def read(client: Client, sent: Mapping[str, str]) -> AuthorizationRequest:
    """Check every parameter in a fixed order, so that a request with two faults always gets the same error."""
    for check in _CHECKS:
        check(client, sent)
    asked = claims.read(sent.get("claims", ""))
    _check_acr(asked)
    return AuthorizationRequest(
        prompts=_prompts(sent.get("prompt", "")),
        max_age=_max_age(sent.get("max_age", ""), client.default_max_age),
        claims=asked,
        ui_locales=sent.get("ui_locales", ""),
        wants_acr="acr_values" in sent or "id_token:acr" in asked.names,
        provider=sent.get(PROVIDER, ""),
    )


def claims_granted(client: Client, request: AuthorizationRequest) -> tuple[str, ...]:
    """The claims asked for one by one that the client may have, as `Grant.claims` has them."""
    names = claims.within(request.claims, (scope for scope in claims.SCOPE_CLAIMS if scopes.allowed(client, scope)))
    return tuple(dict.fromkeys((*names, "id_token:acr"))) if request.wants_acr else names


def _check_response_type(_: Client, sent: Mapping[str, str]) -> None:
    if not sent.get("response_type"):
        raise errors.InvalidRequest("Send response_type=code.", parameter="response_type")
    if sent["response_type"] != "code":
        raise errors.UnsupportedResponseType(parameter="response_type")


def _check_state(client: Client, sent: Mapping[str, str]) -> None:
    if client.profile == "xsolla":
        check_state(client, sent.get("state", ""))
    if client.state_required and not sent.get("state"):
        raise errors.InvalidRequest("This client must send a state.", parameter="state")
    if sent.get("response_mode") == "form_post" and _CONTROL.search(sent.get("state", "")):
        # A form turns line breaks into others, and the state must come back as it was sent.
        raise errors.InvalidRequest("A state that is posted back has no control characters.", parameter="state")


def _check_nonce(client: Client, sent: Mapping[str, str]) -> None:
    if client.nonce_required and not sent.get("nonce"):
        raise errors.InvalidRequest("This client must send a nonce.", parameter="nonce")
    check_nonce(sent.get("nonce", ""))


def _check_mode(client: Client, sent: Mapping[str, str]) -> None:
    mode_of(client, sent.get("redirect_uri", ""), sent.get("response_mode", ""))


_CHECKS: tuple[Callable[[Client, Mapping[str, str]], None], ...] = (
    _check_mode,
    _check_response_type,
    _check_state,
    _check_nonce,
)


def _prompts(text: str) -> frozenset[Prompt]:
    asked = frozenset(value for value in text.split(" ") if value)
    known = frozenset(prompt for prompt in _PROMPTS if prompt in asked)
    if asked != known:
        raise errors.InvalidRequest("prompt is none, or any of login, consent, select_account.", parameter="prompt")
    if "none" in known and len(known) > 1:
        raise errors.InvalidRequest("prompt=none goes with no other value.", parameter="prompt")
    return known


def _max_age(text: str, default: int | None) -> int | None:
    if not text:
        return default
    if not _MAX_AGE.fullmatch(text):
        raise errors.InvalidRequest("max_age is a number of seconds.", parameter="max_age")
    return int(text)


def _check_acr(asked: ClaimsRequest) -> None:
    if asked.acr_required is not None and ACR not in asked.acr_required:
        raise errors.UnmetRequirements(parameter="claims")
