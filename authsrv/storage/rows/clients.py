"""Between the model of a registered client and its row. Knows no SQL and no driver."""

from authsrv.models import RegisteredClient
from authsrv.storage.base import StorageError
from authsrv.storage.rows.base import Row, Values, checked, optional_digest, required

PREFIX = "c_"
"""How the ids of registered clients begin; indexes hold the rows of no other client."""


def registered_client_values(client: RegisteredClient) -> Values:
    """The columns of a registered client. Raises `StorageError` for an id that the indexes would not hold."""
    if not client.client_id.startswith(PREFIX):
        raise StorageError(f"client_id does not begin with {PREFIX}")
    return checked(
        id=client.id,
        client_id=client.client_id,
        project=client.project,
        metadata=required("metadata", client.metadata),
        secret_hash=optional_digest("secret_hash", client.secret_hash),
        token_hash=optional_digest("token_hash", client.token_hash),
        registered_with=client.registered_with,
        created_at=client.created_at,
        expires_at=client.expires_at,
        version=client.version,
    )


def registered_client_of(row: Row) -> RegisteredClient:
    """A registered client."""
    return RegisteredClient(*row)
