"""The ledger of erasures beside a database: who was erased, where restoring a backup of the database does not reach.

Owns the file `<database>.erasures`, one JSON object a line. Only ever added to, but for what is old enough to be
forgotten. Knows no SQL.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from authsrv.account_models import Erasure
from authsrv.storage.base import StorageError

_LONGEST_LINE: Final = 4096


class ErasureLedger:
    """The file of one database, for the one process that uses it."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.erasures")

    def read(self) -> Mapping[str, int]:
        """When each `sub` was erased. Raises `StorageError` for a file that cannot be read."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"cannot read {self._path}: {error.strerror}; {self._remedy}") from error
        # What follows the last line's end was cut off by a crash, before anybody was told that it is done.
        return dict(self._entry(line, number) for number, line in enumerate(lines[:-1], start=1))

    def add(self, erasures: Iterable[Erasure]) -> None:
        """Note these; they are on disk when this returns. Raises `StorageError`."""
        try:
            self._append("".join(map(_line, erasures)).encode())
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}; {self._remedy}") from error

    def prune(self, before: int) -> None:
        """Forget who was erased before that time. Raises `StorageError`."""
        known = self.read()
        kept = [Erasure(sub, erased_at) for sub, erased_at in known.items() if erased_at >= before]
        if len(kept) == len(known):
            return
        try:
            self._replace("".join(map(_line, kept)).encode())
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}; {self._remedy}") from error

    def _entry(self, line: bytes, number: int) -> tuple[str, int]:
        try:
            found = json.loads(line)
            return str(found["sub"]), int(found["erased_at"])
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"line {number} of {self._path} cannot be read; take the file from a copy, or remove that line"
            ) from None

    def _append(self, data: bytes) -> None:
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            file.truncate(_end_of_lines(file))
            file.seek(0, os.SEEK_END)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            self._settle_directory()

    def _replace(self, data: bytes) -> None:
        part = self._path.with_name(f"{self._path.name}.part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        self._settle_directory()

    def _settle_directory(self) -> None:
        """A new name is on disk only when its directory is."""
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @property
    def _remedy(self) -> str:
        return f"let the user that runs authsrv own the file and the directory {self._path.parent}"


def _line(erasure: Erasure) -> str:
    return json.dumps({"sub": erasure.sub, "erased_at": erasure.erased_at}) + "\n"


def _end_of_lines(file: BinaryIO) -> int:
    """Where the last whole line ends: a crash, or a full disk, may have cut off what follows it."""
    begin = max(file.seek(0, os.SEEK_END) - _LONGEST_LINE, 0)
    file.seek(begin)
    return begin + file.read().rfind(b"\n") + 1
