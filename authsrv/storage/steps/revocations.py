"""Changes about tokens that end before their time as statements, registered with `base.py`; and what is read of them.

Owns their values and rows. Knows no driver and no transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from authsrv.models import NotBeforeKind, Revocations, Standing
from authsrv.storage.changes import RevokeToken, SetNotBefore
from authsrv.storage.rows.base import Row, checked, required
from authsrv.storage.statements import revocations as sql
from authsrv.storage.steps.base import Step, steps_of


@steps_of.register
def _(change: RevokeToken) -> Iterator[Step]:
    values = checked(jti=required("jti", change.jti), expires_at=change.expires_at)
    yield Step(sql.INSERT_REVOKED_TOKEN, values, guarded=False)


@steps_of.register
def _(change: SetNotBefore) -> Iterator[Step]:
    subject = required("subject", change.subject)
    values = checked(kind=change.kind, subject=subject, not_before=change.not_before)
    yield Step(sql.RAISE_NOT_BEFORE, values, guarded=False)


def standing_of(row: Row) -> Standing:
    """How a client's own token stands."""
    not_before, token_revoked = row
    return Standing(not_before, bool(token_revoked))


def revocations_of(rows: Iterable[Row]) -> Revocations:
    """What ended lately, in a steady order whatever the rows' is."""
    found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for kind, name, number in rows:
        found[kind].append((name, number))
    kinds: tuple[NotBeforeKind, ...] = ("client", "player", "project")
    return Revocations(
        jtis=tuple(sorted(name for name, _ in found["jti"])),
        grants=tuple(sorted(number for _, number in found["grant"])),
        not_befores={(kind, name): number for kind in kinds for name, number in sorted(found[kind])},
        disabled=dict(sorted(found["disabled"])),
        kids=tuple(sorted(name for name, _ in found["kid"])),
    )
