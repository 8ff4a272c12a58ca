"""Orders about the signing keys. Knows neither how they are made nor how they are shown."""

from collections.abc import Mapping
from typing import Any

from authsrv.orders.desk import Desk


async def list_keys(desk: Desk, _: Mapping[str, Any]) -> Mapping[str, Any]:
    """`keys`: every key of the ring, oldest first, its times in Unix seconds."""
    stored = await desk.server.storage.load_keys()
    return {
        "keys": [
            {"kid": key.kid, "alg": key.alg, "created_at": key.created_at, "signs_from": key.signs_from}
            for key in stored
            if key.use == "sig"
        ]
    }
