"""What one transaction on PostgreSQL is: guards first, then the rest with the commit, two round trips at most.

Owns the order of statements on the wire and what a row count or a broken rule means. Knows no pool and no event loop.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

from psycopg import errors
from psycopg.pq import TransactionStatus

from authsrv.storage.account_changes import AddIdentityBan, AddLinkCode
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, LinkIdentity, RegisterClient, SettleCredential
from authsrv.storage.dialogues import Query, Writing
from authsrv.storage.postgres.connection import Connection, before_commit
from authsrv.storage.postgres.pipeline import Answer, ask, converse
from authsrv.storage.rows.base import Row, Values
from authsrv.storage.rows.rates import count_values
from authsrv.storage.statements import rates as rate_sql
from authsrv.storage.steps.base import Write

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
        # One statement is a transaction by itself.
        await _run(connection, statements)
        return
    try:
        await _transact(connection, statements, ["BEGIN", *locks])
    finally:
        await _undo_unfinished(connection)


async def _undo_unfinished(connection: Connection) -> None:
    if connection.pgconn.transaction_status in _UNFINISHED:
        await ask(connection, ("ROLLBACK", {}))


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


async def _run(
    connection: Connection, statements: Sequence[Statement], *, first: Sequence[str] = (), last: Sequence[str] = ()
) -> None:
    """One round trip. Raises `Conflict` for the first guard that touched another number of rows than one."""
    queries = [*((text, {}) for text in first), *(query for _, query, _ in statements), *((text, {}) for text in last)]
    answers, error = await converse(connection, queries)
    if isinstance(error, errors.ForeignKeyViolation):
        _judge(statements, answers[len(first) :])
        # A row that this one belongs to went away meanwhile: somebody was first.
        raise Conflict(_failed(statements, len(answers) - len(first))) from error
    if error is not None:
        raise error
    _judge(statements, answers[len(first) :])


def _judge(statements: Sequence[Statement], answers: Sequence[Answer]) -> None:
    for (change, _, is_guard), answer in zip(statements, answers, strict=False):
        if is_guard and answer.touched != 1:
            raise Conflict(change)


def _failed(statements: Sequence[Statement], done: int) -> Change:
    return statements[min(done, len(statements) - 1)][0]


async def write_at_once(connection: Connection, writing: Writing[T], *, preview: bool) -> T:
    """What a dialogue of writes comes to, in one transaction, however long its statements take."""
    try:
        await ask(connection, ("BEGIN", {}), ("SET LOCAL statement_timeout = 0", {}))
        done = await write_along(connection, writing)
        await ask(connection, ("ROLLBACK" if preview else "COMMIT", {}))
    finally:
        await _undo_unfinished(connection)
    return done


async def write_along(connection: Connection, writing: Writing[T]) -> T:
    """What a dialogue of writes comes to, each statement a transaction of its own unless there is one around them."""
    try:
        query = next(writing)
        while True:
            (answer,) = await ask(connection, query)
            query = writing.send(answer.touched)
    except StopIteration as end:
        result: T = end.value
        return result


async def add_counts(connection: Connection, counts: Mapping[bytes, int], window: Values) -> Sequence[Row]:
    """Add what was counted; what stands there then. In the order of keys, so that two nodes never wait crosswise."""
    pairs = [count_values(key, counts[key]) for key in sorted(counts)]
    values = {**window, "keys": [pair["key"] for pair in pairs], "counts": [pair["count"] for pair in pairs]}
    (answer,) = await ask(connection, (rate_sql.COUNT_MANY, values))
    return answer.rows
