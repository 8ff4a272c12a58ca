"""A silent login as it is asked for: its parameters, and every check of them that needs no look at anything else.

Owns their names, forms and lengths. Pure; knows no platform by name and nothing of what becomes of the request.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from authsrv import errors
from authsrv.models import Client, Digest
from authsrv.oauth.grants.platform import PlatformGrant, RedirectTarget
from authsrv.oauth.opaque import digest
from authsrv.oauth.parameters import boolean, check_nonce
from authsrv.oauth.request import Sender, Surface
from authsrv.platforms.base import RequestProof, Submission
from authsrv.redirects import matches, registered_default

TARGET_PARAMETERS = frozenset({"client_id", "redirect_uri", "redirectUrl", "is_redirect"})
"""What decides where the answer goes. `redirectUrl` is what Unity SDKs before March 2022 send."""
PARAMETERS = TARGET_PARAMETERS | frozenset(
    {
        "response_type",
        "state",
        "session_ticket",
        "credential_type",
        "code",
        "scope",
        "audience",
        "resource",
        "app_id",
        "deployment_id",
        "sandbox",
        "nonce",
        "encrypted_ticket_nonce",
        "no_user_creation",
        "code_challenge",
        "code_challenge_method",
    }
)
_SHORTEST_STATE, _LONGEST_STATE = 8, 512
_BREAKS_XSOLLA_SDKS = re.compile(r"[&?#%\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SilentCall:
    """One silent login as it came in. `proof` is set when the credential travelled in the Authorization header.

    `in_address` says that the parameters stood in the address.
    """

    provider: str
    parameters: Mapping[str, str]
    sender: Sender
    proof: RequestProof | None = None
    in_address: bool = False


def redirect_target(client: Client, parameters: Mapping[str, str]) -> RedirectTarget:
    """Where the answer for this client may go. Raises `InvalidRequest`, which must not be answered by a redirect."""
    is_redirect = boolean(parameters, "is_redirect", default=True)
    sent = parameters.get("redirect_uri") or _old_alias(client, parameters)
    return RedirectTarget(client, _registered(client, sent), sent, is_redirect)


def requester_of(client: Client, parameters: Mapping[str, str]) -> Digest:
    """Who may repeat a request: the same client with the same PKCE challenge, or else the same `state`."""
    # Each under its name: a `state` that copies a challenge must not repeat, without PKCE, a login that had it.
    told = next((name for name in ("code_challenge", "state") if parameters.get(name)), "state")
    return digest("\0".join((client.client_id, told, parameters.get(told, ""))))


def submission(call: SilentCall) -> Submission:
    """What the request says about its credential. Raises `InvalidRequest` if it brings none, or two."""
    sent = call.parameters
    value, code = sent.get("session_ticket", ""), sent.get("code", "")
    if call.proof is not None and (value or code):
        raise errors.InvalidRequest("Send the credential either in the Authorization header or in the body.")
    if call.proof is not None:
        value = call.proof.authorization.decode("latin-1")
    if not value and not code:
        raise errors.InvalidRequest("Send the credential as session_ticket.", parameter="session_ticket")
    if value and code and call.sender.surface == "standard":
        raise errors.InvalidRequest("Send the credential either as session_ticket or as code.", parameter="code")
    return Submission(
        kind=sent.get("credential_type", ""),
        value=value,
        code="" if value else code,
        app_id=sent.get("app_id", ""),
        deployment_id=sent.get("deployment_id", ""),
        sandbox=sent.get("sandbox", ""),
        nonce=sent.get("encrypted_ticket_nonce", ""),
        in_address=call.in_address,
        proof=call.proof,
    )


def _old_alias(client: Client, parameters: Mapping[str, str]) -> str:
    return parameters.get("redirectUrl", "") if client.profile == "xsolla" else ""


def _registered(client: Client, redirect_uri: str) -> str:
    if not redirect_uri:
        if default := registered_default(client):
            return default
        raise errors.InvalidRequest(
            "Send the redirect_uri; the client has several.", parameter="redirect_uri", reason="redirect_uri_missing"
        )
    if not matches(client, redirect_uri):
        raise errors.InvalidRequest(
            "This redirect_uri is not registered for the client; it must match exactly.",
            parameter="redirect_uri",
            reason="redirect_uri_unregistered",
        )
    return redirect_uri


def check_texts(call: SilentCall) -> None:
    """Response type, state and nonce. Raises `InvalidRequest` or `UnsupportedResponseType`."""
    sent = call.parameters
    if not sent.get("response_type"):
        raise errors.InvalidRequest("Send response_type=code.", parameter="response_type")
    if sent["response_type"] != "code":
        raise errors.UnsupportedResponseType(parameter="response_type")
    _check_state(sent.get("state", ""), call.sender.surface)
    check_nonce(sent.get("nonce", ""))


def _check_state(state: str, surface: Surface) -> None:
    if not _SHORTEST_STATE <= len(state) <= _LONGEST_STATE:
        raise errors.InvalidRequest("Send a state of 8 to 512 characters.", parameter="state", reason="state_length")
    if surface == "xsolla" and _BREAKS_XSOLLA_SDKS.search(state):
        raise errors.InvalidRequest("The state holds a character that is not allowed.", parameter="state")


def for_authlib(parameters: Mapping[str, str], target: RedirectTarget) -> dict[str, str]:
    """Only what the grant may see: a platform credential in `code` is none of its business."""
    seen = {name: parameters[name] for name in PlatformGrant.PARAMETERS if parameters.get(name)}
    return seen | {"client_id": target.client.client_id, "redirect_uri": target.redirect_uri}
