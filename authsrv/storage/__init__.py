"""Where facts are kept. The only package that imports database drivers and writes SQL."""

from collections.abc import Callable, Mapping

from authsrv.database_url import Database
from authsrv.storage.base import Storage, StorageError
from authsrv.storage.steps import (  # noqa: F401 - they register what writes their changes
    accounts,
    browsers,
    clients,
    keys,
    nodes,
    privacy,
    revocations,
)


def _memory(database: Database) -> Storage:
    from authsrv.storage.memory.storage import MemoryStorage  # noqa: PLC0415 - a dozen modules for tests and trials

    return MemoryStorage.from_url(database.url)


def _sqlite(database: Database) -> Storage:
    from authsrv.storage.sqlite.storage import SqliteStorage  # noqa: PLC0415 - nothing for a server on PostgreSQL

    return SqliteStorage.from_url(database.url)


def _postgres(database: Database) -> Storage:
    try:
        from authsrv.storage.postgres.storage import PostgresStorage  # noqa: PLC0415 - an extra, and heavy
    except ImportError as error:
        raise StorageError("PostgreSQL needs the extra of this name: pip install 'authsrv[postgres]'") from error
    return PostgresStorage(database)


BACKENDS: Mapping[str, Callable[[Database], Storage]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "postgres": _postgres,
}
"""What makes a storage of a database, by the scheme of its URL."""


def open_storage(database: Database) -> Storage:
    """The storage that a URL names, not yet opened. Raises `StorageError` for a URL that names none."""
    scheme = database.url.partition(":")[0]
    if scheme not in BACKENDS:
        # The URL itself may hold a password.
        raise StorageError(f"the database url must begin with one of: {', '.join(f'{name}:' for name in BACKENDS)}")
    return BACKENDS[scheme](database)
