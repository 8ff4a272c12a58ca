"""Which schema this code needs, and what to tell an operator whose database has another.

Knows the names of the migrations, not what they do.
"""

import logging

from authsrv.storage.base import SchemaMismatch

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""The migrations this code knows, oldest first; the last one is the schema it needs."""

log = logging.getLogger("authsrv.storage")

MIGRATE = "run `authsrv migrate`"

COPYING = "copying-"
"""What a database has in the place of its revision, with a mark of the source, until all that is copied into it is
there. So nobody serves a part of the players, and no migration meets one.
"""

BACKUP = "backup-"
"""What stands before the revision in a backup, so that nobody serves one as it is: it would bring back what was used,
revoked and erased since.
"""


def check_revision(found: str | None) -> None:
    """Raise `SchemaMismatch` unless the database's revision is the one this code needs. None stands for no schema."""
    needed = REVISIONS[-1]
    if found is None:
        raise SchemaMismatch(f"the database has no schema yet; {MIGRATE}")
    check_known(found)
    if found != needed:
        raise SchemaMismatch(f"the database has schema {found}, this authsrv needs {needed}; {MIGRATE}")


def check_served(found: str | None, oldest_code: int | None) -> None:
    """Raise `SchemaMismatch` unless this code can serve the database.

    While the nodes are brought to the next version, those of this one go on upon its schema, as long as the migration
    took nothing away: `oldest_code` is the number of the migration that a code must know to serve what `found` names.
    """
    is_newer = found is not None and found not in REVISIONS and not found.startswith((COPYING, BACKUP))
    if not is_newer or oldest_code is None or oldest_code > int(REVISIONS[-1]):
        check_revision(found)
        return
    log.warning("the database has schema %s, newer than this authsrv's (%s), which may serve it", found, REVISIONS[-1])


def check_known(found: str) -> None:
    """Raise `SchemaMismatch` for a revision of a newer authsrv, an unfinished copy, and a backup as it is."""
    if found.startswith(COPYING):
        raise SchemaMismatch(
            "the database is not whole: copying into it was interrupted; give the command that did it again, "
            "or remove the database"
        )
    if found.startswith(BACKUP):
        raise SchemaMismatch("this is a backup as `authsrv backup` made it; `authsrv restore` makes a database of it")
    if found not in REVISIONS:
        raise SchemaMismatch(
            f"the database has schema {found}, this authsrv knows up to {REVISIONS[-1]}; "
            "install the newer authsrv that wrote it, or restore a backup"
        )
