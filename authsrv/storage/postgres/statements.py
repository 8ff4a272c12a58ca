"""Which statements one PostgreSQL connection has prepared, and how values and rows are translated for them.

Owns their names on the server. Knows neither what they do nor how they get there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

from psycopg.abc import AdaptContext, Buffer, Transformer
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer as MadeTransformer
from psycopg.pq.abc import PGresult

from authsrv.storage.rows.base import Row

MOST_KEPT: Final = 300
"""How many statements stay prepared on a connection. There are fewer, but where values may be missing their types are
not known, and each combination of types is a statement of its own."""


class Sent(NamedTuple):
    """Values as the server takes them: each one's bytes, type and format."""

    params: Sequence[Buffer | None]
    types: tuple[int, ...]
    formats: Sequence[int] | None


@dataclass(slots=True)
class Prepared:
    """A statement, for values of these types. Without a `name` the server forgets it as soon as it ran."""

    text: bytes
    types: tuple[int, ...]
    name: bytes
    transformer: Transformer
    loaders_known: bool = False

    def rows_of(self, result: PGresult) -> list[Row]:
        """The rows that it returned. Their types are always the same, so how they are read is looked up once."""
        self.transformer.set_pgresult(result, set_loaders=not self.loaders_known)
        self.loaders_known = True
        return self.transformer.load_rows(0, result.ntuples, tuple)


class Statements:
    """The statements of one connection. Unless they `are_kept`, each is sent whole every time."""

    def __init__(self, connection: AdaptContext) -> None:
        self.are_kept = True
        self._connection = connection
        self._dumping: Transformer = MadeTransformer(connection)
        self._kept: dict[tuple[str, tuple[int, ...]], Prepared] = {}
        self._numbers = count()

    def dumped(self, values: Sequence[Any]) -> Sent:
        """The values of one statement, translated."""
        params = self._dumping.dump_sequence(values, [PyFormat.AUTO] * len(values))
        return Sent(params, self._dumping.types or (), self._dumping.formats)

    def prepared(self, text: str, types: tuple[int, ...]) -> tuple[Prepared, bool]:
        """A statement, and whether the server has to be told of it first."""
        known = self._kept.get((text, types))
        if known is not None:
            return known, False
        is_kept = self.are_kept and len(self._kept) < MOST_KEPT
        name = b"authsrv_%d" % next(self._numbers) if is_kept else b""
        made = Prepared(text.encode(), types, name, MadeTransformer(self._connection))
        if is_kept:
            self._kept[text, types] = made
        return made, is_kept

    def forget(self, prepared: Prepared) -> None:
        """The server refused to prepare it."""
        self._kept.pop((prepared.text.decode(), prepared.types), None)
