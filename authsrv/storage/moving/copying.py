"""Copies the rows of one database into another, table by table in the order of their keys, a batch a transaction.

Where it stopped is the last key that the target has, so that it goes on after a kill at any moment. Owns the order, the
mark of an unfinished target and the start number. Knows no driver; `sqlite/copying.py` and others make the two sides.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from time import perf_counter
from typing import Final, Protocol

from authsrv.records import dataclass
from authsrv.storage.base import SchemaMismatch, StorageError
from authsrv.storage.moving.tables import NUMBERED, TABLES, Table
from authsrv.storage.rows.base import EPOCH_BITS, Row, Values
from authsrv.storage.schema import COPYING, REVISIONS, check_revision

ROWS_AT_A_TIME: Final = 2000
HEAD: Final = REVISIONS[-1]

_SELECT_START_NUMBER = "SELECT value FROM epochs WHERE id = 1"
_RAISE_START_NUMBER = "UPDATE epochs SET value = :number WHERE id = 1 AND value < :number"
_SELECT_KIDS = "SELECT kid FROM keys ORDER BY kid"
_SET_REVISION = "UPDATE alembic_version SET version_num = :revision"

Statements = Sequence[tuple[str, Values]]


class Source(Protocol):
    """A database as it was at one moment, for one reader at a time.

    Every method raises `StorageError` with a text for the operator.
    """

    @property
    def name(self) -> str:
        """How it is called in texts: never with a password."""

    def revision(self) -> str | None:
        """The revision of its schema; None without a schema."""

    def fetch(self, statement: str, values: Values) -> list[Row]:
        """All rows of a SELECT with `:name` placeholders."""

    def highest_start(self) -> int:
        """No id that this database gave so far belongs to a higher start number of SQLite's."""

    def refuse_changes(self) -> None:
        """Raise `StorageError` if somebody may have written to it since it was opened."""


class Target(Source, Protocol):
    """A database that is written by nobody else meanwhile."""

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows of all columns in one transaction: all of them, or none."""

    def refuse_ids(self, highest: int) -> None:
        """Raise `StorageError` if it would give ids up to that one itself, whatever its start number is."""

    def execute(self, statements: Statements) -> None:
        """Run statements in one transaction."""


class Watcher(Protocol):
    """Is told how far it is."""

    def begin(self, doing: str, rows: int) -> None:
        """So many rows are to be done now."""

    def advance(self, rows: int) -> None:
        """So many more are done."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied by this run: `rows`, in `seconds`. `before` it, `rows_before` had been copied already."""

    rows: int
    rows_before: int
    seconds: float

    @property
    def rows_per_second(self) -> int:
        return round(self.rows / self.seconds) if self.seconds else 0


def check_whole(side: Source) -> None:
    """Raise `SchemaMismatch` unless the database has this version's schema and is no unfinished copy."""
    try:
        check_revision(side.revision())
    except SchemaMismatch as error:
        raise SchemaMismatch(f"{side.name}: {error}") from None


def begin(source: Source, target: Target) -> Mapping[str, int]:
    """Mark the target as the unfinished copy of this source: how many rows each table of the source has.

    Raises `StorageError` unless it is empty, or is that already.
    """
    counts = {table.name: count(source, table) for table in TABLES}
    mark, found = _mark(source, counts), target.revision()
    if found == mark:
        return counts
    if found is not None and found.startswith(COPYING):
        raise StorageError(
            f"{target.name} holds an unfinished copy of another database, or of {source.name} before it was served "
            "again; begin with an empty one"
        )
    check_whole(target)
    _refuse_rows(target)
    target.refuse_ids(max(highest_id(source), source.highest_start() << EPOCH_BITS))
    target.execute([(_SET_REVISION, {"revision": mark})])
    return counts


def copy(source: Source, target: Target, counts: Mapping[str, int], watch: Watcher) -> Copied:
    """Copy what the target does not have yet. `begin` has been called. Raises `StorageError`."""
    before = sum(count(target, table) for table in TABLES)
    watch.begin("Copying", sum(counts.values()))
    watch.advance(before)
    started, rows = perf_counter(), 0
    for table in TABLES:
        for batch in batches(source, table, last_key(target, table)):
            target.insert(table, batch)
            rows += len(batch)
            watch.advance(len(batch))
    return Copied(rows, before, perf_counter() - started)


def finish(source: Source, target: Target) -> None:
    """Let the target be served: with a start number from which no id is given twice. Raises `StorageError`."""
    source.refuse_changes()
    number = max(start_number(source), source.highest_start(), highest_id(source) >> EPOCH_BITS)
    target.execute([(_RAISE_START_NUMBER, {"number": number}), (_SET_REVISION, {"revision": HEAD})])


def batches(side: Source, table: Table, after: Row | None = None) -> Iterator[list[Row]]:
    """The rows of a table in the order of its key, from behind a key on."""
    while True:
        rows = side.fetch(_page(table, is_first=after is None), _page_values(table, after))
        if rows:
            yield rows
        if len(rows) < ROWS_AT_A_TIME:
            return
        after = rows[-1][: len(table.key)]


def count(side: Source, table: Table) -> int:
    """How many rows a table has."""
    ((rows,),) = side.fetch(f"SELECT count(*) FROM {table.name}", {})  # noqa: S608 - a name from the list
    return int(rows)


def last_key(side: Source, table: Table) -> Row | None:
    """The highest key of a table; None if it is empty."""
    order = ", ".join(f"{column} DESC" for column in table.key)
    found = side.fetch(f"SELECT {', '.join(table.key)} FROM {table.name} ORDER BY {order} LIMIT 1", {})  # noqa: S608 - names from the list
    return found[0] if found else None


def start_number(side: Source) -> int:
    """How often the database was opened for serving, or what a copy made of it."""
    ((number,),) = side.fetch(_SELECT_START_NUMBER, {})
    return int(number)


def highest_id(side: Source) -> int:
    """The highest id of a row; 0 without rows."""
    return max(int((last_key(side, table) or (0,))[0]) for table in NUMBERED)


def _refuse_rows(target: Target) -> None:
    full = [table.name for table in TABLES if last_key(target, table) is not None]
    if full:
        raise StorageError(f"{target.name} is not empty, it has rows in {', '.join(full)}; name an empty database")


def _mark(source: Source, counts: Mapping[str, int]) -> str:
    """Every start of a server makes another one. Its length is what the column of the revision holds."""
    kids = [kid for (kid,) in source.fetch(_SELECT_KIDS, {})]
    told = json.dumps([start_number(source), kids, dict(counts)], sort_keys=True)
    return COPYING + sha256(told.encode()).hexdigest()[: 32 - len(COPYING)]


def _page(table: Table, *, is_first: bool) -> str:
    columns, key = ", ".join(table.columns), ", ".join(table.key)
    behind = ", ".join(f":{column}" for column in table.key)
    where = "" if is_first else f"WHERE ({key}) > ({behind})"
    return f"SELECT {columns} FROM {table.name} {where} ORDER BY {key} LIMIT :rows"  # noqa: S608 - names from the list


def _page_values(table: Table, after: Row | None) -> Values:
    return {"rows": ROWS_AT_A_TIME, **dict(zip(table.key, after or (), strict=False))}
