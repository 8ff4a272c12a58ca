"""Parameters that requests of several kinds have: how a boolean is written, what a nonce may be, and what Xsolla's SDKs
make of `redirect_uri` and `state`.

Owns their forms. Pure; knows no request.
"""

import re
from collections.abc import Mapping

from authsrv.errors import InvalidRequest
from authsrv.models import Client
from authsrv.redirects import matches, registered_default

_TRUE, _FALSE = {"true", "True", "1"}, {"false", "False", "0"}
_LONGEST_NONCE = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHORTEST_STATE, _LONGEST_STATE = 8, 512
_BREAKS_XSOLLA_SDKS = re.compile(r"[&?#%\x00-\x1f\x7f]")


def boolean(parameters: Mapping[str, str], name: str, *, default: bool) -> bool:
    """A boolean parameter as the SDKs write it. Raises `InvalidRequest` for anything else."""
    text = parameters.get(name, "")
    if not text:
        return default
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise InvalidRequest(f"{name} is true or false.", parameter=name)


def check_nonce(nonce: str) -> None:
    """The nonce for the id_token. Raises `InvalidRequest`."""
    if len(nonce) > _LONGEST_NONCE or _CONTROL.search(nonce):
        raise InvalidRequest("A nonce has at most 512 characters and no control characters.", parameter="nonce")


def check_state(client: Client, state: str) -> None:
    """A `state` where one is required. Raises `InvalidRequest`."""
    if not _SHORTEST_STATE <= len(state) <= _LONGEST_STATE:
        raise InvalidRequest("Send a state of 8 to 512 characters.", parameter="state", reason="state_length")
    if client.profile == "xsolla" and _BREAKS_XSOLLA_SDKS.search(state):
        raise InvalidRequest("The state holds a character that is not allowed.", parameter="state")


def redirect_uri_sent(client: Client, parameters: Mapping[str, str]) -> str:
    """The `redirect_uri`, empty without one. Unity SDKs before March 2022 call it `redirectUrl`."""
    old_name = parameters.get("redirectUrl", "") if client.profile == "xsolla" else ""
    return parameters.get("redirect_uri") or old_name


def registered_or_only(client: Client, redirect_uri: str, name: str = "redirect_uri") -> str:
    """The URI if it is registered, or else the client's only one. Raises `InvalidRequest`, never to be redirected.

    `name` is that of the parameter.
    """
    if not redirect_uri:
        if default := registered_default(client):
            return default
        raise InvalidRequest(f"Send the {name}; the client has several.", parameter=name, reason="redirect_uri_missing")
    return registered(client, redirect_uri, name)


def registered(client: Client, redirect_uri: str, name: str = "redirect_uri") -> str:
    """The URI if it is registered. Raises `InvalidRequest`, which must not be answered by a redirect."""
    if not matches(client, redirect_uri):
        raise InvalidRequest(
            f"This {name} is not registered for the client; it must match exactly.",
            parameter=name,
            reason="redirect_uri_unregistered",
        )
    return redirect_uri
