"""Compares two databases: how many rows each table has, and a checksum over all that is in them.

Owns the one form in which rows are compared. Reads both sides in streams, so that no table has to fit in memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from authsrv.records import dataclass
from authsrv.storage.moving.copying import Source, Watcher, batches
from authsrv.storage.moving.tables import TABLES, Table
from authsrv.storage.rows.base import Row


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: its number of rows, and the SHA-256 of all of them in hexadecimal."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One table on both sides."""

    table: str
    source: Content
    target: Content

    @property
    def is_equal(self) -> bool:
        return self.source == self.target


def compare(source: Source, target: Source, counts: Mapping[str, int], watch: Watcher) -> Sequence[Comparison]:
    """Read both sides again and compare them, table by table. Raises `StorageError`."""
    watch.begin("Comparing", 2 * sum(counts.values()))
    return [Comparison(table.name, content(source, table, watch), content(target, table, watch)) for table in TABLES]


def content(side: Source, table: Table, watch: Watcher) -> Content:
    """What a table holds on one side."""
    rows, digest = 0, sha256()
    for batch in batches(side, table):
        digest.update(canonical(batch))
        rows += len(batch)
        watch.advance(len(batch))
    return Content(rows, digest.hexdigest())


def canonical(rows: Iterable[Row]) -> bytes:
    """A line for each row: its values in the list's order of columns, as Python writes them in ASCII.

    So NULL, an integer, a text and bytes never look alike, a line's end inside of a text is no line's end here, and
    neither the database nor its driver has a say in it.
    """
    return "".join(f"{tuple(row)!a}\n" for row in rows).encode()
