"""The ledger of erasures: who was erased, noted where restoring a backup of the database does not reach.

Owns the file `<database>.erasures` beside an SQLite file, and for a database server a directory of such files: one JSON
object a line. Only ever added to, but for what is old enough to be forgotten. Knows no SQL.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final, Protocol

from authsrv.account_models import Erasure
from authsrv.storage.base import StorageError
from authsrv.storage.files import settle_directory

_LONGEST_LINE: Final = 4096
_SUFFIX: Final = ".erasures"
_DAY: Final = 86400


class Ledger(Protocol):
    """Where erasures are noted. Every method raises `StorageError`."""

    def read(self) -> Mapping[str, int]:
        """When each `sub` was erased."""

    def add(self, erasures: Iterable[Erasure]) -> None:
        """Note these; they are on disk when this returns."""

    def prune(self, before: int) -> None:
        """Forget who was erased before that time."""


class ErasureLedger:
    """One file, for the one process that writes to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def beside(cls, database: Path) -> "ErasureLedger":
        """The ledger of an SQLite file."""
        return cls(database.with_name(database.name + _SUFFIX))

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
            settle_directory(self._path.parent)

    def _replace(self, data: bytes) -> None:
        part = self._path.with_name(f"{self._path.name}.part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        settle_directory(self._path.parent)

    @property
    def _remedy(self) -> str:
        return f"let the user that runs authsrv own the file and the directory {self._path.parent}"


class NoLedger:
    """For a database server whose configuration names no place for one: whoever a backup brings back stays."""

    def read(self) -> Mapping[str, int]:
        """Nobody is known."""
        return {}

    def add(self, erasures: Iterable[Erasure]) -> None:
        """Forgotten."""

    def prune(self, before: int) -> None:
        """Nothing is kept."""


class LedgerDirectory:
    """A directory that any number of nodes write to: each into files of its own, a new one every day.

    A file is named after its day, so that it goes as a whole once that is long enough ago.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._node = token_hex(4)

    def read(self) -> Mapping[str, int]:
        """When each `sub` was erased, as far as any node noted it."""
        _make_directory(self._directory)
        return read_ledgers([self._directory])

    def add(self, erasures: Iterable[Erasure]) -> None:
        """Note these in this node's files; they are on disk when this returns."""
        days: defaultdict[str, list[Erasure]] = defaultdict(list)
        for erasure in erasures:
            days[_day(erasure.erased_at)].append(erasure)
        _make_directory(self._directory)
        for day, noted in days.items():
            ErasureLedger(self._directory / f"{day}.{self._node}{_SUFFIX}").add(noted)

    def prune(self, before: int) -> None:
        """Remove the files of days that ended before that time."""
        last = _day(before - _DAY)
        for file in _files(self._directory):
            day = file.name.split(".")[0]
            if len(day) == len(last) and day <= last:
                file.unlink(missing_ok=True)


def read_ledgers(places: Iterable[Path]) -> Mapping[str, int]:
    """When each `sub` was erased by the ledgers in these directories, or by these files. Raises `StorageError`."""
    known: dict[str, int] = {}
    for place in places:
        for file in [place] if place.is_file() else _files(place):
            known.update(ErasureLedger(file).read())
    return known


def _files(directory: Path) -> Sequence[Path]:
    try:
        return sorted(file for file in directory.iterdir() if file.name.endswith(_SUFFIX))
    except OSError as error:
        raise StorageError(f"cannot read the directory {directory} of the erasures: {error.strerror}") from error


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the directory {directory} of the erasures: {error.strerror}") from error


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def _line(erasure: Erasure) -> str:
    return json.dumps({"sub": erasure.sub, "erased_at": erasure.erased_at}) + "\n"


def _end_of_lines(file: BinaryIO) -> int:
    """Where the last whole line ends: a crash, or a full disk, may have cut off what follows it."""
    begin = max(file.seek(0, os.SEEK_END) - _LONGEST_LINE, 0)
    file.seek(begin)
    return begin + file.read().rfind(b"\n") + 1
