"""Registered clients for tests of the storage, with everything filled in that one can have at its beginning."""

from authsrv.models import RegisteredClient
from tests.support.storage import NOW, digest


def registered_client(number: int = 1, *, client_id: str = "", project: str = "skyforge") -> RegisteredClient:
    """A client to which nobody has signed in yet."""
    return RegisteredClient(
        id=number,
        client_id=client_id or f"c_{number}",
        project=project,
        metadata='{"client_name":"Amber\'s page","redirect_uris":["https://page.example/callback"]}',
        secret_hash=digest(f"secret {number}"),
        token_hash=digest(f"token {number}"),
        registered_with="partner",
        created_at=NOW + 1,
        expires_at=NOW + 2_592_000,
    )
