"""One round trip on a PostgreSQL connection: statements that are sent together and answered together.

Owns libpq's pipeline mode, as psycopg wraps it in `psycopg.pq`: a cursor for each statement costs several times as much
CPU. Knows no pool, no table, and nothing of what is to be done about an error.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

from authsrv.storage.postgres.compiled import compiled
from authsrv.storage.postgres.connection import Connection
from authsrv.storage.postgres.statements import Prepared
from authsrv.storage.rows.base import Row

Query = tuple[str, Mapping[str, Any]]
"""A statement with `:names`, and their values."""

LOOK_EVERY: Final = 0.25
"""Seconds after which a socket is read though nobody said that there is anything to read."""
_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


class Answer(NamedTuple):
    """What a statement came to: its rows, and how many it returned or touched."""

    rows: Sequence[Row]
    touched: int


class Outcome(NamedTuple):
    """Answers in the order of the statements. With an error there are those before the statement that failed, and
    whatever these had written is undone.
    """

    answers: list[Answer]
    error: psycopg.Error | None


async def converse(connection: Connection, queries: Sequence[Query]) -> Outcome:
    """Run statements in order, in one transaction: that which they begin, or are in, or else one of their own.

    Raises `psycopg.OperationalError` when the connection breaks: then the server may have done anything, or nothing.
    """
    return await _RoundTrip(connection, queries).outcome()


async def ask(connection: Connection, *queries: Query) -> list[Answer]:
    """The same, and raises the error of the statement that failed."""
    answers, error = await converse(connection, queries)
    if error is not None:
        raise error
    return answers


class _RoundTrip:
    """Statements on their way and what was heard of them; the event loop calls it when the socket is ready.

    Who is cancelled meanwhile leaves a connection in the middle of it, which the pool closes.
    """

    __slots__ = (
        "_answers",
        "_due",
        "_error",
        "_heard",
        "_info",
        "_loop",
        "_pgconn",
        "_socket",
        "_statements",
        "_timer",
    )

    def __init__(self, connection: Connection, queries: Sequence[Query]) -> None:
        self._pgconn, self._statements = connection.pgconn, connection.statements
        self._info = connection.info
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Future[None] = self._loop.create_future()
        self._answers: list[Answer] = []
        self._error: psycopg.Error | None = None
        self._due: deque[tuple[Prepared, bool]] = deque()
        """Whose results come next, and whether it is that of the statement or only of preparing it."""
        self._pgconn.enter_pipeline_mode()
        for statement, values in queries:
            text = compiled(statement)
            self._send(text.text, text.bound(values))
        self._pgconn.pipeline_sync()
        self._socket = self._pgconn.socket
        self._timer = self._loop.call_later(LOOK_EVERY, self._look)

    def _send(self, text: str, values: Sequence[Any]) -> None:
        params, types, formats = self._statements.dumped(values)
        prepared, is_new = self._statements.prepared(text, types)
        if is_new:
            self._pgconn.send_prepare(prepared.name, prepared.text, types)
            self._due.append((prepared, False))
        if prepared.name:
            self._pgconn.send_query_prepared(prepared.name, params, formats, Format.BINARY)
        else:
            self._pgconn.send_query_params(prepared.text, params, types, formats, Format.BINARY)
        self._due.append((prepared, True))

    async def outcome(self) -> Outcome:
        self._loop.add_reader(self._socket, self._on_readable)
        try:
            if self._pgconn.flush():
                self._loop.add_writer(self._socket, self._on_writable)
            await self._heard
        finally:
            self._leave()
        self._pgconn.exit_pipeline_mode()
        return Outcome(self._answers, self._error)

    def _look(self) -> None:
        """As if the socket were ready: uvloop does not tell of one whose other end reset the connection."""
        self._timer = self._loop.call_later(LOOK_EVERY, self._look)
        self._on_readable()

    def _on_writable(self) -> None:
        try:
            if not self._pgconn.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._end(error)

    def _on_readable(self) -> None:
        try:
            self._pgconn.consume_input()
            while not self._pgconn.is_busy():
                if self._is_last(self._pgconn.get_result()):
                    self._end()
                    return
        except Exception as error:  # also for rows that cannot be read: the caller must hear of it
            self._end(error)

    def _is_last(self, result: PGresult | None) -> bool:
        if result is None:  # between two statements
            if self._pgconn.status == ConnStatus.BAD:
                raise psycopg.OperationalError("the connection is lost")
            return False
        if result.status == ExecStatus.PIPELINE_SYNC:
            return True
        self._note(result)
        return False

    def _note(self, result: PGresult) -> None:
        # A commit that fails is told after the results of all statements.
        prepared, is_answer = self._due.popleft() if self._due else (None, False)
        if result.status == ExecStatus.FATAL_ERROR:
            self._error = error_from_result(result, self._info.encoding)
        if prepared is None:
            return
        if result.status not in _DONE:
            if not is_answer:
                self._statements.forget(prepared)
        elif is_answer:
            self._answers.append(Answer(prepared.rows_of(result), result.command_tuples or 0))

    def _end(self, error: Exception | None = None) -> None:
        # At once: a connection that broke has closed its socket, and the next one may get the same number.
        self._leave()
        if self._heard.done():
            return
        if error is None:
            self._heard.set_result(None)
        else:
            self._heard.set_exception(error)

    def _leave(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
