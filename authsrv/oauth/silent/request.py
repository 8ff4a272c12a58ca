"""A silent login as it is asked for: its parameters, and every check of them that needs no look at anything else.

Owns their names, forms and lengths. Pure; knows no platform by name and nothing of what becomes of the request.
"""

from collections.abc import Mapping

from authsrv import errors
from authsrv.models import Client, Digest
from authsrv.oauth.grants.platform import PlatformGrant, RedirectTarget
from authsrv.oauth.opaque import digest
from authsrv.oauth.parameters import boolean, check_nonce, check_state, redirect_uri_sent, registered_or_only
from authsrv.oauth.request import Sender
from authsrv.platforms.base import RequestProof, Submission
from authsrv.records import dataclass

TARGET_PARAMETERS = frozenset({"client_id", "redirect_uri", "redirectUrl", "is_redirect"})
"""What decides where the answer goes."""
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
    sent = redirect_uri_sent(client, parameters)
    return RedirectTarget(client, registered_or_only(client, sent), sent, is_redirect)


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


def check_texts(client: Client, call: SilentCall) -> None:
    """Response type, state and nonce. Raises `InvalidRequest` or `UnsupportedResponseType`."""
    sent = call.parameters
    if not sent.get("response_type"):
        raise errors.InvalidRequest("Send response_type=code.", parameter="response_type")
    if sent["response_type"] != "code":
        raise errors.UnsupportedResponseType(parameter="response_type")
    check_state(client, sent.get("state", ""))
    check_nonce(sent.get("nonce", ""))


def for_authlib(parameters: Mapping[str, str], target: RedirectTarget) -> dict[str, str]:
    """Only what the grant may see: a platform credential in `code` is none of its business."""
    seen = {name: parameters[name] for name in PlatformGrant.PARAMETERS if parameters.get(name)}
    return seen | {"client_id": target.client.client_id, "redirect_uri": target.redirect_uri}
