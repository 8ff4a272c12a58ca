"""What the changes about nodes become as statements, registered with `base.py`; and what is read of them.

Owns their values and rows. Knows no driver and no transaction.
"""

from collections.abc import Iterator

from authsrv.models import Lease
from authsrv.storage.node_changes import ReleaseLease, TakeLease
from authsrv.storage.rows.base import Row, checked, required
from authsrv.storage.statements import nodes as sql
from authsrv.storage.steps.base import Step, steps_of


@steps_of.register
def _(change: TakeLease) -> Iterator[Step]:
    values = checked(name=required("name", change.name), holder=required("holder", change.holder), now=change.now)
    yield Step(sql.TAKE_LEASE, {**values, **checked(until=change.until)})


@steps_of.register
def _(change: ReleaseLease) -> Iterator[Step]:
    yield Step(sql.RELEASE_LEASE, checked(name=change.name, holder=change.holder), guarded=False)


def lease_of(row: Row) -> Lease:
    """Who holds what."""
    return Lease(*row)
