"""The order that tells how old what is stored is, for the records of processing. There is nobody in the answer."""

from collections.abc import Mapping
from typing import Any

from authsrv.orders.desk import Desk


async def census(desk: Desk, _: Mapping[str, Any]) -> Mapping[str, Any]:
    """`now`; `oldest`, when the oldest row of each table was made, by the table; `undelivered`, how many logout notices
    wait. Times are Unix seconds.
    """
    found = await desk.server.storage.load_census()
    return {"now": desk.server.now(), "oldest": dict(found.oldest), "undelivered": found.undelivered}
