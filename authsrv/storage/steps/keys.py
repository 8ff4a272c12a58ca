"""Changes about the keys of the ring as statements, registered with `base.py`; and what is read of them.

Owns their values and rows. Knows no driver and no transaction.
"""

from collections.abc import Iterator

from authsrv.models import StoredKey
from authsrv.storage.changes import AddKeys, EraseKey, RevokeKey, ScheduleKey, SealKey
from authsrv.storage.rows.base import Row, Values, checked, required
from authsrv.storage.statements import keys as sql
from authsrv.storage.steps.base import Step, steps_of


@steps_of.register
def _(change: AddKeys) -> Iterator[Step]:
    for key in change.keys:
        yield Step(sql.INSERT_KEY, key_values(key))


@steps_of.register
def _(change: ScheduleKey) -> Iterator[Step]:
    values = checked(
        kid=change.key.kid,
        had_from=change.key.signs_from,
        had_until=change.key.signs_until,
        had_retires_at=change.key.retires_at,
        signs_from=change.signs_from,
        signs_until=change.signs_until,
        retires_at=change.retires_at,
    )
    yield Step(sql.SCHEDULE_KEY, values)


@steps_of.register
def _(change: SealKey) -> Iterator[Step]:
    yield Step(sql.SEAL_KEY, checked(kid=change.kid, material=change.material))


@steps_of.register
def _(change: EraseKey) -> Iterator[Step]:
    yield Step(sql.ERASE_KEY, checked(kid=change.kid, public=change.public, now=change.now))


@steps_of.register
def _(change: RevokeKey) -> Iterator[Step]:
    yield Step(sql.REVOKE_KEY, checked(kid=change.kid, public=change.public, now=change.now))


def key_values(key: StoredKey) -> Values:
    """The columns of a key of the ring."""
    return checked(
        kid=key.kid,
        use=key.use,
        alg=key.alg,
        material=key.material,
        sealed=int(key.sealed),
        created_at=key.created_at,
        signs_from=key.signs_from,
        retires_at=key.retires_at,
        follows=required("follows", key.follows),
        signs_until=key.signs_until,
        erased_at=key.erased_at,
        revoked_at=key.revoked_at,
    )


def key_of(row: Row) -> StoredKey:
    """A key of the ring."""
    kid, use, alg, material, sealed, *times = row
    return StoredKey(kid, use, alg, material, bool(sealed), *times)
