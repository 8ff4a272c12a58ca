"""Parameters that requests of several kinds have: how a boolean is written, what a nonce may be.

Owns their forms. Pure; knows no request.
"""

import re
from collections.abc import Mapping

from authsrv.errors import InvalidRequest

_TRUE, _FALSE = {"true", "True", "1"}, {"false", "False", "0"}
_LONGEST_NONCE = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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
