"""Which scopes a client gets (RFC 6749 section 3.3). Pure rules over the client's entry; unknown values are dropped."""

import re
from collections.abc import Iterable

from authsrv.errors import InvalidScope
from authsrv.models import Client

OFFLINE = frozenset({"offline", "offline_access"})
ACCOUNT = "account"
"""Lets a player's access token change the account; a token that is sent to game servers must not have it."""
_NEVER_IMPLIED = OFFLINE | {"playfab", ACCOUNT}
"""What gives more than claims: a client must ask for it by name."""
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
_MOST = 64


def granted(client: Client, requested: str) -> tuple[str, ...]:
    """The scopes this client gets for what it asked, in its order and without repetition.

    Without a request a client gets its own list, except what must be asked for by name. Raises `InvalidScope` for
    values outside the RFC's grammar, for more than 64 values, and when nothing of a request is left.
    """
    if not requested:
        return default(client)
    values = tuple(dict.fromkeys(listed(requested)))
    if len(values) > _MOST or not all(_SCOPE_TOKEN.fullmatch(value) for value in values):
        raise InvalidScope("The scope holds a character or a number of values that RFC 6749 does not allow.")
    left = tuple(value for value in values if allowed(client, value))
    if not left:
        raise InvalidScope
    return left


def listed(text: str) -> tuple[str, ...]:
    """The values of a scope parameter, separated by spaces alone: Authlib would take any white space."""
    return tuple(value for value in text.split(" ") if value)


def default(client: Client) -> tuple[str, ...]:
    """What a request without a scope means."""
    return () if client.profile == "xsolla" else tuple(sorted(client.scopes - _NEVER_IMPLIED))


def remaining(client: Client, values: Iterable[str]) -> tuple[str, ...]:
    """What of these scopes, granted before, the client's entry still lists, without repetition."""
    return tuple(value for value in dict.fromkeys(values) if allowed(client, value))


def allowed(client: Client, value: str) -> bool:
    """Whether the client's entry lists this scope, or takes any."""
    if value in OFFLINE:
        return bool(client.scopes & OFFLINE)
    return value in client.scopes or client.extra_scopes is None or value in client.extra_scopes
