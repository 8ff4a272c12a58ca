"""Orders about the signing keys: look at them, change them soon, give one up. Knows not how they are shown."""

from collections.abc import Mapping
from typing import Any

from authsrv.models import NEVER, StoredKey
from authsrv.oauth.key_keeper import NotRevoked
from authsrv.oauth.key_schedule import KeyState, states
from authsrv.orders.desk import Desk, OrderRefused


async def list_keys(desk: Desk, _: Mapping[str, Any]) -> Mapping[str, Any]:
    """`now`, and `keys`: every signing key, oldest first, each with its state and its times.

    Times are Unix seconds, null for what has not happened or is not decided.
    """
    return _told(desk)


async def rotate(desk: Desk, _: Mapping[str, Any]) -> Mapping[str, Any]:
    """Bring the next change of every key as near as is safe; the keys then, as `list_keys` tells them."""
    await desk.keys.rotate()
    return _told(desk)


async def revoke(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give up the key `kid`; the keys then, as `list_keys` tells them."""
    try:
        await desk.keys.revoke(str(arguments.get("kid", "")))
    except NotRevoked as error:
        raise OrderRefused(f"{error}; authsrv keys list shows the keys") from error
    return _told(desk)


def _told(desk: Desk) -> Mapping[str, Any]:
    now = desk.server.now()
    stored = desk.keys.ring.stored
    found = states(stored, now)
    return {"now": now, "keys": [_one(key, found[key.kid]) for key in stored if key.kid in found]}


def _one(key: StoredKey, state: KeyState) -> Mapping[str, Any]:
    return {
        "kid": key.kid,
        "alg": key.alg,
        "state": state,
        "created_at": key.created_at,
        "signs_from": key.signs_from,
        "signs_until": _decided(key.signs_until),
        "retires_at": _decided(key.retires_at),
        "erased_at": key.erased_at,
        "revoked_at": key.revoked_at,
    }


def _decided(moment: int) -> int | None:
    return None if moment == NEVER else moment
