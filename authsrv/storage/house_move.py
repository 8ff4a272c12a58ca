"""The move of everything from one database into another one, empty so far. Owns its steps and what is refused.

Knows neither SQL nor drivers.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from authsrv.storage.base import StorageError
from authsrv.storage.comparing import Comparison, compare
from authsrv.storage.copying import Copied, Source, Target, Watcher, begin, check_whole, copy, finish
from authsrv.storage.files import path_of
from authsrv.storage.sqlite_copying import sqlite_source, sqlite_target


@dataclass(frozen=True, slots=True)
class Moved:
    """What was done. The target can be served if every comparison is equal, and not before."""

    copied: Copied
    comparisons: Sequence[Comparison]

    @property
    def is_whole(self) -> bool:
        return all(comparison.is_equal for comparison in self.comparisons)


def move(source_url: str, target_url: str, watch: Watcher) -> Moved:
    """Move house. After an interruption the same call goes on where it stopped. Raises `StorageError`."""
    _refuse_one_database(source_url, target_url)
    with _source(source_url) as source, _target(target_url) as target:
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
    if path_of(source_url).resolve() == path_of(target_url).resolve():
        raise StorageError("--from and --to name the same database; name another one to move to")


def _source(url: str) -> AbstractContextManager[Source]:
    return sqlite_source(path_of(url))


def _target(url: str) -> AbstractContextManager[Target]:
    return sqlite_target(path_of(url))
