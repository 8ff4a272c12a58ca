"""What a client was told and must be able to rely on: a line for each acknowledged fact, on the disk first.

Owns the file. What the facts mean is the checker's.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

Fact = dict[str, Any]


class Ledger:
    """One client's file, which only grows. Leaving the block closes it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def note(self, fact: str, **told: object) -> None:
        """Write one down. When this returns, it survives a power cut."""
        self._file.write(json.dumps({"fact": fact, **told}).encode() + b"\n")
        self._file.flush()
        os.fdatasync(self._file.fileno())

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()


def facts(path: Path) -> Iterator[Fact]:
    """All of a file, in the order in which they became known."""
    for line in path.read_bytes().splitlines():
        yield json.loads(line)
