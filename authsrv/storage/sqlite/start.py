"""The start number beside a database file: how an older copy in the file's place is noticed.

Every start raises the number in the database, and so does every hour of serving. Owns the file `<database>.start`,
which a restored copy of the database does not bring back. Knows no SQL.
"""

import os
from pathlib import Path
from threading import Lock

from authsrv.storage.base import StorageError
from authsrv.storage.files import settle_directory


class StartMark:
    """The file of one database, for the one process that uses it."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}.start")
        self._lock = Lock()
        self._noted = 0

    def known(self) -> int:
        """The highest number that was noted; 0 without a file. Raises `StorageError` for one that cannot be read."""
        try:
            return int(self._path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise StorageError(
                f"cannot read {self._path}; if the database beside it is the one that was served last, remove the "
                "file, else run `authsrv restored`"
            ) from error

    def refuse_older(self, number: int) -> None:
        """Raise `StorageError` if the database had a higher number before."""
        known = self.known()
        if number < known:
            raise StorageError(
                f"{self._database} is an older copy of the database that was served here (start number {number}, "
                f"where {known} is known): what was used, revoked or ended since would work again; "
                "run `authsrv restored`, which ends it all"
            )

    def note(self, number: int) -> None:
        """Remember a number, unless this noted a higher one; it is on disk when this returns. Raises `StorageError`.

        From any thread: who was cancelled leaves a thread that is still at it when the next one comes.
        """
        with self._lock:
            if number > self._noted:
                self._write(number)
                self._noted = number

    def _write(self, number: int) -> None:
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(f"{number}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
            settle_directory(self._path.parent)
        except OSError as error:
            raise StorageError(
                f"cannot write {self._path}: {error.strerror}; "
                f"let the user that runs authsrv own the directory {self._path.parent}"
            ) from error
