"""What the changes about nodes do to the memory backend's tables; the model of `statements/nodes.py`.

Owns guards and row changes. Knows no transaction.
"""

from authsrv.models import Lease
from authsrv.storage.memory.tables import Tables, guard, write
from authsrv.storage.node_changes import ReleaseLease, TakeLease


@write.register
def _(change: TakeLease, tables: Tables) -> None:
    held = tables.leases.get(change.name)
    guard(held is None or held.holder == change.holder or held.expires_at <= change.now, change)
    tables.leases[change.name] = Lease(change.name, change.holder, change.until)


@write.register
def _(change: ReleaseLease, tables: Tables) -> None:
    held = tables.leases.get(change.name)
    if held is not None and held.holder == change.holder:
        del tables.leases[change.name]
