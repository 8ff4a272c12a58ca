"""Statements as PostgreSQL takes them: numbered placeholders, and its name for bytes.

Owns how the one text of each statement is read; what the statement does is none of its business.
"""

import re
from functools import cache
from typing import NamedTuple

from authsrv.storage.rows.base import Column, Values

_PLACEHOLDER = re.compile(r"(?<![:\w]):([a-z_]+)")


class Compiled(NamedTuple):
    """A statement with `$1`, `$2`, ... and the names that these stand for, in order."""

    text: str
    names: tuple[str, ...]

    def bound(self, values: Values) -> list[Column]:
        """The values in the order of their numbers."""
        return [values[name] for name in self.names]


@cache
def compiled(statement: str) -> Compiled:
    """The statement for PostgreSQL; one name has one number however often it stands there."""
    names = tuple(dict.fromkeys(_PLACEHOLDER.findall(statement)))
    numbers = {name: f"${number}" for number, name in enumerate(names, 1)}
    text = _PLACEHOLDER.sub(lambda found: numbers[found[1]], statement)
    return Compiled(text.replace(" AS BLOB)", " AS BYTEA)"), names)
