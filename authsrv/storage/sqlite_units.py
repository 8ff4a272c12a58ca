"""Units of work on a SQLite connection: what its thread does for one call of the storage.

Owns which statements a call runs, in which order, and what a row count or a broken rule means. Knows no queue, no event
loop and no transaction: `sqlite_groups.py` puts one around each unit.
"""

import sqlite3
from collections.abc import Sequence

from authsrv.storage import account_sql, browser_sql, privacy_sql, revocation_sql, sql
from authsrv.storage.base import Conflict, StorageError
from authsrv.storage.changes import Change
from authsrv.storage.rows import Row, Values
from authsrv.storage.schema import check_revision
from authsrv.storage.sqlite_connection import read_revision
from authsrv.storage.steps import Write

_SWEEPS = (
    sql.SWEEP_CREDENTIALS,
    browser_sql.SWEEP_REQUESTS,
    browser_sql.SWEEP_TRIPS,
    browser_sql.SWEEP_BROWSERS,
    account_sql.SWEEP_LINK_CODES,
    revocation_sql.SWEEP_REVOKED_TOKENS,
    account_sql.SWEEP_USED_PROOFS,
    browser_sql.SWEEP_SESSIONS,
    privacy_sql.WIPE_CREDENTIALS,
    privacy_sql.SWEEP_EVENTS,
    privacy_sql.SWEEP_WITHDRAWALS,
    privacy_sql.CUT_ADDRESSES,
    privacy_sql.SWEEP_BANS,
    privacy_sql.SWEEP_LIFTED_BANS,
)
"""One for each table whose rows go as soon as they have expired, then for what has been kept long enough."""


def check_schema_and_raise_epoch(driver: sqlite3.Connection) -> int:
    """The number of this start. Raises `SchemaMismatch`."""
    check_revision(read_revision(driver))
    ((epoch,),) = driver.execute(sql.RAISE_EPOCH).fetchall()
    return int(epoch)


def fetch(driver: sqlite3.Connection, statement: str, values: Values) -> list[Row]:
    """All rows of a SELECT."""
    return driver.execute(statement, values).fetchall()


def read_account(driver: sqlite3.Connection, values: Values) -> tuple[Row, list[Row], list[Row], list[Row]] | None:
    """A player, their identities, aliases and bans. What changes in between changes the player's version too."""
    found = fetch(driver, account_sql.SELECT_ACCOUNT, values)
    if not found:
        return None
    identities = fetch(driver, account_sql.SELECT_IDENTITIES, values)
    aliases = fetch(driver, account_sql.SELECT_ALIASES, values)
    return found[0], identities, aliases, fetch(driver, account_sql.SELECT_BANS, values)


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


def sweep_expired(driver: sqlite3.Connection, times: Values, limit: int) -> int:
    """Remove expired rows, table by table, until the limit is reached; how many."""
    removed = 0
    for statement in _SWEEPS:
        removed += driver.execute(statement, {**times, "limit": limit - removed}).rowcount
    return removed + _sweep_erasures(driver, {**times, "limit": limit - removed})


def _sweep_erasures(driver: sqlite3.Connection, values: Values) -> int:
    driver.execute(privacy_sql.SWEEP_NOT_BEFORES_OF_ERASED, values)
    return driver.execute(privacy_sql.SWEEP_ERASURES, values).rowcount


def sweep_grants(driver: sqlite3.Connection, values: Values) -> int:
    """Clean one window of grants; how many went."""
    driver.execute(sql.WIPE_SUCCESSORS, values)
    return driver.execute(sql.SWEEP_GRANTS, values).rowcount


def nothing(driver: sqlite3.Connection) -> None:
    """The transaction around it is the proof."""
