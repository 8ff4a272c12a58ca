"""Between the models of what players are told of themselves and their rows. Knows no SQL and no driver."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from authsrv.account_models import Account, AccountRecord, Dossier, GrantRecord, SessionRecord
from authsrv.models import Session
from authsrv.storage.base import LAST_ROW
from authsrv.storage.rows.accounts import event_of, newest
from authsrv.storage.rows.base import Row
from authsrv.storage.rows.browsers import consent_of


class RecordRows(NamedTuple):
    """An account and the rows that belong to it; the clients of each session by its place."""

    account: Account
    consents: Sequence[Row]
    sessions: Sequence[Row]
    clients: Sequence[Sequence[Row]]
    grants: Sequence[Row]


def dossier_of(records: Sequence[RecordRows], events: Sequence[Row]) -> Dossier:
    """What is told of a player: the first account is their own, the others were merged into it."""
    own, *merged = map(_record_of, records)
    return Dossier(own, tuple(merged), newest(map(event_of, events), LAST_ROW)[::-1])


def _record_of(rows: RecordRows) -> AccountRecord:
    sessions = zip(rows.sessions, rows.clients, strict=True)
    return AccountRecord(
        rows.account,
        tuple(map(consent_of, rows.consents)),
        tuple(SessionRecord(Session(*row), tuple(client_id for (client_id,) in clients)) for row, clients in sessions),
        tuple(map(_grant_record_of, rows.grants)),
    )


def _grant_record_of(row: Row) -> GrantRecord:
    scope, audience, is_offline = row[1], row[2], row[10]
    words = tuple(scope.split()), tuple(audience.split())
    return replace(GrantRecord(*row), scope=words[0], audience=words[1], is_offline=bool(is_offline))
