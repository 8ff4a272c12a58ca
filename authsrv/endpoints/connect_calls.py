"""A request about a platform account, read from its JSON: parse only.

Owns the names and types of the members. Which of them make sense together is not judged here.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from starlette.requests import Request

from authsrv.accounts.callers import Call
from authsrv.accounts.connecting import ConnectCall
from authsrv.accounts.entries import CODE_PARAMETERS
from authsrv.endpoints.bearer import bearer_in_header
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import LIMITS, header_values
from authsrv.endpoints.json_objects import flag, members, require_known, required_text, text
from authsrv.endpoints.token import authorization
from authsrv.errors import InvalidRequest
from authsrv.models import ConnectFlags
from authsrv.oauth.clients import CLIENT_PARAMETERS
from authsrv.oauth.request import TokenRequest
from authsrv.platforms.base import Submission

CREDENTIAL = frozenset({"type", "value", "app_id", "deployment_id", "sandbox", "nonce"})
FLAGS = frozenset({one.name for one in fields(ConnectFlags)})
MEMBERS = CLIENT_PARAMETERS | CODE_PARAMETERS | {"provider", "credential", "flags", "preview"}

_LONGEST_OF_CODE = 1024
"""Characters of each text about the code, all of which must fit into a continuation token."""
_KEY = re.compile(rb"[\x21-\x7e]{8,255}")


def read_call(request: Request, sent: Mapping[str, Any]) -> Call:
    """Who sends it: the client by the body or the header, the player by Bearer. Raises `AuthsrvError`."""
    return call_of(request, {name: text(sent, name) for name in CLIENT_PARAMETERS if name in sent})


def call_of(request: Request, named: Mapping[str, str]) -> Call:
    """The same for a body that calls the client by other names; `named` is what it says, by ours."""
    header = authorization(request)
    if header.partition(" ")[0].lower() == "bearer":
        return Call(TokenRequest(named, "", sender(request)), bearer_in_header(request))
    return Call(TokenRequest(named, header, sender(request)))


def read_connect(request: Request, sent: Mapping[str, Any]) -> ConnectCall:
    """A connect request. Raises `AuthsrvError`."""
    require_known(sent, MEMBERS)
    flags = members(sent, "flags", FLAGS | {"segments"})
    return ConnectCall(
        call=read_call(request, sent),
        provider=required_text(sent, "provider"),
        submitted=read_submission(members(sent, "credential", CREDENTIAL)),
        flags={name: flag(flags, name) for name in FLAGS if name in flags},
        segments=members(flags, "segments") if "segments" in flags else None,
        code=_code(sent),
        preview=flag(sent, "preview"),
        key=idempotency_key(request),
    )


def idempotency_key(request: Request) -> str:
    """What tells a repeat from another request for the same; empty without one. Raises `InvalidRequest`."""
    keys = header_values(request, b"idempotency-key")
    if not keys:
        return ""
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidRequest("An Idempotency-Key has 8 to 255 visible ASCII characters.", parameter="Idempotency-Key")
    return keys[0].decode("ascii")


def read_submission(sent: Mapping[str, Any]) -> Submission:
    """The credential of a request. Raises `InvalidRequest`."""
    value = text(sent, "value", LIMITS["session_ticket"])
    if not value:
        raise InvalidRequest("Send the credential with its value.", parameter="credential")
    return Submission(
        kind=text(sent, "type"),
        value=value,
        app_id=text(sent, "app_id"),
        deployment_id=text(sent, "deployment_id"),
        sandbox=text(sent, "sandbox"),
        nonce=text(sent, "nonce"),
    )


def _code(sent: Mapping[str, Any]) -> Mapping[str, str]:
    said = {
        name: text(sent, name, min(LIMITS.get(name, _LONGEST_OF_CODE), _LONGEST_OF_CODE)) for name in CODE_PARAMETERS
    }
    return {name: value for name, value in said.items() if value}
