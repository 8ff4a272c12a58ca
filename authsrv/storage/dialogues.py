"""Work of several statements on a SQL database, as a dialogue with whoever runs them on whatever driver.

A dialogue yields statements and is sent what came of them. Owns which statements such work needs and in which order.
Knows no driver, no thread and no transaction.
"""

from collections.abc import Collection, Generator, Sequence
from typing import TypeVar

from authsrv.account_models import Account, Census, Dossier, Erasure
from authsrv.models import Player
from authsrv.storage.base import LAST_ROW
from authsrv.storage.rows.accounts import account_of
from authsrv.storage.rows.base import Row, Values, player_of
from authsrv.storage.rows.privacy import RecordRows, dossier_of
from authsrv.storage.statements import accounts as account_sql
from authsrv.storage.statements import base as sql
from authsrv.storage.statements import browsers as browser_sql
from authsrv.storage.statements import nodes as node_sql
from authsrv.storage.statements import privacy as privacy_sql
from authsrv.storage.statements import rates as rate_sql
from authsrv.storage.statements import revocations as revocation_sql

T = TypeVar("T")
Query = tuple[str, Values]
Reading = Generator[Sequence[Query], Sequence[Sequence[Row]], T]
"""Yields SELECTs that do not need each other's rows, and is sent the rows of each."""
Writing = Generator[Query, int, T]
"""Yields one statement that writes, and is sent how many rows it touched."""

_ACCOUNT = (
    account_sql.SELECT_ACCOUNT,
    account_sql.SELECT_IDENTITIES,
    account_sql.SELECT_ALIASES,
    account_sql.SELECT_BANS,
)
_RECORD = (browser_sql.SELECT_OWN_CONSENTS, privacy_sql.SELECT_SESSION_RECORDS, privacy_sql.SELECT_GRANT_RECORDS)
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
_SWEEPS = (
    sql.SWEEP_CREDENTIALS,
    browser_sql.SWEEP_REQUESTS,
    browser_sql.SWEEP_TRIPS,
    browser_sql.SWEEP_BROWSERS,
    account_sql.SWEEP_LINK_CODES,
    revocation_sql.SWEEP_REVOKED_TOKENS,
    account_sql.SWEEP_USED_PROOFS,
    browser_sql.SWEEP_SESSIONS,
    rate_sql.SWEEP_RATE_COUNTS,
    node_sql.SWEEP_LEASES,
    privacy_sql.WIPE_CREDENTIALS,
    privacy_sql.SWEEP_EVENTS,
    privacy_sql.SWEEP_WITHDRAWALS,
    privacy_sql.CUT_ADDRESSES,
    privacy_sql.SWEEP_BANS,
    privacy_sql.SWEEP_LIFTED_BANS,
)
"""One for each table whose rows go as soon as they have expired, then for what has been kept long enough."""


def read_account(values: Values) -> Reading[Account | None]:
    """A player, their identities, aliases and bans. What changes in between changes the player's version too."""
    found, identities, aliases, bans = yield [(statement, values) for statement in _ACCOUNT]
    return account_of(found[0], identities, aliases, bans) if found else None


def read_dossier(values: Values) -> Reading[Dossier | None]:
    """Everything that is told of a player and of who was merged into them."""
    own = yield from _read_record(values)
    if own is None:
        return None
    records = [own]
    for alias in own.account.aliases:
        merged = yield from _read_record({"player_id": alias.id})
        records += [merged] if merged else []
    ids = [record.account.player.id for record in records]
    events = yield [
        (account_sql.SELECT_EVENTS, {"player_id": one, "limit": LAST_ROW, "before": LAST_ROW}) for one in ids
    ]
    return dossier_of(records, [row for rows in events for row in rows])


def _read_record(values: Values) -> Reading[RecordRows | None]:
    account = yield from read_account(values)
    if account is None:
        return None
    consents, sessions, grants = yield [(statement, values) for statement in _RECORD]
    clients = yield [(browser_sql.SELECT_SESSION_CLIENTS, {"session_id": session[0]}) for session in sessions]
    return RecordRows(account, consents, sessions, clients, grants)


def read_census() -> Reading[Census]:
    """When the oldest row of each table was made."""
    *found, ((undelivered,),) = yield [(one, {}) for one in (*_OLDEST.values(), privacy_sql.COUNT_NOTICES)]
    oldest = {name: rows[0][0] for name, rows in zip(_OLDEST, found, strict=True) if rows}
    return Census(oldest, undelivered)


def read_erasures() -> Reading[list[Erasure]]:
    """Every erasure that is remembered."""
    (rows,) = yield [(privacy_sql.SELECT_ERASURES, {"since": 0})]
    return [Erasure(*row) for row in rows]


def read_subjects(subs: Collection[str]) -> Reading[tuple[Player, ...]]:
    """The players who have these, as far as they are there."""
    found = yield [(sql.SELECT_PLAYER_BY_SUB, {"sub": sub}) for sub in subs]
    return tuple(player_of(row) for rows in found for row in rows)


def sweep_expired(times: Values, limit: int) -> Writing[int]:
    """Remove expired rows, table by table, until the limit is reached; how many."""
    removed = 0
    for statement in _SWEEPS:
        if removed < limit:
            removed += yield statement, {**times, "limit": limit - removed}
    if removed < limit:
        yield privacy_sql.SWEEP_NOT_BEFORES_OF_ERASED, {**times, "limit": limit - removed}
        removed += yield privacy_sql.SWEEP_ERASURES, {**times, "limit": limit - removed}
    return removed


def sweep_grants(values: Values) -> Writing[int]:
    """Clean one window of grants; how many went."""
    yield sql.WIPE_SUCCESSORS, values
    removed = yield sql.SWEEP_GRANTS, values
    return removed
