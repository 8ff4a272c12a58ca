"""Which audience a client's tokens may have (RFC 8707). Pure."""

from authsrv.errors import InvalidTarget
from authsrv.models import Client


def granted(client: Client, requested: str) -> tuple[str, ...]:
    """The requested audiences, separated by spaces. Raises `InvalidTarget` for one the client's entry does not list."""
    values = tuple(dict.fromkeys(requested.split()))
    if not set(values) <= client.audiences:
        raise InvalidTarget
    return values
