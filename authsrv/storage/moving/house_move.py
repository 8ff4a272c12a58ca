"""The move of everything from one database into another one, empty so far. Owns its steps and what is refused.

Knows neither SQL nor drivers.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

from authsrv.database_url import Database, names_postgres
from authsrv.records import dataclass
from authsrv.storage.base import StorageError
from authsrv.storage.files import path_of
from authsrv.storage.moving.comparing import Comparison, compare
from authsrv.storage.moving.copying import Copied, Source, Target, Watcher, begin, check_whole, copy, finish
from authsrv.storage.sqlite.copying import sqlite_source, sqlite_target


@dataclass(frozen=True, slots=True)
class Moved:
    """What was done. The target can be served if every comparison is equal, and not before."""

    copied: Copied
    comparisons: Sequence[Comparison]

    @property
    def is_whole(self) -> bool:
        return all(comparison.is_equal for comparison in self.comparisons)


def move(source_database: Database, target_database: Database, watch: Watcher) -> Moved:
    """Move house. After an interruption the same call goes on where it stopped. Raises `StorageError`."""
    _refuse_one_database(source_database.url, target_database.url)
    with source_of(source_database) as source, target_of(target_database) as target:
        check_whole(source)
        return carry(source, target, watch)


def carry(source: Source, target: Target, watch: Watcher) -> Moved:
    """The same with both sides opened. Raises `StorageError`."""
    counts = begin(source, target)
    moved = Moved(copy(source, target, counts, watch), compare(source, target, counts, watch))
    if moved.is_whole:
        finish(source, target)
    return moved


def _refuse_one_database(source_url: str, target_url: str) -> None:
    if _place(source_url) == _place(target_url):
        raise StorageError("--from and --to name the same database; name another one to move to")


def _place(url: str) -> object:
    """Equal for URLs that differ in the user, the password or the way to the file alone."""
    if not _is_postgres(url):
        return path_of(url).resolve()
    parts = urlsplit(url)
    return parts.hostname, parts.port or 5432, parts.path, parts.query


def source_of(database: Database, *, may_be_served: bool = False) -> AbstractContextManager[Source]:
    """A database as it is now. Raises `StorageError` while it is served, unless it may be."""
    if not _is_postgres(database.url):
        return sqlite_source(path_of(database.url), may_be_served=may_be_served)
    with _extra():
        from authsrv.storage.postgres.copying import postgres_source  # noqa: PLC0415 - an extra, and heavy
    return postgres_source(database, may_be_served=may_be_served)


def target_of(database: Database) -> AbstractContextManager[Target]:
    """A database that is written here alone. Raises `StorageError` while it is served."""
    if not _is_postgres(database.url):
        return sqlite_target(path_of(database.url))
    with _extra():
        from authsrv.storage.postgres.copying import postgres_target  # noqa: PLC0415 - an extra, and heavy
    return postgres_target(database)


def _is_postgres(url: str) -> bool:
    """Whether PostgreSQL was meant. Raises `StorageError` if the URL names no database there, or none at all."""
    scheme = url.partition(":")[0]
    if scheme not in {"sqlite", "postgresql", "postgres"}:
        # The URL itself may hold a password.
        raise StorageError("write a database's url as sqlite:///path or postgresql://user@host:5432/name")
    if scheme != "sqlite" and not names_postgres(url):
        raise StorageError("write the url of PostgreSQL as postgresql://user@host:5432/name")
    return scheme != "sqlite"


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise StorageError("PostgreSQL needs the extra of this name: pip install 'authsrv[postgres]'") from error
