"""What the changes about the keys of the ring do to the memory backend's tables; the model of `statements/keys.py`.

Owns guards and row changes. Knows no transaction.
"""

from dataclasses import replace

from authsrv.models import StoredKey
from authsrv.storage.base import Conflict
from authsrv.storage.changes import AddKeys, Change, EraseKey, RevokeKey, ScheduleKey, SealKey
from authsrv.storage.memory.tables import Tables, guard, write


@write.register
def _(change: AddKeys, tables: Tables) -> None:
    for key in change.keys:
        followed = {known.follows for known in tables.keys.values()}
        guard(key.follows not in followed and key.kid not in tables.keys, change)
        tables.keys[key.kid] = key


@write.register
def _(change: ScheduleKey, tables: Tables) -> None:
    key = _private(change.key.kid, change, tables)
    guard(_times(key) == _times(change.key) and key.revoked_at is None, change)
    tables.keys[key.kid] = replace(
        key, signs_from=change.signs_from, signs_until=change.signs_until, retires_at=change.retires_at
    )


def _times(key: StoredKey) -> tuple[int, int, int]:
    return key.signs_from, key.signs_until, key.retires_at


@write.register
def _(change: SealKey, tables: Tables) -> None:
    key = _private(change.kid, change, tables)
    guard(not key.sealed, change)
    tables.keys[key.kid] = replace(key, material=change.material, sealed=True)


@write.register
def _(change: EraseKey, tables: Tables) -> None:
    key = _private(change.kid, change, tables)
    tables.keys[key.kid] = replace(key, material=change.public, sealed=False, erased_at=change.now)


@write.register
def _(change: RevokeKey, tables: Tables) -> None:
    key = tables.keys.get(change.kid)
    if key is None or key.revoked_at is not None:
        raise Conflict(change)
    erased_at = change.now if key.erased_at is None else key.erased_at
    tables.keys[key.kid] = replace(
        key, material=change.public, sealed=False, erased_at=erased_at, revoked_at=change.now
    )


def _private(kid: str, change: Change, tables: Tables) -> StoredKey:
    """The key, with its private part."""
    key = tables.keys.get(kid)
    if key is None or key.erased_at is not None:
        raise Conflict(change)
    return key
