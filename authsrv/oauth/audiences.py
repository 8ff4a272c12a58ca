"""Which audience a client's tokens may have (RFC 8707). Pure."""

from collections.abc import Sequence

from authsrv.errors import InvalidTarget
from authsrv.models import Client


def granted(client: Client, requested: str) -> tuple[str, ...]:
    """The requested audiences, separated by spaces. Raises `InvalidTarget` for one the client's entry does not list."""
    values = tuple(dict.fromkeys(requested.split()))
    if not set(values) <= client.audiences:
        raise InvalidTarget
    return values


def remaining(client: Client, before: Sequence[str]) -> tuple[str, ...]:
    """What of these audiences, granted before, the client's entry still lists.

    Raises `InvalidTarget` when nothing is left of some: the default audience would be another one.
    """
    left = tuple(value for value in before if value in client.audiences)
    if before and not left:
        raise InvalidTarget
    return left
