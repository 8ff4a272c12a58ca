"""Where facts are kept. The only package that imports database drivers and writes SQL."""

from collections.abc import Callable, Mapping

from authsrv.storage import (  # noqa: F401 - they register what writes their changes
    account_steps,
    browser_steps,
    client_steps,
    key_steps,
    memory_accounts,
    memory_browsers,
    memory_clients,
    memory_keys,
    memory_nodes,
    memory_privacy,
    memory_revocations,
    node_steps,
    privacy_steps,
    revocation_steps,
)
from authsrv.storage.base import Storage, StorageError
from authsrv.storage.memory import MemoryStorage
from authsrv.storage.sqlite import SqliteStorage

BACKENDS: Mapping[str, Callable[[str], Storage]] = {
    "memory": MemoryStorage.from_url,
    "sqlite": SqliteStorage.from_url,
}
"""What makes a storage of a URL, by the URL's scheme."""


def open_storage(url: str) -> Storage:
    """The storage that a URL names, not yet opened. Raises `StorageError` for a URL that names none."""
    scheme = url.partition(":")[0]
    if scheme not in BACKENDS:
        # The URL itself may hold a password.
        raise StorageError(f"the database url must begin with one of: {', '.join(f'{name}:' for name in BACKENDS)}")
    return BACKENDS[scheme](url)
