"""Units of work on a SQLite connection about players who are told or forgotten, as `sqlite_units.py` has the others.

Knows no queue and no event loop.
"""

import sqlite3
from collections.abc import Collection, Sequence

from authsrv.account_models import Census, Erasure
from authsrv.storage import account_sql, browser_sql, privacy_sql, sql
from authsrv.storage.account_rows import account_of
from authsrv.storage.base import LAST_ROW
from authsrv.storage.privacy_rows import RecordRows
from authsrv.storage.rows import Row, Values
from authsrv.storage.sqlite_units import fetch, read_account

Read = tuple[Sequence[RecordRows], Sequence[Row]]


def read_dossier(driver: sqlite3.Connection, values: Values) -> Read | None:
    """Everything that is told of a player, as it was at one moment: in one read transaction."""
    driver.execute("BEGIN")
    try:
        return _read_all(driver, values)
    finally:
        driver.execute("COMMIT")


def _read_all(driver: sqlite3.Connection, values: Values) -> Read | None:
    own = _read_record(driver, values)
    if own is None:
        return None
    ids = [values, *({"player_id": alias.id} for alias in own.account.aliases)]
    merged = [record for record in (_read_record(driver, one) for one in ids[1:]) if record]
    all_of_them = {"limit": LAST_ROW, "before": LAST_ROW}
    events = [row for one in ids for row in fetch(driver, account_sql.SELECT_EVENTS, {**one, **all_of_them})]
    return [own, *merged], events


def _read_record(driver: sqlite3.Connection, values: Values) -> RecordRows | None:
    rows = read_account(driver, values)
    if rows is None:
        return None
    sessions = fetch(driver, privacy_sql.SELECT_SESSION_RECORDS, values)
    return RecordRows(
        account_of(*rows),
        fetch(driver, browser_sql.SELECT_OWN_CONSENTS, values),
        sessions,
        [fetch(driver, browser_sql.SELECT_SESSION_CLIENTS, {"session_id": session[0]}) for session in sessions],
        fetch(driver, privacy_sql.SELECT_GRANT_RECORDS, values),
    )


def read_erasures(driver: sqlite3.Connection, values: Values) -> list[Erasure]:
    """Those since a time."""
    return [Erasure(*row) for row in fetch(driver, privacy_sql.SELECT_ERASURES, values)]


def read_subjects(driver: sqlite3.Connection, subs: Collection[str]) -> list[Row]:
    """The players who have these, as far as they are there."""
    return [row for sub in subs for row in fetch(driver, sql.SELECT_PLAYER_BY_SUB, {"sub": sub})]


_OLDEST = {
    "players": privacy_sql.OLDEST_PLAYER,
    "grants": privacy_sql.OLDEST_GRANT,
    "sessions": privacy_sql.OLDEST_SESSION,
    "requests": privacy_sql.OLDEST_REQUEST,
    "link_codes": privacy_sql.OLDEST_LINK_CODE,
    "events": privacy_sql.OLDEST_EVENT,
    "bans": privacy_sql.OLDEST_BAN,
    "logout_notices": privacy_sql.OLDEST_NOTICE,
    "erasures": privacy_sql.OLDEST_ERASURE,
}


def read_census(driver: sqlite3.Connection) -> Census:
    """When the oldest row of each table was made."""
    found = {name: fetch(driver, statement, {}) for name, statement in _OLDEST.items()}
    ((undelivered,),) = fetch(driver, privacy_sql.COUNT_NOTICES, {})
    return Census({name: rows[0][0] for name, rows in found.items() if rows}, undelivered)
