"""What ends all that a restored database has given out, as a dialogue of statements.

Owns which statements that takes and in which order. Knows no driver and no transaction.
"""

from collections.abc import Collection

from authsrv.storage.base import RESTORED, Cut
from authsrv.storage.dialogues import Writing
from authsrv.storage.rows.base import checked, required
from authsrv.storage.statements import restored as sql
from authsrv.storage.statements.revocations import RAISE_NOT_BEFORE

STARTS_SKIPPED = 4096
"""How many starts of the server may lie between a backup and its restore: their row ids are never given again."""


def cut(projects: Collection[str], now: int) -> Writing[Cut]:
    """End everything; what it was. The same as `Storage.cut`."""
    ending = checked(now=now, reason=RESTORED)
    grants = yield sql.END_GRANTS, ending
    sessions = yield sql.END_SESSIONS, ending
    yield sql.FORGET_BROWSERS, {}
    requests = yield sql.FORGET_REQUESTS, {}
    yield sql.FORGET_TRIPS, {}
    link_codes = yield sql.FORGET_LINK_CODES, {}
    credentials = yield sql.REFUSE_CREDENTIALS, {}
    yield sql.VOID_KNOWN_PROJECTS, checked(not_before=now + 1)
    for project in projects:
        void = checked(kind="project", subject=required("project", project), not_before=now + 1)
        yield RAISE_NOT_BEFORE, void
    yield sql.FORGET_LEASES, {}
    yield sql.SKIP_STARTS, checked(starts=STARTS_SKIPPED)
    yield sql.NOTE_RESTORED, checked(now=now)
    return Cut(grants, sessions, requests, link_codes, credentials)
