"""What a connection's thread does with a group of units: one write transaction with savepoints, or plain reads.

Owns BEGIN, SAVEPOINT and COMMIT. Knows no tables and no event loop.
"""

import sqlite3
from collections.abc import Sequence

from authsrv.storage.sqlite.connection import Busy, Unit, error_code, running_error


def write_group(driver: sqlite3.Connection, units: Sequence[Unit]) -> list[object]:
    """One durable transaction for all units; returns the result or the error of each, in order.

    A unit that raises loses only its own writes. Raises `StorageError` when the transaction as a whole failed: then
    nothing of any unit was written.
    """
    try:
        _begin(driver)
        run = _alone if len(units) == 1 else _in_savepoint
        outcomes = [run(driver, unit) for unit in units]
        if driver.in_transaction:
            driver.execute("COMMIT")
    except sqlite3.Error as error:
        raise running_error(error) from error
    else:
        return outcomes
    finally:
        # A full disk or an I/O error rolls back by itself; anything else is undone here.
        if driver.in_transaction:
            driver.execute("ROLLBACK")


def read_group(driver: sqlite3.Connection, units: Sequence[Unit]) -> list[object]:
    """Every unit by itself, all at one moment after they were asked; returns the result or the error of each, in order.

    What a transaction of its own costs a SELECT is a third of a look-up by a key.
    """
    if len(units) == 1:
        return [_read(driver, units[0])]
    driver.execute("BEGIN")
    try:
        return [_read(driver, unit) for unit in units]
    finally:
        if driver.in_transaction:
            driver.execute("COMMIT")


def _read(driver: sqlite3.Connection, unit: Unit) -> object:
    try:
        return unit(driver)
    except sqlite3.Error as error:
        return running_error(error)


def _begin(driver: sqlite3.Connection) -> None:
    """Take the write lock at once: a transaction that reads first would fail when it turns to writing."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error_code(error) == sqlite3.SQLITE_BUSY:
            raise Busy("another process holds the database's write lock") from error
        raise


def _alone(driver: sqlite3.Connection, unit: Unit) -> object:
    """The only unit of a transaction: its failure ends the transaction."""
    try:
        return unit(driver)
    except sqlite3.Error:
        raise
    except Exception as error:  # belongs to the unit's caller
        driver.execute("ROLLBACK")
        return error


def _in_savepoint(driver: sqlite3.Connection, unit: Unit) -> object:
    """One of several units: its failure undoes only its own statements. A driver's error is the whole group's."""
    outcome: object
    driver.execute("SAVEPOINT unit")
    try:
        outcome = unit(driver)
    except sqlite3.Error:
        raise
    except Exception as error:  # belongs to the unit's caller
        driver.execute("ROLLBACK TO unit")
        outcome = error
    driver.execute("RELEASE unit")
    return outcome
