"""The erasure of a player as statements, registered with `base.py`; and until when things are kept.

Knows no driver and no transaction.
"""

from collections.abc import Iterator

from authsrv.models import Retention
from authsrv.storage.base import StorageError
from authsrv.storage.privacy_changes import ErasePlayer, TrimAccount
from authsrv.storage.rows.base import checked, required
from authsrv.storage.statements import privacy as sql
from authsrv.storage.statements.revocations import RAISE_NOT_BEFORE
from authsrv.storage.steps.base import Step, steps_of

_FORGET = (
    sql.FORGET_CREDENTIALS,
    sql.ANONYMIZE_EVENTS_ABOUT_IDENTITIES,
    sql.FORGET_MOVES_OF_IDENTITIES,
    sql.FORGET_PLACES_IN_BROWSERS,
    sql.FORGET_IDENTITIES,
    sql.FORGET_PROFILES,
    sql.FORGET_CONSENTS,
    sql.FORGET_LINK_CODES,
    sql.FORGET_GRANTS,
    sql.FORGET_SESSIONS,
    sql.FORGET_BANS,
    sql.ANONYMIZE_BANS,
    sql.ANONYMIZE_EVENTS,
    sql.ANONYMIZE_EVENTS_OF_OTHERS,
)
"""In this order: what others are found by goes after them."""

PROOF_KEPT = 120
"""Seconds for which it is known whom a used credential proved: longer than anybody may repeat a request with it."""


def retention_times(now: int, retention: Retention) -> dict[str, int]:
    """Before which times a sweep removes what."""
    return {
        "proofs_before": now - PROOF_KEPT,
        "events_before": now - retention.journal,
        "withdrawals_before": now - retention.withdrawn_consents,
        "addresses_before": now - retention.addresses,
        "bans_before": now - retention.bans,
        "erasures_before": now - retention.erasures,
    }


@steps_of.register
def _(change: ErasePlayer) -> Iterator[Step]:
    if change.tombstone >= 0:
        raise StorageError("a tombstone is a negative number, which no row has")
    values = checked(
        player_id=change.player_id,
        version=change.version,
        aliases=len(change.subs) - 1,
        tombstone=change.tombstone,
        now=change.now,
        forgets_bans=int(change.forgets_bans),
    )
    yield Step(sql.CLAIM_FOR_ERASURE, values)
    for sub in change.subs:
        void = checked(kind="player", subject=required("sub", sub), not_before=change.now + 1)
        yield Step(RAISE_NOT_BEFORE, void, guarded=False)
        yield Step(sql.INSERT_ERASURE, checked(sub=sub, now=change.now), guarded=False)
        yield Step(sql.FORGET_REQUESTS, checked(sub=sub), guarded=False)
    for statement in _FORGET:
        yield Step(statement, values, guarded=False)
    for sub in change.subs:
        yield Step(sql.DELETE_PLAYER, checked(sub=sub, player_id=change.player_id))


@steps_of.register
def _(change: TrimAccount) -> Iterator[Step]:
    values = checked(player_id=change.player_id, **retention_times(change.now, change.retention))
    for statement in (sql.TRIM_EVENTS, sql.TRIM_WITHDRAWALS, sql.TRIM_ADDRESSES, sql.TRIM_BANS):
        yield Step(statement, values, guarded=False)
