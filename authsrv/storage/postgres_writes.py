"""What one transaction on PostgreSQL is: guards first, then the rest with the commit, two round trips at most.

Owns the order of statements on the wire and what a row count or a broken rule means. Knows no pool and no event loop.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

from psycopg import AsyncCursor, errors
from psycopg.pq import TransactionStatus

from authsrv.storage import rate_sql
from authsrv.storage.account_changes import AddIdentityBan, AddLinkCode
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, LinkIdentity, RegisterClient, SettleCredential
from authsrv.storage.compiled import compiled
from authsrv.storage.dialogues import Query, Writing
from authsrv.storage.postgres_connection import Connection, before_commit
from authsrv.storage.rate_rows import count_values
from authsrv.storage.rows import Row, Values
from authsrv.storage.steps import Write

T = TypeVar("T")

Statement = tuple[Change, Query, bool]
"""A statement, the change it belongs to, and whether it is a guard."""

_LOCKS: Final = {
    AddIdentityBan: "SELECT 1 FROM versions WHERE name = 'bans' FOR UPDATE",
    RegisterClient: "SELECT 1 FROM versions WHERE name = 'clients' FOR UPDATE",
}
"""What changes whose guard is that rows are not there lock first: nobody holds a row that does not exist yet, and of
two transactions that do not see each other both would pass. SERIALIZABLE would find that too, but also takes players
for each other who log in first at the same time, since their new rows lie side by side."""
_LINKS_LOCK: Final = "SELECT 1 FROM versions WHERE name = 'bans' FOR SHARE"
"""Links that mind bans wait for those that are being written, and not for each other."""

_ROWS: Final[Mapping[type[Change], str]] = {
    AddLinkCode: "SELECT 1 FROM players WHERE id = :player_id FOR UPDATE",
    SettleCredential: "SELECT 1 FROM credentials WHERE digest = :digest FOR UPDATE",
}
"""The row that decides about others, by the change that removes or ends those: who comes second begins when the first
one is done, and finds what the first one has written."""

_UNFINISHED = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


def locks_of(changes: Sequence[Change]) -> Sequence[str]:
    """The statements that such a transaction begins with, so that each guard sees what others wrote before it."""
    exclusive = {_LOCKS[type(one)] for one in changes if type(one) in _LOCKS}
    shared = {_LINKS_LOCK for one in changes if isinstance(one, LinkIdentity) and one.mark}
    return [*sorted(exclusive), *shared]


async def write_all(connection: Connection, writes: Sequence[Write]) -> None:
    """Every change in order, in one transaction. Raises `Conflict` at the first guard that does not hold."""
    locks = locks_of([write.change for write in writes])
    statements = [statement for write in writes for statement in _statements(write)]
    if len(statements) == 1 and not locks:
        await _run_alone(connection, *statements[0])
        return
    try:
        await _transact(connection, statements, ["BEGIN", *locks])
    finally:
        if connection.info.transaction_status in _UNFINISHED:
            await connection.execute("ROLLBACK")


def _statements(write: Write) -> Iterator[Statement]:
    if type(write.change) in _ROWS:
        yield write.change, (_ROWS[type(write.change)], write.steps[0].values), False
    yield from ((write.change, step[:2], step.guarded) for step in write.steps)


async def _transact(connection: Connection, statements: Sequence[Statement], begin: Sequence[str]) -> None:
    guarded = max((place for place, (_, _, is_guard) in enumerate(statements, 1) if is_guard), default=0)
    if guarded:
        with before_commit(connection):
            await _run(connection, statements[:guarded], first=begin)
        begin = ()
    await _run(connection, statements[guarded:], first=begin, last=["COMMIT"])


async def _run_alone(connection: Connection, change: Change, query: Query, is_guard: bool) -> None:
    """A transaction of one statement needs no pipeline, which costs as much as the statement."""
    try:
        cursor = await _execute(connection, query)
    except errors.ForeignKeyViolation as error:
        raise Conflict(change) from error
    if is_guard and cursor.rowcount != 1:
        raise Conflict(change)


async def _execute(connection: Connection, query: Query) -> AsyncCursor[Row]:
    text, names = compiled(query[0])
    return await connection.execute(text, [query[1][name] for name in names])


async def _run(
    connection: Connection, statements: Sequence[Statement], *, first: Sequence[str] = (), last: Sequence[str] = ()
) -> None:
    """One round trip. Raises `Conflict` for a guard that touched another number of rows than one."""
    cursors: list[AsyncCursor[Row]] = []
    try:
        async with connection.pipeline():
            for text in first:
                await connection.execute(text)
            for _, query, _ in statements:
                cursors.append(await _execute(connection, query))
            for text in last:
                await connection.execute(text)
    except errors.ForeignKeyViolation as error:
        # A row that this one belongs to went away meanwhile: somebody was first.
        raise Conflict(_failed(statements, cursors)) from error
    for (change, _, is_guard), cursor in zip(statements, cursors, strict=True):
        if is_guard and cursor.rowcount != 1:
            raise Conflict(change)


def _failed(statements: Sequence[Statement], cursors: Sequence[AsyncCursor[Row]]) -> Change:
    done = sum(cursor.statusmessage is not None for cursor in cursors)
    return statements[min(done, len(statements) - 1)][0]


async def write_at_once(connection: Connection, writing: Writing[T], *, preview: bool) -> T:
    """What a dialogue of writes comes to, in one transaction, however long its statements take."""
    await connection.execute("BEGIN")
    try:
        await connection.execute("SET LOCAL statement_timeout = 0")
        done = await write_along(connection, writing)
        await connection.execute("ROLLBACK" if preview else "COMMIT")
    finally:
        if connection.info.transaction_status in _UNFINISHED:
            await connection.execute("ROLLBACK")
    return done


async def write_along(connection: Connection, writing: Writing[T]) -> T:
    """What a dialogue of writes comes to, each statement a transaction of its own unless there is one around them."""
    try:
        statement, values = next(writing)
        while True:
            text = compiled(statement)
            cursor = await connection.execute(text.text, text.bound(values))
            statement, values = writing.send(cursor.rowcount)
    except StopIteration as end:
        result: T = end.value
        return result


async def add_counts(connection: Connection, counts: Mapping[bytes, int], window: Values) -> Sequence[Row]:
    """Add what was counted; what stands there then. In the order of keys, so that two nodes never wait crosswise."""
    pairs = [count_values(key, counts[key]) for key in sorted(counts)]
    values = {**window, "keys": [pair["key"] for pair in pairs], "counts": [pair["count"] for pair in pairs]}
    text, names = compiled(rate_sql.COUNT_MANY)
    cursor = await connection.execute(text, [values[name] for name in names], binary=True)
    return await cursor.fetchall()
