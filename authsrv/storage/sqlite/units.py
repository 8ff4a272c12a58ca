"""Units of work on a SQLite connection: what its thread does for one call of the storage.

Owns which statements a call runs, in which order, and what a row count or a broken rule means. Knows no queue, no event
loop and no transaction: `groups.py` puts one around each unit.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TypeVar

from authsrv.storage.base import Conflict, StorageError
from authsrv.storage.changes import Change
from authsrv.storage.dialogues import Reading, Writing
from authsrv.storage.rows.base import Row, Values
from authsrv.storage.rows.rates import count_values
from authsrv.storage.schema import REVISIONS, check_served
from authsrv.storage.sqlite.connection import read_revision
from authsrv.storage.statements import base as sql
from authsrv.storage.statements import nodes as node_sql
from authsrv.storage.statements import rates as rate_sql
from authsrv.storage.steps.base import Write

T = TypeVar("T")


def check_schema(driver: sqlite3.Connection) -> int:
    """The number of the last start. Raises `SchemaMismatch`."""
    revision = read_revision(driver)
    check_served(revision, None if revision in REVISIONS else _oldest_code(driver))
    ((epoch,),) = driver.execute(sql.SELECT_EPOCH).fetchall()
    return int(epoch)


def raise_epoch(driver: sqlite3.Connection) -> int:
    """The number of this start."""
    ((epoch,),) = driver.execute(sql.RAISE_EPOCH).fetchall()
    return int(epoch)


def _oldest_code(driver: sqlite3.Connection) -> int | None:
    known = driver.execute("SELECT 1 FROM sqlite_master WHERE name = 'versions'").fetchall()
    rows = driver.execute(node_sql.SELECT_OLDEST_CODE).fetchall() if known else []
    return int(rows[0][0]) if rows else None


def fetch(driver: sqlite3.Connection, statement: str, values: Values) -> list[Row]:
    """All rows of a SELECT."""
    return driver.execute(statement, values).fetchall()


def follow(driver: sqlite3.Connection, reading: Reading[T]) -> T:
    """What a dialogue of SELECTs comes to."""
    try:
        queries = next(reading)
        while True:
            queries = reading.send([fetch(driver, *query) for query in queries])
    except StopIteration as end:
        result: T = end.value
        return result


def follow_at_one_moment(driver: sqlite3.Connection, reading: Reading[T]) -> T:
    """The same, in one read transaction: that of its group, if there is one."""
    if driver.in_transaction:
        return follow(driver, reading)
    driver.execute("BEGIN")
    try:
        return follow(driver, reading)
    finally:
        driver.execute("COMMIT")


def write_along(driver: sqlite3.Connection, writing: Writing[T]) -> T:
    """What a dialogue of writes comes to."""
    try:
        statement, values = next(writing)
        while True:
            statement, values = writing.send(driver.execute(statement, values).rowcount)
    except StopIteration as end:
        result: T = end.value
        return result


def preview_along(driver: sqlite3.Connection, writing: Writing[T]) -> T:
    """What a dialogue of writes would come to; nothing of it is written."""
    driver.execute("SAVEPOINT preview")
    try:
        return write_along(driver, writing)
    finally:
        driver.execute("ROLLBACK TO preview")
        driver.execute("RELEASE preview")


def write_all(driver: sqlite3.Connection, writes: Sequence[Write]) -> None:
    """Every change in order. Raises `Conflict` at the first guard that does not hold."""
    for write in writes:
        _write_one(driver, write)


def _write_one(driver: sqlite3.Connection, write: Write) -> None:
    try:
        for statement, values, guarded in write.steps:
            touched = driver.execute(statement, values).rowcount
            if guarded and touched != 1:
                raise Conflict(write.change)
    except sqlite3.IntegrityError as error:
        raise _broken_rule(error, write.change) from error


def _broken_rule(error: sqlite3.IntegrityError, change: Change) -> StorageError:
    # A row that this one belongs to went away meanwhile: somebody was first. Any other broken rule is a wrong value.
    if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return Conflict(change)
    return StorageError(f"{type(change).__name__} breaks a rule of the schema ({error.sqlite_errorname})")


def reserve(driver: sqlite3.Connection, values: Values) -> Row | None:
    """None once the reservation is in, else the row that keeps it out."""
    if driver.execute(sql.RESERVE, values).rowcount == 1:
        return None
    row: Row = driver.execute(sql.SELECT_RESERVATION, values).fetchone()
    return row


def add_counts(driver: sqlite3.Connection, counts: Mapping[bytes, int], window: Values) -> list[Row]:
    """Add what was counted; what stands there then."""
    values = [{**count_values(key, count), **window} for key, count in counts.items()]
    return [driver.execute(rate_sql.COUNT_ONE, one).fetchone() for one in values]


def nothing(driver: sqlite3.Connection) -> None:
    """The transaction around it is the proof."""
