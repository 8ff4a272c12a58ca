"""Whom a client's access tokens may be for: `audience`, and `resource` of RFC 8707, which mean the same here.

Owns how a request names them, and which of them it gets. Pure; one list in the client's entry decides for both.
"""

import re
from collections.abc import Mapping, Sequence

from authsrv.errors import InvalidTarget
from authsrv.models import Client

PARAMETERS = frozenset({"audience", "resource"})
"""May be sent several times (RFC 8707 section 2); the values of each are then joined by spaces, which none may hold."""

_RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!\"$-~]+")  # an absolute URI without a fragment
_NO_RESOURCE = "A resource is an absolute URI without a fragment."


def asked(sent: Mapping[str, str]) -> tuple[str, ...]:
    """The audiences that a request names, in its order and without repetition. Raises `InvalidTarget`."""
    resources = _values(sent, "resource")
    if not all(map(_RESOURCE.fullmatch, resources)):
        raise InvalidTarget(_NO_RESOURCE, parameter="resource")
    return tuple(dict.fromkeys((*_values(sent, "audience"), *resources)))


def granted(client: Client, sent: Mapping[str, str]) -> tuple[str, ...]:
    """The audiences that a request names, in its order and without repetition; none means the default ones.

    Raises `InvalidTarget` for one that the client's entry does not list, or that can be no resource.
    """
    named = asked(sent)
    if not client.audiences.issuperset(named):
        raise InvalidTarget
    return named


def remaining(client: Client, before: Sequence[str]) -> tuple[str, ...]:
    """What of these audiences, granted before, the client's entry still lists.

    Raises `InvalidTarget` when nothing is left of some: the default audience would be another one.
    """
    left = tuple(value for value in before if value in client.audiences)
    if before and not left:
        raise InvalidTarget
    return left


def narrowed(client: Client, before: tuple[str, ...], sent: Mapping[str, str], issuer: str) -> tuple[str, ...]:
    """The audiences of one token made from a grant for `before`: all of them, or those that the request names.

    A grant for nobody in particular is one for the default audience. Raises `InvalidTarget` for any other (RFC 8707
    section 2.2).
    """
    # Xsolla's SDKs name an audience at the login alone; what else they send with a code never meant anything.
    named = () if client.profile == "xsolla" else asked(sent)
    if not named:
        return before
    if not set(named) <= set(before or default(client, issuer)):
        raise InvalidTarget("The token can only be for what its login was for, or for a part of that.")
    return named


def exchanged(client: Client, before: tuple[str, ...], sent: Mapping[str, str], issuer: str) -> tuple[str, ...]:
    """The audiences of a token that a client makes of one for `before`: those that the request names, or the same.

    Whom a token was sent to could take it for its own and name a public client, so that only a client with a secret
    gets another audience. The default one is kept and never gained: a token for one service alone must not become one
    for all. Raises `InvalidTarget`.
    """
    allowed = client.audiences | (set(default(client, issuer)) & set(before))
    named = asked(sent)
    if not allowed.issuperset(named) or (client.public and not set(before).issuperset(named)):
        raise InvalidTarget
    left = named or tuple(value for value in before if value in allowed)
    if before and not left:
        raise InvalidTarget("Name an audience; the client can have none of the subject token's.", parameter="audience")
    return left


def default(client: Client, issuer: str) -> tuple[str, ...]:
    """Whom tokens are for when their grant names nobody."""
    return client.project.default_audience or (issuer,)


def _values(sent: Mapping[str, str], name: str) -> list[str]:
    return [value for value in sent.get(name, "").split(" ") if value]
