"""The order that tells which nodes serve the database. Knows not how it is shown."""

from collections.abc import Mapping
from typing import Any

from authsrv.orders.desk import Desk
from authsrv.storage.node_changes import WORK, presence_of


async def list_nodes(desk: Desk, _: Mapping[str, Any]) -> Mapping[str, Any]:
    """`shared`, whether there can be several; `nodes`: each with its `name`, its `configuration` (a fingerprint),
    whether it `works` for all, and `until` when it counts as there (Unix seconds), by name.
    """
    storage = desk.server.storage
    leases = await storage.load_leases(await storage.load_time())
    workers = {lease.holder for lease in leases if lease.name == WORK}
    there = [(lease, fingerprint) for lease in leases if (fingerprint := presence_of(lease.name))]
    nodes = [
        {
            "name": lease.holder,
            "configuration": fingerprint,
            "works": lease.holder in workers,
            "until": lease.expires_at,
        }
        for lease, fingerprint in there
    ]
    return {"shared": storage.shared, "nodes": nodes}
